#define OPENSSL_SUPPRESS_DEPRECATED /* SHA256_CTX needs no allocation */
#include "tree.h"

#include <openssl/sha.h>
#include <string.h>

static void join(const uint8_t *left, const uint8_t *right, uint8_t *out)
{
    static const uint8_t node = 1;
    SHA256_CTX state;
    SHA256_Init(&state);
    SHA256_Update(&state, &node, 1);
    SHA256_Update(&state, left, 32);
    SHA256_Update(&state, right, 32);
    SHA256_Final(out, &state);
}

void greffier_tree_add(greffier_tree *tree, const uint8_t *leaf)
{
    uint8_t hash[32];
    memcpy(hash, leaf, sizeof hash);
    int level = 0;
    for (; tree->leaves >> level & 1; level++)
        join(tree->peaks[level], hash, hash);
    memcpy(tree->peaks[level], hash, sizeof hash);
    tree->leaves++;
}

void greffier_tree_root(const greffier_tree *tree, uint8_t *root)
{
    int begun = 0;
    for (int level = 0; level < 32; level++) {
        if (!(tree->leaves >> level & 1))
            continue;
        if (begun)
            join(tree->peaks[level], root, root);
        else
            memcpy(root, tree->peaks[level], 32);
        begun = 1;
    }
    if (!begun)
        SHA256(NULL, 0, root);
}

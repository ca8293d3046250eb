#ifndef GREFFIER_TREE_H
#define GREFFIER_TREE_H
#include <stdint.h>

/* The Merkle tree of RFC 6962 section 2.1 while it grows: the roots of its perfect subtrees. All zero is
 * the empty tree. Belongs to one part (seal.h). */
typedef struct greffier_tree {
    uint32_t leaves;
    uint8_t peaks[32][32]; /* by level; those of the bits of `leaves` count */
} greffier_tree;

/* Adds a leaf hash of 32 octets; at most 2^32 - 1 of them. */
void greffier_tree_add(greffier_tree *tree, const uint8_t *leaf);

/* The root as it is now, 32 octets. */
void greffier_tree_root(const greffier_tree *tree, uint8_t *root);

#endif

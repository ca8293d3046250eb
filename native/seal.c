#define _DEFAULT_SOURCE /* explicit_bzero, MAP_ANONYMOUS, MADV_* */
#include "seal.h"

#include "hkdf.h"
#include "tree.h"
#include "twins.h"

#include <errno.h>
#include <libdeflate.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 8192, ALIVE = 0x67706172, HEAD = 16, TAG = 16 };
enum { AUDIO = 1, META = 2, FINAL = 127, NO_LEG = 255 };
#define LARGEST_POSITION (((uint64_t)1 << 53) - 1)

struct greffier_seal {
    uint32_t alive; /* ALIVE, or 0: closed, or in a forked child */
    uint32_t next;
    int locked, known; /* known: 0 only in a forked child */
    uint64_t size;     /* octets of the file */
    uint8_t frame_key[32], nonce[12];
    SHA256_CTX inner, outer; /* HMAC under the leaf key, its two key blocks hashed (RFC 2104) */
    SHA256_CTX file;
    greffier_tree tree;
    uint64_t ends[255]; /* end + 1 of each leg, 0 = none */
};
_Static_assert(sizeof(struct greffier_seal) <= PAGE, "a part's secrets fit their page");

struct greffier_sealer {
    EVP_CIPHER *cipher;
    EVP_CIPHER_CTX *context;
};

static void write32(uint8_t *out, uint32_t value)
{
    for (int i = 3; i >= 0; i--, value >>= 8)
        out[i] = (uint8_t)value;
}

static uint64_t read(const uint8_t *octets, int count)
{
    uint64_t value = 0;
    for (int i = 0; i < count; i++)
        value = value << 8 | octets[i];
    return value;
}

/* docs/part-format.md, Keys. */
static int derive(greffier_seal *s, const uint8_t *content_key, const uint8_t *before, size_t length,
                  uint8_t *tail)
{
    uint8_t okm[GREFFIER_HKDF_OCTETS] = {0}, pad[64], info[17 + 64];
    memcpy(info, "greffier/part@v1", 17);
    SHA512(before, length, info + 17);
    int good = greffier_hkdf(before + 56, content_key, info, sizeof info, okm);
    memcpy(s->frame_key, okm, 32);
    memcpy(s->nonce, okm + 32, 12);
    memcpy(tail, okm + 44, 32);
    for (int outer = 0; outer < 2; outer++) {
        SHA256_CTX *state = outer ? &s->outer : &s->inner;
        memset(pad, outer ? 0x5c : 0x36, sizeof pad);
        for (int i = 0; i < 32; i++)
            pad[i] ^= okm[76 + i];
        SHA256_Init(state);
        SHA256_Update(state, pad, sizeof pad);
    }
    explicit_bzero(okm, sizeof okm);
    explicit_bzero(pad, sizeof pad);
    return good;
}

greffier_seal *greffier_seal_new(const uint8_t *content_key, const uint8_t *before, size_t length,
                                 uint8_t *tail)
{
    errno = EINVAL;
    if (length < 88)
        return NULL;
    greffier_seal *s = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (s == MAP_FAILED)
        return NULL; /* errno says why */
    s->locked = mlock(s, PAGE) == 0;
    if (madvise(s, PAGE, MADV_DONTDUMP) != 0 || madvise(s, PAGE, MADV_WIPEONFORK) != 0
        || !derive(s, content_key, before, length, tail)) {
        greffier_seal_free(s);
        errno = EIO;
        return NULL;
    }
    write32(tail + 32, libdeflate_crc32(libdeflate_crc32(0, before, length), tail, 32));
    SHA256_Init(&s->file);
    SHA256_Update(&s->file, before, length);
    SHA256_Update(&s->file, tail, GREFFIER_SEAL_TAIL);
    s->size = length + GREFFIER_SEAL_TAIL;
    s->known = 1;
    s->alive = ALIVE;
    return s;
}

void greffier_seal_close(greffier_seal *s)
{
    s->alive = 0;
    explicit_bzero(s->frame_key, sizeof s->frame_key);
    explicit_bzero(s->nonce, sizeof s->nonce);
    explicit_bzero(&s->inner, sizeof s->inner);
    explicit_bzero(&s->outer, sizeof s->outer);
}

void greffier_seal_free(greffier_seal *s)
{
    if (s != NULL) {
        explicit_bzero(s, sizeof *s);
        munmap(s, PAGE);
    }
}

int greffier_seal_locked(const greffier_seal *s)
{
    return s->locked;
}

greffier_sealer *greffier_sealer_new(void)
{
    greffier_sealer *sealer = calloc(1, sizeof *sealer);
    if (sealer == NULL)
        return NULL;
    sealer->cipher = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
    sealer->context = EVP_CIPHER_CTX_new();
    if (sealer->cipher != NULL && sealer->context != NULL
        && EVP_EncryptInit_ex2(sealer->context, sealer->cipher, NULL, NULL, NULL) == 1)
        return sealer;
    greffier_sealer_free(sealer);
    return NULL;
}

void greffier_sealer_free(greffier_sealer *sealer)
{
    if (sealer != NULL) {
        EVP_CIPHER_CTX_free(sealer->context); /* cleanses the key it holds */
        EVP_CIPHER_free(sealer->cipher);
    }
    free(sealer);
}

static int encrypt(const greffier_seal *s, greffier_sealer *sealer, uint32_t seq, const uint8_t *plaintext,
                   size_t length, uint8_t *out)
{
    uint8_t nonce[12];
    int done;
    memcpy(nonce, s->nonce, sizeof nonce);
    for (int i = 0; i < 4; i++)
        nonce[8 + i] ^= (uint8_t)(seq >> (24 - 8 * i));
    EVP_CIPHER_CTX *context = sealer->context;
    return EVP_EncryptInit_ex2(context, NULL, s->frame_key, nonce, NULL) == 1
           && EVP_EncryptUpdate(context, NULL, &done, out, 12) == 1
           && EVP_EncryptUpdate(context, out + HEAD, &done, plaintext, (int)length) == 1
           && EVP_EncryptFinal_ex(context, out + HEAD + length, &done) == 1
           && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG, out + HEAD + length) == 1;
}

/* Adds a frame to the file's hash and its salted leaf to the tree (docs/part-format.md, The salted tree). */
static void grow(greffier_seal *s, const uint8_t *frame, const uint8_t *plaintext, size_t length)
{
    uint8_t text[1 + 32 + 6] = {0};
    SHA256_CTX state = s->inner;
    SHA256_Update(&state, frame + 8, 4); /* seq */
    SHA256_Final(text + 1, &state);
    state = s->outer;
    SHA256_Update(&state, text + 1, 32);
    SHA256_Final(text + 1, &state);
    memcpy(text + 33, frame + 4, 2); /* type, leg */
    memcpy(text + 35, frame + 8, 4);
    SHA256_Init(&state);
    SHA256_Update(&state, text, sizeof text);
    greffier_twins_update(&s->file, frame, length + GREFFIER_SEAL_OVERHEAD, &state, plaintext, length);
    SHA256_Final(text, &state);
    greffier_tree_add(&s->tree, text);
    explicit_bzero(&state, sizeof state);
}

/* Where the frame of a leg ends, or a fault: as greffier.seal.frames.end_of. */
static int64_t end_of(uint8_t type, uint8_t leg, const uint8_t *plaintext, size_t length)
{
    if (length < 1 || length > GREFFIER_SEAL_LARGEST
        || (leg == NO_LEG) != (type == META || type == FINAL))
        return GREFFIER_SEAL_BAD;
    if (leg == NO_LEG)
        return 0;
    if (length < (type == AUDIO ? 14 : 20))
        return GREFFIER_SEAL_BAD;
    uint64_t start = read(plaintext, 8);
    uint64_t end = type == AUDIO ? start + read(plaintext + 8, 4) : read(plaintext + 8, 8);
    if (start > LARGEST_POSITION || end > LARGEST_POSITION || end < start)
        return GREFFIER_SEAL_BAD;
    return (int64_t)end;
}

int64_t greffier_seal_frame(greffier_seal *s, greffier_sealer *sealer, uint8_t type, uint8_t leg,
                            const uint8_t *plaintext, size_t length, uint8_t *out)
{
    int64_t end = end_of(type, leg, plaintext, length);
    if (end < 0)
        return end;
    if (s->alive != ALIVE)
        return GREFFIER_SEAL_CLOSED;
    if (s->next == UINT32_MAX && type != FINAL)
        return GREFFIER_SEAL_FULL;
    const uint32_t seq = s->next;
    s->next += type != FINAL; /* claimed before it is used; after FINAL there is nothing */
    write32(out, (uint32_t)length + TAG);
    write32(out + 4, (uint32_t)type << 24 | (uint32_t)leg << 16);
    write32(out + 8, seq);
    if (!encrypt(s, sealer, seq, plaintext, length, out)) {
        greffier_seal_close(s); /* a frame that nobody got leaves a hole */
        return GREFFIER_SEAL_FAILED;
    }
    uint32_t crc = libdeflate_crc32(0, out, 12);
    write32(out + 12, libdeflate_crc32(crc, out + HEAD, length + TAG));
    s->size += length + GREFFIER_SEAL_OVERHEAD;
    if (type == FINAL) {
        SHA256_Update(&s->file, out, length + GREFFIER_SEAL_OVERHEAD);
        greffier_seal_close(s);
        return (int64_t)length + GREFFIER_SEAL_OVERHEAD;
    }
    grow(s, out, plaintext, length);
    if (leg != NO_LEG && s->ends[leg] <= (uint64_t)end)
        s->ends[leg] = (uint64_t)end + 1;
    return (int64_t)length + GREFFIER_SEAL_OVERHEAD;
}

int greffier_seal_count(const greffier_seal *s, greffier_seal_totals *totals)
{
    *totals = (greffier_seal_totals){.size = s->size, .frames = s->next};
    if (!s->known)
        return -1;
    SHA256_CTX state = s->file;
    SHA256_Final(totals->sha256, &state);
    greffier_tree_root(&s->tree, totals->root);
    for (int leg = 0; leg < NO_LEG; leg++) {
        if (s->ends[leg] == 0)
            continue;
        totals->leg[totals->legs] = (uint8_t)leg;
        totals->end[totals->legs++] = s->ends[leg] - 1;
    }
    return 0;
}

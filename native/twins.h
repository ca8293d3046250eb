#ifndef GREFFIER_TWINS_H
#define GREFFIER_TWINS_H
#define OPENSSL_SUPPRESS_DEPRECATED /* SHA256_CTX: a hash state that can lie in locked memory */
#include <openssl/sha.h>
#include <stddef.h>
#include <stdint.h>

/* Adds octets to two SHA-256 states, as SHA256_Update does to each. Where the processor has instructions
 * for SHA-256 (x86: they take twice as long as the distance between two of them), both are computed in one
 * go, in little more than the time of one. */
void greffier_twins_update(SHA256_CTX *one, const uint8_t *octets, size_t length, SHA256_CTX *other,
                           const uint8_t *others, size_t others_length);

#endif

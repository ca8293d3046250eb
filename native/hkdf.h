#ifndef GREFFIER_HKDF_H
#define GREFFIER_HKDF_H
#include <stddef.h>
#include <stdint.h>

enum { GREFFIER_HKDF_INFO = 128, GREFFIER_HKDF_OCTETS = 128 };

/* HKDF-SHA-512 (RFC 5869) of a 32-octet key and a 32-octet salt, 128 octets; `info` has at most
 * GREFFIER_HKDF_INFO octets. 1, or 0 if the library refuses. Leaves nothing secret behind but `okm`. */
int greffier_hkdf(const uint8_t *salt, const uint8_t *key, const uint8_t *info, size_t length,
                  uint8_t *okm);

#endif

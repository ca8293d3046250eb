#define _DEFAULT_SOURCE /* explicit_bzero */
#include "hkdf.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

enum { HASH = 64 };

int greffier_hkdf(const uint8_t *salt, const uint8_t *key, const uint8_t *info, size_t length,
                  uint8_t *okm)
{
    uint8_t prk[HASH], text[HASH + GREFFIER_HKDF_INFO + 1];
    unsigned done = 0;
    if (length > GREFFIER_HKDF_INFO)
        return 0;
    memcpy(text + HASH, info, length);
    text[HASH + length] = 1;
    int good = HMAC(EVP_sha512(), salt, 32, key, 32, prk, &done) != NULL
               && HMAC(EVP_sha512(), prk, HASH, text + HASH, length + 1, okm, &done) != NULL;
    memcpy(text, okm, HASH);
    text[HASH + length] = 2;
    good = good && HMAC(EVP_sha512(), prk, HASH, text, HASH + length + 1, okm + HASH, &done) != NULL;
    explicit_bzero(prk, sizeof prk);
    explicit_bzero(text, sizeof text);
    return good;
}

#include "twins.h"

#if defined(__x86_64__)
#include <immintrin.h>

enum { BLOCK = 64 };

static const uint32_t ROUND[64] __attribute__((aligned(16))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

/* One of the two: its state as the instructions want it, and the last sixteen words of its schedule. */
typedef struct lane {
    __m128i abef, cdgh, words[4];
} lane;

#define TARGET __attribute__((target("sha,sse4.1,ssse3"), always_inline)) static inline

TARGET void load_state(lane *l, const SHA_LONG *h)
{
    __m128i low = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(const void *)h), 0xb1);
    __m128i high = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(const void *)(h + 4)), 0x1b);
    l->abef = _mm_alignr_epi8(low, high, 8);
    l->cdgh = _mm_blend_epi16(high, low, 0xf0);
}

TARGET void store_state(const lane *l, SHA_LONG *h)
{
    __m128i low = _mm_shuffle_epi32(l->abef, 0x1b), high = _mm_shuffle_epi32(l->cdgh, 0xb1);
    _mm_storeu_si128((__m128i *)(void *)h, _mm_blend_epi16(low, high, 0xf0));
    _mm_storeu_si128((__m128i *)(void *)(h + 4), _mm_alignr_epi8(high, low, 8));
}

/* The words of rounds 4 * group to 4 * group + 3 (FIPS 180-4 section 6.2.2, step 1). */
TARGET __m128i schedule(lane *l, int group, const uint8_t *block)
{
    const __m128i order = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i *words = l->words;
    if (group < 4) {
        __m128i octets = _mm_loadu_si128((const __m128i *)(const void *)(block + 16 * group));
        return words[group] = _mm_shuffle_epi8(octets, order);
    }
    __m128i sum = _mm_sha256msg1_epu32(words[group % 4], words[(group + 1) % 4]);
    sum = _mm_add_epi32(sum, _mm_alignr_epi8(words[(group + 3) % 4], words[(group + 2) % 4], 4));
    return words[group % 4] = _mm_sha256msg2_epu32(sum, words[(group + 3) % 4]);
}

__attribute__((target("sha,sse4.1,ssse3"))) static void compress(SHA_LONG *h0, const uint8_t *p0,
                                                                 SHA_LONG *h1, const uint8_t *p1,
                                                                 size_t blocks)
{
    lane a, b;
    load_state(&a, h0);
    load_state(&b, h1);
    for (; blocks > 0; blocks--, p0 += BLOCK, p1 += BLOCK) {
        const lane was_a = a, was_b = b;
#pragma GCC unroll 16
        for (int group = 0; group < 16; group++) {
            const __m128i round = _mm_load_si128((const __m128i *)(const void *)(ROUND + 4 * group));
            __m128i wa = _mm_add_epi32(schedule(&a, group, p0), round);
            __m128i wb = _mm_add_epi32(schedule(&b, group, p1), round);
            a.cdgh = _mm_sha256rnds2_epu32(a.cdgh, a.abef, wa);
            b.cdgh = _mm_sha256rnds2_epu32(b.cdgh, b.abef, wb);
            a.abef = _mm_sha256rnds2_epu32(a.abef, a.cdgh, _mm_shuffle_epi32(wa, 0x0e));
            b.abef = _mm_sha256rnds2_epu32(b.abef, b.cdgh, _mm_shuffle_epi32(wb, 0x0e));
        }
        a.abef = _mm_add_epi32(a.abef, was_a.abef);
        a.cdgh = _mm_add_epi32(a.cdgh, was_a.cdgh);
        b.abef = _mm_add_epi32(b.abef, was_b.abef);
        b.cdgh = _mm_add_epi32(b.cdgh, was_b.cdgh);
    }
    store_state(&a, h0);
    store_state(&b, h1);
}

/* What fills the block that a state has begun; then it stands between two blocks. */
static size_t align(SHA256_CTX *state, const uint8_t *octets, size_t length)
{
    size_t missing = (BLOCK - state->num) % BLOCK, count = missing < length ? missing : length;
    SHA256_Update(state, octets, count);
    return count;
}

static void advance(SHA256_CTX *state, uint64_t octets)
{
    uint64_t bits = ((uint64_t)state->Nh << 32 | state->Nl) + 8 * octets;
    state->Nh = (SHA_LONG)(bits >> 32);
    state->Nl = (SHA_LONG)bits;
}

void greffier_twins_update(SHA256_CTX *one, const uint8_t *octets, size_t length, SHA256_CTX *other,
                           const uint8_t *others, size_t others_length)
{
    if (__builtin_cpu_supports("sse4.1") && __builtin_cpu_supports("sha")) {
        size_t first = align(one, octets, length), second = align(other, others, others_length);
        octets += first;
        length -= first;
        others += second;
        others_length -= second;
        size_t blocks = (length < others_length ? length : others_length) / BLOCK;
        compress(one->h, octets, other->h, others, blocks);
        advance(one, BLOCK * blocks);
        advance(other, BLOCK * blocks);
        octets += BLOCK * blocks;
        length -= BLOCK * blocks;
        others += BLOCK * blocks;
        others_length -= BLOCK * blocks;
    }
    SHA256_Update(one, octets, length);
    SHA256_Update(other, others, others_length);
}
#else
void greffier_twins_update(SHA256_CTX *one, const uint8_t *octets, size_t length, SHA256_CTX *other,
                           const uint8_t *others, size_t others_length)
{
    SHA256_Update(one, octets, length);
    SHA256_Update(other, others, others_length);
}
#endif

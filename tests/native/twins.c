#include "twins.h"

#include <string.h>

#include "check.h"

static uint8_t octets[5000];

static void both_states_are_what_they_are_alone(void)
{
    uint32_t random = 3;
    for (size_t i = 0; i < sizeof octets; i++)
        octets[i] = (uint8_t)((random = random * 1664525u + 1013904223u) >> 24);
    for (int round = 0; round < 3000; round++) {
        SHA256_CTX twins[2], alone[2];
        uint8_t hash[32], expected[32];
        for (int i = 0; i < 2; i++) {
            SHA256_Init(&twins[i]);
            SHA256_Init(&alone[i]);
        }
        for (int piece = 0; piece < 3; piece++) {
            size_t at[2], length[2];
            for (int i = 0; i < 2; i++) {
                random = random * 1664525u + 1013904223u;
                at[i] = random >> 20;
                random = random * 1664525u + 1013904223u;
                length[i] = (random >> 16) % (round % 3 ? 200 : 900);
                SHA256_Update(&alone[i], octets + at[i], length[i]);
            }
            greffier_twins_update(&twins[0], octets + at[0], length[0], &twins[1], octets + at[1], length[1]);
        }
        for (int i = 0; i < 2; i++) {
            SHA256_Final(hash, &twins[i]);
            SHA256_Final(expected, &alone[i]);
            CHECK(memcmp(hash, expected, 32) == 0);
        }
    }
}

int main(void)
{
    RUN(both_states_are_what_they_are_alone);
    return 0;
}

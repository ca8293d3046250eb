/* G.711 against its own tables: decision values and quantised values of ITU-T G.711 1a and 2a,
   built here step by step as the Recommendation lists them, not by the bit tricks of the code. */
#include "g711.h"

#include <stdio.h>
#include <stdlib.h>

static int failures;

static void check(int ok, const char *law, int value)
{
    if (ok)
        return;
    fprintf(stderr, "%s: wrong at %d\n", law, value);
    failures++;
}

/* value[i]: what code i (0 = the quietest) decodes to; limit[i]: the first magnitude above it. */
static void a_table(int value[128], int limit[128])
{
    int at = 0;
    for (int i = 0; i < 128; i++) {
        int step = i < 32 ? 16 : 16 << (i / 16 - 1);
        value[i] = at + step / 2;
        at += step;
        limit[i] = at;
    }
}

static void mu_table(int value[128], int limit[128])
{
    int at = -4; /* the first interval is half as wide: 0..3 in 16-bit values */
    for (int i = 0; i < 128; i++) {
        int step = 8 << (i / 16);
        value[i] = at + step / 2;
        at += step;
        limit[i] = at;
    }
}

static int code_of(const int limit[128], int magnitude)
{
    int code = 0;
    while (code < 127 && magnitude >= limit[code])
        code++;
    return code;
}

int main(void)
{
    int value[128], limit[128];
    a_table(value, limit);
    for (int octet = 0; octet < 256; octet++) {
        uint8_t in = (uint8_t)octet, back;
        int16_t sample;
        int code = (octet ^ 0x55) & 0x7F;
        greffier_g711_decode_alaw(&in, 1, &sample);
        check(sample == (octet & 0x80 ? value[code] : -value[code]), "A-law decode", octet);
        greffier_g711_encode_alaw(&sample, 1, &back);
        check(back == in, "A-law there and back", octet);
    }
    for (int sample = -32768; sample <= 32767; sample++) {
        int16_t in = (int16_t)sample;
        uint8_t octet;
        greffier_g711_encode_alaw(&in, 1, &octet);
        int code = code_of(limit, sample < 0 ? -sample - 1 : sample);
        check(octet == (((sample < 0 ? 0 : 0x80) | code) ^ 0x55), "A-law encode", sample);
    }
    mu_table(value, limit);
    for (int octet = 0; octet < 256; octet++) {
        uint8_t in = (uint8_t)octet, back;
        int16_t sample;
        int code = ~octet & 0x7F;
        greffier_g711_decode_ulaw(&in, 1, &sample);
        check(sample == (octet & 0x80 ? value[code] : -value[code]), "mu-law decode", octet);
        greffier_g711_encode_ulaw(&sample, 1, &back);
        check(back == in || (octet == 0x7F && back == 0xFF), "mu-law there and back", octet);
    }
    for (int sample = -32768; sample <= 32767; sample++) {
        int16_t in = (int16_t)sample;
        uint8_t octet;
        greffier_g711_encode_ulaw(&in, 1, &octet);
        int code = code_of(limit, abs(sample));
        check(octet == (0xFF ^ ((sample < 0 ? 0x80 : 0) | code)), "mu-law encode", sample);
    }
    return failures != 0;
}

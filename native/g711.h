#ifndef GREFFIER_G711_H
#define GREFFIER_G711_H
#include <stddef.h>
#include <stdint.h>

/* ITU-T G.711: one octet a sample at 8 kHz. Decoded values are 16-bit linear. */
void greffier_g711_decode_alaw(const uint8_t *octets, size_t count, int16_t *samples);
void greffier_g711_decode_ulaw(const uint8_t *octets, size_t count, int16_t *samples);

/* The inverse, by the decision values of tables 1a and 2a; encoding what was decoded gives the
   octet back, except that mu-law's negative zero (0x7F) comes back as positive zero (0xFF). */
void greffier_g711_encode_alaw(const int16_t *samples, size_t count, uint8_t *octets);
void greffier_g711_encode_ulaw(const int16_t *samples, size_t count, uint8_t *octets);

#endif

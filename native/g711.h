#ifndef GREFFIER_G711_H
#define GREFFIER_G711_H
#include <stddef.h>
#include <stdint.h>

/* ITU-T G.711: one octet a sample at 8 kHz. Decoded values are 16-bit linear. */
void greffier_g711_decode_alaw(const uint8_t *octets, size_t count, int16_t *samples);
void greffier_g711_decode_ulaw(const uint8_t *octets, size_t count, int16_t *samples);

#endif

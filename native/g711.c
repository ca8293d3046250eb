#include "g711.h"

static int16_t alaw(uint8_t octet)
{
    octet ^= 0x55;
    int exponent = (octet >> 4) & 7;
    int value = ((octet & 15) << 4) + 8;
    if (exponent > 0)
        value = (value + 256) << (exponent - 1);
    return (int16_t)(octet & 0x80 ? value : -value);
}

static int16_t ulaw(uint8_t octet)
{
    octet = (uint8_t)~octet;
    int value = ((((octet & 15) << 3) + 132) << ((octet >> 4) & 7)) - 132;
    return (int16_t)(octet & 0x80 ? -value : value);
}

void greffier_g711_decode_alaw(const uint8_t *octets, size_t count, int16_t *samples)
{
    for (size_t i = 0; i < count; i++)
        samples[i] = alaw(octets[i]);
}

void greffier_g711_decode_ulaw(const uint8_t *octets, size_t count, int16_t *samples)
{
    for (size_t i = 0; i < count; i++)
        samples[i] = ulaw(octets[i]);
}

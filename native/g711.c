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

/* The segment of a magnitude whose lowest segment ends below (1 << lowest). */
static int segment_of(int magnitude, int lowest)
{
    int segment = 0;
    while (segment < 7 && magnitude >> (lowest + segment))
        segment++;
    return segment;
}

static uint8_t to_alaw(int16_t sample)
{
    /* Negative values mirror the positive ones around -1/2 of a step: -1 belongs to -0. */
    int magnitude = sample < 0 ? -(sample + 1) : sample;
    int segment = segment_of(magnitude, 8);
    int steps = segment > 0 ? (magnitude >> (segment + 3)) & 15 : magnitude >> 4;
    return (uint8_t)(((segment << 4) | steps | (sample < 0 ? 0 : 0x80)) ^ 0x55);
}

static uint8_t to_ulaw(int16_t sample)
{
    int magnitude = sample < 0 ? -(int)sample : sample;
    if (magnitude > 32635)
        magnitude = 32635;
    magnitude += 132;
    int segment = segment_of(magnitude, 8);
    int steps = (magnitude >> (segment + 3)) & 15;
    return (uint8_t)~((segment << 4) | steps | (sample < 0 ? 0x80 : 0));
}

void greffier_g711_encode_alaw(const int16_t *samples, size_t count, uint8_t *octets)
{
    for (size_t i = 0; i < count; i++)
        octets[i] = to_alaw(samples[i]);
}

void greffier_g711_encode_ulaw(const int16_t *samples, size_t count, uint8_t *octets)
{
    for (size_t i = 0; i < count; i++)
        octets[i] = to_ulaw(samples[i]);
}

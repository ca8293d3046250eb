#ifndef GREFFIER_OPUS_H
#define GREFFIER_OPUS_H
#include <stddef.h>
#include <stdint.h>

/* libopus at the stream's own rate (8, 12, 16, 24 or 48 kHz): application VOIP, VBR, and whatever
   else libopus sets by default. Negative results are libopus' own error codes. One owner each. */
typedef struct greffier_opus_encoder greffier_opus_encoder;
typedef struct greffier_opus_decoder greffier_opus_decoder;

/* NULL and *error when a setting is refused. */
greffier_opus_encoder *greffier_opus_encoder_create(int32_t rate, int32_t channels,
                                                    int32_t bitrate, int32_t complexity,
                                                    int32_t *error);
/* Samples by which decoded audio comes late. */
int32_t greffier_opus_encoder_lookahead(greffier_opus_encoder *encoder);
/* Encodes `blocks` frames of `frame` samples a channel; packets stand one after the other in `out`,
   their sizes in `lengths`. `capacity` must be at least blocks * 1276. Returns the octets written. */
int32_t greffier_opus_encode(greffier_opus_encoder *encoder, const int16_t *pcm, int32_t frame,
                             size_t blocks, uint8_t *out, size_t capacity, uint16_t *lengths);
/* The state holds audio: it is zeroed before it is freed. */
void greffier_opus_encoder_destroy(greffier_opus_encoder *encoder);

greffier_opus_decoder *greffier_opus_decoder_create(int32_t rate, int32_t channels, int32_t *error);
/* Decodes one packet; length 0 conceals a lost one of exactly `capacity` samples. Returns samples
   a channel. */
int32_t greffier_opus_decode(greffier_opus_decoder *decoder, const uint8_t *data, size_t length,
                             int16_t *pcm, int32_t capacity);
void greffier_opus_decoder_destroy(greffier_opus_decoder *decoder);

/* libopus' words for one of its error codes. */
const char *greffier_opus_reason(int32_t error);

#endif

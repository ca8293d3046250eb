#ifndef GREFFIER_NARROW_H
#define GREFFIER_NARROW_H
#include <stddef.h>
#include <stdint.h>

/* Decoders of older telephone codecs through libspandsp. One owner each; the state is zeroed
   before it is freed. Create returns NULL where there is no memory. */
typedef struct greffier_g722_decoder greffier_g722_decoder;
typedef struct greffier_gsm_decoder greffier_gsm_decoder;

/* ITU-T G.722 at 64 kbit/s: two samples at 16 kHz an octet; any octet is valid. `pcm` must have
   room for 2 * count. Returns the samples written, or -1 when count is out of range. */
greffier_g722_decoder *greffier_g722_decoder_create(void);
int32_t greffier_g722_decode(greffier_g722_decoder *decoder, const uint8_t *octets, size_t count,
                             int16_t *pcm);
void greffier_g722_decoder_destroy(greffier_g722_decoder *decoder);

/* GSM 06.10 full rate as RTP carries it (RFC 3551 4.5.8): 33 octets, signature 0xD, make 160
   samples at 8 kHz. `pcm` must have room for 160 * count / 33. Returns the samples written, or -1
   when count is no multiple of 33 or a signature is missing (then nothing is decoded). */
greffier_gsm_decoder *greffier_gsm_decoder_create(void);
int32_t greffier_gsm_decode(greffier_gsm_decoder *decoder, const uint8_t *octets, size_t count,
                            int16_t *pcm);
void greffier_gsm_decoder_destroy(greffier_gsm_decoder *decoder);

#endif

#ifndef GREFFIER_FLAC_H
#define GREFFIER_FLAC_H
#include <stddef.h>
#include <stdint.h>

/* libFLAC's stream encoder, 16-bit mono, one fixed block size; hands out single frames. A frame is
   decodable on its own given the STREAMINFO, which follows from rate and block size. One owner. */
typedef struct greffier_flac_encoder greffier_flac_encoder;

/* block: 16..4608 samples; level: 0..8. NULL and *error (libFLAC's init status; -1 no memory;
   -2 a setting is refused) otherwise. */
greffier_flac_encoder *greffier_flac_encoder_create(uint32_t rate, uint32_t block, uint32_t level,
                                                    int32_t *error);
/* Takes samples; frames that became whole wait in the encoder (libFLAC holds a block back until
   the first sample of the next). Returns how many frames wait, or -1 on failure. */
int32_t greffier_flac_encode(greffier_flac_encoder *encoder, const int16_t *pcm, size_t samples);
/* Ends the stream: the held block and the last short one come out. Nothing may be encoded after. */
int32_t greffier_flac_finish(greffier_flac_encoder *encoder);
/* The waiting frames: octets one after the other, with each frame's octets and samples. They are
   taken by this call and stay readable until the next one on this encoder. */
int32_t greffier_flac_take(greffier_flac_encoder *encoder, const uint8_t **octets,
                           const uint32_t **lengths, const uint32_t **samples);
/* PCM scratch and frames are zeroed before they are freed. */
void greffier_flac_encoder_destroy(greffier_flac_encoder *encoder);

#endif

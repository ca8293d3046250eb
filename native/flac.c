#define _DEFAULT_SOURCE /* explicit_bzero */
#include "flac.h"

#include <FLAC/stream_encoder.h>
#include <stdlib.h>
#include <string.h>

enum { SCRATCH = 4608, NO_MEMORY = -1, REFUSED = -2 };

struct greffier_flac_encoder {
    FLAC__StreamEncoder *flac;
    uint8_t *octets;
    size_t used, room;
    uint32_t *lengths, *samples;
    size_t frames, frames_room;
    int taken; /* the waiting frames were handed out: the next call starts anew */
    int finished;
    FLAC__int32 scratch[SCRATCH];
};

static void *grown(void *memory, size_t used, size_t wanted)
{
    /* Not realloc: what it leaves behind would not be zeroed. */
    void *fresh = malloc(wanted);
    if (fresh && memory) {
        memcpy(fresh, memory, used);
        explicit_bzero(memory, used);
        free(memory);
    }
    return fresh;
}

static int make_room(greffier_flac_encoder *encoder, size_t octets)
{
    if (encoder->used + octets > encoder->room) {
        size_t room = 2 * (encoder->used + octets);
        uint8_t *fresh = grown(encoder->octets, encoder->used, room);
        if (!fresh)
            return 0;
        encoder->octets = fresh;
        encoder->room = room;
    }
    if (encoder->frames == encoder->frames_room) {
        size_t room = 2 * encoder->frames_room + 8;
        size_t used = encoder->frames * sizeof(uint32_t);
        uint32_t *lengths = grown(encoder->lengths, used, room * sizeof(uint32_t));
        if (!lengths)
            return 0;
        encoder->lengths = lengths;
        uint32_t *samples = grown(encoder->samples, used, room * sizeof(uint32_t));
        if (!samples)
            return 0;
        encoder->samples = samples;
        encoder->frames_room = room;
    }
    return 1;
}

static FLAC__StreamEncoderWriteStatus keep(const FLAC__StreamEncoder *flac,
                                           const FLAC__byte buffer[], size_t bytes,
                                           uint32_t samples, uint32_t current_frame, void *client)
{
    (void)flac;
    (void)current_frame;
    greffier_flac_encoder *encoder = client;
    /* Calls with no samples carry the stream's metadata, which whoever exports makes anew. */
    if (samples == 0)
        return FLAC__STREAM_ENCODER_WRITE_STATUS_OK;
    if (!make_room(encoder, bytes))
        return FLAC__STREAM_ENCODER_WRITE_STATUS_FATAL_ERROR;
    memcpy(encoder->octets + encoder->used, buffer, bytes);
    encoder->used += bytes;
    encoder->lengths[encoder->frames] = (uint32_t)bytes;
    encoder->samples[encoder->frames] = samples;
    encoder->frames++;
    return FLAC__STREAM_ENCODER_WRITE_STATUS_OK;
}

static int32_t start(greffier_flac_encoder *encoder, uint32_t rate, uint32_t block, uint32_t level)
{
    encoder->flac = FLAC__stream_encoder_new();
    if (!encoder->flac)
        return NO_MEMORY;
    FLAC__bool accepted = FLAC__stream_encoder_set_channels(encoder->flac, 1);
    accepted &= FLAC__stream_encoder_set_bits_per_sample(encoder->flac, 16);
    accepted &= FLAC__stream_encoder_set_sample_rate(encoder->flac, rate);
    accepted &= FLAC__stream_encoder_set_compression_level(encoder->flac, level);
    accepted &= FLAC__stream_encoder_set_blocksize(encoder->flac, block);
    if (!accepted)
        return REFUSED;
    return (int32_t)FLAC__stream_encoder_init_stream(encoder->flac, keep, NULL, NULL, NULL,
                                                     encoder);
}

greffier_flac_encoder *greffier_flac_encoder_create(uint32_t rate, uint32_t block, uint32_t level,
                                                    int32_t *error)
{
    *error = block < 16 || block > SCRATCH || level > 8 ? REFUSED : 0;
    if (*error)
        return NULL;
    greffier_flac_encoder *encoder = calloc(1, sizeof *encoder);
    *error = encoder ? start(encoder, rate, block, level) : NO_MEMORY;
    if (*error) {
        greffier_flac_encoder_destroy(encoder);
        return NULL;
    }
    return encoder;
}

static void forget_taken(greffier_flac_encoder *encoder)
{
    if (!encoder->taken)
        return;
    encoder->used = 0;
    encoder->frames = 0;
    encoder->taken = 0;
}

int32_t greffier_flac_encode(greffier_flac_encoder *encoder, const int16_t *pcm, size_t samples)
{
    forget_taken(encoder);
    if (encoder->finished)
        return -1;
    FLAC__bool ok = 1;
    for (size_t done = 0; ok && done < samples;) {
        size_t count = samples - done < SCRATCH ? samples - done : SCRATCH;
        for (size_t i = 0; i < count; i++)
            encoder->scratch[i] = pcm[done + i];
        ok = FLAC__stream_encoder_process_interleaved(encoder->flac, encoder->scratch,
                                                      (uint32_t)count);
        explicit_bzero(encoder->scratch, count * sizeof encoder->scratch[0]);
        done += count;
    }
    return ok ? (int32_t)encoder->frames : -1;
}

int32_t greffier_flac_finish(greffier_flac_encoder *encoder)
{
    forget_taken(encoder);
    if (encoder->finished)
        return -1;
    encoder->finished = 1;
    return FLAC__stream_encoder_finish(encoder->flac) ? (int32_t)encoder->frames : -1;
}

int32_t greffier_flac_take(greffier_flac_encoder *encoder, const uint8_t **octets,
                           const uint32_t **lengths, const uint32_t **samples)
{
    forget_taken(encoder);
    *octets = encoder->octets;
    *lengths = encoder->lengths;
    *samples = encoder->samples;
    encoder->taken = 1;
    return (int32_t)encoder->frames;
}

void greffier_flac_encoder_destroy(greffier_flac_encoder *encoder)
{
    if (!encoder)
        return;
    if (encoder->flac)
        FLAC__stream_encoder_delete(encoder->flac);
    if (encoder->octets) {
        explicit_bzero(encoder->octets, encoder->room);
        free(encoder->octets);
    }
    free(encoder->lengths);
    free(encoder->samples);
    explicit_bzero(encoder->scratch, sizeof encoder->scratch);
    free(encoder);
}

/* Every frame decodes on its own with nothing but the STREAMINFO, to the very samples given. */
#include "flac.h"

#include "check.h"

#include <FLAC/stream_decoder.h>
#include <stdlib.h>
#include <string.h>

enum { RATE = 8000, BLOCK = 1024, SAMPLES = 10 * BLOCK + 77 };

typedef struct {
    uint8_t bytes[1 << 16];
    size_t size, at;
    int16_t pcm[BLOCK];
    uint32_t samples;
    int errors;
} one_frame;

static FLAC__StreamDecoderReadStatus give(const FLAC__StreamDecoder *decoder, FLAC__byte buffer[],
                                          size_t *bytes, void *client)
{
    (void)decoder;
    one_frame *frame = client;
    size_t left = frame->size - frame->at;
    *bytes = *bytes < left ? *bytes : left;
    memcpy(buffer, frame->bytes + frame->at, *bytes);
    frame->at += *bytes;
    return *bytes ? FLAC__STREAM_DECODER_READ_STATUS_CONTINUE
                  : FLAC__STREAM_DECODER_READ_STATUS_END_OF_STREAM;
}

static FLAC__StreamDecoderWriteStatus hear(const FLAC__StreamDecoder *decoder,
                                           const FLAC__Frame *header,
                                           const FLAC__int32 *const buffer[], void *client)
{
    (void)decoder;
    one_frame *frame = client;
    CHECK(header->header.blocksize <= BLOCK && header->header.sample_rate == RATE);
    for (uint32_t i = 0; i < header->header.blocksize; i++)
        frame->pcm[i] = (int16_t)buffer[0][i];
    frame->samples = header->header.blocksize;
    return FLAC__STREAM_DECODER_WRITE_STATUS_CONTINUE;
}

static void complain(const FLAC__StreamDecoder *decoder, FLAC__StreamDecoderErrorStatus status,
                     void *client)
{
    (void)decoder;
    (void)status;
    ((one_frame *)client)->errors++;
}

/* RFC 9639 8.2: sizes unknown (0) but the block size, rate, one channel, 16 bits, no MD5. */
static size_t streaminfo(uint8_t *out)
{
    static const uint8_t head[] = {'f', 'L', 'a', 'C', 0x80, 0, 0, 34};
    memset(out, 0, 42);
    memcpy(out, head, sizeof head);
    out[8] = out[10] = BLOCK >> 8;
    out[9] = out[11] = BLOCK & 255;
    out[18] = (uint8_t)(RATE >> 12);
    out[19] = (uint8_t)(RATE >> 4);
    out[20] = (uint8_t)((RATE & 15) << 4);
    out[21] = 15 << 4;
    return 42;
}

static void hear_alone(const uint8_t *octets, uint32_t length, const int16_t *sent,
                       uint32_t samples)
{
    one_frame *frame = calloc(1, sizeof *frame);
    frame->size = streaminfo(frame->bytes);
    memcpy(frame->bytes + frame->size, octets, length);
    frame->size += length;
    FLAC__StreamDecoder *decoder = FLAC__stream_decoder_new();
    CHECK(FLAC__stream_decoder_init_stream(decoder, give, NULL, NULL, NULL, NULL, hear, NULL,
                                           complain, frame)
          == FLAC__STREAM_DECODER_INIT_STATUS_OK);
    CHECK(FLAC__stream_decoder_process_until_end_of_stream(decoder));
    CHECK(frame->errors == 0 && frame->samples == samples);
    CHECK(memcmp(frame->pcm, sent, samples * sizeof *sent) == 0);
    FLAC__stream_decoder_delete(decoder);
    free(frame);
}

static size_t take_and_hear(greffier_flac_encoder *encoder, const int16_t *sent)
{
    const uint8_t *octets;
    const uint32_t *lengths, *samples;
    int32_t frames = greffier_flac_take(encoder, &octets, &lengths, &samples);
    size_t heard = 0, at = 0;
    for (int32_t i = 0; i < frames; i++) {
        hear_alone(octets + at, lengths[i], sent + heard, samples[i]);
        at += lengths[i];
        heard += samples[i];
    }
    CHECK(greffier_flac_take(encoder, &octets, &lengths, &samples) == 0);
    return heard;
}

int main(void)
{
    int32_t error;
    static int16_t pcm[SAMPLES];
    uint32_t seed = 7;
    for (size_t i = 0; i < SAMPLES; i++)
        pcm[i] = (int16_t)((seed = seed * 1664525u + 1013904223u) >> (16 + i / BLOCK));
    greffier_flac_encoder *encoder = greffier_flac_encoder_create(RATE, BLOCK, 5, &error);
    CHECK(encoder && error == 0);
    size_t heard = 0;
    for (size_t at = 0, step = 1; at < SAMPLES; at += step, step = 1 + (step * 7) % 3001) {
        if (step > SAMPLES - at)
            step = SAMPLES - at;
        int32_t waiting = greffier_flac_encode(encoder, pcm + at, step);
        CHECK(waiting >= 0);
        if (waiting)
            heard += take_and_hear(encoder, pcm + heard);
    }
    CHECK(greffier_flac_finish(encoder) >= 1);
    heard += take_and_hear(encoder, pcm + heard);
    CHECK(heard == SAMPLES);
    CHECK(greffier_flac_encode(encoder, pcm, 1) == -1 && greffier_flac_finish(encoder) == -1);
    greffier_flac_encoder_destroy(encoder);
    CHECK(!greffier_flac_encoder_create(RATE, 15, 5, &error) && error != 0);
    CHECK(!greffier_flac_encoder_create(RATE, 4609, 5, &error) && error != 0);
    CHECK(!greffier_flac_encoder_create(RATE, BLOCK, 9, &error) && error != 0);
    CHECK(!greffier_flac_encoder_create(0, BLOCK, 5, &error) && error != 0);
    encoder = greffier_flac_encoder_create(48000, 4096, 8, &error);
    CHECK(encoder && greffier_flac_finish(encoder) == 0);
    greffier_flac_encoder_destroy(encoder);
    greffier_flac_encoder_destroy(NULL);
    return 0;
}

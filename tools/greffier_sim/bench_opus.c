/* The reference of encode.opus: libopus and nothing else, in one loop. Built as a shared object by
   bench_encode.py so that it runs interleaved with ours in one process. */
#include <opus/opus.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

static int64_t thread_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void *bench_opus_new(int32_t rate)
{
    int error;
    OpusEncoder *encoder = opus_encoder_create(rate, 1, OPUS_APPLICATION_VOIP, &error);
    if (encoder) {
        opus_encoder_ctl(encoder, OPUS_SET_BITRATE(24000));
        opus_encoder_ctl(encoder, OPUS_SET_COMPLEXITY(5));
    }
    return encoder;
}

/* CPU time of encoding `blocks` frames; every packet's size is added to *octets. */
int64_t bench_opus_run(void *encoder, const int16_t *pcm, int32_t frame, size_t blocks,
                       int64_t *octets)
{
    uint8_t packet[1276];
    int64_t start = thread_ns();
    for (size_t i = 0; i < blocks; i++)
        *octets += opus_encode(encoder, pcm + i * (size_t)frame, frame, packet, sizeof packet);
    return thread_ns() - start;
}

void bench_opus_free(void *encoder)
{
    opus_encoder_destroy(encoder);
}

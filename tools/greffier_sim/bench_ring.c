/* ns of CPU time a frame of 320 octets (20 ms of 8 kHz, 16 bit) takes through a ring, in one thread.
 * Prints one line a run: our ring, copied in and out; two memcpys through as much memory; our ring, copied
 * in and read in place; JACK's ring, copied in and read in place. They take short turns, so that a busy
 * machine disturbs them alike, and a run is the best turn of each: one that nothing interrupted, whose
 * duration is its CPU time (the thread's own clock is too coarse for turns that short). */
#define _DEFAULT_SOURCE
#include <jack/ringbuffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ring_fast.h"

enum { SLOTS = 64, FRAMES = 10000, TURNS = 20, RUNS = 31 };

static _Alignas(64) uint8_t in[512], out[512];

/* Not a constant: all of them call the same memcpy of a size that they cannot foresee. */
static volatile size_t frame_octets = 320;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static double ours(greffier_ring *ring)
{
    double start = now();
    for (int i = 0; i < FRAMES; i++) {
        if (greffier_ring_fast_put(ring, in, 1) != 1 || greffier_ring_fast_get(ring, out, 1) != 1)
            abort();
    }
    return (now() - start) / FRAMES;
}

static double copies(uint8_t *memory)
{
    size_t octets = frame_octets;
    double start = now();
    for (size_t i = 0; i < FRAMES; i++) {
        uint8_t *slot = memory + i % SLOTS * octets;
        memcpy(slot, in, octets);
        /* Memory may be looked at here, so neither copy can be left out. */
        __asm__ volatile("" : : : "memory");
        memcpy(out, slot, octets);
        __asm__ volatile("" : : : "memory");
    }
    return (now() - start) / FRAMES;
}

static double ours_in_place(greffier_ring *ring)
{
    greffier_ring_regions from;
    double start = now();
    for (int i = 0; i < FRAMES; i++)
        if (greffier_ring_fast_put(ring, in, 1) != 1 || greffier_ring_fast_read_regions(ring, 1, &from) != 1
            || greffier_ring_fast_read_advance(ring, 1) != 0)
            abort();
    return (now() - start) / FRAMES;
}

static double jack_in_place(jack_ringbuffer_t *ring)
{
    size_t octets = frame_octets;
    jack_ringbuffer_data_t from[2];
    double start = now();
    for (int i = 0; i < FRAMES; i++) {
        if (jack_ringbuffer_write(ring, (const char *)in, octets) != octets)
            abort();
        jack_ringbuffer_get_read_vector(ring, from);
        if (from[0].len + from[1].len != octets)
            abort();
        jack_ringbuffer_read_advance(ring, octets);
    }
    return (now() - start) / FRAMES;
}

static void keep(double *best, double time)
{
    if (time < *best)
        *best = time;
}

int main(void)
{
    greffier_ring *ring = greffier_ring_new(frame_octets, SLOTS, 0);
    uint8_t *memory = aligned_alloc(4096, SLOTS * 512);
    jack_ringbuffer_t *other = jack_ringbuffer_create(SLOTS * frame_octets);
    if (ring == NULL || memory == NULL || other == NULL)
        return 1;
    for (int run = -1; run < RUNS; run++) { /* the first one warms up */
        double best[4] = {1e9, 1e9, 1e9, 1e9};
        for (int turn = 0; turn < TURNS; turn++) {
            keep(best + 0, ours(ring));
            keep(best + 1, copies(memory));
            keep(best + 2, ours_in_place(ring));
            keep(best + 3, jack_in_place(other));
        }
        if (run >= 0)
            printf("%.4f %.4f %.4f %.4f\n", best[0], best[1], best[2], best[3]);
    }
    greffier_ring_free(ring);
    jack_ringbuffer_free(other);
    free(memory);
    return 0;
}

#ifndef GREFFIER_RING_FAST_H
#define GREFFIER_RING_FAST_H
#include <stdalign.h>
#include <stdatomic.h>
#include <string.h>

#include "ring.h"

/* The inside of a ring, and its calls for C code that moves single frames: there, a call and its branches
 * cost as much as the copy. Each does what its namesake in ring.h does, under the same contract; frames
 * that lie in one piece take the short way, all others that of ring.c. */

/* The one order that a strong-memory machine does not enforce for us. The name exists so that a test
 * can weaken it and see the sanitizer object; nothing else may define it. */
#ifndef GREFFIER_RING_RELEASE
#define GREFFIER_RING_RELEASE memory_order_release
#endif

/* A cache line: what one thread writes must not share one with what the other writes. */
#define GREFFIER_RING_LINE 64

struct greffier_ring {
    /* Written by new only. */
    uint8_t *memory;
    size_t octets; /* of the memory */
    size_t frame;  /* octets */
    uint64_t capacity;
    uint64_t mask;
    uint64_t plain; /* slots whose frames are read by copying alone: all, or none if they are erased */
    int locked;
    /* Written by the producer only. `tail_seen` spares it the consumer's cache line while there is
     * room enough. */
    alignas(GREFFIER_RING_LINE) _Atomic uint64_t head;
    uint64_t tail_seen;
    _Atomic uint64_t dropped;
    /* Written by the consumer only. */
    alignas(GREFFIER_RING_LINE) _Atomic uint64_t tail;
    uint64_t head_seen;
};

/* producer. How many of the wanted frames are free, from position `head`. */
static inline size_t greffier_ring_room(greffier_ring *ring, uint64_t head, size_t wanted)
{
    uint64_t free_frames = ring->capacity - (head - ring->tail_seen);
    if (free_frames < wanted) {
        /* Acquire: the consumer's reads of these frames come before our writes to them. */
        ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
        free_frames = ring->capacity - (head - ring->tail_seen);
    }
    return (size_t)(free_frames < wanted ? free_frames : wanted);
}

/* consumer. How many of the wanted frames are stored, from position `tail`. */
static inline size_t greffier_ring_filled(greffier_ring *ring, uint64_t tail, size_t wanted)
{
    if (ring->head_seen - tail < wanted)
        /* Acquire: the producer's writes of these frames come before our reads of them. */
        ring->head_seen = atomic_load_explicit(&ring->head, memory_order_acquire);
    uint64_t stored = ring->head_seen - tail;
    return (size_t)(stored < wanted ? stored : wanted);
}

static inline void greffier_ring_split(const greffier_ring *ring, uint64_t from, size_t frames,
                                       greffier_ring_regions *regions)
{
    size_t slot = (size_t)(from & ring->mask);
    size_t straight = (size_t)ring->capacity - slot;
    regions->first = ring->memory + slot * ring->frame;
    regions->second = ring->memory;
    regions->first_frames = frames < straight ? frames : straight;
    regions->second_frames = frames - regions->first_frames;
}

/* producer */
static inline size_t greffier_ring_fast_put(greffier_ring *ring, const void *source, size_t frames)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    uint64_t slot = head & ring->mask;
    if (frames > ring->capacity - (head - ring->tail_seen) || slot + frames > ring->capacity)
        return greffier_ring_put(ring, source, frames);
    memcpy(ring->memory + slot * ring->frame, source, frames * ring->frame);
    atomic_store_explicit(&ring->head, head + frames, GREFFIER_RING_RELEASE);
    return frames;
}

/* consumer */
static inline size_t greffier_ring_fast_get(greffier_ring *ring, void *target, size_t frames)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    uint64_t slot = tail & ring->mask;
    if (frames > ring->head_seen - tail)
        ring->head_seen = atomic_load_explicit(&ring->head, memory_order_acquire);
    if (frames > ring->head_seen - tail || slot + frames > ring->plain)
        return greffier_ring_get(ring, target, frames);
    memcpy(target, ring->memory + slot * ring->frame, frames * ring->frame);
    atomic_store_explicit(&ring->tail, tail + frames, GREFFIER_RING_RELEASE);
    return frames;
}

/* consumer */
static inline size_t greffier_ring_fast_read_regions(greffier_ring *ring, size_t frames,
                                                     greffier_ring_regions *regions)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    size_t fit = greffier_ring_filled(ring, tail, frames);
    greffier_ring_split(ring, tail, fit, regions);
    return fit;
}

/* consumer */
static inline int greffier_ring_fast_read_advance(greffier_ring *ring, size_t frames)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    if (ring->plain == 0 || frames > ring->head_seen - tail)
        return greffier_ring_read_advance(ring, frames);
    atomic_store_explicit(&ring->tail, tail + frames, GREFFIER_RING_RELEASE);
    return 0;
}

#endif

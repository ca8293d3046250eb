#define _DEFAULT_SOURCE /* explicit_bzero, mlock, sysconf */
#include "ring.h"

#include <errno.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The one order that a strong-memory machine does not enforce for us. The name exists so that a test
 * can weaken it and see the sanitizer object; nothing else may define it. */
#ifndef GREFFIER_RING_RELEASE
#define GREFFIER_RING_RELEASE memory_order_release
#endif

#define LINE 64 /* a cache line: what one thread writes must not share one with what the other writes */

struct greffier_ring {
    /* Written by new only. */
    uint8_t *memory;
    size_t octets; /* of the memory */
    size_t frame;  /* octets */
    uint64_t capacity;
    uint64_t mask;
    int locked;
    int erase;
    /* Written by the producer only. `tail_seen` spares it the consumer's cache line while there is
     * room enough. */
    alignas(LINE) _Atomic uint64_t head;
    uint64_t tail_seen;
    _Atomic uint64_t dropped;
    /* Written by the consumer only. */
    alignas(LINE) _Atomic uint64_t tail;
    uint64_t head_seen;
};

greffier_ring *greffier_ring_new(size_t frame_octets, size_t frames, int erase)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (frame_octets == 0 || frames == 0 || (frames & (frames - 1)) != 0
        || frames > (SIZE_MAX / 2 - page) / frame_octets) {
        errno = EINVAL;
        return NULL;
    }
    greffier_ring *ring = aligned_alloc(LINE, sizeof *ring);
    if (ring == NULL)
        return NULL;
    memset(ring, 0, sizeof *ring);
    /* Whole pages of its own, so that locking them concerns nobody else's memory. */
    ring->octets = (frame_octets * frames + page - 1) / page * page;
    ring->memory = aligned_alloc(page, ring->octets);
    if (ring->memory == NULL) {
        free(ring);
        errno = ENOMEM;
        return NULL;
    }
    ring->locked = mlock(ring->memory, ring->octets) == 0;
    memset(ring->memory, 0, ring->octets);
    ring->frame = frame_octets;
    ring->capacity = frames;
    ring->mask = frames - 1;
    ring->erase = erase != 0;
    return ring;
}

void greffier_ring_free(greffier_ring *ring)
{
    if (ring == NULL)
        return;
    explicit_bzero(ring->memory, ring->octets);
    if (ring->locked)
        munlock(ring->memory, ring->octets);
    free(ring->memory);
    free(ring);
}

int greffier_ring_locked(const greffier_ring *ring)
{
    return ring->locked;
}

size_t greffier_ring_capacity(const greffier_ring *ring)
{
    return (size_t)ring->capacity;
}

size_t greffier_ring_frame_octets(const greffier_ring *ring)
{
    return ring->frame;
}

size_t greffier_ring_stored(greffier_ring *ring)
{
    /* Tail first: it only grows towards a head that only grows, so the difference is never negative;
     * it may exceed the capacity if both moved in between. */
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
    uint64_t stored = atomic_load_explicit(&ring->head, memory_order_acquire) - tail;
    return (size_t)(stored < ring->capacity ? stored : ring->capacity);
}

uint64_t greffier_ring_dropped(greffier_ring *ring)
{
    return atomic_load_explicit(&ring->dropped, memory_order_relaxed);
}

void greffier_ring_refuse(greffier_ring *ring, uint64_t frames)
{
    /* Only the producer writes it, so no read-modify-write instruction is needed. */
    uint64_t dropped = atomic_load_explicit(&ring->dropped, memory_order_relaxed);
    atomic_store_explicit(&ring->dropped, dropped + frames, memory_order_relaxed);
}

/* How many of the wanted frames are free, from position `head`. */
static size_t room(greffier_ring *ring, uint64_t head, size_t wanted)
{
    uint64_t free_frames = ring->capacity - (head - ring->tail_seen);
    if (free_frames < wanted) {
        /* Acquire: the consumer's reads of these frames come before our writes to them. */
        ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
        free_frames = ring->capacity - (head - ring->tail_seen);
    }
    return (size_t)(free_frames < wanted ? free_frames : wanted);
}

/* How many of the wanted frames are stored, from position `tail`. */
static size_t filled(greffier_ring *ring, uint64_t tail, size_t wanted)
{
    uint64_t stored = ring->head_seen - tail;
    if (stored < wanted) {
        /* Acquire: the producer's writes of these frames come before our reads of them. */
        ring->head_seen = atomic_load_explicit(&ring->head, memory_order_acquire);
        stored = ring->head_seen - tail;
    }
    return (size_t)(stored < wanted ? stored : wanted);
}

static void split(const greffier_ring *ring, uint64_t from, size_t frames, greffier_ring_regions *regions)
{
    size_t slot = (size_t)(from & ring->mask);
    size_t straight = (size_t)ring->capacity - slot;
    regions->first = ring->memory + slot * ring->frame;
    regions->second = ring->memory;
    regions->first_frames = frames < straight ? frames : straight;
    regions->second_frames = frames - regions->first_frames;
}

static void erase(const greffier_ring *ring, uint64_t from, size_t frames)
{
    greffier_ring_regions regions;
    split(ring, from, frames, &regions);
    explicit_bzero(regions.first, regions.first_frames * ring->frame);
    explicit_bzero(regions.second, regions.second_frames * ring->frame);
}

size_t greffier_ring_put(greffier_ring *ring, const void *source, size_t frames)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    size_t fit = room(ring, head, frames);
    greffier_ring_regions to;
    split(ring, head, fit, &to);
    size_t straight = to.first_frames * ring->frame;
    memcpy(to.first, source, straight);
    if (to.second_frames > 0)
        memcpy(to.second, (const uint8_t *)source + straight, to.second_frames * ring->frame);
    atomic_store_explicit(&ring->head, head + fit, GREFFIER_RING_RELEASE);
    if (fit < frames)
        greffier_ring_refuse(ring, frames - fit);
    return fit;
}

size_t greffier_ring_write_regions(greffier_ring *ring, size_t frames, greffier_ring_regions *regions)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    size_t fit = room(ring, head, frames);
    split(ring, head, fit, regions);
    return fit;
}

int greffier_ring_write_advance(greffier_ring *ring, size_t frames)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    if (frames > ring->capacity - (head - ring->tail_seen))
        return -1;
    atomic_store_explicit(&ring->head, head + frames, GREFFIER_RING_RELEASE);
    return 0;
}

size_t greffier_ring_get(greffier_ring *ring, void *target, size_t frames)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    size_t fit = filled(ring, tail, frames);
    greffier_ring_regions from;
    split(ring, tail, fit, &from);
    size_t straight = from.first_frames * ring->frame;
    memcpy(target, from.first, straight);
    if (from.second_frames > 0)
        memcpy((uint8_t *)target + straight, from.second, from.second_frames * ring->frame);
    if (ring->erase)
        erase(ring, tail, fit);
    atomic_store_explicit(&ring->tail, tail + fit, GREFFIER_RING_RELEASE);
    return fit;
}

size_t greffier_ring_read_regions(greffier_ring *ring, size_t frames, greffier_ring_regions *regions)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    size_t fit = filled(ring, tail, frames);
    split(ring, tail, fit, regions);
    return fit;
}

int greffier_ring_read_advance(greffier_ring *ring, size_t frames)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    if (frames > ring->head_seen - tail)
        return -1;
    if (ring->erase)
        erase(ring, tail, frames);
    atomic_store_explicit(&ring->tail, tail + frames, GREFFIER_RING_RELEASE);
    return 0;
}

size_t greffier_ring_scrub(greffier_ring *ring)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    size_t stored = filled(ring, tail, (size_t)ring->capacity);
    erase(ring, tail, stored);
    atomic_store_explicit(&ring->tail, tail + stored, GREFFIER_RING_RELEASE);
    return stored;
}

void greffier_ring_wipe(greffier_ring *ring)
{
    explicit_bzero(ring->memory, ring->octets);
}

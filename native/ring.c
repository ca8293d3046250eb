#define _DEFAULT_SOURCE /* explicit_bzero, mlock, sysconf */
#include "ring_fast.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

greffier_ring *greffier_ring_new(size_t frame_octets, size_t frames, int erase)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (frame_octets == 0 || frames == 0 || (frames & (frames - 1)) != 0
        || frames > (SIZE_MAX / 2 - page) / frame_octets) {
        errno = EINVAL;
        return NULL;
    }
    /* Whole pages of its own, so that locking them concerns nobody else's memory. */
    size_t octets = (frame_octets * frames + page - 1) / page * page;
    greffier_ring *ring = aligned_alloc(GREFFIER_RING_LINE, sizeof *ring);
    uint8_t *memory = aligned_alloc(page, octets);
    if (ring == NULL || memory == NULL) {
        free(ring);
        free(memory);
        errno = ENOMEM;
        return NULL;
    }
    memset(ring, 0, sizeof *ring);
    ring->memory = memory;
    ring->octets = octets;
    ring->locked = mlock(ring->memory, ring->octets) == 0;
    memset(ring->memory, 0, ring->octets);
    ring->frame = frame_octets;
    ring->capacity = frames;
    ring->mask = frames - 1;
    ring->plain = erase ? 0 : frames;
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

static void erase(const greffier_ring *ring, uint64_t from, size_t frames)
{
    greffier_ring_regions regions;
    greffier_ring_split(ring, from, frames, &regions);
    explicit_bzero(regions.first, regions.first_frames * ring->frame);
    explicit_bzero(regions.second, regions.second_frames * ring->frame);
}

size_t greffier_ring_write_regions(greffier_ring *ring, size_t frames, greffier_ring_regions *regions)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    size_t fit = greffier_ring_room(ring, head, frames);
    greffier_ring_split(ring, head, fit, regions);
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

size_t greffier_ring_put(greffier_ring *ring, const void *source, size_t frames)
{
    greffier_ring_regions to;
    size_t fit = greffier_ring_write_regions(ring, frames, &to);
    size_t straight = to.first_frames * ring->frame;
    memcpy(to.first, source, straight);
    memcpy(to.second, (const uint8_t *)source + straight, to.second_frames * ring->frame);
    greffier_ring_write_advance(ring, fit);
    if (fit < frames)
        greffier_ring_refuse(ring, frames - fit);
    return fit;
}

size_t greffier_ring_read_regions(greffier_ring *ring, size_t frames, greffier_ring_regions *regions)
{
    return greffier_ring_fast_read_regions(ring, frames, regions);
}

int greffier_ring_read_advance(greffier_ring *ring, size_t frames)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    if (frames > ring->head_seen - tail)
        return -1;
    if (ring->plain == 0)
        erase(ring, tail, frames);
    atomic_store_explicit(&ring->tail, tail + frames, GREFFIER_RING_RELEASE);
    return 0;
}

size_t greffier_ring_get(greffier_ring *ring, void *target, size_t frames)
{
    greffier_ring_regions from;
    size_t fit = greffier_ring_read_regions(ring, frames, &from);
    size_t straight = from.first_frames * ring->frame;
    memcpy(target, from.first, straight);
    memcpy((uint8_t *)target + straight, from.second, from.second_frames * ring->frame);
    greffier_ring_read_advance(ring, fit);
    return fit;
}

size_t greffier_ring_scrub(greffier_ring *ring)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    size_t stored = greffier_ring_filled(ring, tail, (size_t)ring->capacity);
    erase(ring, tail, stored);
    atomic_store_explicit(&ring->tail, tail + stored, GREFFIER_RING_RELEASE);
    return stored;
}

void greffier_ring_wipe(greffier_ring *ring)
{
    explicit_bzero(ring->memory, ring->octets);
}

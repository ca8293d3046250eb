#ifndef GREFFIER_RING_H
#define GREFFIER_RING_H
#include <stddef.h>
#include <stdint.h>

/* A ring of frames between exactly one producer thread (capture) and one consumer thread.
 *
 * A frame is a fixed number of octets, given at creation: one sample of every channel, one period,
 * or one unit of record.h. Capture never blocks: what does not fit is the newest, it is dropped, and
 * every dropped frame is counted. Both positions are free-running 64-bit frame numbers, so all slots
 * are usable and full is told from empty without a spare one. No function allocates, except new.
 *
 * "producer" and "consumer" above a function name the only thread that may call it; "any" means any
 * thread at any time; "owner" means while neither of the two is inside a function of this ring. */
typedef struct greffier_ring greffier_ring;

/* A run of frames in the ring's memory, in two pieces where it crosses the end of that memory.
 * Pieces are in frames; an absent second piece has no frames. */
typedef struct greffier_ring_regions {
    uint8_t *first;
    uint8_t *second;
    size_t first_frames;
    size_t second_frames;
} greffier_ring_regions;

/* owner. A ring of `frames` frames (a power of two) of `frame_octets` octets (at least one), zeroed,
 * its pages touched and locked if the system allows. With `erase`, frames are zeroed as they are read,
 * so that audio stays in the ring only until it is consumed. NULL, and errno EINVAL (not a power of
 * two, no octets, too large) or ENOMEM. */
greffier_ring *greffier_ring_new(size_t frame_octets, size_t frames, int erase);

/* owner. Zeroes the memory and gives it back. NULL is allowed. */
void greffier_ring_free(greffier_ring *ring);

/* any. 1 if the memory is locked (it never reaches a swap device), 0 if the system refused. */
int greffier_ring_locked(const greffier_ring *ring);

/* any. Frames that fit at once; octets of one frame. */
size_t greffier_ring_capacity(const greffier_ring *ring);
size_t greffier_ring_frame_octets(const greffier_ring *ring);

/* any. Frames stored and not yet read; a snapshot, exact only for a caller that is one of the two
 * threads while the other one rests. */
size_t greffier_ring_stored(greffier_ring *ring);

/* any. Frames that did not fit since creation, never reset. */
uint64_t greffier_ring_dropped(greffier_ring *ring);

/* producer. Copies in as many of `frames` as fit, oldest first, counts the others as dropped, and
 * returns how many were stored. */
size_t greffier_ring_put(greffier_ring *ring, const void *source, size_t frames);

/* producer. Free room for at most `frames` frames, to be filled in place; returns how many. Nothing
 * is stored, and nothing counted as dropped, before write_advance or refuse. */
size_t greffier_ring_write_regions(greffier_ring *ring, size_t frames, greffier_ring_regions *regions);

/* producer. Stores the first `frames` frames of the regions; 0, or -1 (and nothing done) if that is
 * more than the free room which write_regions saw. */
int greffier_ring_write_advance(greffier_ring *ring, size_t frames);

/* producer. Counts `frames` frames as dropped: what a caller of write_regions had no room for. */
void greffier_ring_refuse(greffier_ring *ring, uint64_t frames);

/* consumer. Copies out at most `frames` frames, oldest first, and returns how many. */
size_t greffier_ring_get(greffier_ring *ring, void *target, size_t frames);

/* consumer. At most `frames` stored frames, to be read in place; returns how many. They stay stored,
 * and the memory stays unchanged, until read_advance. */
size_t greffier_ring_read_regions(greffier_ring *ring, size_t frames, greffier_ring_regions *regions);

/* consumer. Takes the oldest `frames` frames out; 0, or -1 (and nothing done) if read_regions or get
 * did not see so many. */
int greffier_ring_read_advance(greffier_ring *ring, size_t frames);

/* consumer. Zeroes every stored frame and takes it out; returns how many. With `erase` nothing of
 * what was ever stored is left in memory afterwards. */
size_t greffier_ring_scrub(greffier_ring *ring);

/* owner. Zeroes the whole memory, read or not; stored frames stay stored, as zeroes. */
void greffier_ring_wipe(greffier_ring *ring);

#endif

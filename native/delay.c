#define _DEFAULT_SOURCE /* explicit_bzero, MAP_ANONYMOUS, madvise, mlock */
#include "delay.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, USUAL = 4 * PAGE };

/* A piece of memory of its own. Its head lies inside, so that a forked child finds no items. */
typedef struct piece {
    struct piece *next;
    size_t size;   /* octets of the mapping */
    size_t read;   /* where the first item that waits begins, in `octets` */
    size_t write;  /* behind the last one */
    int locked;
    _Alignas(8) uint8_t octets[];
} piece;

struct greffier_delay {
    piece *first;
    piece *last;
    greffier_delay_counters counters;
};

static size_t room_of(const piece *p)
{
    return p->size - sizeof *p;
}

/* What an item takes: its head, its octets, and padding to the next head. */
static size_t span_of(size_t length)
{
    return (sizeof(greffier_waiting) + length + 7) & ~(size_t)7;
}

static piece *piece_new(greffier_delay *d, size_t wanted)
{
    size_t size = sizeof(piece) + wanted;
    size = size <= USUAL ? USUAL : (size + PAGE - 1) & ~(size_t)(PAGE - 1);
    if (d->counters.held + size > d->counters.most)
        return NULL;
    piece *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    if (madvise(p, size, MADV_DONTDUMP) != 0 || madvise(p, size, MADV_WIPEONFORK) != 0) {
        munmap(p, size);
        return NULL;
    }
    p->locked = mlock(p, size) == 0;
    p->size = size;
    d->counters.held += size;
    d->counters.locked += p->locked ? size : 0;
    return p;
}

/* Gives up the piece `p`, whose items are counted out already. */
static void piece_free(greffier_delay *d, piece *p)
{
    size_t size = p->size;
    d->counters.held -= size;
    d->counters.locked -= p->locked ? size : 0;
    explicit_bzero(p, size);
    munmap(p, size);
}

greffier_delay *greffier_delay_new(size_t most)
{
    greffier_delay *d = calloc(1, sizeof *d);
    if (d != NULL)
        d->counters.most = most;
    return d;
}

void greffier_delay_free(greffier_delay *d)
{
    if (d == NULL)
        return;
    for (piece *p; (p = d->first) != NULL;) {
        d->first = p->next;
        if (p->size == 0) /* in a forked child its pages were wiped: nothing is known of them */
            break;
        piece_free(d, p);
    }
    free(d);
}

int greffier_delay_append(greffier_delay *d, const greffier_waiting *item, const uint8_t *octets)
{
    const size_t span = span_of(item->length);
    piece *p = d->last;
    if (item->length > GREFFIER_DELAY_LARGEST) {
        d->counters.refused++;
        return -1;
    }
    if (p == NULL || p->size == 0 || room_of(p) - p->write < span) {
        if ((p = piece_new(d, span)) == NULL) {
            d->counters.refused++;
            return -1;
        }
        if (d->last == NULL)
            d->first = p;
        else
            d->last->next = p;
        d->last = p;
    }
    memcpy(p->octets + p->write, item, sizeof *item);
    if (item->length > 0)
        memcpy(p->octets + p->write + sizeof *item, octets, item->length);
    p->write += span;
    d->counters.items++;
    d->counters.octets += item->length;
    return 0;
}

/* The item at `at` of `p`, or NULL where none begins. */
static const greffier_waiting *item_at(const piece *p, size_t at)
{
    return at < p->write ? (const greffier_waiting *)(const void *)(p->octets + at) : NULL;
}

/* The item at the front, or NULL. */
static const greffier_waiting *front(const greffier_delay *d)
{
    return d->first != NULL ? item_at(d->first, d->first->read) : NULL;
}

/* Wipes the item at the front. */
static void pass(greffier_delay *d, const greffier_waiting *item)
{
    piece *p = d->first;
    const size_t span = span_of(item->length);
    d->counters.items--;
    d->counters.octets -= item->length;
    explicit_bzero(p->octets + p->read, span);
    p->read += span;
    if (p->read < p->write)
        return;
    d->first = p->next;
    if (d->first == NULL)
        d->last = NULL;
    piece_free(d, p);
}

size_t greffier_delay_take(greffier_delay *d, int64_t until_ns, int64_t ahead_ns, greffier_waiting *items,
                           size_t wanted, uint8_t *octets, size_t room)
{
    size_t count = 0, used = 0;
    const greffier_waiting *item;
    for (; count < wanted && (item = front(d)) != NULL; count++) {
        if (item->length > 0 && item->arrival_ns >= until_ns && item->arrival_ns <= ahead_ns)
            break;
        if (room - used < item->length)
            break;
        items[count] = *item;
        memcpy(octets + used, item + 1, item->length);
        used += item->length;
        pass(d, item);
    }
    return count;
}

size_t greffier_delay_drop(greffier_delay *d, int64_t until_ns)
{
    size_t count = 0;
    const greffier_waiting *item;
    for (; (item = front(d)) != NULL && item->arrival_ns < until_ns; count++)
        pass(d, item);
    return count;
}

/* Counts what stands in `p` from `at` on into `span`, and wipes it; how many items. */
static size_t wipe_from(greffier_delay *d, piece *p, size_t at, greffier_scrubbed *span)
{
    size_t count = 0;
    const greffier_waiting *item;
    for (size_t next = at; (item = item_at(p, next)) != NULL; count++) {
        if (span->sounds + span->others == 0)
            span->start = item->start;
        span->end = item->end;
        *(item->length > 0 ? &span->sounds : &span->others) += 1;
        span->samples += item->length > 0 ? item->end - item->start : 0;
        d->counters.items--;
        d->counters.octets -= item->length;
        next += span_of(item->length);
    }
    explicit_bzero(p->octets + at, p->write - at);
    p->write = at;
    return count;
}

size_t greffier_delay_scrub(greffier_delay *d, int64_t from_ns, greffier_scrubbed *span)
{
    *span = (greffier_scrubbed){0};
    piece *before = NULL, *p = d->first;
    size_t at = 0;
    for (const greffier_waiting *item; p != NULL; before = p, p = p->next) {
        for (at = p->read; (item = item_at(p, at)) != NULL; at += span_of(item->length))
            if (item->arrival_ns >= from_ns)
                break;
        if (item != NULL)
            break;
    }
    if (p == NULL)
        return 0;
    size_t count = wipe_from(d, p, at, span);
    piece *rest = p->next;
    p->next = NULL;
    d->last = p;
    if (p->write == p->read) { /* nothing is left in it */
        d->last = before;
        *(before != NULL ? &before->next : &d->first) = NULL;
        piece_free(d, p);
    }
    for (piece *next; rest != NULL; rest = next) {
        next = rest->next;
        count += wipe_from(d, rest, rest->read, span);
        piece_free(d, rest);
    }
    return count;
}

size_t greffier_delay_copy(const greffier_delay *d, int64_t from_ns, size_t skip, greffier_waiting *items,
                           size_t wanted, uint8_t *octets, size_t room)
{
    size_t count = 0, used = 0;
    for (const piece *p = d->first; p != NULL; p = p->next) {
        const greffier_waiting *item;
        for (size_t at = p->read; (item = item_at(p, at)) != NULL; at += span_of(item->length)) {
            if (item->arrival_ns < from_ns)
                continue;
            if (skip > 0) {
                skip--;
                continue;
            }
            if (count == wanted || room - used < item->length)
                return count;
            items[count++] = *item;
            memcpy(octets + used, item + 1, item->length);
            used += item->length;
        }
    }
    return count;
}

void greffier_delay_count(const greffier_delay *d, greffier_delay_counters *counters)
{
    *counters = d->counters;
}

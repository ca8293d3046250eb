#define _DEFAULT_SOURCE /* explicit_bzero, MAP_*, MADV_* */
#include "log.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { SMALLEST = 64, LINE = 64 }; /* octets: a packet is not expected to be smaller */

int greffier_log_open(greffier_log *log, size_t room, size_t slots)
{
    log->room = room;
    log->most = room / SMALLEST;
    log->slots = slots;
    log->last = malloc(slots * sizeof *log->last);
    log->previous = malloc(log->most * sizeof *log->previous);
    log->offsets = malloc(log->most * sizeof *log->offsets);
    log->order = malloc(log->most * sizeof *log->order);
    void *memory = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    log->memory = memory == MAP_FAILED ? NULL : memory;
    /* Read across, a leg at a time: with small pages nearly each packet costs a walk of the page table. */
    if (log->memory != NULL)
        madvise(log->memory, room, MADV_HUGEPAGE);
    if (log->memory == NULL || log->last == NULL || log->previous == NULL || log->offsets == NULL
        || log->order == NULL)
        return -1;
    memset(log->last, 0xff, slots * sizeof *log->last);
    return 0;
}

void greffier_log_close(greffier_log *log)
{
    if (log->memory != NULL) {
        explicit_bzero(log->memory, log->used);
        munmap(log->memory, log->room);
    }
    free(log->last);
    free(log->previous);
    free(log->offsets);
    free(log->order);
}

int greffier_log_put(greffier_log *log, uint32_t slot, int64_t time_ns, const uint8_t *octets,
                     uint32_t length)
{
    size_t size = (sizeof(greffier_logged) + length + 7) / 8 * 8;
    if (log->count == log->most || log->room - log->used < size)
        return 0;
    greffier_logged *entry = (greffier_logged *)(void *)(log->memory + log->used);
    entry->time_ns = time_ns;
    entry->length = length;
    memcpy(entry->octets, octets, length);
    uint32_t number = (uint32_t)log->count++;
    log->offsets[number] = (uint32_t)(log->used / 8);
    log->previous[number] = log->last[slot];
    log->last[slot] = number;
    log->used += size;
    return 1;
}

size_t greffier_log_list(greffier_log *log, uint32_t slot)
{
    size_t count = 0;
    for (uint32_t at = log->last[slot]; at != GREFFIER_LOG_NONE; at = log->previous[at]) {
        const uint8_t *entry = log->memory + 8 * (size_t)log->offsets[at];
        for (size_t line = 0; line < 3; line++)
            __builtin_prefetch(entry + line * LINE);
        log->order[count++] = at;
    }
    for (size_t i = 0; i < count / 2; i++) {
        uint32_t swapped = log->order[i];
        log->order[i] = log->order[count - 1 - i];
        log->order[count - 1 - i] = swapped;
    }
    return count;
}

void greffier_log_empty(greffier_log *log)
{
    memset(log->last, 0xff, log->slots * sizeof *log->last);
    log->used = log->count = 0;
}

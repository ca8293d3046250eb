#include "stream_state.h"

void greffier_stream_expect(const greffier_stream *s, int step)
{
    const greffier_sequence *sequence = &s->sequence;
    if (step == 0) {
        __builtin_prefetch(s, 1);
        __builtin_prefetch((const char *)s + 64, 1);
        __builtin_prefetch((const char *)s + 128, 1);
        __builtin_prefetch(&s->window, 1);
    } else {
        uint64_t slot = (sequence->highest + 1) % GREFFIER_SEQUENCE_MEMORY;
        __builtin_prefetch(&sequence->seen[slot / 64], 1);
        __builtin_prefetch(&sequence->timestamps[slot], 1);
    }
}

static void add_type(uint64_t *types, uint8_t type)
{
    types[type / 64] |= (uint64_t)1 << (type % 64);
}

void greffier_stream_types(const greffier_stream *s, uint64_t *types)
{
    const greffier_window *w = &s->window;
    types[0] = types[1] = 0;
    if (s->pending != GREFFIER_WINDOW_NONE)
        add_type(types, s->pending_type);
    for (unsigned i = 0; i < GREFFIER_STREAM_WINDOW; i++)
        if (w->waiting[i] != GREFFIER_WINDOW_NONE)
            add_type(types, w->held[w->waiting[i]].payload_type);
    for (unsigned i = 0; i < w->ready_count; i++)
        add_type(types, w->held[w->ready[(w->ready_first + i) % GREFFIER_STREAM_HELD]].payload_type);
}

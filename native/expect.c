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

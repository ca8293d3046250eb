#include "voice.h"

#include "made.h"

/* Under ThreadSanitizer: legs go on hearing while what they heard before is encoded. */
enum { LEGS = 12, PACKETS = 300, ROOM = 1 << 20 };

static uint8_t out[ROOM];

/* Everything that is due, into one hash. */
static uint64_t seal_all(greffier_spool *spool, uint64_t hash)
{
    greffier_sealed results[8];
    greffier_spool_collect(spool);
    for (size_t count; (count = greffier_spool_seal(spool, out, ROOM, results, 8)) > 0;)
        for (size_t i = 0; i < count; i++) {
            CHECK_IS(results[i].fault, 0);
            hash = hash * 31 + results[i].part;
            for (uint64_t at = 0; at < results[i].length; at++)
                hash = hash * 1099511628211u + out[results[i].offset + at];
        }
    return hash;
}

static uint64_t record(unsigned threads)
{
    greffier_spool *spool = greffier_spool_new(1 << 22);
    greffier_stream *streams[LEGS];
    greffier_leg *legs[LEGS];
    greffier_coder *coders[LEGS];
    greffier_part *parts[LEGS / 2];
    greffier_seal *seals[LEGS / 2];
    greffier_spool_counters counters;
    int32_t error;
    uint64_t hash = 1;
    CHECK_IS(greffier_voice_employ(spool, threads), 0);
    for (unsigned i = 0; i < LEGS / 2; i++)
        parts[i] = greffier_spool_add(spool, seals[i] = make_seal(), i);
    for (unsigned i = 0; i < LEGS; i++) {
        legs[i] = make_leg(spool, streams[i] = greffier_stream_new(2048));
        coders[i] = greffier_coder_new(8000, 24000, 0, &error);
        greffier_voice *voice = greffier_voice_new(spool, parts[i / 2], (uint8_t)(i % 2), 8000, coders[i]);
        CHECK(voice != NULL);
        CHECK_IS(greffier_leg_attach_voice(legs[i], voice, i % 2, 80 * i, 0), 0);
        CHECK_IS(greffier_leg_attach_voice(legs[i], voice, i % 2, 80 * i, 0), -1);
    }
    for (unsigned number = 0; number < PACKETS; number++) {
        for (unsigned i = 0; i < LEGS; i++)
            if ((number * LEGS + i) % 37 != 0) /* some are lost */
                hear(legs[i], number, 8);
        if (number % 11 == 10)
            hash = seal_all(spool, hash) * (threads == 0); /* hands out, and waits for nothing */
        if (number % 33 == 32)
            greffier_voice_join(spool);
    }
    for (unsigned i = 0; i < LEGS; i++) {
        greffier_leg_finish(legs[i]);
        CHECK_IS(greffier_leg_detach(legs[i], parts[i / 2]), 0);
        greffier_leg_free(legs[i]);
    }
    CHECK(greffier_voice_join(spool) > 0);
    seal_all(spool, hash);
    greffier_spool_count(spool, &counters);
    CHECK_IS(counters.held, 0);
    CHECK_IS(counters.overrun, 0);
    hash = 1;
    for (unsigned i = 0; i < LEGS / 2; i++) { /* the same octets, whoever encoded them */
        greffier_seal_totals totals;
        CHECK_IS(greffier_seal_count(seals[i], &totals), 0);
        hash = hash * 31 + totals.frames;
        for (unsigned at = 0; at < sizeof totals.sha256; at++)
            hash = hash * 1099511628211u + totals.sha256[at];
        if (i % 2 == 0)
            greffier_spool_remove(spool, parts[i]);
    }
    greffier_spool_free(spool);
    for (unsigned i = 0; i < LEGS; i++) {
        greffier_stream_free(streams[i]);
        greffier_coder_free(coders[i]);
    }
    for (unsigned i = 0; i < LEGS / 2; i++)
        greffier_seal_free(seals[i]);
    return hash;
}

static void parts_are_the_same_however_many_encode(void)
{
    uint64_t alone = record(0);
    CHECK(record(1) == alone);
    CHECK(record(3) == alone);
}

static void a_part_may_go_while_its_sound_is_encoded(void)
{
    greffier_spool *spool = greffier_spool_new(1 << 22);
    greffier_seal *seal = make_seal();
    greffier_stream *stream = greffier_stream_new(2048);
    greffier_part *part = greffier_spool_add(spool, seal, 0);
    greffier_leg *leg = make_leg(spool, stream);
    int32_t error;
    CHECK_IS(greffier_voice_employ(spool, 2), 0);
    greffier_coder *coder = greffier_coder_new(8000, 24000, 5, &error);
    greffier_voice *voice = greffier_voice_new(spool, part, 0, 8000, coder);
    CHECK_IS(greffier_leg_attach_voice(leg, voice, GREFFIER_CODER_ULAW, 0, 0), 0);
    for (unsigned number = 0; number < 60; number++)
        hear(leg, number, 8);
    greffier_spool_collect(spool);
    for (unsigned number = 60; number < 90; number++)
        hear(leg, number, 8);
    greffier_leg_free(leg);
    greffier_spool_remove(spool, part);
    greffier_spool_counters counters;
    greffier_spool_count(spool, &counters);
    CHECK_IS(counters.held, 0);
    greffier_spool_free(spool);
    size_t at = 0;
    CHECK(greffier_coder_next(coder, &at) == NULL); /* nothing is left in it */
    greffier_coder_free(coder);
    greffier_stream_free(stream);
    greffier_seal_free(seal);
}

int main(void)
{
    RUN(parts_are_the_same_however_many_encode);
    RUN(a_part_may_go_while_its_sound_is_encoded);
    return 0;
}

#include "seal.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static const uint8_t KEY[32] = {1, 2, 3};
static uint8_t before[130], tail[GREFFIER_SEAL_TAIL], out[2000];

static greffier_seal *make(void)
{
    memset(before, 0x42, sizeof before);
    greffier_seal *seal = greffier_seal_new(KEY, before, sizeof before, tail);
    CHECK(seal != NULL);
    return seal;
}

static void frames_are_counted_and_never_alike(void)
{
    greffier_seal *seal = make();
    greffier_sealer *sealer = greffier_sealer_new();
    greffier_seal_totals totals;
    uint8_t gap[26] = {[6] = 1, [14] = 2, [20] = 5, 'l', 'o', 's', 't', 's'}, first[58];
    CHECK_IS(greffier_seal_frame(seal, sealer, 4, 3, gap, 26, first), 58);
    CHECK_IS(greffier_seal_frame(seal, sealer, 4, 3, gap, 26, out), 58);
    CHECK(memcmp(first + 16, out + 16, 42) != 0);
    CHECK_IS(first[11], 0);
    CHECK_IS(out[11], 1);
    CHECK_IS(greffier_seal_frame(seal, sealer, 2, 255, (const uint8_t *)"{}", 2, out), 34);
    CHECK_IS(greffier_seal_count(seal, &totals), 0);
    CHECK_IS(totals.frames, 3);
    CHECK_IS(totals.size, sizeof before + GREFFIER_SEAL_TAIL + 58 + 58 + 34);
    CHECK_IS(totals.legs, 1);
    CHECK_IS(totals.leg[0], 3);
    CHECK_IS(totals.end[0], 512);
    greffier_sealer_free(sealer);
    greffier_seal_free(seal);
}

static void what_no_reader_accepts_is_refused_and_uses_no_number(void)
{
    greffier_seal *seal = make();
    greffier_sealer *sealer = greffier_sealer_new();
    static uint8_t audio[GREFFIER_SEAL_LARGEST + 1];
    const struct { uint8_t type, leg; size_t length; } wrong[] = {
        {1, 0, 0}, {1, 0, 13}, {1, 255, 30}, {2, 0, 2}, {4, 0, 19}, {127, 0, 80}, {1, 0, sizeof audio},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK_IS(greffier_seal_frame(seal, sealer, wrong[i].type, wrong[i].leg, audio, wrong[i].length, out),
                 GREFFIER_SEAL_BAD);
    audio[0] = 0x80; /* a position beyond 2^53 */
    CHECK_IS(greffier_seal_frame(seal, sealer, 1, 0, audio, 30, out), GREFFIER_SEAL_BAD);
    audio[0] = 0;
    audio[7] = 1; /* from after to */
    CHECK_IS(greffier_seal_frame(seal, sealer, 4, 0, audio, 30, out), GREFFIER_SEAL_BAD);
    greffier_seal_totals totals;
    greffier_seal_count(seal, &totals);
    CHECK_IS(totals.frames, 0);
    greffier_sealer_free(sealer);
    greffier_seal_free(seal);
}

static void nothing_follows_final_or_close(void)
{
    greffier_sealer *sealer = greffier_sealer_new();
    for (int way = 0; way < 2; way++) {
        greffier_seal *seal = make();
        if (way == 0)
            CHECK_IS(greffier_seal_frame(seal, sealer, 127, 255, (const uint8_t *)"final", 5, out), 37);
        else
            greffier_seal_close(seal);
        CHECK_IS(greffier_seal_frame(seal, sealer, 2, 255, (const uint8_t *)"{}", 2, out), GREFFIER_SEAL_CLOSED);
        greffier_seal_close(seal);
        greffier_seal_free(seal);
    }
    greffier_sealer_free(sealer);
    greffier_seal_free(NULL);
    CHECK(greffier_seal_new(KEY, before, 87, tail) == NULL);
}

static void a_forked_child_has_no_keys(void)
{
    greffier_seal *seal = make();
    greffier_sealer *sealer = greffier_sealer_new();
    pid_t child = fork();
    if (child == 0) {
        greffier_seal_totals totals;
        int64_t done = greffier_seal_frame(seal, sealer, 2, 255, (const uint8_t *)"{}", 2, out);
        _exit(done == GREFFIER_SEAL_CLOSED && greffier_seal_count(seal, &totals) == -1 ? 0 : 1);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK_IS(status, 0);
    CHECK_IS(greffier_seal_frame(seal, sealer, 2, 255, (const uint8_t *)"{}", 2, out), 34);
    greffier_sealer_free(sealer);
    greffier_seal_free(seal);
}

int main(void)
{
    RUN(frames_are_counted_and_never_alike);
    RUN(what_no_reader_accepts_is_refused_and_uses_no_number);
    RUN(nothing_follows_final_or_close);
    RUN(a_forked_child_has_no_keys);
    return 0;
}

#ifndef FAKETAP_CARD_H
#define FAKETAP_CARD_H
#include <alsa/asoundlib.h>
#include <stdint.h>

/* The sound card that faketap plays: what it sends is a function of time alone, so that two programs
 * (or one that closes and opens it again) see the same card.
 *
 * Frame 0 is captured at `epoch_ns` of CLOCK_MONOTONIC. From then on the card captures
 * rate * speed * (1 + drift_ppm / 10^6) frames a second for ever, read or not. Schedules are in frames
 * of the card. */
enum { FAKETAP_FAULTS = 512 };

/* A card moves its counter in steps, this one in steps of so much real time (1 frame at least). Without
 * them a program that reads whole periods of a card at x100 would never find it empty, so it would not
 * wait: libasound hands it every single frame. */
enum { FAKETAP_STEP_NS = 20000 };

typedef struct card_fault {
    uint64_t at;    /* frame */
    uint64_t until; /* frame: the first one after the fault */
} card_fault;

typedef struct card {
    unsigned rate; /* Hz, what it says it has */
    unsigned channels;
    double frames_per_ns; /* of real time, what it has */
    uint64_t step;        /* frames */
    int64_t epoch_ns;
    uint32_t seed;        /* of the generated pattern */
    int gone_as_overruns; /* how an absent card shows: 0 ENODEV, 1 overruns without end */
    const int16_t *sound; /* a raw file in memory, or NULL: the pattern */
    size_t sound_octets;
    card_fault overruns[FAKETAP_FAULTS], absences[FAKETAP_FAULTS]; /* ascending, apart */
    unsigned overrun_count, absence_count;
} card;

/* Reads the settings of a PCM definition (README in ../faketap.py); 0, or a negative errno after
 * telling libasound why. */
int card_configure(card *it, snd_config_t *definition);
void card_release(card *it);

/* How many frames the card says that it has captured; when it will say that it has `frames`. */
uint64_t card_frames_now(const card *it);
int64_t card_time_of(const card *it, uint64_t frames);

/* The fault that lies around or after `frame`, or NULL. */
const card_fault *card_next(const card_fault *faults, unsigned count, uint64_t frame);

/* Frames [first, first + frames) of one channel, `step` octets apart. */
void card_fill(const card *it, uint64_t first, uint64_t frames, unsigned channel, uint8_t *to, size_t step);

#endif

#define _GNU_SOURCE
#include "card.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* "FRAME:LENGTH FRAME:LENGTH ..." */
static int read_faults(const char *text, card_fault *faults, unsigned *count)
{
    for (*count = 0; *text != '\0'; (*count)++) {
        char *end;
        if (*count == FAKETAP_FAULTS)
            return -E2BIG;
        faults[*count].at = strtoull(text, &end, 10);
        if (end == text || *end != ':')
            return -EINVAL;
        text = end + 1;
        faults[*count].until = faults[*count].at + strtoull(text, &end, 10);
        if (end == text || (*count > 0 && faults[*count].at < faults[*count - 1].until))
            return -EINVAL;
        for (text = end; *text == ' '; text++)
            ;
    }
    return 0;
}

static int map_sound(card *it, const char *path)
{
    struct stat status;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return -errno;
    int failed = fstat(file, &status) < 0 ? -errno : status.st_size == 0 ? -EINVAL : 0;
    if (failed == 0) {
        it->sound_octets = (size_t)status.st_size;
        void *memory = mmap(NULL, it->sound_octets, PROT_READ, MAP_PRIVATE, file, 0);
        if (memory == MAP_FAILED)
            failed = -errno;
        else
            it->sound = memory;
    }
    close(file);
    return failed;
}

static int read_setting(card *it, const char *name, snd_config_t *value, double *speed, double *drift,
                        const char **source)
{
    const char *text;
    long number = 0;
    int failed;
    if (strcmp(name, "rate") == 0 || strcmp(name, "channels") == 0) {
        failed = snd_config_get_integer(value, &number);
        *(name[0] == 'r' ? &it->rate : &it->channels) = (unsigned)number;
        return failed < 0 || number < 1 || number > 768000 ? -EINVAL : 0;
    }
    if (strcmp(name, "seed") == 0) {
        failed = snd_config_get_integer(value, &number);
        it->seed = (uint32_t)number;
        return failed;
    }
    if (strcmp(name, "speed") == 0)
        return snd_config_get_ireal(value, speed);
    if (strcmp(name, "drift_ppm") == 0)
        return snd_config_get_ireal(value, drift);
    if (snd_config_get_string(value, &text) < 0)
        return -EINVAL;
    if (strcmp(name, "epoch_ns") == 0) {
        it->epoch_ns = strtoll(text, NULL, 10);
        return 0;
    }
    if (strcmp(name, "source") == 0) {
        *source = text;
        return 0;
    }
    if (strcmp(name, "overruns") == 0)
        return read_faults(text, it->overruns, &it->overrun_count);
    if (strcmp(name, "absences") == 0)
        return read_faults(text, it->absences, &it->absence_count);
    if (strcmp(name, "gone_as") == 0) {
        it->gone_as_overruns = strcmp(text, "overruns") == 0;
        return it->gone_as_overruns || strcmp(text, "nodev") == 0 ? 0 : -EINVAL;
    }
    return -EINVAL;
}

int card_configure(card *it, snd_config_t *definition)
{
    const char *source = NULL;
    double speed = 1, drift = 0;
    *it = (card){.rate = 8000, .channels = 1};
    snd_config_iterator_t at, after;
    snd_config_for_each(at, after, definition)
    {
        snd_config_t *value = snd_config_iterator_entry(at);
        const char *name;
        if (snd_config_get_id(value, &name) < 0 || strcmp(name, "type") == 0
            || strcmp(name, "comment") == 0 || strcmp(name, "hint") == 0)
            continue;
        int failed = read_setting(it, name, value, &speed, &drift, &source);
        if (failed < 0) {
            SNDERR("faketap: the setting %s cannot be used", name);
            return failed;
        }
    }
    it->frames_per_ns = it->rate * speed * (1 + drift / 1e6) / 1e9;
    it->step = 1 + (uint64_t)(it->frames_per_ns * FAKETAP_STEP_NS);
    return source != NULL ? map_sound(it, source) : 0;
}

void card_release(card *it)
{
    if (it->sound != NULL)
        munmap((void *)it->sound, it->sound_octets);
}

uint64_t card_frames_now(const card *it)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t elapsed = now.tv_sec * INT64_C(1000000000) + now.tv_nsec - it->epoch_ns;
    uint64_t frames = elapsed <= 0 ? 0 : (uint64_t)((double)elapsed * it->frames_per_ns);
    return frames - frames % it->step;
}

int64_t card_time_of(const card *it, uint64_t frames)
{
    uint64_t shown = (frames + it->step - 1) / it->step * it->step;
    return it->epoch_ns + (int64_t)ceil((double)shown / it->frames_per_ns);
}

const card_fault *card_next(const card_fault *faults, unsigned count, uint64_t frame)
{
    for (unsigned i = 0; i < count; i++)
        if (frame < faults[i].until)
            return &faults[i];
    return NULL;
}

/* The same in ../faketap.py; a change of one is a change of both. */
static int16_t pattern(uint64_t frame, unsigned channel, uint32_t seed)
{
    uint32_t x = (uint32_t)frame * UINT32_C(2654435761) + (uint32_t)(frame >> 32) * UINT32_C(2246822519);
    x += channel * UINT32_C(3266489917) + seed * UINT32_C(668265263);
    x ^= x >> 15;
    x *= UINT32_C(2246822507);
    x ^= x >> 13;
    x *= UINT32_C(3266489909);
    return (int16_t)(x >> 16);
}

void card_fill(const card *it, uint64_t first, uint64_t frames, unsigned channel, uint8_t *to, size_t step)
{
    uint64_t there = it->sound_octets / (2 * (size_t)it->channels);
    for (uint64_t i = 0; i < frames; i++) {
        uint64_t frame = first + i;
        int16_t sample = 0; /* after the end of a file: silence */
        if (it->sound == NULL)
            sample = pattern(frame, channel, it->seed);
        else if (frame < there)
            sample = it->sound[frame * it->channels + channel];
        memcpy(to + i * step, &sample, sizeof sample);
    }
}

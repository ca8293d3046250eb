/* faketap: a sound card made of a clock, for tests and demonstrations (card.h says what it captures).
 *
 * An external I/O plugin of libasound. Capture only, S16_LE, interleaved. What a program sees is what a
 * card would show it:
 *
 * - it runs in real time (times `speed`), whatever the program does; a program that reads too late by
 *   more than its buffer gets one -EPIPE and loses what the card captured until it prepares again;
 * - `overruns` "N:M": reaching frame N gives one -EPIPE and frames [N, N+M) are lost, together with the
 *   unfinished period before N. What was captured after N+M is still there, so that the loss is exact;
 * - `absences` "N:M": the card is pulled out at its frame N and is back at N+M. Whoever holds it open
 *   gets -ENODEV for ever (state DISCONNECTED, prepare fails too) and must open it again, which fails
 *   while it is away. With `gone_as "overruns"` the holder gets -EPIPE for ever instead.
 *
 * The buffer is nominal, nothing is stored: samples are made when they are read. */
#define _GNU_SOURCE
#include <alsa/asoundlib.h>
#include <alsa/pcm_external.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "card.h"

typedef struct tap {
    snd_pcm_ioplug_t io;
    card card;
    uint64_t opened_at; /* frame of the card */
    uint64_t next;      /* frame that the program reads next */
    uint64_t base;      /* frame at which libasound's own counter stood at 0 */
    uint64_t resume_at; /* after a scheduled overrun: the next frame; else 0, which is "now" */
} tap;

static int is_gone(const tap *it, uint64_t now)
{
    const card_fault *away = card_next(it->card.absences, it->card.absence_count, it->opened_at);
    return away != NULL && away->at <= now;
}

/* Wake the program when a whole period is there, or the card is pulled out. */
static void arm(tap *it)
{
    uint64_t frame = it->next + it->io.period_size;
    const card_fault *away = card_next(it->card.absences, it->card.absence_count, it->opened_at);
    if (away != NULL && away->at < frame)
        frame = away->at;
    int64_t at = card_time_of(&it->card, frame);
    struct itimerspec when = {.it_value = {at / 1000000000, at % 1000000000}};
    if (at <= 0)
        when.it_value = (struct timespec){0, 1};
    timerfd_settime(it->io.poll_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static int tap_prepare(snd_pcm_ioplug_t *io)
{
    tap *it = io->private_data;
    uint64_t now = card_frames_now(&it->card);
    if (is_gone(it, now) && !it->card.gone_as_overruns) {
        snd_pcm_ioplug_set_state(io, SND_PCM_STATE_DISCONNECTED);
        return -ENODEV;
    }
    return 0;
}

static int tap_start(snd_pcm_ioplug_t *io)
{
    tap *it = io->private_data;
    it->next = it->resume_at != 0 ? it->resume_at : card_frames_now(&it->card);
    it->base = it->next;
    it->resume_at = 0;
    arm(it);
    return 0;
}

static int tap_stop(snd_pcm_ioplug_t *io)
{
    (void)io;
    return 0;
}

static snd_pcm_sframes_t tap_pointer(snd_pcm_ioplug_t *io)
{
    tap *it = io->private_data;
    if (io->state == SND_PCM_STATE_PREPARED)
        return 0;
    uint64_t now = card_frames_now(&it->card);
    if (is_gone(it, now)) {
        if (it->card.gone_as_overruns)
            return -EPIPE;
        snd_pcm_ioplug_set_state(io, SND_PCM_STATE_DISCONNECTED);
        now = it->next;
    }
    if (now < it->next) /* inside a scheduled loss */
        now = it->next;
    if (now - it->next > io->buffer_size)
        return -EPIPE;
    snd_pcm_uframes_t boundary = io->buffer_size;
    while (boundary * 2 <= (snd_pcm_uframes_t)LONG_MAX - io->buffer_size)
        boundary *= 2; /* as libasound computes it */
    return (snd_pcm_sframes_t)((now - it->base) % boundary);
}

static snd_pcm_sframes_t tap_transfer(snd_pcm_ioplug_t *io, const snd_pcm_channel_area_t *areas,
                                      snd_pcm_uframes_t offset, snd_pcm_uframes_t size)
{
    tap *it = io->private_data;
    const card_fault *lost = card_next(it->card.overruns, it->card.overrun_count, it->next);
    if (lost != NULL && lost->at < it->next + size) {
        it->resume_at = lost->until;
        snd_pcm_ioplug_set_state(io, SND_PCM_STATE_XRUN);
        return -EPIPE;
    }
    for (unsigned channel = 0; channel < io->channels; channel++) {
        const snd_pcm_channel_area_t *area = &areas[channel];
        uint8_t *to = (uint8_t *)area->addr + (area->first + offset * area->step) / 8;
        card_fill(&it->card, it->next, size, channel, to, area->step / 8);
    }
    it->next += size;
    arm(it);
    return (snd_pcm_sframes_t)size;
}

static int tap_poll_revents(snd_pcm_ioplug_t *io, struct pollfd *polled, unsigned count,
                            unsigned short *revents)
{
    tap *it = io->private_data;
    uint64_t fired, now = card_frames_now(&it->card);
    (void)count;
    *revents = 0;
    if ((polled->revents & POLLIN) == 0)
        return 0;
    if (is_gone(it, now))
        *revents = POLLIN | POLLERR;
    else if (now >= it->next + io->period_size)
        *revents = POLLIN;
    else if (read(io->poll_fd, &fired, sizeof fired) > 0) /* else it stays so until it is read from */
        arm(it);
    return 0;
}

static int tap_close(snd_pcm_ioplug_t *io)
{
    tap *it = io->private_data;
    close(io->poll_fd);
    card_release(&it->card);
    free(it);
    return 0;
}

static const snd_pcm_ioplug_callback_t callbacks = {
    .start = tap_start,
    .stop = tap_stop,
    .pointer = tap_pointer,
    .transfer = tap_transfer,
    .close = tap_close,
    .prepare = tap_prepare,
    .poll_revents = tap_poll_revents,
};

static int offer(tap *it)
{
    static const unsigned access[] = {SND_PCM_ACCESS_RW_INTERLEAVED}, format[] = {SND_PCM_FORMAT_S16_LE};
    const struct {
        int what;
        unsigned least, most;
    } limits[] = {
        {SND_PCM_IOPLUG_HW_CHANNELS, it->card.channels, it->card.channels},
        {SND_PCM_IOPLUG_HW_RATE, it->card.rate, it->card.rate},
        {SND_PCM_IOPLUG_HW_PERIOD_BYTES, 2 * it->card.channels, 1 << 24},
        {SND_PCM_IOPLUG_HW_BUFFER_BYTES, 4 * it->card.channels, 1 << 30},
        {SND_PCM_IOPLUG_HW_PERIODS, 2, 1 << 20},
    };
    int failed = snd_pcm_ioplug_set_param_list(&it->io, SND_PCM_IOPLUG_HW_ACCESS, 1, access);
    if (failed == 0)
        failed = snd_pcm_ioplug_set_param_list(&it->io, SND_PCM_IOPLUG_HW_FORMAT, 1, format);
    for (size_t i = 0; failed == 0 && i < sizeof limits / sizeof *limits; i++)
        failed = snd_pcm_ioplug_set_param_minmax(&it->io, limits[i].what, limits[i].least, limits[i].most);
    return failed;
}

SND_PCM_PLUGIN_DEFINE_FUNC(faketap)
{
    (void)root;
    tap *it = stream == SND_PCM_STREAM_CAPTURE ? calloc(1, sizeof *it) : NULL;
    if (it == NULL)
        return stream == SND_PCM_STREAM_CAPTURE ? -ENOMEM : -EINVAL;
    int failed = card_configure(&it->card, conf);
    it->opened_at = card_frames_now(&it->card);
    const card_fault *away = card_next(it->card.absences, it->card.absence_count, it->opened_at);
    if (failed == 0 && away != NULL && away->at <= it->opened_at)
        failed = -ENODEV;
    it->io.version = SND_PCM_IOPLUG_VERSION;
    it->io.name = "faketap";
    it->io.flags = SND_PCM_IOPLUG_FLAG_MONOTONIC | SND_PCM_IOPLUG_FLAG_BOUNDARY_WA;
    it->io.callback = &callbacks;
    it->io.private_data = it;
    it->io.poll_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    it->io.poll_events = POLLIN;
    if (failed == 0 && it->io.poll_fd < 0)
        failed = -errno;
    if (failed == 0)
        failed = snd_pcm_ioplug_create(&it->io, name, stream, mode);
    if (failed < 0) {
        if (it->io.poll_fd >= 0)
            close(it->io.poll_fd);
        card_release(&it->card);
        free(it);
        return failed;
    }
    failed = offer(it);
    if (failed < 0) {
        snd_pcm_ioplug_delete(&it->io); /* closes, which frees */
        return failed;
    }
    *pcmp = it->io.pcm;
    return 0;
}

SND_PCM_PLUGIN_SYMBOL(faketap);

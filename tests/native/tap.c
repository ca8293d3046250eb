#define _GNU_SOURCE /* unshare */
#include "tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

/* Everything happens on the loopback interface of a network namespace of this process's own. */
enum { BLOCK = 1 << 16 };

static void set_up(int up)
{
    struct ifreq request = {.ifr_name = "lo"};
    int control = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(ioctl(control, SIOCGIFFLAGS, &request) == 0);
    request.ifr_flags = (short)(up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP);
    CHECK(ioctl(control, SIOCSIFFLAGS, &request) == 0);
    close(control);
}

static void send_datagrams(int port, int count, size_t length)
{
    static uint8_t octets[1400];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int out = socket(AF_INET, SOCK_DGRAM, 0), in = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(bind(in, (struct sockaddr *)&to, sizeof to) == 0); /* else ICMP would answer */
    for (int i = 0; i < count; i++) {
        octets[0] = (uint8_t)i;
        CHECK_IS(sendto(out, octets, length, 0, (struct sockaddr *)&to, sizeof to), length);
    }
    close(out);
    close(in);
}

static greffier_tap_options options_of(uint32_t blocks, uint32_t retire_ms)
{
    return (greffier_tap_options){.blocks = blocks, .block_octets = BLOCK, .retire_ms = retire_ms,
                                  .promiscuous = 1, .sip_port_count = 1, .sip_ports = {5060}};
}

static greffier_tap *open_tap(uint32_t blocks, uint32_t retire_ms)
{
    int error;
    const greffier_tap_options options = options_of(blocks, retire_ms);
    greffier_tap *tap = greffier_tap_open("lo", &options, &error);
    CHECK_IS(error, 0);
    CHECK(tap != NULL);
    return tap;
}

static void frames_are_read_in_order_each_once(void)
{
    greffier_tap *tap = open_tap(16, 5);
    send_datagrams(4000, 200, 600);
    greffier_frame frame;
    int64_t last_ns = 0;
    for (int seen = 0; seen < 200;) {
        CHECK_IS(greffier_tap_wait(tap, 5000), 1);
        while (greffier_tap_next(tap, &frame)) {
            CHECK_IS(frame.length, 14 + 20 + 8 + 600);
            CHECK_IS(frame.whole, frame.length);
            CHECK_IS(frame.tag_kind, 0);
            CHECK_IS(frame.octets[42], (uint8_t)seen);
            CHECK(frame.time_ns >= last_ns && frame.time_ns > 1600000000000000000);
            last_ns = frame.time_ns;
            seen++;
        }
        greffier_tap_rest(tap); /* it loses nothing, whether the next block is there or not */
    }
    CHECK_IS(greffier_tap_wait(tap, 20), 0);
    CHECK(!greffier_tap_next(tap, &frame));
    greffier_tap_counters counters;
    greffier_tap_count(tap, &counters);
    CHECK_IS(counters.frames, 200);
    CHECK_IS(counters.dropped, 0);
    CHECK(counters.blocks >= 2);
    greffier_tap_close(tap);
}

static void what_does_not_fit_is_counted(void)
{
    greffier_tap *tap = open_tap(2, 1000);
    send_datagrams(4000, 400, 1400);
    greffier_frame frame;
    uint64_t seen = 0;
    while (greffier_tap_wait(tap, 1500) == 1)
        while (greffier_tap_next(tap, &frame))
            seen++;
    greffier_tap_counters counters;
    greffier_tap_count(tap, &counters);
    CHECK_IS(counters.frames, seen);
    CHECK_IS(counters.frames + counters.dropped, 400);
    CHECK(counters.dropped > 200);
    greffier_tap_count(tap, &counters);
    CHECK_IS(counters.frames + counters.dropped, 400);
    greffier_tap_close(tap);
}

/* Calls three ports over TCP, of IPv4 or IPv6; returns which arrived, a bit each. */
static unsigned tcp_seen(const greffier_tap_options *options, int family)
{
    int error;
    greffier_tap *tap = greffier_tap_open("lo", options, &error);
    CHECK(tap != NULL);
    for (int i = 0; i < 3; i++) {
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)(5060 + i)),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        struct sockaddr_in6 to6 = {.sin6_family = AF_INET6, .sin6_port = to.sin_port,
                                   .sin6_addr = IN6ADDR_LOOPBACK_INIT};
        int out = socket(family, SOCK_STREAM, 0);
        int answer = family == AF_INET ? connect(out, (struct sockaddr *)&to, sizeof to)
                                       : connect(out, (struct sockaddr *)&to6, sizeof to6);
        CHECK(answer != 0 && errno == ECONNREFUSED);
        close(out);
    }
    greffier_frame frame;
    unsigned seen = 0;
    const size_t at = family == AF_INET ? 34 : 54;
    while (greffier_tap_wait(tap, 50) == 1)
        while (greffier_tap_next(tap, &frame))
            for (int i = 0; i < 3; i++) {
                const uint8_t port[2] = {(uint8_t)((5060 + i) >> 8), (uint8_t)(5060 + i)};
                if (memcmp(frame.octets + at, port, 2) == 0) /* the refusal */
                    seen |= 1U << i;
                if (memcmp(frame.octets + at + 2, port, 2) == 0)
                    seen |= 8U << i;
            }
    greffier_tap_close(tap);
    return seen;
}

static void the_filter_leaves_other_traffic_out(void)
{
    greffier_tap_options options = options_of(4, 5);
    CHECK_IS(tcp_seen(&options, AF_INET), 1 | 8);
    CHECK_IS(tcp_seen(&options, AF_INET6), 1 | 8);
    options.sip_port_count = GREFFIER_TAP_PORTS; /* the first are others */
    for (int i = 0; i < GREFFIER_TAP_PORTS; i++)
        options.sip_ports[i] = (uint16_t)(5062 + GREFFIER_TAP_PORTS - 1 - i);
    CHECK_IS(tcp_seen(&options, AF_INET), 4 | 32);
    CHECK_IS(tcp_seen(&options, AF_INET6), 4 | 32);
}

static void a_stop_ends_every_wait(void)
{
    greffier_tap *tap = open_tap(4, 5);
    greffier_tap_stop(tap);
    CHECK_IS(greffier_tap_wait(tap, -1), -ECANCELED);
    CHECK_IS(greffier_tap_wait(tap, -1), -ECANCELED);
    greffier_tap_close(tap);
    greffier_tap_close(NULL);
}

static void an_interface_that_goes_away_is_an_error(void)
{
    int error;
    greffier_tap_options options = options_of(4, 5);
    CHECK(greffier_tap_open("nothing0", &options, &error) == NULL);
    CHECK_IS(error, ENODEV);
    options.sip_port_count = 0;
    CHECK(greffier_tap_open("lo", &options, &error) == NULL);
    CHECK_IS(error, EINVAL);
    options = options_of(4, 5);
    options.block_octets = 100;
    CHECK(greffier_tap_open("lo", &options, &error) == NULL);
    CHECK_IS(error, EINVAL);
    greffier_tap *tap = open_tap(4, 5);
    set_up(0);
    CHECK_IS(greffier_tap_wait(tap, 5000), -ENETDOWN);
    greffier_tap_close(tap);
}

int main(void)
{
    if (unshare(CLONE_NEWNET) != 0) {
        puts("skipped: this user may not make a network namespace");
        return 0;
    }
    set_up(1);
    RUN(frames_are_read_in_order_each_once);
    RUN(what_does_not_fit_is_counted);
    RUN(the_filter_leaves_other_traffic_out);
    RUN(a_stop_ends_every_wait);
    RUN(an_interface_that_goes_away_is_an_error);
    return 0;
}

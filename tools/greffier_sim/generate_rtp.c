/* Established calls on an interface: G.711 both ways, 20 ms, at the pace of real time.
 *
 * generate_rtp INTERFACE CALLS SECONDS [RAMP]
 *
 * Call c has its caller at 10.1.(c / 250).(1 + c % 250):4000 and its callee at 10.2.(same):5000; the caller
 * sends with SSRC 2c + 1, the callee with 2c + 2. Prints how many packets were sent, and how many the
 * interface refused. The phases of the legs are spread over the 20 ms. With RAMP the calls begin one after
 * another in so many seconds, and all of them talk for SECONDS after that. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { FRAME = 14 + 20 + 8 + 12 + 160, STEPS = 20, BATCH = 256 };

typedef struct leg {
    uint8_t frame[FRAME];
    uint32_t number;
} leg;

static void fill(leg *one, unsigned call, int from_callee)
{
    static const uint8_t head[42] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 200, 0, 0, 0x40, 0,
                                     64, 17, 0, 0, 10, 1, 0, 0, 10, 2, 0, 0, 0x0f, 0xa0, 0x13, 0x88, 0, 180};
    uint8_t *frame = one->frame;
    memcpy(frame, head, sizeof head);
    frame[28] = frame[32] = (uint8_t)(call / 250);
    frame[29] = frame[33] = (uint8_t)(1 + call % 250);
    if (from_callee) {
        uint8_t address[4], port[2];
        memcpy(address, frame + 26, 4);
        memcpy(frame + 26, frame + 30, 4);
        memcpy(frame + 30, address, 4);
        memcpy(port, frame + 34, 2);
        memcpy(frame + 34, frame + 36, 2);
        memcpy(frame + 36, port, 2);
    }
    uint32_t sum = 0;
    for (int i = 14; i < 34; i += 2)
        sum += (uint32_t)frame[i] << 8 | frame[i + 1];
    sum = ~(sum + (sum >> 16));
    frame[24] = (uint8_t)(sum >> 8);
    frame[25] = (uint8_t)sum;
    frame[42] = 0x80;
    frame[43] = 8;
    uint32_t ssrc = htonl(2 * call + 1 + (uint32_t)from_callee);
    memcpy(frame + 50, &ssrc, 4);
    for (int i = 54; i < FRAME; i++)
        frame[i] = (uint8_t)(0xd5 ^ (i * 7 + (int)call));
}

static void step(leg *one)
{
    uint16_t sequence = htons((uint16_t)one->number);
    uint32_t timestamp = htonl(one->number * 160);
    memcpy(one->frame + 44, &sequence, 2);
    memcpy(one->frame + 46, &timestamp, 4);
    memcpy(one->frame + 54, &one->number, 4); /* no two payloads of a leg are alike */
    one->number++;
}

int main(int count, char **words)
{
    if (count != 4 && count != 5)
        return 2;
    size_t legs = 2 * strtoul(words[2], NULL, 10);
    long ramp = count == 5 ? 1000 * strtol(words[4], NULL, 10) : 0;
    long ticks = ramp + 1000 * strtol(words[3], NULL, 10);
    leg *all = calloc(legs, sizeof *all);
    for (size_t i = 0; i < legs; i++)
        fill(&all[i], (unsigned)(i / 2), i % 2);
    const int yes = 1;
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(words[1])};
    int out = socket(AF_PACKET, SOCK_RAW, 0);
    setsockopt(out, SOL_PACKET, PACKET_QDISC_BYPASS, &yes, sizeof yes);
    if (out < 0 || bind(out, (struct sockaddr *)&to, sizeof to) != 0) {
        perror(words[1]);
        return 1;
    }
    static struct mmsghdr messages[BATCH];
    static struct iovec pieces[BATCH];
    for (int i = 0; i < BATCH; i++) {
        messages[i].msg_hdr.msg_iov = &pieces[i];
        messages[i].msg_hdr.msg_iovlen = 1;
        pieces[i].iov_len = FRAME;
    }
    unsigned long sent = 0, refused = 0;
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    for (long tick = 0; tick < ticks; tick++) {
        size_t first = legs * (size_t)(tick % STEPS) / STEPS, last = legs * (size_t)(tick % STEPS + 1) / STEPS;
        for (size_t at = first; at < last;) {
            int batch = 0;
            for (; at < last && batch < BATCH; at++) {
                if (tick < ramp && (long)(at / 2) * ramp >= tick * (long)(legs / 2))
                    continue;
                step(&all[at]);
                pieces[batch++].iov_base = all[at].frame;
            }
            for (int done = 0; done < batch;) {
                int now = sendmmsg(out, messages + done, (unsigned)(batch - done), 0);
                sent += now > 0 ? (unsigned)now : 0;
                refused += now <= 0;
                done += now > 0 ? now : 1;
            }
        }
        next.tv_nsec += 1000000;
        if (next.tv_nsec >= 1000000000) {
            next.tv_nsec -= 1000000000;
            next.tv_sec++;
        }
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    }
    printf("%lu %lu\n", sent, refused);
    free(all);
    return 0;
}

#define _DEFAULT_SOURCE /* MAP_* */
#include "tap.h"

#include "filter.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

struct greffier_tap {
    int socket, stop;
    uint8_t *ring;
    size_t ring_octets;
    uint32_t blocks, block_octets;
    uint32_t block;      /* the one that is read, or awaited */
    uint32_t left;       /* frames in it that were not read yet */
    int open;            /* the block is ours */
    const uint8_t *next; /* its next frame */
    int64_t filling_ns;  /* how long it took to fill, 0 = it is not full */
    atomic_uint_least64_t frames, blocks_read;
    uint64_t dropped, freezes;
};

enum { AHEAD = 8 }; /* frames */
enum { REST_MS = 20, REST_SHARE = 8 };

static int set(int socket, int option, const void *value, socklen_t size)
{
    return setsockopt(socket, SOL_PACKET, option, value, size);
}

/* Everything about the socket; 0, or -1 with errno. Bound last, so that the filter is there first. */
static int open_socket(greffier_tap *tap, unsigned index, const greffier_tap_options *options)
{
    const int version = TPACKET_V3, ignore = 1;
    struct sock_filter code[GREFFIER_FILTER_MOST];
    struct sock_fprog program = {.len = (unsigned short)greffier_filter(code, options), .filter = code};
    struct tpacket_req3 ring = {.tp_block_size = tap->block_octets, .tp_block_nr = tap->blocks,
                                .tp_frame_size = 2048, .tp_retire_blk_tov = options->retire_ms};
    struct packet_mreq promiscuous = {.mr_ifindex = (int)index, .mr_type = PACKET_MR_PROMISC};
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL),
                                  .sll_ifindex = (int)index};
    ring.tp_frame_nr = tap->block_octets / ring.tp_frame_size * tap->blocks;
    tap->socket = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (tap->socket < 0 || (tap->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0
        || set(tap->socket, PACKET_VERSION, &version, sizeof version) != 0
        || setsockopt(tap->socket, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0
        || set(tap->socket, PACKET_IGNORE_OUTGOING, &ignore, sizeof ignore) != 0
        || set(tap->socket, PACKET_RX_RING, &ring, sizeof ring) != 0
        || (options->promiscuous
            && set(tap->socket, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof promiscuous) != 0))
        return -1;
    void *memory = mmap(NULL, tap->ring_octets, PROT_READ | PROT_WRITE, MAP_SHARED, tap->socket, 0);
    if (memory == MAP_FAILED)
        return -1;
    tap->ring = memory;
    return bind(tap->socket, (struct sockaddr *)&address, sizeof address);
}

greffier_tap *greffier_tap_open(const char *interface, const greffier_tap_options *options, int *error)
{
    greffier_tap *tap = calloc(1, sizeof *tap);
    unsigned index = if_nametoindex(interface);
    const uint32_t ports = options->sip_port_count;
    *error = tap == NULL ? ENOMEM : index == 0 ? ENODEV : ports == 0 || ports > GREFFIER_TAP_PORTS ? EINVAL : 0;
    if (*error == 0) {
        tap->socket = tap->stop = -1;
        tap->blocks = options->blocks;
        tap->block_octets = options->block_octets;
        tap->ring_octets = (size_t)options->blocks * options->block_octets;
        if (open_socket(tap, index, options) == 0)
            return tap;
        *error = errno;
        greffier_tap_close(tap);
        return NULL;
    }
    free(tap);
    return NULL;
}

void greffier_tap_close(greffier_tap *tap)
{
    if (tap == NULL)
        return;
    if (tap->ring != NULL)
        munmap(tap->ring, tap->ring_octets);
    if (tap->socket >= 0)
        close(tap->socket);
    if (tap->stop >= 0)
        close(tap->stop);
    free(tap);
}

static struct tpacket_hdr_v1 *head_of(const greffier_tap *tap)
{
    struct tpacket_block_desc *block = (void *)(tap->ring + (size_t)tap->block * tap->block_octets);
    return &block->hdr.bh1;
}

static int is_ours(const greffier_tap *tap)
{
    return (__atomic_load_n(&head_of(tap)->block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER) != 0;
}

static int failure_of(int socket)
{
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size);
    return error;
}

int greffier_tap_wait(greffier_tap *tap, int timeout_ms)
{
    struct pollfd sources[2] = {{.fd = tap->stop, .events = POLLIN}, {.fd = tap->socket, .events = POLLIN}};
    int there = tap->open || is_ours(tap);
    if (poll(sources, 2, there ? 0 : timeout_ms) < 0 && errno != EINTR)
        return -errno;
    if (sources[0].revents != 0)
        return -ECANCELED;
    if (!there && (sources[1].revents & (POLLERR | POLLHUP)) != 0) {
        int error = failure_of(tap->socket);
        return error ? -error : 0;
    }
    return there || is_ours(tap);
}

static int64_t filling_of(const struct tpacket_hdr_v1 *head)
{
    const struct tpacket_bd_ts *first = &head->ts_first_pkt, *last = &head->ts_last_pkt;
    if (head->block_status & TP_STATUS_BLK_TMO)
        return 0;
    return ((int64_t)last->ts_sec - first->ts_sec) * 1000000000 + last->ts_nsec - (int64_t)first->ts_nsec;
}

/* Gives a block that is done back, and looks whether the next one is there. */
static int turn_over(greffier_tap *tap)
{
    while (!tap->open || tap->left == 0) {
        if (tap->open) {
            __atomic_store_n(&head_of(tap)->block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
            tap->block = (tap->block + 1) % tap->blocks;
            tap->open = 0;
        }
        if (!is_ours(tap))
            return 0;
        const struct tpacket_hdr_v1 *head = head_of(tap);
        tap->open = 1;
        tap->left = head->num_pkts;
        tap->filling_ns = filling_of(head);
        tap->next = (const uint8_t *)head - offsetof(struct tpacket_block_desc, hdr)
                    + head->offset_to_first_pkt;
        atomic_fetch_add_explicit(&tap->blocks_read, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&tap->frames, tap->left, memory_order_relaxed);
    }
    return 1;
}

int greffier_tap_next(greffier_tap *tap, greffier_frame *frame)
{
    if ((!tap->open || tap->left == 0) && !turn_over(tap))
        return 0;
    const struct tpacket3_hdr *head = (const void *)tap->next;
    /* Another processor wrote the block. Most frames of a trunk have one size, so some frames on, what
     * will be read lies there; a wrong guess costs nothing. */
    const uint8_t *ahead = tap->next + AHEAD * (size_t)head->tp_next_offset;
    for (size_t at = 0; at < 256; at += 64)
        __builtin_prefetch(ahead + at);
    int tagged = (head->tp_status & TP_STATUS_VLAN_VALID) != 0;
    int known = (head->tp_status & TP_STATUS_VLAN_TPID_VALID) != 0;
    frame->time_ns = (int64_t)head->tp_sec * 1000000000 + head->tp_nsec;
    frame->octets = tap->next + head->tp_mac;
    frame->length = head->tp_snaplen;
    frame->whole = head->tp_len;
    frame->tag = tagged ? (uint16_t)head->hv1.tp_vlan_tci : 0;
    frame->tag_kind = !tagged ? 0 : known ? head->hv1.tp_vlan_tpid : ETH_P_8021Q;
    frame->last = --tap->left == 0;
    tap->next += head->tp_next_offset;
    return 1;
}

void greffier_tap_rest(greffier_tap *tap)
{
    struct pollfd stop = {.fd = tap->stop, .events = POLLIN};
    if (turn_over(tap))
        return;
    int64_t spare_ms = tap->filling_ns * tap->blocks / REST_SHARE / 1000000;
    if (spare_ms > 0)
        poll(&stop, 1, spare_ms < REST_MS ? (int)spare_ms : REST_MS);
}

void greffier_tap_stop(greffier_tap *tap)
{
    const uint64_t one = 1;
    ssize_t written = write(tap->stop, &one, sizeof one);
    (void)written; /* it can only be full, and then it says stop already */
}

void greffier_tap_count(greffier_tap *tap, greffier_tap_counters *counters)
{
    struct tpacket_stats_v3 stats = {0};
    socklen_t size = sizeof stats;
    getsockopt(tap->socket, SOL_PACKET, PACKET_STATISTICS, &stats, &size); /* and sets them to 0 */
    tap->dropped += stats.tp_drops;
    tap->freezes += stats.tp_freeze_q_cnt;
    *counters = (greffier_tap_counters){
        .frames = atomic_load_explicit(&tap->frames, memory_order_relaxed),
        .dropped = tap->dropped, .freezes = tap->freezes,
        .blocks = atomic_load_explicit(&tap->blocks_read, memory_order_relaxed),
    };
}

#define _DEFAULT_SOURCE /* MAP_* */
#include "tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
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
    atomic_uint_least64_t frames, blocks_read;
    uint64_t dropped, freezes;
};

enum { AHEAD = 8 }; /* frames */

/* The filter. A jump counts from the instruction behind it and only goes forward. */
enum { IPV4_AT = 8, TCP4_AT = 16, MOST_CODE = 26 + 4 * GREFFIER_TAP_PORTS };
#define DO(code, value) ((struct sock_filter)BPF_STMT(code, value))
#define LOAD8(at) DO(BPF_LD | BPF_B | BPF_ABS, at)
#define LOAD16(at) DO(BPF_LD | BPF_H | BPF_ABS, at)
#define IS(line, value, yes, no) \
    ((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, (uint8_t)((yes) - (line) - 1), \
                                  (uint8_t)((no) - (line) - 1)))

/* Both ports of a TCP packet, of which one must be SIP's; returns the position behind. */
static unsigned put_ports(struct sock_filter *code, unsigned at, const greffier_tap_options *options,
                          uint16_t load, uint32_t offset, unsigned accept, unsigned reject)
{
    const unsigned count = options->sip_port_count;
    for (uint32_t side = 0; side < 2; side++) {
        code[at++] = DO(load, offset + 2 * side);
        for (unsigned i = 0; i < count; i++, at++)
            code[at] = IS(at, options->sip_ports[i], accept, side && i + 1 == count ? reject : at + 1);
    }
    return at;
}

/* Returns how many instructions there are. */
static unsigned make_filter(struct sock_filter *code, const greffier_tap_options *options)
{
    const unsigned ipv6 = TCP4_AT + 3 + 2 * options->sip_port_count;
    const unsigned other6 = ipv6 + 4 + 2 * options->sip_port_count, accept = other6 + 1, reject = accept + 1;
    const struct sock_filter head[TCP4_AT + 1] = {
        [0] = LOAD16(12),
        [1] = IS(1, ETH_P_IP, IPV4_AT, 2),
        [2] = IS(2, ETH_P_IPV6, ipv6, 3),
        [3] = IS(3, ETH_P_8021Q, accept, 4),
        [4] = IS(4, ETH_P_8021AD, accept, 5),
        [5] = IS(5, 0x9100, accept, 6),
        [6] = IS(6, 0x9200, accept, 7),
        [7] = IS(7, ETH_P_PPP_SES, accept, reject),
        [8] = LOAD16(20), /* flags and fragment offset */
        [9] = BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x3fff, (uint8_t)(accept - 10), 0),
        [10] = LOAD8(23),
        [11] = IS(11, IPPROTO_UDP, accept, 12),
        [12] = IS(12, IPPROTO_IPIP, accept, 13),
        [13] = IS(13, IPPROTO_IPV6, accept, 14),
        [14] = IS(14, IPPROTO_GRE, accept, 15),
        [15] = IS(15, IPPROTO_TCP, TCP4_AT, reject),
        [16] = DO(BPF_LDX | BPF_B | BPF_MSH, 14), /* the length of the IPv4 header */
    };
    memcpy(code, head, sizeof head);
    put_ports(code, TCP4_AT + 1, options, BPF_LD | BPF_H | BPF_IND, 14, accept, reject);
    code[ipv6] = LOAD8(20); /* next header */
    code[ipv6 + 1] = IS(ipv6 + 1, IPPROTO_TCP, ipv6 + 2, other6);
    put_ports(code, ipv6 + 2, options, BPF_LD | BPF_H | BPF_ABS, 54, accept, reject);
    code[other6] = IS(other6, IPPROTO_ICMPV6, reject, accept);
    code[accept] = DO(BPF_RET | BPF_K, 1 << 18);
    code[reject] = DO(BPF_RET | BPF_K, 0);
    return reject + 1;
}

static int set(int socket, int option, const void *value, socklen_t size)
{
    return setsockopt(socket, SOL_PACKET, option, value, size);
}

/* Everything about the socket; 0, or -1 with errno. Bound last, so that the filter is there first. */
static int open_socket(greffier_tap *tap, unsigned index, const greffier_tap_options *options)
{
    const int version = TPACKET_V3, ignore = 1;
    struct sock_filter code[MOST_CODE];
    struct sock_fprog program = {.len = (unsigned short)make_filter(code, options), .filter = code};
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

#include "filter.h"

#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>

/* A jump counts from the instruction behind it and only goes forward. */
enum { IPV4_AT = 8, TCP4_AT = 16 };
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

unsigned greffier_filter(struct sock_filter *code, const greffier_tap_options *options)
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

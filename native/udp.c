#include "udp.h"

#include <string.h>

enum {
    ETHERNET = 14,
    IPV4 = 0x0800,
    IPV6 = 0x86dd,
    MOST_TAGS = 4,
    IPV4_HEADER = 20,
    IPV6_HEADER = 40,
    UDP_HEADER = 8,
    UDP = 17,
};

static unsigned read16(const uint8_t *octets)
{
    return (unsigned)octets[0] << 8 | octets[1];
}

static int is_tag(unsigned kind)
{
    return kind == 0x8100 || kind == 0x88a8 || kind == 0x9100 || kind == 0x9200;
}

static void map_address(uint8_t *address, const uint8_t *octets)
{
    static const uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    memcpy(address, prefix, sizeof prefix);
    memcpy(address + sizeof prefix, octets, 4);
}

/* The UDP header of an IPv4 packet that lies in [at, length), and the packet's end. */
static int find_in_4(const uint8_t *frame, size_t length, size_t at, greffier_udp_pair *pair,
                     size_t *start, size_t *end)
{
    if (length < at + IPV4_HEADER)
        return 0;
    const uint8_t *ip = frame + at;
    size_t header = 4 * (size_t)(ip[0] & 0x0f), total = read16(ip + 2);
    if (ip[0] >> 4 != 4 || header < IPV4_HEADER || ip[9] != UDP || (read16(ip + 6) & 0x3fff) != 0)
        return 0;
    *start = at + header;
    *end = at + total;
    map_address(pair->source, ip + 12);
    map_address(pair->destination, ip + 16);
    return 1;
}

/* The same for IPv6 without extension headers. */
static int find_in_6(const uint8_t *frame, size_t length, size_t at, greffier_udp_pair *pair,
                     size_t *start, size_t *end)
{
    if (length < at + IPV6_HEADER)
        return 0;
    const uint8_t *ip = frame + at;
    if (ip[0] >> 4 != 6 || ip[6] != UDP)
        return 0;
    *start = at + IPV6_HEADER;
    *end = *start + read16(ip + 4);
    memcpy(pair->source, ip + 8, 16);
    memcpy(pair->destination, ip + 24, 16);
    return 1;
}

int greffier_udp_find(const uint8_t *frame, size_t length, greffier_udp_pair *pair, uint32_t *payload,
                      uint32_t *payload_length)
{
    if (length < ETHERNET)
        return 0;
    size_t at = ETHERNET, start, end;
    unsigned kind = read16(frame + at - 2);
    for (int tags = 0; tags < MOST_TAGS && is_tag(kind) && length >= at + 4; tags++) {
        kind = read16(frame + at + 2);
        at += 4;
    }
    int found = kind == IPV4   ? find_in_4(frame, length, at, pair, &start, &end)
                : kind == IPV6 ? find_in_6(frame, length, at, pair, &start, &end)
                               : 0;
    if (!found || end > length || end < start + UDP_HEADER)
        return 0;
    const uint8_t *udp = frame + start;
    size_t size = read16(udp + 4);
    if (size <= UDP_HEADER || size > end - start)
        return 0; /* empty, impossible, or 0: a jumbogram or a card that cuts large sends itself */
    memcpy(pair->source_port, udp, 2);
    memcpy(pair->destination_port, udp + 2, 2);
    *payload = (uint32_t)(start + UDP_HEADER);
    *payload_length = (uint32_t)(size - UDP_HEADER);
    return 1;
}

#ifndef GREFFIER_UDP_H
#define GREFFIER_UDP_H
#include <stddef.h>
#include <stdint.h>

/* The short way to a UDP payload in an Ethernet frame: no, or up to four, VLAN tags (802.1Q, 802.1ad),
 * then IPv4 or IPv6, whole, then UDP. Everything else (fragments, IPv6 extension headers, tunnels, PPPoE,
 * TCP, frames that a snap length cut) is refused and left to whoever knows more. What is accepted here
 * has the same addresses and payload as greffier.capture.dissector gives it. */

/* One direction of a flow. IPv4 addresses are written as IPv4-mapped IPv6 (RFC 4291 section 2.5.5.2). All
 * octets as on the wire; comparable with memcmp. */
typedef struct greffier_udp_pair {
    uint8_t source[16];
    uint8_t destination[16];
    uint8_t source_port[2];
    uint8_t destination_port[2];
} greffier_udp_pair;

/* Any thread. Finds the payload of a frame of `length` octets: 1 with the pair, where the payload begins
 * and its length (at least one octet), or 0. Nothing is read outside the frame. */
int greffier_udp_find(const uint8_t *frame, size_t length, greffier_udp_pair *pair, uint32_t *payload,
                      uint32_t *payload_length);

#endif

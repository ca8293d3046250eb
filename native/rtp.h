#ifndef GREFFIER_RTP_H
#define GREFFIER_RTP_H
#include <stddef.h>
#include <stdint.h>

/* The RTP packet, RFC 3550 section 5.1 and 5.3.1. Nothing is read outside the given octets. */

/* Why octets are not an RTP packet. */
enum greffier_rtp_fault {
    GREFFIER_RTP_OK = 0,
    GREFFIER_RTP_SHORT = -1,            /* fewer than the 12 octets of the fixed header */
    GREFFIER_RTP_VERSION = -2,          /* the version is not 2 */
    GREFFIER_RTP_RTCP = -3,             /* RTCP on the same port, by its packet type (RFC 5761) */
    GREFFIER_RTP_CSRC = -4,             /* the list of contributing sources is cut off */
    GREFFIER_RTP_EXTENSION_HEAD = -5,   /* the four octets before the header extension are cut off */
    GREFFIER_RTP_EXTENSION_BODY = -6,   /* the header extension is cut off */
    GREFFIER_RTP_PADDING_ABSENT = -7,   /* padding is announced, but no octet is left to count it */
    GREFFIER_RTP_PADDING_ZERO = -8,     /* the padding counts zero octets, not even its own count */
    GREFFIER_RTP_PADDING_LONG = -9,     /* the padding counts more octets than follow the header */
};

typedef struct greffier_rtp_header {
    uint32_t timestamp;
    uint32_t ssrc;
    uint32_t payload_offset;   /* octets from the start of the packet */
    uint32_t payload_length;   /* octets, without padding */
    uint32_t extension_offset; /* of the extension's body; 0 = no extension */
    uint32_t extension_length; /* octets */
    uint32_t fault_offset;     /* where a refused packet is wrong, octets from its start */
    uint16_t sequence;
    uint16_t extension_profile;
    uint8_t payload_type;
    uint8_t marker;
    uint8_t csrc_count;
    uint8_t padding; /* octets, its count included */
} greffier_rtp_header;

/* Any thread. Reads the header of a packet of `length` octets: GREFFIER_RTP_OK, or the fault, with
 * fault_offset set and the other fields unspecified. Refused as RTCP: payload types 72 to 76, never
 * assigned to RTP for that reason (RFC 3551 section 6), and second octets 205 to 207 (RTCP feedback
 * and reports, RFC 5761 section 4). */
int greffier_rtp_parse(const uint8_t *packet, size_t length, greffier_rtp_header *header);

#endif

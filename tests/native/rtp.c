#include "rtp.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"

/* Every read outside `length` octets is a read outside the allocation, which AddressSanitizer sees. */
static int parse(const uint8_t *octets, size_t length, greffier_rtp_header *header)
{
    uint8_t *exact = malloc(length ? length : 1);
    CHECK(exact != NULL);
    memcpy(exact, octets, length);
    int fault = greffier_rtp_parse(exact, length, header);
    free(exact);
    return fault;
}

static const uint8_t FULL[] = {
    0xb2, 0xe0, 0x12, 0x34, 0x00, 0x00, 0x00, 0xa0, 0xde, 0xad, 0xbe, 0xef, /* fixed: P X CC=2, M PT=96 */
    0, 0, 0, 1, 0, 0, 0, 2,                                                 /* contributing sources */
    0xbe, 0xde, 0x00, 0x01, 0x10, 0x7f, 0x00, 0x00,                         /* extension of one word */
    'a', 'u', 'd', 'i', 'o', 0, 0, 3,                                       /* payload and padding */
};

static void every_field_is_read(void)
{
    greffier_rtp_header header;
    CHECK_IS(parse(FULL, sizeof FULL, &header), GREFFIER_RTP_OK);
    CHECK_IS(header.sequence, 0x1234);
    CHECK_IS(header.timestamp, 160);
    CHECK_IS(header.ssrc, 0xdeadbeef);
    CHECK_IS(header.marker, 1);
    CHECK_IS(header.payload_type, 96);
    CHECK_IS(header.csrc_count, 2);
    CHECK_IS(header.extension_profile, 0xbede);
    CHECK_IS(header.extension_offset, 24);
    CHECK_IS(header.extension_length, 4);
    CHECK_IS(header.payload_offset, 28);
    CHECK_IS(header.payload_length, 5);
    CHECK_IS(header.padding, 3);
}

static void every_truncation_is_safe(void)
{
    greffier_rtp_header header;
    for (size_t length = 0; length < sizeof FULL; length++) {
        int fault = parse(FULL, length, &header);
        if (length < 12)
            CHECK_IS(fault, GREFFIER_RTP_SHORT);
        else if (length < 20)
            CHECK_IS(fault, GREFFIER_RTP_CSRC);
        else if (length < 24)
            CHECK_IS(fault, GREFFIER_RTP_EXTENSION_HEAD);
        else if (length < 28)
            CHECK_IS(fault, GREFFIER_RTP_EXTENSION_BODY);
        else if (length == 28)
            CHECK_IS(fault, GREFFIER_RTP_PADDING_ABSENT);
        CHECK(fault == GREFFIER_RTP_OK || header.fault_offset <= length);
    }
}

static void random_octets_are_safe(void)
{
    uint32_t state = 1;
    for (int round = 0; round < 200000; round++) {
        uint8_t octets[64];
        for (size_t i = 0; i < sizeof octets; i++)
            octets[i] = (uint8_t)((state = state * 1664525u + 1013904223u) >> 24);
        octets[0] = (uint8_t)(0x80 | (octets[0] & 0x3f));
        size_t length = octets[63] & 63;
        greffier_rtp_header header;
        if (parse(octets, length, &header) == GREFFIER_RTP_OK)
            CHECK_IS(header.payload_offset + header.payload_length + header.padding, length);
        else
            CHECK(header.fault_offset <= length);
    }
}

static void rtcp_is_told_from_rtp(void)
{
    uint8_t octets[12] = {0x80};
    greffier_rtp_header header;
    for (int second = 0; second < 256; second++) {
        octets[1] = (uint8_t)second;
        int rtcp = (second & 127) >= 72 && (second & 127) <= 76;
        rtcp = rtcp || (second >= 205 && second <= 207);
        CHECK_IS(parse(octets, 12, &header), rtcp ? GREFFIER_RTP_RTCP : GREFFIER_RTP_OK);
    }
}

int main(void)
{
    RUN(every_field_is_read);
    RUN(every_truncation_is_safe);
    RUN(random_octets_are_safe);
    RUN(rtcp_is_told_from_rtp);
    return 0;
}

#include "rtp.h"

#include <string.h>

enum { FIXED = 12, VERSION = 2 };

static uint16_t read16(const uint8_t *octets)
{
    return (uint16_t)(octets[0] << 8 | octets[1]);
}

static uint32_t read32(const uint8_t *octets)
{
    return (uint32_t)octets[0] << 24 | (uint32_t)octets[1] << 16 | (uint32_t)octets[2] << 8 | octets[3];
}

static int refuse(greffier_rtp_header *header, int fault, size_t offset)
{
    header->fault_offset = (uint32_t)offset;
    return fault;
}

static int is_rtcp(uint8_t second)
{
    uint8_t type = second & 0x7f;
    return (type >= 72 && type <= 76) || (second >= 205 && second <= 207);
}

int greffier_rtp_parse(const uint8_t *packet, size_t length, greffier_rtp_header *header)
{
    memset(header, 0, sizeof *header);
    if (length < FIXED)
        return refuse(header, GREFFIER_RTP_SHORT, length);
    if (packet[0] >> 6 != VERSION)
        return refuse(header, GREFFIER_RTP_VERSION, 0);
    if (is_rtcp(packet[1]))
        return refuse(header, GREFFIER_RTP_RTCP, 1);
    header->csrc_count = packet[0] & 0x0f;
    header->marker = packet[1] >> 7;
    header->payload_type = packet[1] & 0x7f;
    header->sequence = read16(packet + 2);
    header->timestamp = read32(packet + 4);
    header->ssrc = read32(packet + 8);
    size_t offset = FIXED + 4 * (size_t)header->csrc_count;
    if (offset > length)
        return refuse(header, GREFFIER_RTP_CSRC, FIXED);
    if (packet[0] & 0x10) {
        if (length - offset < 4)
            return refuse(header, GREFFIER_RTP_EXTENSION_HEAD, offset);
        header->extension_profile = read16(packet + offset);
        header->extension_length = 4 * (uint32_t)read16(packet + offset + 2);
        header->extension_offset = (uint32_t)offset + 4;
        offset += 4;
        if (length - offset < header->extension_length)
            return refuse(header, GREFFIER_RTP_EXTENSION_BODY, offset - 2);
        offset += header->extension_length;
    }
    if (packet[0] & 0x20) {
        if (length == offset)
            return refuse(header, GREFFIER_RTP_PADDING_ABSENT, 0);
        header->padding = packet[length - 1];
        if (header->padding == 0)
            return refuse(header, GREFFIER_RTP_PADDING_ZERO, length - 1);
        if (header->padding > length - offset)
            return refuse(header, GREFFIER_RTP_PADDING_LONG, length - 1);
    }
    header->payload_offset = (uint32_t)offset;
    header->payload_length = (uint32_t)(length - offset - header->padding);
    return GREFFIER_RTP_OK;
}

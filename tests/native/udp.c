#include "udp.h"

#include <string.h>

#include "check.h"

enum { PAYLOAD = 20 };

/* A frame with `tags` VLAN tags; returns its length. */
static size_t make_frame(uint8_t *frame, int tags, int version)
{
    size_t at = 12;
    memset(frame, 0xee, 12);
    for (int i = 0; i < tags; i++, at += 4)
        memcpy(frame + at, "\x81\x00\x00\x05", 4);
    memcpy(frame + at, version == 4 ? "\x08\x00" : "\x86\xdd", 2);
    at += 2;
    if (version == 4) {
        memcpy(frame + at, "\x45\x00\x00\x30\x00\x00\x40\x00\x40\x11\x00\x00\x0a\x00\x00\x01\x0a\x00\x00\x02", 20);
        at += 20;
    } else {
        memset(frame + at, 0, 40);
        memcpy(frame + at, "\x60\x00\x00\x00\x00\x1c\x11\x40\xfd", 9);
        frame[at + 39] = 9;
        at += 40;
    }
    memcpy(frame + at, "\x0f\xa0\x13\x88\x00\x1c\x00\x00", 8);
    memset(frame + at + 8, 0x55, PAYLOAD);
    return at + 8 + PAYLOAD;
}

/* Asks with a copy that ends where the frame does, so that the sanitizer sees every octet beyond. */
static int find(const uint8_t *frame, size_t length, greffier_udp_pair *pair, uint32_t *at, uint32_t *size)
{
    uint8_t *copy = malloc(length + 1);
    memcpy(copy, frame, length);
    copy = realloc(copy, length ? length : 1);
    int found = greffier_udp_find(copy, length, pair, at, size);
    free(copy);
    return found;
}

static void payloads_are_found_behind_any_tags(void)
{
    uint8_t frame[200];
    for (int version = 4; version <= 6; version += 2) {
        for (int tags = 0; tags <= 4; tags++) {
            greffier_udp_pair pair;
            uint32_t at, size;
            size_t length = make_frame(frame, tags, version);
            CHECK(find(frame, length, &pair, &at, &size));
            CHECK_IS(at + size, length);
            CHECK_IS(size, PAYLOAD);
            CHECK(memcmp(pair.source_port, "\x0f\xa0", 2) == 0);
            CHECK(memcmp(pair.destination_port, "\x13\x88", 2) == 0);
            CHECK_IS(pair.destination[15], version == 4 ? 2 : 9);
            CHECK_IS(pair.source[0], version == 4 ? 0 : 0xfd);
        }
        greffier_udp_pair pair;
        uint32_t at, size;
        CHECK(!find(frame, make_frame(frame, 5, version), &pair, &at, &size));
    }
}

static void octets_behind_the_packet_do_not_belong_to_it(void)
{
    uint8_t frame[200] = {0};
    greffier_udp_pair pair;
    uint32_t at, size;
    size_t length = make_frame(frame, 0, 4);
    CHECK(find(frame, length + 30, &pair, &at, &size));
    CHECK_IS(size, PAYLOAD);
    frame[14 + 20 + 5] = 10; /* a UDP length below its packet's */
    CHECK(find(frame, length, &pair, &at, &size));
    CHECK_IS(size, 2);
}

static void what_is_cut_or_not_plain_is_refused(void)
{
    uint8_t frame[200];
    greffier_udp_pair pair;
    uint32_t at, size;
    for (int version = 4; version <= 6; version += 2) {
        size_t length = make_frame(frame, 1, version);
        for (size_t cut = 0; cut < length; cut++)
            CHECK(!find(frame, cut, &pair, &at, &size));
    }
    /* IPv4: version, header length, total length, fragment, more fragments, protocol, UDP length */
    static const struct { int at, value; } wrong[] = {
        {14, 0x65}, {14, 0x44}, {17, 27}, {17, 49}, {20, 0x20}, {21, 1}, {23, 6}, {39, 8}, {39, 0}, {39, 29},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        size_t length = make_frame(frame, 0, 4);
        frame[wrong[i].at] = (uint8_t)wrong[i].value;
        CHECK(!find(frame, length, &pair, &at, &size));
    }
    size_t length = make_frame(frame, 0, 6);
    frame[20] = 44; /* a fragment header */
    CHECK(!find(frame, length, &pair, &at, &size));
}

int main(void)
{
    RUN(payloads_are_found_behind_any_tags);
    RUN(octets_behind_the_packet_do_not_belong_to_it);
    RUN(what_is_cut_or_not_plain_is_refused);
    return 0;
}

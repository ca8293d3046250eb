#ifndef GREFFIER_TAP_H
#define GREFFIER_TAP_H
#include <stddef.h>
#include <stdint.h>

/* The frames that arrive at a network interface: AF_PACKET with a TPACKET_V3 ring that the kernel fills
 * and the capture thread reads in place. The interface is promiscuous while it is tapped if that is asked
 * for, and what the machine itself sends is left out. A filter in the kernel passes what may be a call, and
 * nothing else: UDP, fragments, TCP from or to a port of SIP, tunnels, PPPoE, IPv6 with extension headers,
 * and whatever still has a VLAN tag when the card has taken one off.
 *
 * The kernel hands over whole blocks: when they are full, or `retire_ms` after the first frame. Each uses
 * up a block, however little is in it, so blocks x retire_ms is how long the reader may stall on a quiet
 * line. Blocks that find no room are frames dropped by the kernel, and counted.
 *
 * "capture" above a function means the one thread that reads; "any" any thread. */
typedef struct greffier_tap greffier_tap;

/* A frame in place, until the next greffier_tap_next that begins another block. */
typedef struct greffier_frame {
    int64_t time_ns; /* since the Unix epoch */
    const uint8_t *octets;
    uint32_t length; /* octets that are there */
    uint32_t whole;  /* octets it had, not counting a tag that the card took off */
    uint16_t tag;    /* that tag's two octets (802.1Q TCI) */
    uint16_t tag_kind; /* and its Ethernet type; 0 = there was none */
    uint32_t last; /* 1 = the last one of its block */
} greffier_frame;

typedef struct greffier_tap_counters {
    uint64_t frames;  /* read */
    uint64_t dropped; /* by the kernel, for want of room */
    uint64_t freezes; /* times there was no room */
    uint64_t blocks;  /* read */
} greffier_tap_counters;

enum { GREFFIER_TAP_PORTS = 16 };

typedef struct greffier_tap_options {
    uint32_t blocks;
    uint32_t block_octets; /* a power of two of at least a page */
    uint32_t retire_ms;
    uint32_t promiscuous;  /* 1 = also what is addressed to others */
    uint32_t sip_port_count; /* 1 to GREFFIER_TAP_PORTS */
    uint16_t sip_ports[GREFFIER_TAP_PORTS]; /* of TCP */
} greffier_tap_options;

/* Opens an interface. NULL, and *error: an errno. EPERM without CAP_NET_RAW, ENODEV for an unknown name,
 * EINVAL for options that cannot be. */
greffier_tap *greffier_tap_open(const char *interface, const greffier_tap_options *options, int *error);

/* capture. Waits for a block: 1 there is one, 0 the time is over (-1: wait for ever), ECANCELED negative
 * once somebody said stop, or another negative errno: ENETDOWN when the interface went away. */
int greffier_tap_wait(greffier_tap *tap, int timeout_ms);

/* capture. The next frame: 1, or 0 when nothing has arrived. The block that the last frame was in is given
 * back to the kernel first when it is done. */
int greffier_tap_next(greffier_tap *tap, greffier_frame *frame);

/* capture. Where the last block came full, and the next one is not there yet, lets a few come before the
 * next wait, which then finds them together: waking costs as much as reading a hundred frames. No longer
 * than 20 ms, nor an eighth of what the ring takes to fill as fast as that block; not after a stop. */
void greffier_tap_rest(greffier_tap *tap);

/* any. Ends every wait from now on. */
void greffier_tap_stop(greffier_tap *tap);

/* one thread at a time. */
void greffier_tap_count(greffier_tap *tap, greffier_tap_counters *counters);

/* No other thread may use it any more. NULL is allowed. */
void greffier_tap_close(greffier_tap *tap);

#endif

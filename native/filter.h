#ifndef GREFFIER_FILTER_H
#define GREFFIER_FILTER_H
#include <linux/filter.h>

#include "tap.h"

enum { GREFFIER_FILTER_MOST = 26 + 4 * GREFFIER_TAP_PORTS }; /* instructions */

/* What the kernel passes to a tap (tap.h says what), as a program of its packet filter: into `code`, which
 * has room for MOST instructions. Returns how many there are. */
unsigned greffier_filter(struct sock_filter *code, const greffier_tap_options *options);

#endif

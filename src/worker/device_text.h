/* What device code prints: the driver writes it to stdout, and what a failed assertion says to stderr, when
 * the program waits for its work. Here both are caught, for the guest to print. Any thread. */
#ifndef VGPU_WORKER_DEVICE_TEXT_H
#define VGPU_WORKER_DEVICE_TEXT_H

#include <stdbool.h>

/* Once, before the driver is loaded: from now on stdio's stdout and stderr of this process go to the guest.
 * The log does not: it has its descriptor. False when there is no memory. */
bool device_text_open(void);

/* There is something to fetch. One load. */
bool device_text_waits(void);

#endif

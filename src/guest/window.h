/* The window (wire/window.h), from inside the virtual machine: memory of the host that is a device here.
 * Under the connection's lock while it opens; from then on any thread. */
#ifndef VGPU_GUEST_WINDOW_H
#define VGPU_GUEST_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/window.h"

/* Looks for a window: the file that VGPU_WINDOW names, else persistent memory, else among the PCI devices one
 * whose memory is cached. None for
 * VGPU_WINDOW=none.
 * True: *key is what stands in it. Which one the worker has is its to say. */
bool window_open(uint8_t key[WINDOW_KEY_BYTES]);

/* Forgets the window; what is mapped stays. */
void window_close(void);

bool window_is_open(void);

/* A descriptor to map a part of it from, the caller's to close. *offset: of the part in the window, becomes
 * its offset in the device. -1: none is open, or the part is not in it. */
int window_descriptor(uint64_t *offset);

/* Whether a mapping of this process, as /proc/self/maps has it, is of the window. */
bool window_has_mapping(unsigned major, unsigned minor, uint64_t inode);

#endif

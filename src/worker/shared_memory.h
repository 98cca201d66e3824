/* Where memory that guest and worker share comes from: a memfd for each piece, passed over the connection,
 * or, where the guest is in a virtual machine that has a window (wire/window.h), a part of that. Any thread,
 * once the guest has been welcomed. */
#ifndef VGPU_WORKER_SHARED_MEMORY_H
#define VGPU_WORKER_SHARED_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/window.h"

struct shared_memory {
    int fd;          /* to map at offset; -1: shared_memory_passed() has closed it */
    uint64_t offset; /* 0 but in the window, where all lies with the same fd */
    uint64_t bytes;
};

/* The VM has a window: takes both descriptors. number: of this guest process in its VM. False with errno set.
 * Before the guest is greeted. */
bool shared_memory_bind_window(int window_fd, int table_fd, uint32_t number);

/* The guest says that it sees a window with this key. True: it is this VM's, and all is taken from it from
 * now on. */
bool shared_memory_use_window(const uint8_t key[WINDOW_KEY_BYTES]);

/* Whether so much could be had from the window, in one piece, at this moment. */
bool shared_memory_window_has(uint64_t bytes);

/* Before anything has been taken from it. */
void shared_memory_leave_window(void);

bool shared_memory_in_window(void);

/* Makes a piece of whole pages, which holds zeros and whose size the guest cannot change. False with errno
 * set. */
bool shared_memory_make(const char *name, uint64_t bytes, struct shared_memory *memory);

/* It has been mapped here and the guest has been told, or never will be. */
void shared_memory_passed(struct shared_memory *memory);

/* It is mapped here no longer, and the guest has no more use for it. After shared_memory_passed(). */
void shared_memory_free(const struct shared_memory *memory);

#endif

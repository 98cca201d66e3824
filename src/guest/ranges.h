/* Which addresses mean what: device memory, and host memory that the worker shares. Any thread. */
#ifndef VGPU_GUEST_RANGES_H
#define VGPU_GUEST_RANGES_H

#include <stdbool.h>
#include <stdint.h>

#include "cuda/cuda_types.h"

enum range_kind {
    RANGE_DEVICE = 1, /* allocated on the device */
    RANGE_GLOBAL,     /* a variable of a module */
    RANGE_IMPORTED,   /* another process's, opened by its handle */
    RANGE_MAPPED,     /* device memory that cuMemMap has put there */
    RANGE_HOST,       /* cuMemHostAlloc and cuMemAllocHost */
    RANGE_REGISTERED, /* cuMemHostRegister */
    RANGE_MANAGED,    /* cuMemAllocManaged */
};

struct range {
    uint64_t address;
    uint64_t bytes;
    uint64_t segment_bytes; /* host: what is mapped, from the page of `address` on */
    uint32_t kind;          /* enum range_kind */
    uint32_t flags;         /* host: of cuMemHostAlloc or cuMemHostRegister */
    bool shared;            /* host: the worker sees it at the same address */
};

/* Remembers a range. False when there is no memory. A range that overlaps one of the same kind replaces
 * it when it starts at the same address. */
bool ranges_add(const struct range *range);

/* Forgets the range of this kind that starts at address; false when there is none. *removed may be NULL. */
bool ranges_remove(enum range_kind kind, uint64_t address, struct range *removed);

/* Forgets all ranges of this kind that lie in [address, address + bytes). */
void ranges_remove_all(enum range_kind kind, uint64_t address, uint64_t bytes);

/* The range that holds all of [address, address + bytes); false when none does. */
bool ranges_find(uint64_t address, uint64_t bytes, struct range *found);

/* The whole of it is known device memory, or managed, of one range or of several side by side. */
bool ranges_is_device(uint64_t address, uint64_t bytes);

/* The whole of it is host memory that the worker sees. */
bool ranges_is_shared(uint64_t address, uint64_t bytes);

/* A context has ended, and with it perhaps memory that is still known here: from now on only the worker can
 * say. */
void ranges_context_ended(void);
bool ranges_may_be_stale(void);

/* Keeps addresses of device memory free of the program's own mappings, so that a pointer means one thing, as
 * with the real driver, which reserves them too. False when the program has something there already.
 * Reservations stay for the life of the process: the worker's driver will use the addresses again. */
bool reservation_take(uint64_t address, uint64_t bytes);

#endif

/* The memory that GPUs of this process can reach, by address: device memory, and host memory that was
 * allocated or registered for it.
 *
 * Device memory lies in one range of addresses, ARENA_BASE where that is free, reserved at cuInit and backed
 * by host memory page by page as it is touched. A device pointer is the host address. Between allocations
 * lies at least ARENA_GAP_BYTES that belong to nobody, and an address is not used anew before all others have
 * been, so that a stray or stale pointer is found out. Any thread. */
#ifndef VGPU_SIMGPU_ARENA_H
#define VGPU_SIMGPU_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "simgpu/driver.h"

#define ARENA_BASE      0x600000000000ull
#define ARENA_GAP_BYTES 4096ull

enum region_kind {
    REGION_DEVICE,          /* cuMemAlloc and its like, variables of modules */
    REGION_MANAGED,         /* cuMemAllocManaged: lies in the arena too, host code may touch it */
    REGION_HOST,            /* cuMemHostAlloc: pages of our own */
    REGION_HOST_REGISTERED, /* cuMemHostRegister: pages of the program */
};

struct region {
    uint64_t base;
    uint64_t bytes; /* as asked for */
    enum region_kind kind;
    unsigned int flags;              /* of cuMemHostAlloc, cuMemHostRegister or cuMemAllocManaged */
    struct sim_device *device;       /* whose memory it is; for host memory, the device of the context */
    struct CUctx_st *context;        /* in which it was made */
    uint64_t id;                     /* never used twice */
    bool is_module;                  /* a module's variable: cuMemFree leaves it alone */
    struct CUmemPoolHandle_st *pool; /* from cuMemAllocAsync and its like; NULL: from no pool */
    bool sync_memops;
    bool is_imported; /* another process's memory: none of this one's share of the device */
    bool is_shared;   /* what it holds lies in `descriptor`, for other processes */
    int descriptor;
    bool is_mapped;       /* by cuMemMap: outside the arena, goes only with cuMemUnmap; made in no context */
    unsigned int readers; /* of mapped memory: bit per device whose kernels may read it */
    unsigned int writers; /* likewise, write */
};

/* Reserves the addresses. False: the process has no room for them. Once. */
bool arena_init(void);

/* Takes bytes from the device's memory and gives them addresses, filled with zeros; *region's base and id are
 * set, the rest is the caller's. */
CUresult arena_allocate(struct region *region);

/* Makes host memory known that the caller has. False: part of it is known already. */
bool arena_add_host(struct region *region);

/* Makes mapped memory known, of which the caller has seen to it that nothing else is known there. False: out
 * of host memory. */
bool arena_add_mapped(struct region *region);

/* Calls visit for each region of mapped memory that lies in [address, address + bytes), which it may change
 * but not move; no call of this file from there. Returns how many bytes of the range those are. */
uint64_t arena_each_mapped(uint64_t address, uint64_t bytes, void (*visit)(struct region *region, void *user),
                           void *user);

/* Sees to it that other processes can have what the device memory at this address holds: the descriptor that
 * it lies in from now on, the region's own. Nothing may be working on it. -1: out of memory, or no device
 * memory. */
int arena_share(uint64_t address);

/* Forgets the region that starts at base and copies it out; device memory goes back. False: none starts
 * there. */
bool arena_remove(uint64_t base, struct region *removed);

/* The region that holds all of [address, address + bytes); bytes 0 counts as 1. Mapped memory may continue in
 * the regions that follow: *found is the first, as long as they are together. */
bool arena_find(uint64_t address, uint64_t bytes, struct region *found);

/* Sets the flag of the region that holds address. */
void arena_set_sync_memops(uint64_t address, bool value);

/* Bytes held out of the pool. */
uint64_t arena_pool_bytes(const struct CUmemPoolHandle_st *pool);

/* Removes all that was made in the context. */
void arena_remove_context(struct CUctx_st *context);

#endif

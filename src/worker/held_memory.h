/* The device memory that this guest process holds, object by object, counted against its VM's quota
 * (worker/vm.h). Every way to allocate on the device goes through here:
 *
 *   CUresult result = held_memory_claim(bytes);             CUDA_ERROR_OUT_OF_MEMORY: over the quota
 *   if (result == CUDA_SUCCESS) {
 *       result = driver.cuArrayCreate_v2(&array, ...);
 *       held_memory_settle(bytes, HELD_ARRAY, (uintptr_t)array, result == CUDA_SUCCESS ? bytes : 0);
 *   }
 *
 * and every way to free:
 *
 *   struct held_memory held;
 *   bool known = held_memory_withdraw(HELD_ARRAY, (uintptr_t)array, &held);
 *   CUresult result = driver.cuArrayDestroy(array);
 *   if (known)
 *       held_memory_end(&held, result == CUDA_SUCCESS);
 *
 * Not counted: what a context takes for itself, code and its variables, and what the driver adds to round up.
 * Memory imported from another process of the VM counts for both while both hold it. Any thread. */
#ifndef VGPU_WORKER_HELD_MEMORY_H
#define VGPU_WORKER_HELD_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "cuda/cuda_types.h"

enum held_kind {
    HELD_LINEAR,     /* object: the address; goes with its context */
    HELD_ARRAY,      /* object: the array; goes with its context */
    HELD_ALLOCATION, /* object: the handle of cuMemCreate */
    HELD_POOLED,     /* object: the address; out of a pool */
    HELD_IMPORTED,   /* object: the address; another process's memory. Once for each time it was opened */
};

struct held_memory {
    enum held_kind kind;
    uint64_t object;
    uint64_t bytes;
    const void *owner; /* the context or the pool; NULL: none */
};

/* Takes bytes off the quota. What pools keep without need is given back first, when they would not fit. */
CUresult held_memory_claim(uint64_t bytes);

/* The driver has answered: the object holds given_bytes, or there is none (given_bytes 0). In the context
 * that is current. */
void held_memory_settle(uint64_t claimed_bytes, enum held_kind kind, uint64_t object, uint64_t given_bytes);

/* Takes the object off the list before the driver is asked to free it, so that whoever gets its address next
 * is not mixed up with it. False: not known. Then held_memory_end() says whether it has gone. */
bool held_memory_withdraw(enum held_kind kind, uint64_t object, struct held_memory *held);
void held_memory_end(const struct held_memory *held, bool gone);

/* The object's bytes; 0: not known. */
uint64_t held_memory_bytes(enum held_kind kind, uint64_t object);

/* A pool is counted by what it has reserved of the device, under a quota. Around cuMemAllocFromPoolAsync.
 * held_memory_settle_pooled() may find that the pool has grown beyond the quota: the caller frees again. */
CUresult held_memory_claim_pooled(CUmemoryPool pool, uint64_t bytes);
CUresult held_memory_settle_pooled(CUmemoryPool pool, uint64_t claimed_bytes, uint64_t address,
                                   uint64_t given_bytes);
/* The pool is destroyed: what was allocated from it and lives counts on, what it kept does not. */
void held_memory_pool_gone(CUmemoryPool pool);

/* Graphs allocate when they run, out of memory that the driver keeps for all of them. Under a quota that is
 * looked at after each run of one that may have allocated, and once the VM is over its quota no graph runs
 * any more: CUDA_ERROR_OUT_OF_MEMORY. */
CUresult held_memory_before_graph(void);
void held_memory_after_graph(void);

/* What pools and graphs have reserved is asked of the driver anew: always, or where a wait may have made the
 * driver give back what pools had kept. */
void held_memory_refresh(void);
void held_memory_waited(void);

/* A context may have ended: what was held in contexts without a name is not held any more. */
void held_memory_contexts_ended(void);
/* All that was made in the context has gone. */
void held_memory_context_emptied(const void *context);

#endif

/* Memory that guest and worker share, mapped at one address in both, and registered with the driver. Any
 * thread. */
#ifndef VGPU_WORKER_SEGMENT_H
#define VGPU_WORKER_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cuda/cuda_types.h"

struct shared_memory;

/* Takes the address range that the guest keeps free for memory at one address in both. False when something
 * of this process lies there. */
bool arena_claim(uint64_t base, uint64_t bytes);

/* Makes a segment of at least `bytes`, registered for copies and kernels. address 0: anywhere in the arena;
 * else there, outside the arena (CUDA_ERROR_ALREADY_MAPPED when that is taken). Needs a current context. On
 * success *memory is what to tell the guest of, and then shared_memory_passed(). */
CUresult segment_make(uint64_t *address, uint64_t bytes, unsigned register_flags,
                      struct shared_memory *memory);

/* Unregisters, unmaps and forgets the segment that starts at address. */
CUresult segment_drop(uint64_t address);

/* Whether all of [address, address + bytes) lies in segments. Host addresses from the guest are used only
 * when it does.
 */
bool segment_holds(uint64_t address, uint64_t bytes);

/* How many of the bytes lie in the segment that holds the first one; 0: none does. The driver copies to or
 * from one segment at a time. */
uint64_t segment_part(uint64_t address, uint64_t bytes);

#endif

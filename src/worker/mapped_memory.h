/* What the guest has done with virtual memory management: addresses it has reserved, memory it has allocated,
 * and what is mapped where. The driver keeps the same; the worker's own list says which addresses are the
 * guest's to name, and when memory has gone, for the quota. Any thread. */
#ifndef VGPU_WORKER_MAPPED_MEMORY_H
#define VGPU_WORKER_MAPPED_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "cuda/cuda_types.h"

/* At most so many reservations, allocations and mappings each. */
#define MAPPED_MEMORY_MAX (1u << 20)

/* Addresses. reserved_remove: false when none of exactly this range is there. */
bool reserved_add(uint64_t address, uint64_t bytes);
bool reserved_remove(uint64_t address, uint64_t bytes);
/* Whether all of it is reserved, by one reservation or several side by side. */
bool reserved_holds(uint64_t address, uint64_t bytes);

/* Memory, used once; its bytes have been claimed (held_memory.h). False: without memory to note it. */
bool allocation_add(CUmemGenericAllocationHandle handle, uint64_t bytes);
/* Gives a use of it back, in the driver as well. With unless_last nothing is done, and *last is true, when it
 * is the only one; otherwise *last says that it was. */
CUresult allocation_release(CUmemGenericAllocationHandle handle, bool unless_last, bool *last);

/* What tells it apart from all others of this process, and its size; 0: not known. */
uint64_t allocation_number(CUmemGenericAllocationHandle handle, uint64_t *bytes);

/* Mappings: as the driver's calls, and noted. */
CUresult mapping_make(uint64_t address, uint64_t bytes, uint64_t offset, CUmemGenericAllocationHandle handle,
                      unsigned long long flags);
CUresult mapping_remove(uint64_t address, uint64_t bytes);
/* One more use of the memory that is mapped at the address, under the handle that the driver gives. */
CUresult mapping_retain(uint64_t address, CUmemGenericAllocationHandle *handle);

#endif

/* Segments of memory that the worker makes and this process maps. */
#ifndef VGPU_GUEST_HOST_MEMORY_H
#define VGPU_GUEST_HOST_MEMORY_H

#include <stddef.h>

#include "calls_generated.h"
#include "cuda/cuda_types.h"
#include "guest/ranges.h"
#include "wire/own_calls.h"

/* Makes the call and takes the descriptor that comes with its answer; *fd is the caller's to close. */
CUresult host_segment_open(enum call_number call, const void *request, size_t request_bytes,
                           struct reply_host_alloc *reply, int *fd);

/* Memory that guest, worker and GPU share at one address, kept as a range of this kind. Needs shared memory.
 */
CUresult host_memory_allocate(enum range_kind kind, void **memory, size_t bytes, unsigned flags);

/* Frees it; it starts there. */
CUresult host_memory_free(enum range_kind kind, void *memory);

#endif

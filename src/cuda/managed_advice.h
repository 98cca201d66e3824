/* What a program has said about its managed memory: advice and prefetches, range by range. Nothing here moves
 * memory; it only answers cuMemRangeGetAttribute. For the guest library and the simulated driver; the caller
 * locks. */
#ifndef VGPU_CUDA_MANAGED_ADVICE_H
#define VGPU_CUDA_MANAGED_ADVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cuda/cuda_types.h"

struct managed_span;

/* All managed memory of a process. Zero to begin with. */
struct managed_advice {
    struct managed_span *spans; /* by address, disjoint */
    size_t count, room;
};

/* Memory has been allocated; false: out of memory. It has gone. */
bool managed_advice_add(struct managed_advice *advice, uint64_t address, uint64_t bytes);
void managed_advice_remove(struct managed_advice *advice, uint64_t address, uint64_t bytes);

/* Whether all of it is managed memory. */
bool managed_advice_covers(const struct managed_advice *advice, uint64_t address, uint64_t bytes);

/* As cuMemAdvise and cuMemPrefetchAsync; the location is one that there is. CUDA_ERROR_INVALID_VALUE: some of
 * the range is no managed memory, or there is no such advice. */
CUresult managed_advice_set(struct managed_advice *advice, uint64_t address, uint64_t bytes,
                            CUmem_advise what, CUmemLocation location);
CUresult managed_advice_prefetched(struct managed_advice *advice, uint64_t address, uint64_t bytes,
                                   CUmemLocation location);

/* As cuMemRangeGetAttribute: data of data_bytes is filled. */
CUresult managed_advice_get(const struct managed_advice *advice, void *data, size_t data_bytes,
                            CUmem_range_attribute attribute, uint64_t address, uint64_t bytes);

#endif

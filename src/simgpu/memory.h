/* Device memory: what all ways to allocate have in common. */
#ifndef VGPU_SIMGPU_MEMORY_H
#define VGPU_SIMGPU_MEMORY_H

#include "simgpu/arena.h"
#include "simgpu/context.h"

/* Memory of the context's device; the caller has set kind, flags and pool of *region. */
CUresult memory_allocate(struct CUctx_st *context, size_t bytes, struct region *region, CUdeviceptr *dptr);

/* The region that a program may free at this address. */
CUresult memory_find_freeable(CUdeviceptr dptr, struct region *region);

#endif

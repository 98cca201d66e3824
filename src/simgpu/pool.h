/* Memory pools: where allocations in stream order come from. */
#ifndef VGPU_SIMGPU_POOL_H
#define VGPU_SIMGPU_POOL_H

#include "simgpu/driver.h"

struct CUmemPoolHandle_st;

/* Whether kernels of the device may use what comes out of the pool. */
bool pool_is_accessible(struct CUmemPoolHandle_st *pool, const struct sim_device *device);

/* Whether it was made to be shared with other processes, or is another's. pool may be anything. */
bool pool_is_exportable(struct CUmemPoolHandle_st *pool);
bool pool_is_imported(struct CUmemPoolHandle_st *pool);

struct work;

/* For nodes of a graph: params->dptr is the memory, which goes with the work. */
CUresult alloc_work_make(CUDA_MEM_ALLOC_NODE_PARAMS *params, struct work **work);
CUresult free_work_make(CUdeviceptr address, struct work **work);

#endif

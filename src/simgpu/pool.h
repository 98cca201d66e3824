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

#endif

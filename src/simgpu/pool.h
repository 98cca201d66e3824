/* Memory pools: where allocations in stream order come from. */
#ifndef VGPU_SIMGPU_POOL_H
#define VGPU_SIMGPU_POOL_H

#include "simgpu/driver.h"

struct CUmemPoolHandle_st;

/* Whether kernels of the device may use what comes out of the pool. */
bool pool_is_accessible(struct CUmemPoolHandle_st *pool, const struct sim_device *device);

#endif

/* Managed memory: host memory that the worker and the GPU share at one address, so that kernels and the
 * program reach it at any time, over PCIe. */
#ifndef VGPU_GUEST_MANAGED_H
#define VGPU_GUEST_MANAGED_H

#include <stdbool.h>

#include "cuda/cuda_types.h"

/* Frees memory of cuMemAllocManaged. False: it is none; otherwise *result says how it went. */
bool managed_free(CUdeviceptr address, CUresult *result);

#endif

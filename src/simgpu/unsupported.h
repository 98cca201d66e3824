/* Entry points that the simulated driver does not have. */
#ifndef VGPU_SIMGPU_UNSUPPORTED_H
#define VGPU_SIMGPU_UNSUPPORTED_H

#include "cuda/cuda_types.h"

/* CUDA_ERROR_NOT_SUPPORTED; with VGPU_SIM_DEBUG set, says on stderr which function that was. */
CUresult unsupported(const char *symbol);

#endif

/* The parameters of a kernel. */
#ifndef VGPU_GUEST_LAUNCH_H
#define VGPU_GUEST_LAUNCH_H

#include <stdint.h>

#include "cuda/cuda_types.h"

/* Puts them where the kernel expects them, from either form of a launch: at most PARAMETER_BYTES_MAX. */
CUresult launch_pack(CUfunction f, void **kernelParams, void **extra, uint8_t *to, uint32_t *bytes);

#endif

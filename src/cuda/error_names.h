/* Names of the CUresult codes. */
#ifndef VGPU_CUDA_ERROR_NAMES_H
#define VGPU_CUDA_ERROR_NAMES_H

#include "cuda/cuda_types.h"

/* "CUDA_ERROR_NO_DEVICE" and so on; NULL for a number that is no code. */
const char *cuda_error_name(CUresult code);

#endif

/* What a program that includes <cuda.h> gets here: this project's own declarations of the driver API. */
#ifndef VGPU_TESTS_GPU_CUDA_H
#define VGPU_TESTS_GPU_CUDA_H

#include "cuda/cuda_api.h"
#include "cuda/cuda_names.h"

#endif

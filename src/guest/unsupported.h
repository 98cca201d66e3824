/* The answer of every function that this library does not serve. */
#ifndef VGPU_GUEST_UNSUPPORTED_H
#define VGPU_GUEST_UNSUPPORTED_H

#include "cuda/cuda_types.h"

/* Returns CUDA_ERROR_NOT_SUPPORTED; with VGPU_DEBUG set, names the function on stderr the first time. symbol
 * is kept: a string literal. */
CUresult not_supported(const char *symbol);

#endif

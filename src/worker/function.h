/* What the driver tells of kernel functions. */
#ifndef VGPU_WORKER_FUNCTION_H
#define VGPU_WORKER_FUNCTION_H

#include <stddef.h>
#include <stdint.h>

#include "cuda/cuda_types.h"
#include "wire/own_calls.h"

/* Where the parameter stands: of a function, or of a kernel when the handle is one's.
 * CUDA_ERROR_INVALID_VALUE after the last. */
CUresult function_parameter(uint64_t handle, void *object, size_t index, struct parameter_place *place);

#endif

/* Copies in graphs between the device and memory of the program's that the worker does not see. */
#ifndef VGPU_GUEST_CAPTURED_COPY_H
#define VGPU_GUEST_CAPTURED_COPY_H

#include <stdbool.h>
#include <stddef.h>

#include "cuda/cuda_types.h"

/* Captures a copy in a stream that captures. Each launch of the graph copies what the program's memory has then:
 * between the two goes memory that both sides share, and a function that copies to or from it when the graph
 * comes to it. So it becomes two nodes. CUDA_ERROR_NOT_SUPPORTED where nothing is shared. */
CUresult captured_copy(CUdeviceptr device, void *host, size_t bytes, CUstream stream, bool to_device);

#endif

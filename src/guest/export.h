/* What the guest's libcuda.so.1 shows to programs: CUDA's functions and nothing else. */
#ifndef VGPU_GUEST_EXPORT_H
#define VGPU_GUEST_EXPORT_H

#include "cuda/cuda_types.h"

#define VGPU_EXPORT __attribute__((visibility("default")))

/* Stream 0 as the per-thread entry points (_ptsz, _ptds) understand it. */
static inline CUstream per_thread(CUstream stream)
{
    return stream == NULL ? CU_STREAM_PER_THREAD : stream;
}

#endif

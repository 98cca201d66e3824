/* The _ptsz entry points: what a program compiled with per-thread default streams calls. */
#ifndef VGPU_SIMGPU_PER_THREAD_H
#define VGPU_SIMGPU_PER_THREAD_H

#include "cuda/cuda_types.h"

static inline CUstream per_thread(CUstream stream)
{
    return stream ? stream : CU_STREAM_PER_THREAD;
}

#endif

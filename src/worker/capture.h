/* Stream capture in the worker. What the worker does of its own accord - draining for the grant, asking after
 * staged copies, making events - must not disturb a capture of the guest's: many calls end one. */
#ifndef VGPU_WORKER_CAPTURE_H
#define VGPU_WORKER_CAPTURE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "cuda/cuda_types.h"

/* Captures that were begun and have not ended. Writers: lanes, in capture_begin and capture_end. */
extern _Atomic unsigned captures_under_way;

static inline bool capture_is_under_way(void)
{
    return atomic_load_explicit(&captures_under_way, memory_order_acquire) != 0;
}

/* The stream captures, or has captured until something went wrong. */
bool capture_has(CUstream stream);

/* Whether a copy through memory of the worker's own must not be given to this stream: a graph would make it
 * again when that memory holds something else. */
static inline bool capture_refuses(CUstream stream)
{
    return capture_is_under_way() && capture_has(stream);
}

/* Around calls of the worker's own that the driver refuses, ending the capture, while one is under way: the
 * calling thread may make them in between. */
CUstreamCaptureMode capture_step_aside(void);
void capture_step_back(CUstreamCaptureMode mode);

#endif

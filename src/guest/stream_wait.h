/* Waiting for a stream. A thread that has just waited for it, by whatever call, need not ask the worker again
 * while the process has sent nothing since. */
#ifndef VGPU_GUEST_STREAM_WAIT_H
#define VGPU_GUEST_STREAM_WAIT_H

#include "cuda/cuda_types.h"

/* The calling thread's last call has waited for all that was in this stream. */
void stream_was_waited_for(CUstream stream);

#endif

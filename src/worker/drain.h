/* Waiting until what the guest has put on the GPU is done, before the GPU goes to others.
 *
 * Mostly that is one call a context. It is more where that call must not be made or could wait for the guest:
 *
 * - While a stream captures, waiting for its context ends the capture. What had been submitted when the
 * capture began, or when a stream joined it, is marked by an event; streams that do not capture are asked one
 * by one.
 * - A function of the program's in a stream may wait for a thread of the program that waits for the grant. A
 * stream that stands at one has nothing on the GPU, and goes on only while this worker holds the grant
 *   (worker/callback.h). So the GPU is quiet when every stream is done or held up so. */
#ifndef VGPU_WORKER_DRAIN_H
#define VGPU_WORKER_DRAIN_H

#include <stdbool.h>

#include "cuda/cuda_types.h"

/* The draining thread begins: what it asks the driver ends no capture. */
void drain_thread_begin(void);

/* Waits for all contexts. The draining thread alone. */
void drain(void);

/* Under gate_contexts_lock(): a capture is about to begin in this stream, or the stream to wait for an event,
 * which may make it join one. */
CUresult drain_mark(CUstream stream);

/* The calling lane has just made a call that submits work, with the gate still open, and has used its own
 * default stream, which nobody else can name. */
void drain_own_stream_used(void);

/* The calling lane ends. */
void drain_lane_ends(void);

#endif

/* The primary context of a worker that waits for its guest: made beforehand, and not there as far as the
 * guest can tell.
 *
 *              first retain: becomes the guest's
 *     HIDDEN ─────────────────────────────────────► GIVEN     the driver alone counts from here on
 *        │     flags it was not made with, a reset, a release too many,
 *        └───► a context of the guest's own: destroyed ──────────► GIVEN */
#ifndef VGPU_WORKER_WARM_CONTEXT_H
#define VGPU_WORKER_WARM_CONTEXT_H

#include "cuda/cuda_types.h"

/* After cuInit, before there are lanes. From here on the driver's functions that would show the context are
 * replaced in the table `driver`. */
CUresult warm_context_make(void);

#endif

/* The device's primary context, for what the library itself needs a context for. */
#ifndef VGPU_GUEST_PRIMARY_CONTEXT_H
#define VGPU_GUEST_PRIMARY_CONTEXT_H

#include <stdbool.h>

#include "cuda/cuda_types.h"

/* Makes the primary context current to a thread that has no current one, and says so in *borrowed. It stays
 * retained for the life of the process. */
CUresult primary_context_borrow(bool *borrowed);

/* After primary_context_borrow(). */
void primary_context_return(bool borrowed);

#endif

/* Stream capture, as far as the guest knows of it. Any thread. */
#ifndef VGPU_GUEST_CAPTURE_H
#define VGPU_GUEST_CAPTURE_H

#include <stdbool.h>

#include "cuda/cuda_types.h"

/* A capture was begun in this process and has not been seen to end. Where none was, no stream captures. */
bool capture_is_possible(void);

/* The stream captures; asks the worker where that is possible. */
bool capture_is_in(CUstream stream);

#endif

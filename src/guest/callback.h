/* The program's functions that streams and graphs call: the library's one thread of its own, started when
 * there is one to call for the first time, asks the worker for the next one and calls it. */
#ifndef VGPU_GUEST_CALLBACK_H
#define VGPU_GUEST_CALLBACK_H

#include "cuda/cuda_types.h"

/* Before a function is handed to the worker. Any thread. CUDA_ERROR_NOT_SUPPORTED where the program has no
 * threads (glibc before 2.34, without libpthread). */
CUresult callback_ready(void);

#endif

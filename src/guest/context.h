/* The calling thread's stack of contexts. */
#ifndef VGPU_GUEST_CONTEXT_H
#define VGPU_GUEST_CONTEXT_H

#include "cuda/cuda_types.h"

/* CUDA_SUCCESS when the thread has a current context; else CUDA_ERROR_INVALID_CONTEXT, or
 * CUDA_ERROR_NOT_INITIALIZED before cuInit and whatever says that the worker is gone. */
CUresult context_required(void);

/* A context of the program's has these flags (CU_CTX_...) now: how its threads wait is the same in all its
 * contexts, once one of them has CU_CTX_SCHED_BLOCKING_SYNC. */
void context_has_flags(unsigned flags);

#endif

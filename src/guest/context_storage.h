/* Values that libraries keep with a context, each under a key of its own. The runtime library looks its own
 * up in nearly every call. Any thread. */
#ifndef VGPU_GUEST_CONTEXT_STORAGE_H
#define VGPU_GUEST_CONTEXT_STORAGE_H

#include "cuda/cuda_types.h"

typedef void (*context_storage_destructor)(CUcontext context, void *key, void *value);

/* Sets the key's value; destructor (may be NULL) is called when the context ends. context NULL: the calling
 * thread's current one. */
CUresult context_storage_put(CUcontext context, void *key, void *value,
                             context_storage_destructor destructor);

/* Forgets the key without calling its destructor. CUDA_ERROR_INVALID_HANDLE when it has no value. */
CUresult context_storage_delete(CUcontext context, void *key);

/* CUDA_ERROR_INVALID_HANDLE when the key has no value. */
CUresult context_storage_get(void **value, CUcontext context, void *key);

/* The context ends: forgets all that it keeps, calling the destructors in the calling thread. */
void context_storage_end(CUcontext context);

#endif

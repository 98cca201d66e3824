/* Texture and surface objects that this guest has. They are numbers of the driver's, which kernels take as
 * parameters, so the guest has them too; the driver is asked about no other number. Any thread. */
#ifndef VGPU_WORKER_TEXTURE_OBJECTS_H
#define VGPU_WORKER_TEXTURE_OBJECTS_H

#include <stdbool.h>

#include "cuda/cuda_types.h"

/* At a time, in all contexts. */
#define TEXTURE_OBJECTS_MAX (1u << 20)

enum texture_object_kind { TEXTURE_OBJECT = 0, SURFACE_OBJECT };

/* Remembers an object made in the current context. False: too many, or no memory. */
bool texture_objects_add(enum texture_object_kind kind, unsigned long long object);

/* Forgets one of the current context. */
void texture_objects_remove(enum texture_object_kind kind, unsigned long long object);

/* CUDA_ERROR_INVALID_VALUE for a number that is no such object of the current context. */
CUresult texture_object_check(unsigned long long object);
CUresult surface_object_check(unsigned long long object);

#endif

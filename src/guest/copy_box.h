/* Copies of two and three dimensions, arrays among them. */
#ifndef VGPU_GUEST_COPY_BOX_H
#define VGPU_GUEST_COPY_BOX_H

#include <stdbool.h>

#include "cuda/cuda_types.h"
#include "wire/own_calls.h"

/* Pageable data is safe when the call returns; `synchronous` as for 1D copies (copy.h). BOX_PEER: reserved0
 * and reserved1 are the contexts of the two sides. */
CUresult copy_box(const CUDA_MEMCPY3D *copy, enum box_form form, CUstream stream, bool synchronous);

#endif

/* Arrays: memory in rows and slices that copies and textures address by coordinates. Here it lies as it is
 * counted, without gaps. */
#ifndef VGPU_SIMGPU_ARRAY_H
#define VGPU_SIMGPU_ARRAY_H

#include "simgpu/context.h"

struct CUarray_st {
    struct CUctx_st *context;
    CUDA_ARRAY3D_DESCRIPTOR descriptor; /* as the program gave it */
    size_t element_bytes;               /* all channels */
    size_t width, height, depth;        /* in elements, each at least 1; depth counts layers too */
    size_t row_bytes, slice_bytes;
    uint64_t base;
    struct CUmipmappedArray_st *mipmap; /* whose level it is; NULL: it has memory of its own */
    struct CUarray_st *next;            /* of those with memory of their own */
};

struct CUmipmappedArray_st {
    struct CUctx_st *context;
    CUDA_ARRAY3D_DESCRIPTOR descriptor;
    unsigned int level_count;
    struct CUmipmappedArray_st *next;
    struct CUarray_st levels[];
};

/* The bytes of one channel; 0: a format that is not there. */
size_t array_channel_bytes(CUarray_format format);

/* The living array behind a handle, which may be anything; NULL: none. */
struct CUarray_st *array_find(CUarray handle);
struct CUmipmappedArray_st *mipmapped_array_find(CUmipmappedArray handle);

/* Frees all arrays of a context that is going. */
void array_destroy_all(struct CUctx_st *context);

#endif

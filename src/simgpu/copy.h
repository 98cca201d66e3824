/* Copies: what they all do alike. */
#ifndef VGPU_SIMGPU_COPY_H
#define VGPU_SIMGPU_COPY_H

#include "simgpu/stream.h"

/* Memory at one end of a copy, as the calling function names it. */
enum copy_end {
    COPY_HOST,    /* a host pointer */
    COPY_DEVICE,  /* must be memory that the GPU knows */
    COPY_UNIFIED, /* whichever it is */
};

/* How a range takes part in a copy. */
enum copy_memory {
    COPY_PAGEABLE, /* host memory unknown to the GPU: must not be touched after the call returns */
    COPY_PINNED,   /* host memory that it knows */
    COPY_ON_DEVICE,
};

/* Finds out about [address, address + bytes). CUDA_ERROR_INVALID_VALUE: NULL, or device memory that is not,
 * or not all, allocated. */
CUresult copy_classify(enum copy_end end, uint64_t address, uint64_t bytes, enum copy_memory *memory);

/* Puts an end into a node's description of a copy. */
void copy_describe_end(enum copy_memory memory, uint64_t address, CUDA_MEMCPY3D *copy, bool is_target);

/* Whether the call waits until the copy is done. is_async: the function's name says Async. */
enum work_mode copy_mode(enum copy_memory to, enum copy_memory from, bool is_async);

/* Copies of one dimension; bytes 0 does nothing. */
CUresult copy_linear(struct CUstream_st *stream, enum copy_end to_end, uint64_t to, enum copy_end from_end,
                     uint64_t from, size_t bytes, bool is_async);

/* Copies of two and three dimensions. */
CUresult copy_2d(struct CUstream_st *stream, const CUDA_MEMCPY2D *copy, bool is_async);
CUresult copy_3d(struct CUstream_st *stream, const CUDA_MEMCPY3D *copy, bool is_async);

#endif

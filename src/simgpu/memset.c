/* cuMemset*: in the legacy stream, in the thread's own (_ptds), and Async in any stream. None waits, except
 * where the memory is the host's. */
#include <string.h>

#include "cuda_api.h"
#include "simgpu/copy.h"
#include "simgpu/graph.h"

struct memset_work {
    struct work work;
    uint64_t start;
    size_t pitch;
    unsigned int value;
    unsigned int element_bytes;
    size_t width; /* elements */
    size_t height;
};

static void run_memset(struct work *work)
{
    const struct memset_work *job = (const struct memset_work *)work;
    for (size_t y = 0; y < job->height; y++) {
        void *row = (void *)(uintptr_t)(job->start + y * job->pitch);
        if (job->element_bytes == 1)
            memset(row, (int)job->value, job->width);
        else if (job->element_bytes == 2)
            for (size_t x = 0; x < job->width; x++)
                ((uint16_t *)row)[x] = (uint16_t)job->value;
        else
            for (size_t x = 0; x < job->width; x++)
                ((uint32_t *)row)[x] = job->value;
    }
}

static void describe_memset(struct work *work, CUgraphNodeParams *params)
{
    const struct memset_work *job = (const struct memset_work *)work;
    params->memset = (CUDA_MEMSET_NODE_PARAMS_v2){.dst = job->start,
                                                  .pitch = job->pitch,
                                                  .value = job->value,
                                                  .elementSize = job->element_bytes,
                                                  .width = job->width,
                                                  .height = job->height,
                                                  .ctx = work->context};
}

static CUresult make_work(const CUDA_MEMSET_NODE_PARAMS_v2 *params, struct work **work,
                          enum copy_memory *memory)
{
    size_t row_bytes, bytes;
    size_t pitch = params->pitch, height = params->height;
    if (params->dst % params->elementSize || (height > 1 && pitch % params->elementSize) ||
        __builtin_mul_overflow(params->width, params->elementSize, &row_bytes) ||
        (height > 1 && pitch < row_bytes))
        return CUDA_ERROR_INVALID_VALUE;
    if (__builtin_mul_overflow(pitch, height - 1, &bytes) || __builtin_add_overflow(bytes, row_bytes, &bytes))
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = copy_classify(COPY_DEVICE, params->dst, bytes, memory);
    if (result)
        return result;
    struct memset_work *job = (struct memset_work *)work_create(sizeof *job, run_memset, NULL);
    if (!job)
        return CUDA_ERROR_OUT_OF_MEMORY;
    job->work.is_node = true;
    job->work.node_type = CU_GRAPH_NODE_TYPE_MEMSET;
    job->work.describe = describe_memset;
    job->start = params->dst;
    job->pitch = pitch;
    job->value = params->value;
    job->element_bytes = params->elementSize;
    job->width = params->width;
    job->height = height;
    *work = &job->work;
    return CUDA_SUCCESS;
}

CUresult memset_work_make(const CUDA_MEMSET_NODE_PARAMS_v2 *params, struct work **work)
{
    enum copy_memory memory;
    bool size_is_good = params->elementSize == 1 || params->elementSize == 2 || params->elementSize == 4;
    return size_is_good && params->width && params->height ? make_work(params, work, &memory)
                                                           : CUDA_ERROR_INVALID_VALUE;
}

static CUresult fill(CUstream handle, CUdeviceptr to, size_t pitch, unsigned int value,
                     unsigned int element_bytes, size_t width, size_t height, bool is_async)
{
    CUDA_MEMSET_NODE_PARAMS_v2 params = {.dst = to,
                                         .pitch = pitch,
                                         .value = value,
                                         .elementSize = element_bytes,
                                         .width = width,
                                         .height = height};
    struct CUstream_st *stream;
    struct work *work;
    enum copy_memory memory;
    CUresult result = stream_resolve(handle, &stream);
    if (result || !width || !height)
        return result;
    result = make_work(&params, &work, &memory);
    if (result)
        return result;
    struct CUctx_st *context = stream->context;
    enum work_mode mode = is_async ? WORK_QUEUED : memory == COPY_PINNED ? WORK_WAITED : WORK_AT_ONCE;
    result = work_submit(stream, work, mode);
    return result || mode != WORK_WAITED ? result : context_error(context);
}

/* For one element type: the function for a row and the one for a rectangle, in their three forms here. */
#define MEMSET_ROW(NAME, TYPE, BYTES)                                                                        \
    CUresult cuMemset##NAME##_v2(CUdeviceptr dstDevice, TYPE value, size_t N)                                \
    {                                                                                                        \
        return fill(CU_STREAM_LEGACY, dstDevice, 0, value, BYTES, N, 1, false);                              \
    }                                                                                                        \
    CUresult cuMemset##NAME##_v2_ptds(CUdeviceptr dstDevice, TYPE value, size_t N)                           \
    {                                                                                                        \
        return fill(CU_STREAM_PER_THREAD, dstDevice, 0, value, BYTES, N, 1, false);                          \
    }                                                                                                        \
    CUresult cuMemset##NAME##Async(CUdeviceptr dstDevice, TYPE value, size_t N, CUstream hStream)            \
    {                                                                                                        \
        return fill(hStream, dstDevice, 0, value, BYTES, N, 1, true);                                        \
    }

#define MEMSET_RECTANGLE(NAME, TYPE, BYTES)                                                                  \
    CUresult cuMemset##NAME##_v2(CUdeviceptr dstDevice, size_t dstPitch, TYPE value, size_t Width,           \
                                 size_t Height)                                                              \
    {                                                                                                        \
        return fill(CU_STREAM_LEGACY, dstDevice, dstPitch, value, BYTES, Width, Height, false);              \
    }                                                                                                        \
    CUresult cuMemset##NAME##_v2_ptds(CUdeviceptr dstDevice, size_t dstPitch, TYPE value, size_t Width,      \
                                      size_t Height)                                                         \
    {                                                                                                        \
        return fill(CU_STREAM_PER_THREAD, dstDevice, dstPitch, value, BYTES, Width, Height, false);          \
    }                                                                                                        \
    CUresult cuMemset##NAME##Async(CUdeviceptr dstDevice, size_t dstPitch, TYPE value, size_t Width,         \
                                   size_t Height, CUstream hStream)                                          \
    {                                                                                                        \
        return fill(hStream, dstDevice, dstPitch, value, BYTES, Width, Height, true);                        \
    }

MEMSET_ROW(D8, unsigned char, 1)
MEMSET_ROW(D16, unsigned short, 2)
MEMSET_ROW(D32, unsigned int, 4)
MEMSET_RECTANGLE(D2D8, unsigned char, 1)
MEMSET_RECTANGLE(D2D16, unsigned short, 2)
MEMSET_RECTANGLE(D2D32, unsigned int, 4)

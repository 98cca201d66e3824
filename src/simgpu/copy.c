#include "simgpu/copy.h"

#include <stdlib.h>
#include <string.h>

#include "simgpu/arena.h"
#include "simgpu/capture.h"

/* Pageable memory up to this size is copied away at the call, so that the call need not wait for its turn. */
#define STAGE_BYTES (1u << 20)

CUresult copy_classify(enum copy_end end, uint64_t address, uint64_t bytes, enum copy_memory *memory)
{
    struct region region;
    if (!address)
        return CUDA_ERROR_INVALID_VALUE;
    if (arena_find(address, bytes, &region)) {
        if (region.is_mapped && !region.readers)
            return CUDA_ERROR_INVALID_VALUE;
        *memory =
            region.kind == REGION_DEVICE || region.kind == REGION_MANAGED ? COPY_ON_DEVICE : COPY_PINNED;
        return CUDA_SUCCESS;
    }
    if (end == COPY_DEVICE ||
        (arena_find(address, 1, &region) && (region.kind == REGION_DEVICE || region.kind == REGION_MANAGED)))
        return CUDA_ERROR_INVALID_VALUE;
    *memory = COPY_PAGEABLE;
    return CUDA_SUCCESS;
}

void copy_describe_end(enum copy_memory memory, uint64_t address, CUDA_MEMCPY3D *copy, bool is_target)
{
    CUmemorytype type = memory == COPY_ON_DEVICE ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST;
    if (is_target) {
        copy->dstMemoryType = type;
        copy->dstDevice = type == CU_MEMORYTYPE_DEVICE ? address : 0;
        copy->dstHost = type == CU_MEMORYTYPE_HOST ? (void *)(uintptr_t)address : NULL;
    } else {
        copy->srcMemoryType = type;
        copy->srcDevice = type == CU_MEMORYTYPE_DEVICE ? address : 0;
        copy->srcHost = type == CU_MEMORYTYPE_HOST ? (const void *)(uintptr_t)address : NULL;
    }
}

enum work_mode copy_mode(enum copy_memory to, enum copy_memory from, bool is_async)
{
    if (to == COPY_PAGEABLE || from == COPY_PAGEABLE)
        return WORK_WAITED;
    if (is_async)
        return WORK_QUEUED;
    return to == COPY_ON_DEVICE && from == COPY_ON_DEVICE ? WORK_AT_ONCE : WORK_WAITED;
}

struct linear_work {
    struct work work;
    void *to;
    const void *from;
    void *staged; /* owned; what from points to when not NULL */
    size_t bytes;
    enum copy_memory to_memory, from_memory;
};

static void run_linear(struct work *work)
{
    struct linear_work *linear = (struct linear_work *)work;
    memmove(linear->to, linear->from, linear->bytes);
}

static void finish_linear(struct work *work)
{
    free(((struct linear_work *)work)->staged);
}

static void describe_linear(struct work *work, CUgraphNodeParams *params)
{
    const struct linear_work *linear = (const struct linear_work *)work;
    params->memcpy.copyCtx = work->context;
    copy_describe_end(linear->from_memory, (uint64_t)(uintptr_t)linear->from, &params->memcpy.copyParams,
                      false);
    copy_describe_end(linear->to_memory, (uint64_t)(uintptr_t)linear->to, &params->memcpy.copyParams, true);
    params->memcpy.copyParams.WidthInBytes = linear->bytes;
    params->memcpy.copyParams.Height = params->memcpy.copyParams.Depth = 1;
}

CUresult copy_linear(struct CUstream_st *stream, enum copy_end to_end, uint64_t to, enum copy_end from_end,
                     uint64_t from, size_t bytes, bool is_async)
{
    enum copy_memory to_memory, from_memory;
    if (bytes == 0)
        return CUDA_SUCCESS;
    CUresult result = copy_classify(to_end, to, bytes, &to_memory);
    if (!result)
        result = copy_classify(from_end, from, bytes, &from_memory);
    if (result)
        return result;
    struct linear_work *linear = (struct linear_work *)work_create(sizeof *linear, run_linear, finish_linear);
    if (!linear)
        return CUDA_ERROR_OUT_OF_MEMORY;
    linear->to = (void *)(uintptr_t)to;
    linear->from = (const void *)(uintptr_t)from;
    linear->bytes = bytes;
    linear->to_memory = to_memory;
    linear->from_memory = from_memory;
    linear->work.is_node = is_async;
    linear->work.node_type = CU_GRAPH_NODE_TYPE_MEMCPY;
    linear->work.describe = describe_linear;
    enum work_mode mode = copy_mode(to_memory, from_memory, is_async);
    if (is_async && from_memory == COPY_PAGEABLE && to_memory != COPY_PAGEABLE && bytes <= STAGE_BYTES &&
        !capture_is_in(stream) && (linear->staged = malloc(bytes))) {
        memcpy(linear->staged, linear->from, bytes);
        linear->from = linear->staged;
        mode = WORK_QUEUED;
    }
    struct CUctx_st *context = stream->context;
    result = work_submit(stream, &linear->work, mode);
    return result || mode != WORK_WAITED ? result : context_error(context);
}

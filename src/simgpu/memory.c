/* Device memory: cuMemAlloc and its like, and cuMemGetInfo. */
#include <stdlib.h>

#include "cuda_api.h"
#include "simgpu/arena.h"
#include "simgpu/capture.h"
#include "simgpu/managed.h"
#include "simgpu/memory.h"
#include "simgpu/stream.h"

#define PITCH_ALIGNMENT 512

CUresult memory_allocate(struct CUctx_st *context, size_t bytes, struct region *region, CUdeviceptr *dptr)
{
    if (!dptr || !bytes)
        return CUDA_ERROR_INVALID_VALUE;
    region->bytes = bytes;
    region->device = context->device;
    region->context = context;
    CUresult result = arena_allocate(region);
    if (!result)
        *dptr = region->base;
    return result;
}

CUresult cuMemAlloc_v2(CUdeviceptr *dptr, size_t bytesize)
{
    struct CUctx_st *context;
    struct region region = {.kind = REGION_DEVICE};
    CUresult result = context_current(&context);
    if (!result)
        result = capture_unsafe();
    return result ? result : memory_allocate(context, bytesize, &region, dptr);
}

CUresult cuMemAllocPitch_v2(CUdeviceptr *dptr, size_t *pPitch, size_t WidthInBytes, size_t Height,
                            unsigned int ElementSizeBytes)
{
    struct CUctx_st *context;
    struct region region = {.kind = REGION_DEVICE};
    CUresult result = context_current(&context);
    if (result)
        return result;
    size_t bytes;
    if (!pPitch || !WidthInBytes || WidthInBytes > 1ull << 40 ||
        (ElementSizeBytes != 4 && ElementSizeBytes != 8 && ElementSizeBytes != 16))
        return CUDA_ERROR_INVALID_VALUE;
    size_t pitch = (WidthInBytes + PITCH_ALIGNMENT - 1) / PITCH_ALIGNMENT * PITCH_ALIGNMENT;
    if (__builtin_mul_overflow(pitch, Height, &bytes))
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = memory_allocate(context, bytes, &region, dptr);
    if (!result)
        *pPitch = pitch;
    return result;
}

CUresult memory_find_freeable(CUdeviceptr dptr, struct region *region)
{
    if (!arena_find(dptr, 1, region) || region->base != dptr || region->is_module || region->is_mapped ||
        (region->is_imported && !region->pool) ||
        (region->kind != REGION_DEVICE && region->kind != REGION_MANAGED))
        return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS;
}

/* Waits for the work that may still use it, as the driver does. */
CUresult cuMemFree_v2(CUdeviceptr dptr)
{
    struct CUctx_st *context;
    struct region region;
    CUresult result = context_current(&context);
    if (!result)
        result = capture_unsafe();
    if (result || !dptr)
        return result;
    result = memory_find_freeable(dptr, &region);
    if (result)
        return result;
    stream_wait_all(region.context);
    if (region.context != context)
        stream_wait_all(context);
    managed_forget(&region);
    if (!arena_remove(dptr, &region))
        return CUDA_ERROR_INVALID_VALUE;
    return context_error(context);
}

CUresult cuMemGetInfo_v2(size_t *free, size_t *total)
{
    struct CUctx_st *context;
    CUresult result = context_current(&context);
    if (!result && (!free || !total))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    uint64_t used = shared_state_used_bytes(driver_shared_state(), context->device->gpu->key);
    *total = driver_device_memory(context->device);
    *free = *total > used ? *total - used : 0;
    return CUDA_SUCCESS;
}

CUresult cuMemGetAddressRange_v2(CUdeviceptr *pbase, size_t *psize, CUdeviceptr dptr)
{
    struct CUctx_st *context;
    struct region region;
    CUresult result = context_current(&context);
    if (result)
        return result;
    if (!arena_find(dptr, 1, &region))
        return CUDA_ERROR_NOT_FOUND;
    if (pbase)
        *pbase = region.base;
    if (psize)
        *psize = region.bytes;
    return CUDA_SUCCESS;
}

/* Device and managed memory: cuMemAlloc and its like, cuMemGetInfo, and the stream-ordered cuMemAllocAsync.
 */
#include <stdlib.h>

#include "cuda_api.h"
#include "simgpu/api.h"
#include "simgpu/arena.h"
#include "simgpu/stream.h"

#define PITCH_ALIGNMENT 512

static CUresult allocate(struct CUctx_st *context, size_t bytes, struct region *region, CUdeviceptr *dptr)
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
    return result ? result : allocate(context, bytesize, &region, dptr);
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
    result = allocate(context, bytes, &region, dptr);
    if (!result)
        *pPitch = pitch;
    return result;
}

CUresult cuMemAllocManaged(CUdeviceptr *dptr, size_t bytesize, unsigned int flags)
{
    struct CUctx_st *context;
    struct region region = {.kind = REGION_MANAGED, .flags = flags};
    CUresult result = context_current(&context);
    if (result)
        return result;
    if (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST)
        return CUDA_ERROR_INVALID_VALUE;
    return allocate(context, bytesize, &region, dptr);
}

/* The region that a program may free at this address. */
static CUresult find_freeable(CUdeviceptr dptr, struct region *region)
{
    if (!arena_find(dptr, 1, region) || region->base != dptr || region->is_module ||
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
    if (result || !dptr)
        return result;
    result = find_freeable(dptr, &region);
    if (result)
        return result;
    stream_wait_all(region.context);
    if (region.context != context)
        stream_wait_all(context);
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

/* --- in stream order --- */

struct free_work {
    struct work work;
    CUdeviceptr address;
};

static void run_free(struct work *work)
{
    struct region removed;
    arena_remove(((struct free_work *)work)->address, &removed);
}

/* Memory that a free further up in the stream will give back counts as there: wait for it rather than fail.
 */
CUresult cuMemAllocAsync(CUdeviceptr *dptr, size_t bytesize, CUstream hStream)
{
    struct CUstream_st *stream;
    CUresult result = stream_resolve(hStream, &stream);
    if (result)
        return result;
    struct region region = {.kind = REGION_DEVICE, .is_async = true};
    result = allocate(stream->context, bytesize, &region, dptr);
    if (result == CUDA_ERROR_OUT_OF_MEMORY) {
        /* Also where that free has run since: then nothing is waited for. */
        stream_wait(stream);
        result = allocate(stream->context, bytesize, &region, dptr);
    }
    return result;
}

CUresult cuMemFreeAsync(CUdeviceptr dptr, CUstream hStream)
{
    struct CUstream_st *stream;
    struct region region;
    CUresult result = stream_resolve(hStream, &stream);
    if (result)
        return result;
    if (!dptr)
        return CUDA_ERROR_INVALID_VALUE;
    result = find_freeable(dptr, &region);
    if (result)
        return result;
    struct work *work = work_create(sizeof(struct free_work), run_free, NULL);
    if (!work)
        return CUDA_ERROR_OUT_OF_MEMORY;
    ((struct free_work *)work)->address = dptr;
    return work_submit(stream, work, WORK_QUEUED);
}

/* --- pools: every device has its default one, and there are no others --- */

struct CUmemPoolHandle_st {
    uint64_t release_threshold;
};

static struct CUmemPoolHandle_st default_pools[MACHINE_GPUS_MAX];
static pthread_mutex_t pool_lock = PTHREAD_MUTEX_INITIALIZER;

static bool is_pool(CUmemoryPool pool)
{
    for (int i = 0; i < driver_device_count(); i++)
        if (pool == &default_pools[i])
            return true;
    return false;
}

CUresult cuDeviceGetDefaultMemPool(CUmemoryPool *pool_out, CUdevice dev)
{
    CUresult result = driver_check();
    if (result)
        return result;
    if (!driver_device(dev))
        return CUDA_ERROR_INVALID_DEVICE;
    if (!pool_out)
        return CUDA_ERROR_INVALID_VALUE;
    *pool_out = &default_pools[dev];
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetMemPool(CUmemoryPool *pool, CUdevice dev)
{
    return cuDeviceGetDefaultMemPool(pool, dev);
}

CUresult cuMemAllocFromPoolAsync(CUdeviceptr *dptr, size_t bytesize, CUmemoryPool pool, CUstream hStream)
{
    return is_pool(pool) ? cuMemAllocAsync(dptr, bytesize, hStream) : CUDA_ERROR_INVALID_VALUE;
}

/* What is freed goes back at once, so there is never anything to trim. */
CUresult cuMemPoolTrimTo(CUmemoryPool pool, size_t minBytesToKeep)
{
    CUresult result = driver_check();
    return !result && !is_pool(pool) ? CUDA_ERROR_INVALID_VALUE : result;
}

CUresult cuMemPoolGetAttribute(CUmemoryPool pool, CUmemPool_attribute attr, void *value)
{
    CUresult result = driver_check();
    if (!result && (!is_pool(pool) || !value))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    uint64_t used = 0;
    switch (attr) {
    case CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES:
        *(int *)value = 1;
        return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
        pthread_mutex_lock(&pool_lock);
        *(cuuint64_t *)value = pool->release_threshold;
        pthread_mutex_unlock(&pool_lock);
        return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT:
    case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
    case CU_MEMPOOL_ATTR_USED_MEM_CURRENT:
    case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
        used = arena_async_bytes(driver_device((CUdevice)(pool - default_pools)));
        *(cuuint64_t *)value = used;
        return CUDA_SUCCESS;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

CUresult cuMemPoolSetAttribute(CUmemoryPool pool, CUmemPool_attribute attr, void *value)
{
    CUresult result = driver_check();
    if (!result && (!is_pool(pool) || !value))
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result &&
        (attr < CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES || attr > CU_MEMPOOL_ATTR_USED_MEM_HIGH))
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result && attr == CU_MEMPOOL_ATTR_RELEASE_THRESHOLD) {
        pthread_mutex_lock(&pool_lock);
        pool->release_threshold = *(cuuint64_t *)value;
        pthread_mutex_unlock(&pool_lock);
    }
    return result;
}

/* Managed memory: it lies in the arena, where the program reaches it as well, so that nothing has to move.
 * What the program advises is remembered. */
#include <pthread.h>

#include "cuda/managed_advice.h"
#include "cuda_api.h"
#include "simgpu/managed.h"
#include "simgpu/memory.h"
#include "simgpu/stream.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct managed_advice advice;

CUresult cuMemAllocManaged(CUdeviceptr *dptr, size_t bytesize, unsigned int flags)
{
    struct CUctx_st *context;
    struct region region = {.kind = REGION_MANAGED, .flags = flags};
    CUresult result = context_current(&context);
    if (result)
        return result;
    if (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST)
        return CUDA_ERROR_INVALID_VALUE;
    result = memory_allocate(context, bytesize, &region, dptr);
    if (result)
        return result;
    pthread_mutex_lock(&lock);
    managed_advice_add(&advice, region.base, region.bytes);
    pthread_mutex_unlock(&lock);
    return CUDA_SUCCESS;
}

void managed_forget(const struct region *region)
{
    if (region->kind != REGION_MANAGED)
        return;
    pthread_mutex_lock(&lock);
    managed_advice_remove(&advice, region->base, region->bytes);
    pthread_mutex_unlock(&lock);
}

static CUresult check_location(CUmemLocation location)
{
    switch (location.type) {
    case CU_MEM_LOCATION_TYPE_DEVICE:
        return driver_device(location.id) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
    case CU_MEM_LOCATION_TYPE_HOST:
    case CU_MEM_LOCATION_TYPE_HOST_NUMA:
    case CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT:
        return CUDA_SUCCESS;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

static CUmemLocation place_of(CUdevice device)
{
    return device == CU_DEVICE_CPU ? (CUmemLocation){CU_MEM_LOCATION_TYPE_HOST, 0}
                                   : (CUmemLocation){CU_MEM_LOCATION_TYPE_DEVICE, device};
}

CUresult cuMemAdvise_v2(CUdeviceptr devPtr, size_t count, CUmem_advise what, CUmemLocation location)
{
    bool is_somewhere = what == CU_MEM_ADVISE_SET_PREFERRED_LOCATION ||
                        what == CU_MEM_ADVISE_SET_ACCESSED_BY || what == CU_MEM_ADVISE_UNSET_ACCESSED_BY;
    CUresult result = driver_check();
    if (!result && is_somewhere)
        result = check_location(location);
    if (result)
        return result;
    pthread_mutex_lock(&lock);
    result = managed_advice_set(&advice, devPtr, count, what, location);
    pthread_mutex_unlock(&lock);
    return result;
}

CUresult cuMemAdvise(CUdeviceptr devPtr, size_t count, CUmem_advise what, CUdevice device)
{
    return cuMemAdvise_v2(devPtr, count, what, place_of(device));
}

CUresult cuMemPrefetchAsync_v2(CUdeviceptr devPtr, size_t count, CUmemLocation location, unsigned int flags,
                               CUstream hStream)
{
    struct CUstream_st *stream;
    CUresult result = stream_resolve(hStream, &stream);
    if (!result && flags)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        result = check_location(location);
    if (result)
        return result;
    pthread_mutex_lock(&lock);
    result = managed_advice_prefetched(&advice, devPtr, count, location);
    pthread_mutex_unlock(&lock);
    return result;
}

CUresult cuMemPrefetchAsync(CUdeviceptr devPtr, size_t count, CUdevice dstDevice, CUstream hStream)
{
    return cuMemPrefetchAsync_v2(devPtr, count, place_of(dstDevice), 0, hStream);
}

static bool all_managed(const CUdeviceptr *addresses, const size_t *sizes, size_t count)
{
    bool good = addresses && sizes && count;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; good && i < count; i++)
        good = managed_advice_covers(&advice, addresses[i], sizes[i]);
    pthread_mutex_unlock(&lock);
    return good;
}

CUresult cuMemPrefetchBatchAsync(CUdeviceptr *dptrs, size_t *sizes, size_t count, CUmemLocation *prefetchLocs,
                                 size_t *prefetchLocIdxs, size_t numPrefetchLocs, unsigned long long flags,
                                 CUstream hStream)
{
    struct CUstream_st *stream;
    CUresult result = stream_resolve(hStream, &stream);
    if (!result && (flags || !prefetchLocs || !prefetchLocIdxs || !numPrefetchLocs ||
                    numPrefetchLocs > count || prefetchLocIdxs[0] || !all_managed(dptrs, sizes, count)))
        result = CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0, place = 0; !result && i < count; i++) {
        if (place + 1 < numPrefetchLocs && prefetchLocIdxs[place + 1] <= i)
            place++;
        result = cuMemPrefetchAsync_v2(dptrs[i], sizes[i], prefetchLocs[place], 0, hStream);
    }
    return result;
}

/* What is discarded keeps its value, which it may. */
CUresult cuMemDiscardBatchAsync(CUdeviceptr *dptrs, size_t *sizes, size_t count, unsigned long long flags,
                                CUstream hStream)
{
    struct CUstream_st *stream;
    CUresult result = stream_resolve(hStream, &stream);
    return !result && (flags || !all_managed(dptrs, sizes, count)) ? CUDA_ERROR_INVALID_VALUE : result;
}

CUresult cuMemDiscardAndPrefetchBatchAsync(CUdeviceptr *dptrs, size_t *sizes, size_t count,
                                           CUmemLocation *prefetchLocs, size_t *prefetchLocIdxs,
                                           size_t numPrefetchLocs, unsigned long long flags, CUstream hStream)
{
    return cuMemPrefetchBatchAsync(dptrs, sizes, count, prefetchLocs, prefetchLocIdxs, numPrefetchLocs, flags,
                                   hStream);
}

CUresult cuMemRangeGetAttribute(void *data, size_t dataSize, CUmem_range_attribute attribute,
                                CUdeviceptr devPtr, size_t count)
{
    CUresult result = driver_check();
    if (result)
        return result;
    pthread_mutex_lock(&lock);
    result = managed_advice_get(&advice, data, dataSize, attribute, devPtr, count);
    pthread_mutex_unlock(&lock);
    return result;
}

CUresult cuMemRangeGetAttributes(void **data, size_t *dataSizes, CUmem_range_attribute *attributes,
                                 size_t numAttributes, CUdeviceptr devPtr, size_t count)
{
    CUresult result = driver_check();
    if (!result && (!data || !dataSizes || !attributes || !numAttributes))
        result = CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; !result && i < numAttributes; i++)
        result = cuMemRangeGetAttribute(data[i], dataSizes[i], attributes[i], devPtr, count);
    return result;
}

CUresult cuStreamAttachMemAsync(CUstream hStream, CUdeviceptr dptr, size_t length, unsigned int flags)
{
    struct CUstream_st *stream;
    struct region region;
    CUresult result = stream_resolve(hStream, &stream);
    if (!result &&
        ((flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST && flags != CU_MEM_ATTACH_SINGLE) ||
         !arena_find(dptr, 1, &region) || region.kind != REGION_MANAGED || region.base != dptr ||
         (length && length != region.bytes)))
        result = CUDA_ERROR_INVALID_VALUE;
    return result;
}

#include "guest/managed.h"

#include <stddef.h>

#include "cuda/managed_advice.h"
#include "cuda_api.h"
#include "guest/call.h"
#include "guest/connection.h"
#include "guest/context.h"
#include "guest/export.h"
#include "guest/host_memory.h"
#include "guest/init.h"
#include "guest/lock.h"
#include "guest/ranges.h"
#include "guest/unsupported.h"
#include "wire/own_calls.h"

static struct {
    struct lock lock;
    struct managed_advice advice;
} managed;

VGPU_EXPORT CUresult cuMemAllocManaged(CUdeviceptr *dptr, size_t bytesize, unsigned int flags)
{
    CUresult result = context_required();
    if (result != CUDA_SUCCESS)
        return result;
    if (dptr == NULL || bytesize == 0 || (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST))
        return CUDA_ERROR_INVALID_VALUE;
    if (!connection_shares_memory())
        return not_supported("cuMemAllocManaged without shared memory");
    void *memory;
    result = host_memory_allocate(RANGE_MANAGED, &memory, bytesize, flags);
    if (result != CUDA_SUCCESS)
        return result;
    lock_take(&managed.lock);
    bool noted = managed_advice_add(&managed.advice, (uintptr_t)memory, bytesize);
    lock_give(&managed.lock);
    if (!noted) {
        host_memory_free(RANGE_MANAGED, memory);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *dptr = (uintptr_t)memory;
    return CUDA_SUCCESS;
}

bool managed_free(CUdeviceptr address, CUresult *result)
{
    struct range range;
    if (!ranges_find(address, 1, &range) || range.kind != RANGE_MANAGED || range.address != address)
        return false;
    *result = cuCtxSynchronize(); /* as cuMemFree: what may still use it comes first */
    if (*result != CUDA_SUCCESS)
        return true;
    lock_take(&managed.lock);
    managed_advice_remove(&managed.advice, address, range.bytes);
    lock_give(&managed.lock);
    *result = host_memory_free(RANGE_MANAGED, (void *)(uintptr_t)address);
    return true;
}

/* --- advice and prefetches: nothing moves, as the memory is where both sides reach it --- */

static CUresult check_location(CUmemLocation location)
{
    switch (location.type) {
    case CU_MEM_LOCATION_TYPE_DEVICE:
        return location.id == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
    case CU_MEM_LOCATION_TYPE_HOST:
    case CU_MEM_LOCATION_TYPE_HOST_NUMA:
    case CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT:
        return CUDA_SUCCESS;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

/* A place as CUDA 12 names it. */
static CUmemLocation place_of(CUdevice device)
{
    return device == CU_DEVICE_CPU ? (CUmemLocation){CU_MEM_LOCATION_TYPE_HOST, 0}
                                   : (CUmemLocation){CU_MEM_LOCATION_TYPE_DEVICE, device};
}

VGPU_EXPORT CUresult cuMemAdvise_v2(CUdeviceptr devPtr, size_t count, CUmem_advise advice,
                                    CUmemLocation location)
{
    bool is_somewhere = advice != CU_MEM_ADVISE_SET_READ_MOSTLY &&
                        advice != CU_MEM_ADVISE_UNSET_READ_MOSTLY &&
                        advice != CU_MEM_ADVISE_UNSET_PREFERRED_LOCATION;
    CUresult result = library_state();
    if (result == CUDA_SUCCESS && is_somewhere)
        result = check_location(location);
    if (result != CUDA_SUCCESS)
        return result;
    lock_take(&managed.lock);
    result = managed_advice_set(&managed.advice, devPtr, count, advice, location);
    lock_give(&managed.lock);
    return result;
}

VGPU_EXPORT CUresult cuMemAdvise(CUdeviceptr devPtr, size_t count, CUmem_advise advice, CUdevice device)
{
    return cuMemAdvise_v2(devPtr, count, advice, place_of(device));
}

static CUresult prefetch(CUdeviceptr address, size_t bytes, CUmemLocation location)
{
    CUresult result = check_location(location);
    if (result != CUDA_SUCCESS)
        return result;
    lock_take(&managed.lock);
    result = managed_advice_prefetched(&managed.advice, address, bytes, location);
    lock_give(&managed.lock);
    return result;
}

VGPU_EXPORT CUresult cuMemPrefetchAsync_v2(CUdeviceptr devPtr, size_t count, CUmemLocation location,
                                           unsigned int flags, CUstream hStream)
{
    CUresult result = context_required();
    if (result == CUDA_SUCCESS && flags != 0)
        result = CUDA_ERROR_INVALID_VALUE;
    return result == CUDA_SUCCESS ? prefetch(devPtr, count, location) : result;
}

VGPU_EXPORT CUresult cuMemPrefetchAsync(CUdeviceptr devPtr, size_t count, CUdevice dstDevice,
                                        CUstream hStream)
{
    return cuMemPrefetchAsync_v2(devPtr, count, place_of(dstDevice), 0, hStream);
}

static bool all_managed(const CUdeviceptr *addresses, const size_t *sizes, size_t count)
{
    bool good = addresses != NULL && sizes != NULL && count > 0;
    lock_take(&managed.lock);
    for (size_t i = 0; good && i < count; i++)
        good = managed_advice_covers(&managed.advice, addresses[i], sizes[i]);
    lock_give(&managed.lock);
    return good;
}

VGPU_EXPORT CUresult cuMemPrefetchBatchAsync(CUdeviceptr *dptrs, size_t *sizes, size_t count,
                                             CUmemLocation *prefetchLocs, size_t *prefetchLocIdxs,
                                             size_t numPrefetchLocs, unsigned long long flags,
                                             CUstream hStream)
{
    CUresult result = context_required();
    if (result != CUDA_SUCCESS)
        return result;
    if (flags != 0 || prefetchLocs == NULL || prefetchLocIdxs == NULL || numPrefetchLocs == 0 ||
        numPrefetchLocs > count || prefetchLocIdxs[0] != 0 || !all_managed(dptrs, sizes, count))
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0, place = 0; result == CUDA_SUCCESS && i < count; i++) {
        if (place + 1 < numPrefetchLocs && prefetchLocIdxs[place + 1] <= i)
            place++;
        result = prefetch(dptrs[i], sizes[i], prefetchLocs[place]);
    }
    return result;
}

/* What is discarded may keep its value. */
VGPU_EXPORT CUresult cuMemDiscardBatchAsync(CUdeviceptr *dptrs, size_t *sizes, size_t count,
                                            unsigned long long flags, CUstream hStream)
{
    CUresult result = context_required();
    if (result == CUDA_SUCCESS && (flags != 0 || !all_managed(dptrs, sizes, count)))
        result = CUDA_ERROR_INVALID_VALUE;
    return result;
}

VGPU_EXPORT CUresult cuMemDiscardAndPrefetchBatchAsync(CUdeviceptr *dptrs, size_t *sizes, size_t count,
                                                       CUmemLocation *prefetchLocs, size_t *prefetchLocIdxs,
                                                       size_t numPrefetchLocs, unsigned long long flags,
                                                       CUstream hStream)
{
    return cuMemPrefetchBatchAsync(dptrs, sizes, count, prefetchLocs, prefetchLocIdxs, numPrefetchLocs, flags,
                                   hStream);
}

VGPU_EXPORT CUresult cuMemRangeGetAttribute(void *data, size_t dataSize, CUmem_range_attribute attribute,
                                            CUdeviceptr devPtr, size_t count)
{
    CUresult result = library_state();
    if (result != CUDA_SUCCESS)
        return result;
    lock_take(&managed.lock);
    result = managed_advice_get(&managed.advice, data, dataSize, attribute, devPtr, count);
    lock_give(&managed.lock);
    return result;
}

VGPU_EXPORT CUresult cuMemRangeGetAttributes(void **data, size_t *dataSizes,
                                             CUmem_range_attribute *attributes, size_t numAttributes,
                                             CUdeviceptr devPtr, size_t count)
{
    CUresult result = library_state();
    if (result == CUDA_SUCCESS &&
        (data == NULL || dataSizes == NULL || attributes == NULL || numAttributes == 0))
        result = CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; result == CUDA_SUCCESS && i < numAttributes; i++)
        result = cuMemRangeGetAttribute(data[i], dataSizes[i], attributes[i], devPtr, count);
    return result;
}

/* Every stream sees all managed memory at any time, whatever it is attached to. */
VGPU_EXPORT CUresult cuStreamAttachMemAsync(CUstream hStream, CUdeviceptr dptr, size_t length,
                                            unsigned int flags)
{
    struct range range;
    CUresult result = context_required();
    if (result != CUDA_SUCCESS)
        return result;
    if ((flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST && flags != CU_MEM_ATTACH_SINGLE) ||
        !ranges_find(dptr, 1, &range) || range.kind != RANGE_MANAGED || range.address != dptr ||
        (length != 0 && length != range.bytes))
        return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS;
}

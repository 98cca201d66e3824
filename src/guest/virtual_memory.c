/* Virtual memory management. The worker's driver gives the addresses; this process keeps them free of its own
 * mappings, and knows what memory of the device lies behind them. */
#include <stddef.h>

#include "cuda_api.h"
#include "guest/call.h"
#include "guest/export.h"
#include "guest/handle_table.h"
#include "guest/init.h"
#include "guest/ranges.h"
#include "guest_forward.h"
#include "wire/own_calls.h"

#define RESERVATION_TRIES 8

/* As with cuMemAlloc: addresses that this process uses for something else are held back until others are
 * found.
 */
VGPU_EXPORT CUresult cuMemAddressReserve(CUdeviceptr *ptr, size_t size, size_t alignment, CUdeviceptr addr,
                                         unsigned long long flags)
{
    CUdeviceptr refused[RESERVATION_TRIES], address = 0;
    size_t refused_count = 0;
    if (ptr == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = CUDA_ERROR_OUT_OF_MEMORY;
    while (refused_count < RESERVATION_TRIES) {
        result = forward_cuMemAddressReserve(&address, size, alignment, addr, flags);
        if (result != CUDA_SUCCESS || reservation_take(address, size))
            break;
        refused[refused_count++] = address;
        result = CUDA_ERROR_OUT_OF_MEMORY;
        addr = 0;
    }
    for (size_t i = 0; i < refused_count; i++)
        cuMemAddressFree(refused[i], size);
    if (result == CUDA_SUCCESS)
        *ptr = address;
    return result;
}

VGPU_EXPORT CUresult cuMemMap(CUdeviceptr ptr, size_t size, size_t offset,
                              CUmemGenericAllocationHandle handle, unsigned long long flags)
{
    CUresult result = forward_cuMemMap(ptr, size, offset, handle, flags);
    struct range range = {.address = ptr, .bytes = size, .kind = RANGE_MAPPED};
    if (result == CUDA_SUCCESS)
        ranges_add(&range);
    return result;
}

VGPU_EXPORT CUresult cuMemUnmap(CUdeviceptr ptr, size_t size)
{
    CUresult result = forward_cuMemUnmap(ptr, size);
    if (result == CUDA_SUCCESS)
        ranges_remove_all(RANGE_MAPPED, ptr, size);
    return result;
}

VGPU_EXPORT CUresult cuMemSetAccess(CUdeviceptr ptr, size_t size, const CUmemAccessDesc *desc, size_t count)
{
    CUresult result = library_state();
    if (result != CUDA_SUCCESS)
        return result;
    if (desc == NULL || count == 0 || count > ACCESS_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    struct request_set_access request = {.object = ptr, .bytes = size, .count = (uint32_t)count};
    return call_wait(CALL_memory_set_access, &request, sizeof request, desc, count * sizeof *desc, NULL, 0);
}

VGPU_EXPORT CUresult cuMemRelease(CUmemGenericAllocationHandle handle)
{
    CUresult result = library_state();
    if (result != CUDA_SUCCESS)
        return result;
    struct request_memory_release request = {.handle = handle};
    struct reply_memory_release reply;
    result = call_wait(CALL_memory_release, &request, sizeof request, NULL, 0, &reply, sizeof reply);
    if (result == CUDA_SUCCESS && reply.gone)
        handle_release(handle);
    return result;
}

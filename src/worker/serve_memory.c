#include "worker/serve.h"

#include <unistd.h>

#include "driver_api.h"
#include "wire/own_calls.h"
#include "worker/connection.h"
#include "worker/device_memory.h"
#include "worker/lane.h"
#include "worker/segment.h"
#include "worker/staging.h"
#include "worker/vm.h"

/* What the driver counts for an allocation. */
static uint64_t allocated_bytes(CUdeviceptr address)
{
    CUdeviceptr base;
    size_t bytes = 0;
    return driver.cuMemGetAddressRange_v2(&base, &bytes, address) == CUDA_SUCCESS ? bytes : 0;
}

CUresult serve_cuMemAlloc_v2(struct call *call)
{
    const struct request_cuMemAlloc_v2 *request = call->request;
    struct reply_cuMemAlloc_v2 reply = {0};
    if (!vm_reserve_memory(request->bytesize))
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult result = driver.cuMemAlloc_v2(&reply.dptr, request->bytesize);
    vm_settle_memory(request->bytesize, result == CUDA_SUCCESS ? allocated_bytes(reply.dptr) : 0);
    if (result != CUDA_SUCCESS)
        return result;
    call_reply_append(call, &reply, sizeof reply);
    return CUDA_SUCCESS;
}

CUresult serve_cuMemAllocPitch_v2(struct call *call)
{
    const struct request_cuMemAllocPitch_v2 *request = call->request;
    struct reply_cuMemAllocPitch_v2 reply = {0};
    uint64_t bytes;
    if (__builtin_mul_overflow(request->WidthInBytes, request->Height, &bytes) || !vm_reserve_memory(bytes))
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult result = driver.cuMemAllocPitch_v2(&reply.dptr, &reply.pPitch, request->WidthInBytes,
                                                request->Height, request->ElementSizeBytes);
    vm_settle_memory(bytes, result == CUDA_SUCCESS ? allocated_bytes(reply.dptr) : 0);
    if (result != CUDA_SUCCESS)
        return result;
    call_reply_append(call, &reply, sizeof reply);
    return CUDA_SUCCESS;
}

CUresult serve_cuMemFree_v2(struct call *call)
{
    const struct request_cuMemFree_v2 *request = call->request;
    CUresult result = device_memory_check(request->dptr);
    if (result != CUDA_SUCCESS)
        return result;
    uint64_t bytes = request->dptr != 0 ? allocated_bytes(request->dptr) : 0;
    result = driver.cuMemFree_v2(request->dptr);
    if (result == CUDA_SUCCESS)
        vm_release_memory(bytes);
    return result;
}

/* Makes a segment and answers with it; its descriptor follows on the connection. */
static CUresult share(struct call *call, uint64_t address, uint64_t bytes, unsigned flags, uint64_t *made)
{
    if (!connection_shares_memory())
        return CUDA_ERROR_NOT_SUPPORTED;
    int fd;
    CUresult result = segment_make(&address, &bytes, flags, &fd);
    if (result != CUDA_SUCCESS)
        return result;
    struct reply_host_alloc reply = {.address = address, .segment_bytes = bytes};
    call_reply_append(call, &reply, sizeof reply);
    connection_pass(fd, bytes);
    *made = address;
    return CUDA_SUCCESS;
}

CUresult serve_host_alloc(struct call *call)
{
    const struct request_host_alloc *request = call->request;
    uint64_t made;
    /* Whatever the program asked: the memory must be usable by every context of this process and by kernels.
     */
    return share(call, request->address, request->bytes,
                 CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP, &made);
}

CUresult serve_host_free(struct call *call)
{
    const struct request_host_free *request = call->request;
    if (request->address == (uintptr_t)call->lane->staging)
        return CUDA_ERROR_INVALID_VALUE;
    return segment_drop(request->address);
}

CUresult serve_staging_open(struct call *call)
{
    struct lane *lane = call->lane;
    if (lane->staging != NULL)
        return CUDA_ERROR_INVALID_VALUE;
    uint64_t address = 0;
    CUresult result = staging_follow_context(lane);
    if (result == CUDA_SUCCESS)
        result = share(call, 0, STAGING_BYTES, CU_MEMHOSTREGISTER_PORTABLE, &address);
    if (result == CUDA_SUCCESS)
        lane->staging = (uint8_t *)(uintptr_t)address;
    return result;
}

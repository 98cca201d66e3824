#include "worker/serve.h"

#include <unistd.h>

#include "driver_api.h"
#include "wire/own_calls.h"
#include "worker/connection.h"
#include "worker/device_memory.h"
#include "worker/exports.h"
#include "worker/held_memory.h"
#include "worker/lane.h"
#include "worker/segment.h"
#include "worker/shared_memory.h"
#include "worker/staging.h"
#include "worker/vm.h"

CUresult serve_cuMemAlloc_v2(struct call *call)
{
    const struct request_cuMemAlloc_v2 *request = call->request;
    struct reply_cuMemAlloc_v2 reply = {0};
    size_t bytes = request->bytesize;
    CUresult result = held_memory_claim(bytes);
    if (result != CUDA_SUCCESS)
        return result;
    result = driver.cuMemAlloc_v2(&reply.dptr, bytes);
    held_memory_settle(bytes, HELD_LINEAR, reply.dptr, result == CUDA_SUCCESS ? bytes : 0);
    if (result == CUDA_SUCCESS)
        call_reply_append(call, &reply, sizeof reply);
    return result;
}

CUresult serve_cuMemAllocPitch_v2(struct call *call)
{
    const struct request_cuMemAllocPitch_v2 *request = call->request;
    struct reply_cuMemAllocPitch_v2 reply = {0};
    uint64_t bytes;
    if (__builtin_mul_overflow(request->WidthInBytes, request->Height, &bytes))
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult result = held_memory_claim(bytes);
    if (result != CUDA_SUCCESS)
        return result;
    result = driver.cuMemAllocPitch_v2(&reply.dptr, &reply.pPitch, request->WidthInBytes, request->Height,
                                       request->ElementSizeBytes);
    held_memory_settle(bytes, HELD_LINEAR, reply.dptr,
                       result == CUDA_SUCCESS ? reply.pPitch * request->Height : 0);
    if (result == CUDA_SUCCESS)
        call_reply_append(call, &reply, sizeof reply);
    return result;
}

void exports_of_memory_end(const struct held_memory *held)
{
    enum vm_export_kind kind = held->kind == HELD_POOLED ? EXPORT_POINTER : EXPORT_MEMORY;
    export_remove(kind, held->object, held->bytes);
}

CUresult serve_cuMemFree_v2(struct call *call)
{
    const struct request_cuMemFree_v2 *request = call->request;
    struct held_memory held;
    CUresult result = device_memory_check(request->dptr);
    if (result != CUDA_SUCCESS)
        return result;
    bool known = held_memory_withdraw(HELD_LINEAR, request->dptr, &held) ||
                 held_memory_withdraw(HELD_POOLED, request->dptr, &held) ||
                 held_memory_withdraw(HELD_IMPORTED, request->dptr, &held);
    if (known)
        exports_of_memory_end(&held);
    result = driver.cuMemFree_v2(request->dptr);
    if (known)
        held_memory_end(&held, result == CUDA_SUCCESS);
    return result;
}

/* Under a quota the VM sees that: its size, and what is left of it, if the GPU has so much. */
CUresult serve_cuMemGetInfo_v2(struct call *call)
{
    struct reply_cuMemGetInfo_v2 reply = {0};
    CUresult result = driver.cuMemGetInfo_v2(&reply.free, &reply.total);
    if (result != CUDA_SUCCESS)
        return result;
    uint64_t quota = vm_page_read(&vm_page->memory_quota_bytes);
    if (quota != 0) {
        held_memory_refresh();
        uint64_t used = vm_page_read(&vm_page->memory_used_bytes);
        uint64_t left = quota > used ? quota - used : 0;
        reply.free = left < reply.free ? left : reply.free;
        reply.total = quota < reply.total ? quota : reply.total;
    }
    call_reply_append(call, &reply, sizeof reply);
    return CUDA_SUCCESS;
}

/* Makes a segment and answers with it; its descriptor, if it has one of its own, follows on the connection.
 */
static CUresult share(struct call *call, uint64_t address, uint64_t bytes, unsigned flags, uint64_t *made)
{
    if (!connection_shares_memory())
        return CUDA_ERROR_NOT_SUPPORTED;
    struct shared_memory memory;
    CUresult result = segment_make(&address, bytes, flags, &memory);
    if (result != CUDA_SUCCESS)
        return result;
    struct reply_host_alloc reply = {
        .address = address, .segment_bytes = memory.bytes, .window_offset = memory.offset};
    call_reply_append(call, &reply, sizeof reply);
    connection_pass(&memory);
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

/* Virtual memory management. */
#include "worker/serve.h"

#include "driver_api.h"
#include "wire/own_calls.h"
#include "worker/handle_map.h"
#include "worker/held_memory.h"
#include "worker/mapped_memory.h"

#define NOT_HERE (CU_MEM_HANDLE_TYPE_WIN32 | CU_MEM_HANDLE_TYPE_WIN32_KMT | CU_MEM_HANDLE_TYPE_FABRIC)

/* No fabric: its handles would be good on other machines, and in other VMs. */
CUresult allocation_properties_check(CUmemAllocationProp *properties)
{
    properties->win32HandleMetaData = NULL;
    if ((unsigned)properties->requestedHandleTypes & NOT_HERE)
        return CUDA_ERROR_NOT_SUPPORTED;
    return device_location_check(&properties->location);
}

CUresult serve_cuMemAddressReserve(struct call *call)
{
    const struct request_cuMemAddressReserve *request = call->request;
    struct reply_cuMemAddressReserve reply = {0};
    if (driver.cuMemAddressReserve == NULL)
        return CUDA_ERROR_NOT_SUPPORTED;
    CUresult result = driver.cuMemAddressReserve(&reply.ptr, request->size, request->alignment, request->addr,
                                                 request->flags);
    if (result == CUDA_SUCCESS && !reserved_add(reply.ptr, request->size)) {
        driver.cuMemAddressFree(reply.ptr, request->size);
        result = CUDA_ERROR_OUT_OF_MEMORY;
    }
    if (result == CUDA_SUCCESS)
        call_reply_append(call, &reply, sizeof reply);
    return result;
}

CUresult serve_cuMemAddressFree(struct call *call)
{
    const struct request_cuMemAddressFree *request = call->request;
    if (!reserved_remove(request->ptr, request->size))
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = driver.cuMemAddressFree(request->ptr, request->size);
    if (result != CUDA_SUCCESS)
        reserved_add(request->ptr, request->size);
    return result;
}

CUresult allocation_name(uint64_t wanted, CUmemGenericAllocationHandle handle, uint64_t bytes, uint64_t *name)
{
    if (!allocation_add(handle, bytes)) {
        driver.cuMemRelease(handle);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *name = call_name(HANDLE_ALLOCATION, wanted, (void *)(uintptr_t)handle, 0);
    return CUDA_SUCCESS;
}

CUresult serve_cuMemCreate(struct call *call)
{
    const struct request_cuMemCreate *request = call->request;
    struct reply_cuMemCreate reply = {0};
    CUmemAllocationProp properties = request->prop;
    CUmemGenericAllocationHandle handle = 0;
    if (driver.cuMemCreate == NULL)
        return CUDA_ERROR_NOT_SUPPORTED;
    CUresult result = handle_check_name(HANDLE_ALLOCATION, request->handle);
    if (result == CUDA_SUCCESS)
        result = allocation_properties_check(&properties);
    if (result == CUDA_SUCCESS)
        result = held_memory_claim(request->size);
    if (result != CUDA_SUCCESS)
        return result;
    result = driver.cuMemCreate(&handle, request->size, &properties, request->flags);
    if (result == CUDA_SUCCESS)
        result = allocation_name(request->handle, handle, request->size, &reply.handle);
    if (result != CUDA_SUCCESS) {
        held_memory_settle(request->size, HELD_ALLOCATION, 0, 0);
        return result;
    }
    call_reply_append(call, &reply, sizeof reply);
    return CUDA_SUCCESS;
}

/* Who gives back the last use of it takes its name away first, as the driver may give the handle to the next
 * one who allocates. */
CUresult serve_memory_release(struct call *call)
{
    const struct request_memory_release *request = call->request;
    struct reply_memory_release reply = {0};
    void *object;
    bool last = false;
    if (!handle_find(HANDLE_ALLOCATION, request->handle, &object) || object == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = allocation_release((uintptr_t)object, true, &last);
    if (result == CUDA_SUCCESS && last) {
        if (!handle_withdraw(HANDLE_ALLOCATION, request->handle, &object))
            return CUDA_ERROR_INVALID_VALUE;
        result = allocation_release((uintptr_t)object, false, &last);
        handle_withdrawn_end(request->handle, last ? HANDLE_GONE : HANDLE_STAYS);
    }
    reply.gone = last;
    if (result == CUDA_SUCCESS)
        call_reply_append(call, &reply, sizeof reply);
    return result;
}

CUresult serve_cuMemRetainAllocationHandle(struct call *call)
{
    const struct request_cuMemRetainAllocationHandle *request = call->request;
    struct reply_cuMemRetainAllocationHandle reply = {0};
    CUmemGenericAllocationHandle handle = 0;
    if (driver.cuMemRetainAllocationHandle == NULL)
        return CUDA_ERROR_NOT_SUPPORTED;
    CUresult result = handle_check_name(HANDLE_ALLOCATION, request->handle);
    if (result == CUDA_SUCCESS)
        result = mapping_retain((uintptr_t)request->addr, &handle);
    if (result != CUDA_SUCCESS)
        return result;
    reply.handle = call_name(HANDLE_ALLOCATION, request->handle, (void *)(uintptr_t)handle, 0);
    call_reply_append(call, &reply, sizeof reply);
    return CUDA_SUCCESS;
}

CUresult serve_cuMemMap(struct call *call)
{
    const struct request_cuMemMap *request = call->request;
    void *object;
    if (!handle_find(HANDLE_ALLOCATION, request->handle, &object) || object == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    return mapping_make(request->ptr, request->size, request->offset, (uintptr_t)object, request->flags);
}

CUresult serve_cuMemUnmap(struct call *call)
{
    const struct request_cuMemUnmap *request = call->request;
    return mapping_remove(request->ptr, request->size);
}

CUresult serve_memory_set_access(struct call *call)
{
    const struct request_set_access *request = call->request;
    const CUmemAccessDesc *access = (const CUmemAccessDesc *)call->tail;
    if (driver.cuMemSetAccess == NULL || request->count > ACCESS_MAX ||
        call->tail_bytes < request->count * sizeof *access ||
        !reserved_holds(request->object, request->bytes))
        return CUDA_ERROR_INVALID_VALUE;
    for (uint32_t i = 0; i < request->count; i++) {
        CUresult result = device_location_check(&access[i].location);
        if (result != CUDA_SUCCESS)
            return result;
    }
    return driver.cuMemSetAccess(request->object, request->bytes, access, request->count);
}

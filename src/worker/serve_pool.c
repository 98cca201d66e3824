/* Memory pools and allocation in stream order. */
#include "worker/serve.h"

#include <string.h>

#include "driver_api.h"
#include "wire/own_calls.h"
#include "worker/device_memory.h"
#include "worker/exports.h"
#include "worker/graph_memory.h"
#include "worker/handle_map.h"
#include "worker/held_memory.h"

CUresult device_location_check(const CUmemLocation *location)
{
    if (location->type == CU_MEM_LOCATION_TYPE_DEVICE)
        return CUDA_SUCCESS; /* which device, the driver knows */
    return location->type == CU_MEM_LOCATION_TYPE_HOST || location->type == CU_MEM_LOCATION_TYPE_HOST_NUMA ||
                   location->type == CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT
               ? CUDA_ERROR_NOT_SUPPORTED
               : CUDA_ERROR_INVALID_VALUE;
}

/* Work that is being captured allocates when its graph runs, not now. */
static bool is_capturing(CUstream stream)
{
    CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
    return driver.cuStreamIsCapturing != NULL &&
           driver.cuStreamIsCapturing(stream, &status) == CUDA_SUCCESS &&
           status != CU_STREAM_CAPTURE_STATUS_NONE;
}

static CUresult ask_driver(CUdeviceptr *address, size_t bytes, CUmemoryPool pool, CUstream stream)
{
    if (pool != NULL)
        return driver.cuMemAllocFromPoolAsync(address, bytes, pool, stream);
    return driver.cuMemAllocAsync(address, bytes, stream);
}

/* pool NULL: the device's current one. */
static CUresult allocate(CUdeviceptr *address, size_t bytes, CUmemoryPool pool, CUstream stream)
{
    CUmemoryPool from = pool;
    if (driver.cuMemAllocAsync == NULL || driver.cuMemAllocFromPoolAsync == NULL)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (is_capturing(stream)) {
        CUresult captured = ask_driver(address, bytes, pool, stream);
        if (captured == CUDA_SUCCESS)
            graph_memory_add(*address, bytes);
        return captured;
    }
    CUresult result = from != NULL ? CUDA_SUCCESS : driver.cuDeviceGetMemPool(&from, 0);
    if (result == CUDA_SUCCESS)
        result = held_memory_claim_pooled(from, bytes);
    if (result != CUDA_SUCCESS)
        return result;
    result = ask_driver(address, bytes, pool, stream);
    if (result != CUDA_SUCCESS) {
        held_memory_settle_pooled(from, bytes, 0, 0);
        return result;
    }
    result = held_memory_settle_pooled(from, bytes, *address, bytes);
    if (result == CUDA_SUCCESS)
        return CUDA_SUCCESS;
    struct held_memory held;
    if (held_memory_withdraw(HELD_POOLED, *address, &held))
        held_memory_end(&held, driver.cuMemFreeAsync(*address, stream) == CUDA_SUCCESS);
    return result;
}

CUresult serve_cuMemAllocAsync(struct call *call)
{
    const struct request_cuMemAllocAsync *request = call->request;
    struct reply_cuMemAllocAsync reply = {0};
    CUstream stream;
    if (!handle_find(HANDLE_STREAM, request->hStream, (void **)&stream))
        return CUDA_ERROR_INVALID_HANDLE;
    CUresult result = allocate(&reply.dptr, request->bytesize, NULL, stream);
    if (result == CUDA_SUCCESS)
        call_reply_append(call, &reply, sizeof reply);
    return result;
}

CUresult serve_cuMemAllocFromPoolAsync(struct call *call)
{
    const struct request_cuMemAllocFromPoolAsync *request = call->request;
    struct reply_cuMemAllocFromPoolAsync reply = {0};
    CUstream stream;
    CUmemoryPool pool;
    if (!handle_find(HANDLE_STREAM, request->hStream, (void **)&stream))
        return CUDA_ERROR_INVALID_HANDLE;
    if (!handle_find(HANDLE_POOL, request->pool, (void **)&pool) || pool == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = allocate(&reply.dptr, request->bytesize, pool, stream);
    if (result == CUDA_SUCCESS)
        call_reply_append(call, &reply, sizeof reply);
    return result;
}

CUresult serve_cuMemFreeAsync(struct call *call)
{
    const struct request_cuMemFreeAsync *request = call->request;
    CUstream stream;
    struct held_memory held;
    if (driver.cuMemFreeAsync == NULL)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (!handle_find(HANDLE_STREAM, request->hStream, (void **)&stream))
        return CUDA_ERROR_INVALID_HANDLE;
    CUresult result = device_memory_check(request->dptr);
    if (result != CUDA_SUCCESS)
        return result;
    bool known = !is_capturing(stream) && (held_memory_withdraw(HELD_POOLED, request->dptr, &held) ||
                                           held_memory_withdraw(HELD_LINEAR, request->dptr, &held) ||
                                           held_memory_withdraw(HELD_IMPORTED, request->dptr, &held));
    if (known)
        exports_of_memory_end(&held);
    result = driver.cuMemFreeAsync(request->dptr, stream);
    if (known)
        held_memory_end(&held, result == CUDA_SUCCESS);
    return result;
}

CUresult serve_cuMemPoolCreate(struct call *call)
{
    const struct request_cuMemPoolCreate *request = call->request;
    struct reply_cuMemPoolCreate reply = {0};
    CUmemPoolProps properties = request->poolProps;
    CUmemoryPool pool = NULL;
    properties.win32SecurityAttributes = NULL;
    if (driver.cuMemPoolCreate == NULL)
        return CUDA_ERROR_NOT_SUPPORTED;
    CUresult result = handle_check_name(HANDLE_POOL, request->pool);
    if (result == CUDA_SUCCESS)
        result = device_location_check(&properties.location);
    if (result == CUDA_SUCCESS && (properties.handleTypes & CU_MEM_HANDLE_TYPE_FABRIC))
        result = CUDA_ERROR_NOT_SUPPORTED;
    if (result == CUDA_SUCCESS)
        result = driver.cuMemPoolCreate(&pool, &properties);
    if (result != CUDA_SUCCESS)
        return result;
    reply.pool = call_name(HANDLE_POOL, request->pool, pool, 0);
    call_reply_append(call, &reply, sizeof reply);
    return CUDA_SUCCESS;
}

CUresult serve_cuMemPoolDestroy(struct call *call)
{
    const struct request_cuMemPoolDestroy *request = call->request;
    CUmemoryPool pool;
    if (!handle_withdraw(HANDLE_POOL, request->pool, (void **)&pool) || pool == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = driver.cuMemPoolDestroy(pool);
    if (result == CUDA_SUCCESS) {
        held_memory_pool_gone(pool);
        export_remove(EXPORT_POOL, (uintptr_t)pool, 1);
    }
    handle_withdrawn_end(request->pool, result == CUDA_SUCCESS ? HANDLE_GONE : HANDLE_STAYS);
    return result;
}

CUresult serve_cuMemPoolTrimTo(struct call *call)
{
    const struct request_cuMemPoolTrimTo *request = call->request;
    CUmemoryPool pool;
    if (!handle_find(HANDLE_POOL, request->pool, (void **)&pool) || pool == NULL ||
        driver.cuMemPoolTrimTo == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = driver.cuMemPoolTrimTo(pool, request->minBytesToKeep);
    held_memory_waited();
    return result;
}

/* The device's attributes of graph memory are asked for with pool 0. */
CUresult serve_pool_get_attribute(struct call *call)
{
    const struct request_pool_attribute *request = call->request;
    CUmemoryPool pool;
    uint64_t value = 0;
    if (!handle_find(HANDLE_POOL, request->pool, (void **)&pool) || driver.cuMemPoolGetAttribute == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result =
        pool != NULL
            ? driver.cuMemPoolGetAttribute(pool, (CUmemPool_attribute)request->attribute, &value)
            : driver.cuDeviceGetGraphMemAttribute(0, (CUgraphMem_attribute)request->attribute, &value);
    if (result == CUDA_SUCCESS)
        call_reply_append(call, &value, sizeof value);
    return result;
}

CUresult serve_pool_set_attribute(struct call *call)
{
    const struct request_pool_attribute *request = call->request;
    CUmemoryPool pool;
    uint64_t value = request->value;
    if (!handle_find(HANDLE_POOL, request->pool, (void **)&pool) || driver.cuMemPoolSetAttribute == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    return pool != NULL
               ? driver.cuMemPoolSetAttribute(pool, (CUmemPool_attribute)request->attribute, &value)
               : driver.cuDeviceSetGraphMemAttribute(0, (CUgraphMem_attribute)request->attribute, &value);
}

CUresult serve_pool_set_access(struct call *call)
{
    const struct request_set_access *request = call->request;
    const CUmemAccessDesc *access = (const CUmemAccessDesc *)call->tail;
    CUmemoryPool pool;
    if (!handle_find(HANDLE_POOL, request->object, (void **)&pool) || pool == NULL ||
        driver.cuMemPoolSetAccess == NULL || request->count > ACCESS_MAX ||
        call->tail_bytes < request->count * sizeof *access)
        return CUDA_ERROR_INVALID_VALUE;
    for (uint32_t i = 0; i < request->count; i++) {
        CUresult result = device_location_check(&access[i].location);
        if (result != CUDA_SUCCESS)
            return result;
    }
    return driver.cuMemPoolSetAccess(pool, access, request->count);
}

/* Memory pools: what the table cannot express. */
#include <stddef.h>
#include <string.h>

#include "cuda_api.h"
#include "guest/call.h"
#include "guest/export.h"
#include "guest/handle_table.h"
#include "guest/init.h"
#include "guest_forward.h"
#include "wire/own_calls.h"

/* Attributes of a pool are flags, the program's int, or numbers of 64 bits. */
static size_t attribute_bytes(CUmemPool_attribute attribute)
{
    switch (attribute) {
    case CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES:
        return sizeof(int);
    default:
        return sizeof(cuuint64_t);
    }
}

static CUresult get_attribute(uint64_t pool, uint32_t attribute, void *value, size_t bytes)
{
    CUresult result = library_state();
    if (result != CUDA_SUCCESS)
        return result;
    if (value == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    struct request_pool_attribute request = {.pool = pool, .attribute = attribute};
    uint64_t answer;
    result = call_wait(CALL_pool_get_attribute, &request, sizeof request, NULL, 0, &answer, sizeof answer);
    if (result == CUDA_SUCCESS)
        memcpy(value, &answer, bytes);
    return result;
}

static CUresult set_attribute(uint64_t pool, uint32_t attribute, const void *value, size_t bytes)
{
    CUresult result = library_state();
    if (result != CUDA_SUCCESS)
        return result;
    if (value == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    struct request_pool_attribute request = {.pool = pool, .attribute = attribute};
    memcpy(&request.value, value, bytes);
    return call_wait(CALL_pool_set_attribute, &request, sizeof request, NULL, 0, NULL, 0);
}

VGPU_EXPORT CUresult cuMemPoolGetAttribute(CUmemoryPool pool, CUmemPool_attribute attr, void *value)
{
    if (pool == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    return get_attribute((uintptr_t)pool, attr, value, attribute_bytes(attr));
}

VGPU_EXPORT CUresult cuMemPoolSetAttribute(CUmemoryPool pool, CUmemPool_attribute attr, void *value)
{
    if (pool == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    return set_attribute((uintptr_t)pool, attr, value, attribute_bytes(attr));
}

VGPU_EXPORT CUresult cuDeviceGetGraphMemAttribute(CUdevice device, CUgraphMem_attribute attr, void *value)
{
    if (device != 0)
        return CUDA_ERROR_INVALID_DEVICE;
    return get_attribute(0, attr, value, sizeof(cuuint64_t));
}

VGPU_EXPORT CUresult cuDeviceSetGraphMemAttribute(CUdevice device, CUgraphMem_attribute attr, void *value)
{
    if (device != 0)
        return CUDA_ERROR_INVALID_DEVICE;
    return set_attribute(0, attr, value, sizeof(cuuint64_t));
}

VGPU_EXPORT CUresult cuMemPoolSetAccess(CUmemoryPool pool, const CUmemAccessDesc *map, size_t count)
{
    CUresult result = library_state();
    if (result != CUDA_SUCCESS)
        return result;
    if (pool == NULL || map == NULL || count > ACCESS_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    struct request_set_access request = {.object = (uintptr_t)pool, .count = (uint32_t)count};
    return call_wait(CALL_pool_set_access, &request, sizeof request, map, count * sizeof *map, NULL, 0);
}

VGPU_EXPORT CUresult cuMemPoolDestroy(CUmemoryPool pool)
{
    CUresult result = forward_cuMemPoolDestroy(pool);
    if (result == CUDA_SUCCESS)
        handle_release((uintptr_t)pool);
    return result;
}

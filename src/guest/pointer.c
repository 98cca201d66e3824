/* cuPointerGetAttribute: what an address is. Of memory that the guest knows the worker is asked what the
 * guest cannot tell itself; any other address is the program's own and means nothing to CUDA. */
#include "cuda_api.h"
#include "guest/call.h"
#include "guest/context.h"
#include "guest/export.h"
#include "guest/handle_table.h"
#include "guest/init.h"
#include "guest/ranges.h"
#include "wire/own_calls.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static size_t attribute_bytes(CUpointer_attribute attribute)
{
    switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT:
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
    case CU_POINTER_ATTRIBUTE_BUFFER_ID:
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
    case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
    case CU_POINTER_ATTRIBUTE_MAPPING_SIZE:
    case CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR:
    case CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID:
        return 8;
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
    case CU_POINTER_ATTRIBUTE_MAPPED:
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
    case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
    case CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE:
        return 4;
    default:
        return 0; /* what the driver tells peer-to-peer drivers is not served */
    }
}

/* The pool that memory came from may be one that the program has never asked for, and so has no name yet. */
static void name_default_pool(void)
{
    static _Atomic bool named;
    CUmemoryPool pool;
    if (!atomic_load_explicit(&named, memory_order_relaxed) &&
        cuDeviceGetDefaultMemPool(&pool, 0) == CUDA_SUCCESS)
        atomic_store_explicit(&named, true, memory_order_relaxed);
}

/* The answers that follow from what the guest itself knows of a range. Programs ask for these at every
 * launch. */
static bool known_here(void *data, CUpointer_attribute attribute, CUdeviceptr ptr, const struct range *range)
{
    bool is_host = range->kind == RANGE_HOST || range->kind == RANGE_REGISTERED;
    uint32_t value;
    if (range->kind == RANGE_GLOBAL || (is_host && !range->shared) || ranges_may_be_stale() ||
        call_errors_stay())
        return false;
    switch (attribute) {
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
        memcpy(data, &ptr, sizeof ptr);
        return true;
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
        value = is_host ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
        break;
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
        value = range->kind == RANGE_MANAGED;
        break;
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
        value = 0;
        break;
    default:
        return false;
    }
    memcpy(data, &value, sizeof value);
    return true;
}

static CUresult ask(void *data, CUpointer_attribute attribute, CUdeviceptr ptr)
{
    size_t bytes = attribute_bytes(attribute);
    struct range range;
    if (bytes == 0)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (!ranges_find(ptr, 1, &range))
        return CUDA_ERROR_INVALID_VALUE;
    if (known_here(data, attribute, ptr, &range))
        return CUDA_SUCCESS;
    if (attribute == CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE)
        name_default_pool();
    struct request_pointer_attribute request = {.pointer = ptr, .attribute = attribute};
    return call_wait(CALL_pointer_attribute, &request, sizeof request, NULL, 0, data, bytes);
}

VGPU_EXPORT CUresult cuPointerGetAttribute(void *data, CUpointer_attribute attribute, CUdeviceptr ptr)
{
    CUresult result = library_state();
    if (result != CUDA_SUCCESS)
        return result;
    return data != NULL ? ask(data, attribute, ptr) : CUDA_ERROR_INVALID_VALUE;
}

/* An address that CUDA does not know is no error here: its attributes are empty. */
VGPU_EXPORT CUresult cuPointerGetAttributes(unsigned int numAttributes, CUpointer_attribute *attributes,
                                            void **data, CUdeviceptr ptr)
{
    CUresult result = library_state();
    if (result != CUDA_SUCCESS)
        return result;
    if (numAttributes == 0 || attributes == NULL || data == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < numAttributes; i++) {
        size_t bytes = attribute_bytes(attributes[i]);
        if (bytes == 0)
            return CUDA_ERROR_NOT_SUPPORTED;
        result = ask(data[i], attributes[i], ptr);
        if (result == CUDA_SUCCESS)
            continue;
        if (result != CUDA_ERROR_INVALID_VALUE)
            return result;
        CUdevice none = CU_DEVICE_INVALID;
        memset(data[i], 0, bytes);
        if (attributes[i] == CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL)
            memcpy(data[i], &none, sizeof none);
    }
    return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuPointerSetAttribute(const void *value, CUpointer_attribute attribute, CUdeviceptr ptr)
{
    CUresult result = library_state();
    if (result != CUDA_SUCCESS)
        return result;
    if (value == NULL || attribute != CU_POINTER_ATTRIBUTE_SYNC_MEMOPS)
        return CUDA_ERROR_INVALID_VALUE;
    struct request_pointer_set_attribute request = {.pointer = ptr, .attribute = attribute};
    memcpy(&request.value, value, sizeof request.value);
    return call_wait(CALL_pointer_set_attribute, &request, sizeof request, NULL, 0, NULL, 0);
}

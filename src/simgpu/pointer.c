/* cuPointerGetAttribute and its like: what a pointer points to. */
#include <string.h>

#include "cuda_api.h"
#include "simgpu/arena.h"

static bool is_host(const struct region *region)
{
    return region->kind == REGION_HOST || region->kind == REGION_HOST_REGISTERED;
}

/* Stores value in the width that the attribute has. */
static CUresult answer(void *data, uint64_t value, size_t bytes)
{
    memcpy(data, &value, bytes);
    return CUDA_SUCCESS;
}

static CUresult answer_attribute(void *data, CUpointer_attribute attribute, CUdeviceptr ptr,
                                 const struct region *region)
{
    bool is_plain_device = region->kind == REGION_DEVICE;
    switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT:
        return answer(data, (uint64_t)(uintptr_t)region->context, sizeof(CUcontext));
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
        return answer(data, is_host(region) ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE,
                      sizeof(unsigned int));
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
        return answer(data, ptr, sizeof(CUdeviceptr));
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
        return is_plain_device ? CUDA_ERROR_INVALID_VALUE : answer(data, ptr, sizeof(void *));
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
        return answer(data, region->sync_memops, sizeof(int));
    case CU_POINTER_ATTRIBUTE_BUFFER_ID:
    case CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID:
        return answer(data, region->id, sizeof(unsigned long long));
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
        return answer(data, region->kind == REGION_MANAGED, sizeof(int));
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
        return answer(data, (uint64_t)(unsigned int)region->device->ordinal, sizeof(int));
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
    case CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR:
        return answer(data, region->base, sizeof(CUdeviceptr));
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
    case CU_POINTER_ATTRIBUTE_MAPPING_SIZE:
        return answer(data, region->bytes, sizeof(size_t));
    case CU_POINTER_ATTRIBUTE_MAPPED:
        return answer(data, 1, sizeof(int));
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
    case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
    case CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE:
        return answer(data, 0, sizeof(int));
    case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
        return answer(data, 0, sizeof(uint64_t));
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
        if (region->is_mapped)
            return answer(data,
                          region->writers   ? CU_MEM_ACCESS_FLAGS_PROT_READWRITE
                          : region->readers ? CU_MEM_ACCESS_FLAGS_PROT_READ
                                            : CU_MEM_ACCESS_FLAGS_PROT_NONE,
                          sizeof(int));
        return answer(data, CU_MEM_ACCESS_FLAGS_PROT_READWRITE, sizeof(int));
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
        return answer(data, (uint64_t)(uintptr_t)region->pool, sizeof region->pool);
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

CUresult cuPointerGetAttribute(void *data, CUpointer_attribute attribute, CUdeviceptr ptr)
{
    struct region region;
    CUresult result = driver_check();
    if (!result && (!data || !arena_find(ptr, 1, &region)))
        result = CUDA_ERROR_INVALID_VALUE;
    return result ? result : answer_attribute(data, attribute, ptr, &region);
}

/* What a pointer that CUDA does not know is given for an attribute. */
static void answer_unknown(void *data, CUpointer_attribute attribute)
{
    int nobody = CU_DEVICE_INVALID;
    switch (attribute) {
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
        memcpy(data, &nobody, sizeof nobody);
        break;
    case CU_POINTER_ATTRIBUTE_CONTEXT:
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
    case CU_POINTER_ATTRIBUTE_BUFFER_ID:
    case CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID:
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
    case CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR:
    case CU_POINTER_ATTRIBUTE_MAPPING_SIZE:
    case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
        memset(data, 0, 8);
        break;
    default:
        memset(data, 0, sizeof(int));
    }
}

CUresult cuPointerGetAttributes(unsigned int numAttributes, CUpointer_attribute *attributes, void **data,
                                CUdeviceptr ptr)
{
    struct region region;
    CUresult result = driver_check();
    if (!result && (!numAttributes || !attributes || !data))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    bool is_known = arena_find(ptr, 1, &region);
    for (unsigned int i = 0; i < numAttributes; i++)
        if (!is_known || answer_attribute(data[i], attributes[i], ptr, &region))
            answer_unknown(data[i], attributes[i]);
    return CUDA_SUCCESS;
}

CUresult cuPointerSetAttribute(const void *value, CUpointer_attribute attribute, CUdeviceptr ptr)
{
    struct region region;
    int flag;
    CUresult result = driver_check();
    if (!result && (!value || attribute != CU_POINTER_ATTRIBUTE_SYNC_MEMOPS || !arena_find(ptr, 1, &region)))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    memcpy(&flag, value, sizeof flag);
    arena_set_sync_memops(ptr, flag != 0);
    return CUDA_SUCCESS;
}

#include "worker/serve.h"

#include <string.h>

#include "driver_api.h"
#include "wire/own_calls.h"
#include "worker/device_memory.h"
#include "worker/handle_map.h"
#include "worker/vm.h"

static CUresult init_result = CUDA_ERROR_NOT_INITIALIZED;

void serve_set_init_result(CUresult result)
{
    init_result = result;
}

CUresult serve_init_result(void)
{
    return init_result;
}

static void fill_attributes(struct reply_device_info *info, CUdevice device)
{
    for (int i = 1; i < DEVICE_ATTRIBUTES; i++)
        info->attributes[i].result =
            (int32_t)driver.cuDeviceGetAttribute(&info->attributes[i].value, (CUdevice_attribute)i, device);
}

static void fill_device(struct reply_device_info *info)
{
    CUdevice device;
    if (driver.cuDeviceGet(&device, 0) != CUDA_SUCCESS)
        return;
    size_t bytes = 0;
    driver.cuDeviceGetName(info->name, sizeof info->name, device);
    driver.cuDeviceTotalMem_v2(&bytes, device);
    uint64_t quota = vm_page_read(&vm_page->memory_quota_bytes);
    info->memory_bytes = quota != 0 && quota < bytes ? quota : bytes;
    driver.cuDeviceGetUuid(&info->uuid, device);
    info->uuid_v2 = info->uuid;
    if (driver.cuDeviceGetUuid_v2 != NULL)
        driver.cuDeviceGetUuid_v2(&info->uuid_v2, device);
    info->luid_result = CUDA_ERROR_NOT_SUPPORTED;
    if (driver.cuDeviceGetLuid != NULL)
        info->luid_result = (int32_t)driver.cuDeviceGetLuid(info->luid, &info->luid_node_mask, device);
    driver.cuDeviceGetPCIBusId(info->pci_bus_id, sizeof info->pci_bus_id, device);
    driver.cuDeviceGetProperties(&info->properties, device);
    fill_attributes(info, device);
}

/* A worker serves one GPU, the guest's device 0, whatever else the host has. */
CUresult serve_device_info(struct call *call)
{
    struct reply_device_info info;
    memset(&info, 0, sizeof info);
    info.init_result = (int32_t)init_result;
    driver.cuDriverGetVersion(&info.driver_version);
    if (init_result == CUDA_SUCCESS) {
        int count = 0;
        driver.cuDeviceGetCount(&count);
        info.device_count = count > 0 ? 1 : 0;
        fill_device(&info);
    }
    call_reply_append(call, &info, sizeof info);
    return CUDA_SUCCESS;
}

CUresult serve_error_string(struct call *call)
{
    const struct request_error_string *request = call->request;
    const char *text = NULL;
    CUresult result = driver.cuGetErrorString((CUresult)request->error, &text);
    if (result == CUDA_SUCCESS && text != NULL)
        call_reply_text(call, text);
    return result;
}

/* Puts the guest's name for an object of the driver in its place. */
static void name_object(uint8_t *value, enum handle_kind kind)
{
    void *object;
    memcpy(&object, value, sizeof object);
    uint64_t name = handle_known(kind, object);
    memcpy(value, &name, sizeof name);
}

CUresult serve_pointer_attribute(struct call *call)
{
    const struct request_pointer_attribute *request = call->request;
    _Alignas(16) uint8_t value[16] = {0};
    size_t bytes = 8;
    switch (request->attribute) {
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
    case CU_POINTER_ATTRIBUTE_BUFFER_ID:
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
    case CU_POINTER_ATTRIBUTE_CONTEXT:
    case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
    case CU_POINTER_ATTRIBUTE_MAPPING_SIZE:
    case CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR:
    case CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID:
        break;
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
    case CU_POINTER_ATTRIBUTE_MAPPED:
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
    case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
    case CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE:
        bytes = 4;
        break;
    default:
        return CUDA_ERROR_NOT_SUPPORTED;
    }
    CUresult result =
        driver.cuPointerGetAttribute(value, (CUpointer_attribute)request->attribute, request->pointer);
    if (result != CUDA_SUCCESS)
        return result;
    if (request->attribute == CU_POINTER_ATTRIBUTE_CONTEXT)
        name_object(value, HANDLE_CONTEXT);
    if (request->attribute == CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE)
        name_object(value, HANDLE_POOL);
    call_reply_append(call, value, bytes);
    return CUDA_SUCCESS;
}

/* Whether copies wait for each other is all that can be set; what would let other devices reach the memory is
 * not for a guest. */
CUresult serve_pointer_set_attribute(struct call *call)
{
    const struct request_pointer_set_attribute *request = call->request;
    unsigned value = request->value;
    if (request->attribute != CU_POINTER_ATTRIBUTE_SYNC_MEMOPS)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = device_memory_check(request->pointer);
    return result == CUDA_SUCCESS
               ? driver.cuPointerSetAttribute(&value, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, request->pointer)
               : result;
}

CUresult serve_atomic_capabilities(struct call *call)
{
    const struct request_atomic_capabilities *request = call->request;
    const CUatomicOperation *operations = (const CUatomicOperation *)call->tail;
    unsigned capabilities[ATOMIC_OPERATIONS_MAX] = {0};
    if (driver.cuDeviceGetHostAtomicCapabilities == NULL || driver.cuDeviceGetP2PAtomicCapabilities == NULL)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (request->count > ATOMIC_OPERATIONS_MAX || call->tail_bytes < request->count * sizeof *operations)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = request->of_peer
                          ? driver.cuDeviceGetP2PAtomicCapabilities(capabilities, operations, request->count,
                                                                    request->devices[0], request->devices[1])
                          : driver.cuDeviceGetHostAtomicCapabilities(capabilities, operations, request->count,
                                                                     request->devices[0]);
    if (result == CUDA_SUCCESS)
        call_reply_append(call, capabilities, request->count * sizeof *capabilities);
    return result;
}

CUresult serve_logs_dump(struct call *call)
{
    const struct request_logs_dump *request = call->request;
    struct reply_logs_dump reply = {.iterator = request->iterator};
    char text[LOGS_MAX_BYTES];
    size_t bytes = request->room;
    if (driver.cuLogsDumpToMemory == NULL)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (bytes > sizeof text)
        return CUDA_ERROR_INVALID_VALUE;
    memset(text, 0, sizeof text);
    CUresult result = driver.cuLogsDumpToMemory(request->has_iterator ? &reply.iterator : NULL, text, &bytes,
                                                request->flags);
    if (result != CUDA_SUCCESS)
        return result;
    reply.text_bytes = (uint32_t)(bytes < request->room ? bytes : request->room);
    call_reply_append(call, &reply, sizeof reply);
    call_reply_append(call, text, reply.text_bytes);
    return CUDA_SUCCESS;
}

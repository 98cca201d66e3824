/* Questions about the device, answered from what was fetched at cuInit. A VM has one device, number 0. */
#include "cuda_api.h"
#include "guest/call.h"
#include "guest/connection.h"
#include "guest/export.h"
#include "guest/init.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* The facts if cuInit was called, the worker is there, and dev is the device. */
static CUresult facts_of(CUdevice dev, const struct reply_device_info **facts)
{
    CUresult result = library_state();
    *facts = device_facts();
    if (result != CUDA_SUCCESS)
        return result;
    return dev >= 0 && dev < (*facts)->device_count ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

VGPU_EXPORT CUresult cuDeviceGetCount(int *count)
{
    CUresult result = library_state();
    if (result != CUDA_SUCCESS)
        return result;
    if (count == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    *count = device_facts()->device_count;
    return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuDeviceGet(CUdevice *device, int ordinal)
{
    const struct reply_device_info *facts;
    CUresult result = facts_of(ordinal, &facts);
    if (result != CUDA_SUCCESS && result != CUDA_ERROR_INVALID_DEVICE)
        return result;
    if (device == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        *device = ordinal;
    return result;
}

VGPU_EXPORT CUresult cuDeviceGetName(char *name, int len, CUdevice dev)
{
    const struct reply_device_info *facts;
    CUresult result = facts_of(dev, &facts);
    if (result != CUDA_SUCCESS)
        return result;
    if (name == NULL || len <= 0)
        return CUDA_ERROR_INVALID_VALUE;
    snprintf(name, (size_t)len, "%.*s", (int)sizeof facts->name, facts->name);
    return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice dev)
{
    const struct reply_device_info *facts;
    CUresult result = facts_of(dev, &facts);
    if (result == CUDA_SUCCESS && uuid == NULL)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        *uuid = facts->uuid;
    return result;
}

VGPU_EXPORT CUresult cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice dev)
{
    const struct reply_device_info *facts;
    CUresult result = facts_of(dev, &facts);
    if (result == CUDA_SUCCESS && uuid == NULL)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        *uuid = facts->uuid_v2;
    return result;
}

VGPU_EXPORT CUresult cuDeviceGetLuid(char *luid, unsigned int *deviceNodeMask, CUdevice dev)
{
    const struct reply_device_info *facts;
    CUresult result = facts_of(dev, &facts);
    if (result == CUDA_SUCCESS)
        result = (CUresult)facts->luid_result;
    if (result == CUDA_SUCCESS && luid != NULL)
        memcpy(luid, facts->luid, sizeof facts->luid);
    if (result == CUDA_SUCCESS && deviceNodeMask != NULL)
        *deviceNodeMask = facts->luid_node_mask;
    return result;
}

VGPU_EXPORT CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice dev)
{
    const struct reply_device_info *facts;
    CUresult result = facts_of(dev, &facts);
    if (result == CUDA_SUCCESS && bytes == NULL)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        *bytes = facts->memory_bytes;
    return result;
}

/* What a kernel can do with the program's memory: nothing where it is not shared with the host. */
static bool reaches_host_memory(CUdevice_attribute attribute)
{
    return attribute == CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY ||
           attribute == CU_DEVICE_ATTRIBUTE_CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM ||
           attribute == CU_DEVICE_ATTRIBUTE_HOST_REGISTER_SUPPORTED ||
           attribute == CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY ||
           attribute == CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS;
}

/* What the GPU can do, but not for a VM: memory of the program that CUDA was not told of, handles good on
 * other machines, descriptors for other devices, memory of the host's own. */
static bool is_withheld(CUdevice_attribute attribute)
{
    switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS:
    case CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS_USES_HOST_PAGE_TABLES:
    case CU_DEVICE_ATTRIBUTE_DIRECT_MANAGED_MEM_ACCESS_FROM_HOST:
    case CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_FABRIC_SUPPORTED:
    case CU_DEVICE_ATTRIBUTE_MULTICAST_SUPPORTED:
    case CU_DEVICE_ATTRIBUTE_DMA_BUF_SUPPORTED:
    case CU_DEVICE_ATTRIBUTE_GPU_DIRECT_RDMA_SUPPORTED:
    case CU_DEVICE_ATTRIBUTE_GPU_DIRECT_RDMA_WITH_CUDA_VMM_SUPPORTED:
    case CU_DEVICE_ATTRIBUTE_HOST_NUMA_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED:
    case CU_DEVICE_ATTRIBUTE_HOST_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED:
    case CU_DEVICE_ATTRIBUTE_HOST_NUMA_MEMORY_POOLS_SUPPORTED:
    case CU_DEVICE_ATTRIBUTE_HOST_MEMORY_POOLS_SUPPORTED:
        return true;
    default:
        return reaches_host_memory(attribute) && !connection_shares_memory();
    }
}

VGPU_EXPORT CUresult cuDeviceGetAttribute(int *pi, CUdevice_attribute attrib, CUdevice dev)
{
    const struct reply_device_info *facts;
    CUresult result = facts_of(dev, &facts);
    if (result == CUDA_ERROR_NOT_INITIALIZED)
        return result;
    if (pi == NULL || (int)attrib <= 0 || attrib >= DEVICE_ATTRIBUTES)
        return CUDA_ERROR_INVALID_VALUE;
    if (result != CUDA_SUCCESS)
        return result;
    if (facts->attributes[attrib].result == CUDA_SUCCESS)
        *pi = is_withheld(attrib) ? 0 : facts->attributes[attrib].value;
    return (CUresult)facts->attributes[attrib].result;
}

VGPU_EXPORT CUresult cuDeviceComputeCapability(int *major, int *minor, CUdevice dev)
{
    if (major == NULL || minor == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = cuDeviceGetAttribute(major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, dev);
    if (result == CUDA_SUCCESS)
        result = cuDeviceGetAttribute(minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, dev);
    return result;
}

VGPU_EXPORT CUresult cuDeviceGetProperties(CUdevprop *prop, CUdevice dev)
{
    const struct reply_device_info *facts;
    CUresult result = facts_of(dev, &facts);
    if (result == CUDA_SUCCESS && prop == NULL)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        *prop = facts->properties;
    return result;
}

VGPU_EXPORT CUresult cuDeviceGetPCIBusId(char *pciBusId, int len, CUdevice dev)
{
    const struct reply_device_info *facts;
    CUresult result = facts_of(dev, &facts);
    if (result != CUDA_SUCCESS)
        return result;
    if (pciBusId == NULL || len <= 0)
        return CUDA_ERROR_INVALID_VALUE;
    snprintf(pciBusId, (size_t)len, "%.*s", (int)sizeof facts->pci_bus_id, facts->pci_bus_id);
    return CUDA_SUCCESS;
}

/* Domain, bus, device and function of [domain:]bus:device[.function] in hexadecimal. */
static bool parse_pci(const char *text, unsigned parts[4])
{
    parts[0] = parts[3] = 0;
    int used = 0;
    if (sscanf(text, "%x:%x:%x.%x%n", &parts[0], &parts[1], &parts[2], &parts[3], &used) >= 3)
        return true;
    parts[0] = 0;
    return sscanf(text, "%x:%x.%x%n", &parts[1], &parts[2], &parts[3], &used) >= 2;
}

VGPU_EXPORT CUresult cuDeviceGetByPCIBusId(CUdevice *dev, const char *pciBusId)
{
    const struct reply_device_info *facts = device_facts();
    unsigned asked[4], ours[4];
    if (facts == NULL)
        return CUDA_ERROR_NOT_INITIALIZED;
    if (dev == NULL || pciBusId == NULL || !parse_pci(pciBusId, asked))
        return CUDA_ERROR_INVALID_VALUE;
    if (!parse_pci(facts->pci_bus_id, ours) || memcmp(asked, ours, sizeof asked) != 0)
        return CUDA_ERROR_INVALID_DEVICE;
    *dev = 0;
    return CUDA_SUCCESS;
}

static CUresult atomic_capabilities(unsigned int *capabilities, const CUatomicOperation *operations,
                                    struct request_atomic_capabilities request)
{
    CUresult result = library_state();
    if (result != CUDA_SUCCESS)
        return result;
    if (capabilities == NULL || operations == NULL || request.count > ATOMIC_OPERATIONS_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    unsigned int answer[ATOMIC_OPERATIONS_MAX];
    result = call_wait(CALL_atomic_capabilities, &request, sizeof request, operations,
                       request.count * sizeof *operations, answer, sizeof answer);
    if (result == CUDA_SUCCESS)
        memcpy(capabilities, answer, request.count * sizeof *capabilities);
    return result;
}

VGPU_EXPORT CUresult cuDeviceGetHostAtomicCapabilities(unsigned int *capabilities,
                                                       const CUatomicOperation *operations,
                                                       unsigned int count, CUdevice dev)
{
    struct request_atomic_capabilities request = {.count = count, .devices = {dev}};
    return atomic_capabilities(capabilities, operations, request);
}

VGPU_EXPORT CUresult cuDeviceGetP2PAtomicCapabilities(unsigned int *capabilities,
                                                      const CUatomicOperation *operations, unsigned int count,
                                                      CUdevice srcDevice, CUdevice dstDevice)
{
    struct request_atomic_capabilities request = {
        .count = count, .of_peer = true, .devices = {srcDevice, dstDevice}};
    return atomic_capabilities(capabilities, operations, request);
}

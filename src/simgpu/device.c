/* cuDevice*: which devices there are and who they are. Attributes stand in device_attributes.c. */
#include <stdio.h>
#include <string.h>

#include "cuda_api.h"
#include "simgpu/device_attributes.h"
#include "simgpu/driver.h"

static CUresult find(CUdevice dev, struct sim_device **device)
{
    CUresult result = driver_check();
    if (result)
        return result;
    *device = driver_device(dev);
    return *device ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

CUresult cuDeviceGetCount(int *count)
{
    CUresult result = driver_check();
    if (!result && !count)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *count = driver_device_count();
    return result;
}

CUresult cuDeviceGet(CUdevice *device, int ordinal)
{
    CUresult result = driver_check();
    if (result)
        return result;
    if (!device)
        return CUDA_ERROR_INVALID_VALUE;
    if (!driver_device(ordinal))
        return CUDA_ERROR_INVALID_DEVICE;
    *device = ordinal;
    return CUDA_SUCCESS;
}

/* A name too long for the buffer is cut. */
CUresult cuDeviceGetName(char *name, int len, CUdevice dev)
{
    struct sim_device *device;
    CUresult result = find(dev, &device);
    if (!result && (!name || len <= 0))
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        snprintf(name, (size_t)len, "%s", device->gpu->model->name);
    return result;
}

CUresult cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice dev)
{
    struct sim_device *device;
    CUresult result = find(dev, &device);
    if (!result && !uuid)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        memcpy(uuid->bytes, device->gpu->uuid, sizeof uuid->bytes);
    return result;
}

CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice dev)
{
    return cuDeviceGetUuid_v2(uuid, dev);
}

/* Only Windows has them. */
CUresult cuDeviceGetLuid(char *luid, unsigned int *deviceNodeMask, CUdevice dev)
{
    struct sim_device *device;
    CUresult result = find(dev, &device);
    return result ? result : CUDA_ERROR_NOT_SUPPORTED;
}

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice dev)
{
    struct sim_device *device;
    CUresult result = find(dev, &device);
    if (!result && !bytes)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *bytes = driver_device_memory(device);
    return result;
}

CUresult cuDeviceGetAttribute(int *pi, CUdevice_attribute attrib, CUdevice dev)
{
    struct sim_device *device;
    CUresult result = find(dev, &device);
    if (!result && (!pi || !device_attribute(device, attrib, pi)))
        result = CUDA_ERROR_INVALID_VALUE;
    return result;
}

CUresult cuDeviceComputeCapability(int *major, int *minor, CUdevice dev)
{
    struct sim_device *device;
    CUresult result = find(dev, &device);
    if (!result && (!major || !minor))
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result) {
        *major = device->gpu->model->compute_major;
        *minor = device->gpu->model->compute_minor;
    }
    return result;
}

static int attribute_of(const struct sim_device *device, CUdevice_attribute attribute)
{
    int value = 0;
    device_attribute(device, attribute, &value);
    return value;
}

CUresult cuDeviceGetProperties(CUdevprop *prop, CUdevice dev)
{
    struct sim_device *device;
    CUresult result = find(dev, &device);
    if (!result && !prop)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    prop->maxThreadsPerBlock = attribute_of(device, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
    for (int i = 0; i < 3; i++) {
        prop->maxThreadsDim[i] = attribute_of(device, CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X + i);
        prop->maxGridSize[i] = attribute_of(device, CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X + i);
    }
    prop->sharedMemPerBlock = attribute_of(device, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK);
    prop->totalConstantMemory = attribute_of(device, CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY);
    prop->SIMDWidth = attribute_of(device, CU_DEVICE_ATTRIBUTE_WARP_SIZE);
    prop->memPitch = attribute_of(device, CU_DEVICE_ATTRIBUTE_MAX_PITCH);
    prop->regsPerBlock = attribute_of(device, CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK);
    prop->clockRate = attribute_of(device, CU_DEVICE_ATTRIBUTE_CLOCK_RATE);
    prop->textureAlign = attribute_of(device, CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT);
    return CUDA_SUCCESS;
}

/* --- PCI --- */

CUresult cuDeviceGetPCIBusId(char *pciBusId, int len, CUdevice dev)
{
    struct sim_device *device;
    CUresult result = find(dev, &device);
    if (!result && (!pciBusId || len < 13))
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        snprintf(pciBusId, (size_t)len, "0000:%02X:00.0", device->gpu->pci_bus);
    return result;
}

CUresult cuDeviceGetByPCIBusId(CUdevice *dev, const char *pciBusId)
{
    unsigned int domain = 0, bus, place, function = 0;
    CUresult result = driver_check();
    if (result)
        return result;
    if (!dev || !pciBusId)
        return CUDA_ERROR_INVALID_VALUE;
    if (sscanf(pciBusId, "%x:%x:%x.%x", &domain, &bus, &place, &function) < 3) {
        domain = function = 0;
        if (sscanf(pciBusId, "%x:%x.%x", &bus, &place, &function) < 2)
            return CUDA_ERROR_INVALID_VALUE;
    }
    for (int i = 0; i < driver_device_count(); i++)
        if (!domain && !place && !function && driver_device(i)->gpu->pci_bus == bus) {
            *dev = i;
            return CUDA_SUCCESS;
        }
    return CUDA_ERROR_INVALID_DEVICE;
}

/* --- pairs of devices --- */

static CUresult find_pair(CUdevice first, CUdevice second)
{
    struct sim_device *device;
    CUresult result = find(first, &device);
    return result ? result : find(second, &device);
}

CUresult cuDeviceCanAccessPeer(int *canAccessPeer, CUdevice dev, CUdevice peerDev)
{
    CUresult result = find_pair(dev, peerDev);
    if (!result && !canAccessPeer)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *canAccessPeer = dev != peerDev;
    return result;
}

CUresult cuDeviceGetP2PAttribute(int *value, CUdevice_P2PAttribute attrib, CUdevice srcDevice,
                                 CUdevice dstDevice)
{
    CUresult result = find_pair(srcDevice, dstDevice);
    if (!result && srcDevice == dstDevice)
        result = CUDA_ERROR_INVALID_DEVICE;
    if (!result && (!value || attrib < CU_DEVICE_P2P_ATTRIBUTE_PERFORMANCE_RANK ||
                    attrib > CU_DEVICE_P2P_ATTRIBUTE_ONLY_PARTIAL_NATIVE_ATOMIC_SUPPORTED))
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *value = attrib == CU_DEVICE_P2P_ATTRIBUTE_ACCESS_SUPPORTED;
    return result;
}

CUresult cuDeviceGetExecAffinitySupport(int *pi, CUexecAffinityType type, CUdevice dev)
{
    struct sim_device *device;
    CUresult result = find(dev, &device);
    if (!result && (!pi || (unsigned int)type >= CU_EXEC_AFFINITY_TYPE_MAX))
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *pi = 0;
    return result;
}

/* --- atomic operations across the bus: there are none --- */

static CUresult no_capabilities(unsigned int *capabilities, const CUatomicOperation *operations,
                                unsigned int count)
{
    if (!capabilities || !operations || !count)
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned int i = 0; i < count; i++) {
        if (operations[i] >= CU_ATOMIC_OPERATION_MAX)
            return CUDA_ERROR_INVALID_VALUE;
        capabilities[i] = 0;
    }
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetHostAtomicCapabilities(unsigned int *capabilities, const CUatomicOperation *operations,
                                           unsigned int count, CUdevice dev)
{
    CUresult result = driver_check();
    if (!result && !driver_device(dev))
        result = CUDA_ERROR_INVALID_DEVICE;
    return result ? result : no_capabilities(capabilities, operations, count);
}

CUresult cuDeviceGetP2PAtomicCapabilities(unsigned int *capabilities, const CUatomicOperation *operations,
                                          unsigned int count, CUdevice srcDevice, CUdevice dstDevice)
{
    CUresult result = driver_check();
    if (!result && (!driver_device(srcDevice) || !driver_device(dstDevice) || srcDevice == dstDevice))
        result = CUDA_ERROR_INVALID_DEVICE;
    return result ? result : no_capabilities(capabilities, operations, count);
}

/* An NVML that does what the environment says: what a real one does on a bad day.
 *
 *   FAKE_NVML_INIT    result of nvmlInit_v2
 *   FAKE_NVML_DEVICE  result of asking for a device's UUID
 *   FAKE_NVML_LIVE    result of asking for its live values
 *   FAKE_NVML_COUNT   how many GPUs nvmlInit_v2 finds, instead of one
 * It has no nvmlDeviceGetMemoryInfo_v2, as old drivers. */
#include "cuda/nvml_types.h"

#include <stdio.h>
#include <stdlib.h>

static nvmlReturn_t result_of(const char *name)
{
    const char *text = getenv(name);
    return text == NULL ? NVML_SUCCESS : (nvmlReturn_t)atoi(text);
}

static unsigned found;

nvmlReturn_t nvmlInit_v2(void)
{
    const char *count = getenv("FAKE_NVML_COUNT");
    found = count == NULL ? 1 : (unsigned)atoi(count);
    return result_of("FAKE_NVML_INIT");
}

nvmlReturn_t nvmlShutdown(void)
{
    return NVML_SUCCESS;
}

const char *nvmlErrorString(nvmlReturn_t result)
{
    return result == NVML_ERROR_LIB_RM_VERSION_MISMATCH ? "Driver/library version mismatch" : "GPU is lost";
}

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *count)
{
    *count = found;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device)
{
    static char it;
    *device = (nvmlDevice_t)(void *)&it;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned int length)
{
    nvmlReturn_t result = result_of("FAKE_NVML_DEVICE");
    if (result == NVML_SUCCESS)
        snprintf(uuid, length, "GPU-fake");
    return result;
}

nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned int length)
{
    snprintf(name, length, "NVIDIA Fake");
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t *pci)
{
    snprintf(pci->busId, sizeof pci->busId, "00000000:0A:00.0");
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory)
{
    memory->total = 8192ull << 20;
    memory->used = (100ull << 20) + 5;
    return result_of("FAKE_NVML_LIVE");
}

nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, nvmlTemperatureSensors_t sensor,
                                      unsigned int *celsius)
{
    *celsius = 0;
    return result_of("FAKE_NVML_LIVE");
}

nvmlReturn_t nvmlDeviceGetPowerUsage(nvmlDevice_t device, unsigned int *milliwatts)
{
    return NVML_ERROR_NOT_SUPPORTED;
}

/* The guest's libnvidia-ml.so.1: the one device there is, and what of it is not simply what the host has
 * read. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "guest/nvml_fact.h"
#include "guest/nvml_functions.h"
#include "guest/nvml_host.h"

/* ---- Finding it ---- */

VGPU_EXPORT nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *count)
{
    const struct nvml_state *state;
    if (count == NULL)
        return NVML_ERROR_INVALID_ARGUMENT;
    nvmlReturn_t result = nvml_host_take_any(&state);
    if (result != NVML_SUCCESS)
        return result;
    *count = state->head.status == MONITOR_OK;
    nvml_host_release();
    return NVML_SUCCESS;
}

VGPU_EXPORT nvmlReturn_t nvmlDeviceGetCount(unsigned int *count)
{
    return nvmlDeviceGetCount_v2(count);
}

VGPU_EXPORT nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device)
{
    unsigned int count;
    if (device == NULL)
        return NVML_ERROR_INVALID_ARGUMENT;
    nvmlReturn_t result = nvmlDeviceGetCount_v2(&count);
    if (result == NVML_SUCCESS && index >= count)
        result = NVML_ERROR_INVALID_ARGUMENT;
    if (result == NVML_SUCCESS)
        *device = NVML_THE_DEVICE;
    return result;
}

VGPU_EXPORT nvmlReturn_t nvmlDeviceGetHandleByIndex(unsigned int index, nvmlDevice_t *device)
{
    return nvmlDeviceGetHandleByIndex_v2(index, device);
}

/* By a text that identifies a GPU, which `get` gives. */
static nvmlReturn_t handle_by_text(const char *text, nvmlDevice_t *device, unsigned function)
{
    char own[NVML_DEVICE_UUID_V2_BUFFER_SIZE];
    const unsigned int arguments[] = {0};
    void *const outputs[] = {own};
    if (text == NULL || device == NULL)
        return NVML_ERROR_INVALID_ARGUMENT;
    nvmlReturn_t result = nvml_host_check(NVML_THE_DEVICE);
    if (result != NVML_SUCCESS)
        return result;
    result = (nvmlReturn_t)fact_answer(NVML_THE_DEVICE, function, arguments, outputs, sizeof own);
    if (result != NVML_SUCCESS || strcasecmp(own, text) != 0)
        return NVML_ERROR_NOT_FOUND;
    *device = NVML_THE_DEVICE;
    return NVML_SUCCESS;
}

VGPU_EXPORT nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device)
{
    return handle_by_text(uuid, device, READ_nvmlDeviceGetUUID);
}

VGPU_EXPORT nvmlReturn_t nvmlDeviceGetHandleBySerial(const char *serial, nvmlDevice_t *device)
{
    return handle_by_text(serial, device, READ_nvmlDeviceGetSerial);
}

VGPU_EXPORT nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char *bus_id, nvmlDevice_t *device)
{
    nvmlPciInfo_t own;
    unsigned int domain = 0, bus, number, function = 0;
    if (bus_id == NULL || device == NULL)
        return NVML_ERROR_INVALID_ARGUMENT;
    nvmlReturn_t result = nvmlDeviceGetPciInfo_v3(NVML_THE_DEVICE, &own);
    if (result == NVML_ERROR_UNINITIALIZED)
        return result;
    if (sscanf(bus_id, "%x:%x:%x.%x", &domain, &bus, &number, &function) < 3) {
        domain = 0;
        if (sscanf(bus_id, "%x:%x.%x", &bus, &number, &function) < 2)
            return NVML_ERROR_INVALID_ARGUMENT;
    }
    if (result != NVML_SUCCESS || domain != own.domain || bus != own.bus || number != own.device ||
        function != 0)
        return NVML_ERROR_NOT_FOUND;
    *device = NVML_THE_DEVICE;
    return NVML_SUCCESS;
}

VGPU_EXPORT nvmlReturn_t nvmlDeviceGetHandleByPciBusId(const char *bus_id, nvmlDevice_t *device)
{
    return nvmlDeviceGetHandleByPciBusId_v2(bus_id, device);
}

/* ---- Who it is ---- */

/* *value: what is the same for every VM. */
static nvmlReturn_t answer_constant(nvmlDevice_t device, unsigned int *value, unsigned int constant)
{
    nvmlReturn_t result = nvml_host_check(device);
    if (result == NVML_SUCCESS && value == NULL)
        result = NVML_ERROR_INVALID_ARGUMENT;
    if (result == NVML_SUCCESS)
        *value = constant;
    return result;
}

VGPU_EXPORT nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t device, unsigned int *index)
{
    return answer_constant(device, index, 0);
}

VGPU_EXPORT nvmlReturn_t nvmlDeviceGetPciInfo_v2(nvmlDevice_t device, nvmlPciInfo_v2_t *pci)
{
    nvmlPciInfo_t own;
    if (pci == NULL)
        return NVML_ERROR_INVALID_ARGUMENT;
    nvmlReturn_t result = nvmlDeviceGetPciInfo_v3(device, &own);
    if (result != NVML_SUCCESS)
        return result;
    memset(pci, 0, sizeof *pci);
    memcpy(pci->busId, own.busIdLegacy, sizeof pci->busId);
    pci->domain = own.domain;
    pci->bus = own.bus;
    pci->device = own.device;
    pci->pciDeviceId = own.pciDeviceId;
    pci->pciSubSystemId = own.pciSubSystemId;
    return NVML_SUCCESS;
}

VGPU_EXPORT nvmlReturn_t nvmlDeviceGetPciInfo(nvmlDevice_t device, nvmlPciInfo_v2_t *pci)
{
    return nvmlDeviceGetPciInfo_v2(device, pci);
}

VGPU_EXPORT nvmlReturn_t nvmlDeviceGetPciInfoExt(nvmlDevice_t device, nvmlPciInfoExt_t *pci)
{
    nvmlPciInfo_t own;
    if (pci == NULL)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (pci->version != NVML_VERSION_OF(nvmlPciInfoExt_t, 1u))
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    nvmlReturn_t result = nvmlDeviceGetPciInfo_v3(device, &own);
    if (result != NVML_SUCCESS)
        return result;
    pci->domain = own.domain;
    pci->bus = own.bus;
    pci->device = own.device;
    pci->pciDeviceId = own.pciDeviceId;
    pci->pciSubSystemId = own.pciSubSystemId;
    pci->baseClass = 3; /* a display controller, as every GPU */
    pci->subClass = 2;  /* of the kind without a display */
    memcpy(pci->busId, own.busId, sizeof pci->busId);
    return NVML_SUCCESS;
}

VGPU_EXPORT nvmlReturn_t nvmlDeviceGetVirtualizationMode(nvmlDevice_t device, unsigned int *mode)
{
    return answer_constant(device, mode, 0); /* none that NVIDIA's own drivers know of */
}

/* ---- MIG and other GPUs: none ---- */

VGPU_EXPORT nvmlReturn_t nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t device, unsigned int *count)
{
    return answer_constant(device, count, 0);
}

VGPU_EXPORT nvmlReturn_t nvmlDeviceIsMigDeviceHandle(nvmlDevice_t device, unsigned int *isMigDevice)
{
    return answer_constant(device, isMigDevice, 0);
}

VGPU_EXPORT nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t device, unsigned int index,
                                                             nvmlDevice_t *migDevice)
{
    nvmlReturn_t result = nvml_host_check(device);
    return result == NVML_SUCCESS ? NVML_ERROR_NOT_FOUND : result;
}

VGPU_EXPORT nvmlReturn_t nvmlDeviceGetDeviceHandleFromMigDeviceHandle(nvmlDevice_t migDevice,
                                                                      nvmlDevice_t *device)
{
    nvmlReturn_t result = nvml_host_check(migDevice);
    return result == NVML_SUCCESS ? NVML_ERROR_INVALID_ARGUMENT : result;
}

VGPU_EXPORT nvmlReturn_t nvmlDeviceOnSameBoard(nvmlDevice_t device1, nvmlDevice_t device2, int *onSameBoard)
{
    nvmlReturn_t result = nvml_host_check(device1);
    if (result == NVML_SUCCESS)
        result = nvml_host_check(device2);
    if (result == NVML_SUCCESS && onSameBoard == NULL)
        result = NVML_ERROR_INVALID_ARGUMENT;
    if (result == NVML_SUCCESS)
        *onSameBoard = 1;
    return result;
}

VGPU_EXPORT nvmlReturn_t nvmlDeviceGetTopologyCommonAncestor(nvmlDevice_t device1, nvmlDevice_t device2,
                                                             unsigned int *pathInfo)
{
    nvmlReturn_t result = nvml_host_check(device2);
    return result == NVML_SUCCESS ? answer_constant(device1, pathInfo, 0) : result;
}

/* Whether one GPU reaches the other's memory. NCCL asks of each pair at its start, of a GPU and itself too,
 * and gives up over anything but an answer (src/misc/nvmlwrap.cc of NVIDIA/nccl). Driver 580 says of a GPU
 * and itself that no such way is supported, and OK where it does not know the way that is asked for. */
VGPU_EXPORT nvmlReturn_t nvmlDeviceGetP2PStatus(nvmlDevice_t device1, nvmlDevice_t device2,
                                                unsigned int p2pIndex, unsigned int *p2pStatus)
{
    enum { STATUS_OK = 0, STATUS_NOT_SUPPORTED = 5, CAPS_INDEX_UNKNOWN = 5 }; /* nvml.h: nvmlGpuP2P... */
    nvmlReturn_t result = nvml_host_check(device2);
    if (result != NVML_SUCCESS)
        return result;
    return answer_constant(device1, p2pStatus,
                           p2pIndex < CAPS_INDEX_UNKNOWN ? STATUS_NOT_SUPPORTED : STATUS_OK);
}

VGPU_EXPORT nvmlReturn_t nvmlDeviceGetSupportedEventTypes(nvmlDevice_t device, unsigned long long *eventTypes)
{
    nvmlReturn_t result = nvml_host_check(device);
    if (result == NVML_SUCCESS && eventTypes == NULL)
        result = NVML_ERROR_INVALID_ARGUMENT;
    if (result == NVML_SUCCESS)
        *eventTypes = 0;
    return result;
}

VGPU_EXPORT nvmlReturn_t nvmlGpmQueryDeviceSupport(nvmlDevice_t device, nvmlGpmSupport_t *gpmSupport)
{
    return answer_constant(device, gpmSupport != NULL ? &gpmSupport->isSupportedDevice : NULL, 0);
}

/* ---- How it is ---- */

VGPU_EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *memory)
{
    const struct nvml_state *state;
    if (memory == NULL)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (memory->version != NVML_MEMORY_V2)
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    nvmlReturn_t result = nvml_host_take(device, &state);
    if (result != NVML_SUCCESS)
        return result;
    memory->total = state->head.memory_total_bytes;
    memory->reserved = state->head.memory_reserved_bytes;
    memory->free = state->head.memory_free_bytes;
    memory->used = state->head.memory_used_bytes;
    nvml_host_release();
    return NVML_SUCCESS;
}

VGPU_EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory)
{
    nvmlMemory_v2_t all = {.version = NVML_MEMORY_V2};
    if (memory == NULL)
        return NVML_ERROR_INVALID_ARGUMENT;
    nvmlReturn_t result = nvmlDeviceGetMemoryInfo_v2(device, &all);
    if (result != NVML_SUCCESS)
        return result;
    memory->total = all.total;
    memory->free = all.free;
    memory->used = all.used + all.reserved;
    return NVML_SUCCESS;
}

/* Of the VM alone, as far as that is known; else of the GPU. */
VGPU_EXPORT nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *utilization)
{
    const unsigned int arguments[] = {0};
    const struct nvml_state *state;
    nvmlUtilization_t whole = {0};
    void *const outputs[] = {&whole};
    if (utilization == NULL)
        return NVML_ERROR_INVALID_ARGUMENT;
    nvmlReturn_t result =
        (nvmlReturn_t)fact_answer(device, READ_nvmlDeviceGetUtilizationRates, arguments, outputs, 0);
    if (result != NVML_SUCCESS || (result = nvml_host_take(device, &state)) != NVML_SUCCESS)
        return result;
    *utilization = whole;
    uint32_t own = state->head.utilization_percent;
    if (own != MONITOR_UNKNOWN) {
        utilization->gpu = own;
        utilization->memory =
            whole.gpu != 0 && own < whole.gpu ? whole.memory * own / whole.gpu : whole.memory;
    }
    nvml_host_release();
    return NVML_SUCCESS;
}

static const struct nvml_field *field_of(const struct nvml_state *state, unsigned int number)
{
    for (size_t i = 0; i < NVML_FIELDS; i++) {
        if (nvml_field_numbers[i] == number)
            return &state->head.facts.fields[i];
    }
    return NULL;
}

VGPU_EXPORT nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t device, int valuesCount,
                                                  nvmlFieldValue_t *values)
{
    const struct nvml_state *state;
    if (values == NULL || valuesCount < 0)
        return NVML_ERROR_INVALID_ARGUMENT;
    nvmlReturn_t result = nvml_host_take(device, &state);
    if (result != NVML_SUCCESS)
        return result;
    for (int i = 0; i < valuesCount; i++) {
        nvmlFieldValue_t *value = &values[i];
        const struct nvml_field *field = value->scopeId == 0 ? field_of(state, value->fieldId) : NULL;
        value->timestamp = (long long)state->head.time_us;
        value->latencyUsec = 0;
        value->nvmlReturn = field != NULL ? (nvmlReturn_t)field->result : NVML_ERROR_NOT_SUPPORTED;
        if (value->nvmlReturn != NVML_SUCCESS)
            continue;
        value->valueType = field->type;
        memcpy(&value->value, &field->value, sizeof value->value);
    }
    nvml_host_release();
    return NVML_SUCCESS;
}

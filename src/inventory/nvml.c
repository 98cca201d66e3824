/* GPUs through NVML (libnvidia-ml.so.1), loaded at run time so that the program starts anywhere. */
#include "inventory/source.h"

#include "base/error.h"
#include "cuda/nvml_types.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct nvml {
    char *path;
    void *library; /* NULL: not loaded */
    bool initialised;

    __typeof__(nvmlInit_v2) *init;
    __typeof__(nvmlShutdown) *shutdown;
    __typeof__(nvmlErrorString) *error_string;
    __typeof__(nvmlDeviceGetCount_v2) *get_count;
    __typeof__(nvmlDeviceGetHandleByIndex_v2) *get_by_index;
    __typeof__(nvmlDeviceGetUUID) *get_uuid;
    __typeof__(nvmlDeviceGetName) *get_name;
    __typeof__(nvmlDeviceGetPciInfo_v3) *get_pci_info;

    /* NULL where an old driver does not have them: the value is absent. */
    __typeof__(nvmlDeviceGetMemoryInfo) *get_memory;
    __typeof__(nvmlDeviceGetMemoryInfo_v2) *get_memory_v2;
    __typeof__(nvmlDeviceGetUtilizationRates) *get_utilization;
    __typeof__(nvmlDeviceGetTemperature) *get_temperature;
    __typeof__(nvmlDeviceGetPowerUsage) *get_power;
};

/* ---- Loading ---- */

/* Which function goes where. Every driver since 470 has those that are needed. */
static const struct function {
    const char *name;
    size_t place; /* of its pointer in struct nvml */
    bool needed;
} functions[] = {
    {"nvmlInit_v2", offsetof(struct nvml, init), true},
    {"nvmlShutdown", offsetof(struct nvml, shutdown), true},
    {"nvmlErrorString", offsetof(struct nvml, error_string), true},
    {"nvmlDeviceGetCount_v2", offsetof(struct nvml, get_count), true},
    {"nvmlDeviceGetHandleByIndex_v2", offsetof(struct nvml, get_by_index), true},
    {"nvmlDeviceGetUUID", offsetof(struct nvml, get_uuid), true},
    {"nvmlDeviceGetName", offsetof(struct nvml, get_name), true},
    {"nvmlDeviceGetPciInfo_v3", offsetof(struct nvml, get_pci_info), true},
    {"nvmlDeviceGetMemoryInfo", offsetof(struct nvml, get_memory), false},
    {"nvmlDeviceGetMemoryInfo_v2", offsetof(struct nvml, get_memory_v2), false},
    {"nvmlDeviceGetUtilizationRates", offsetof(struct nvml, get_utilization), false},
    {"nvmlDeviceGetTemperature", offsetof(struct nvml, get_temperature), false},
    {"nvmlDeviceGetPowerUsage", offsetof(struct nvml, get_power), false},
};

/* False: one that is needed is not there. */
static bool find_functions(struct nvml *nvml)
{
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        void *address = dlsym(nvml->library, functions[i].name);
        if (address == NULL && functions[i].needed)
            return false;
        /* POSIX says that a function's address fits a void *; C has no cast for it. */
        memcpy((char *)nvml + functions[i].place, &address, sizeof address);
    }
    return true;
}

static enum vgpu_status nvml_load(struct nvml *nvml, struct vgpu_error *err)
{
    if (nvml->library != NULL)
        return VGPU_OK;
    nvml->library = dlopen(nvml->path, RTLD_NOW | RTLD_LOCAL);
    if (nvml->library == NULL)
        return error_set(err, VGPU_ERR_NOT_FOUND, "cannot load NVML: %s", dlerror());
    if (!find_functions(nvml)) {
        dlclose(nvml->library);
        nvml->library = NULL;
        return error_set(err, VGPU_ERR_NOT_FOUND,
                         "%s is no NVML of driver 470 or later: install the NVIDIA driver's own", nvml->path);
    }
    return VGPU_OK;
}

static enum vgpu_status nvml_begin(struct nvml *nvml, bool fresh, struct vgpu_error *err)
{
    enum vgpu_status status = nvml_load(nvml, err);
    if (status != VGPU_OK)
        return status;
    if (nvml->initialised && !fresh)
        return VGPU_OK;
    if (nvml->initialised)
        nvml->shutdown(); /* NVML looks for GPUs only when it is initialised */
    nvmlReturn_t result = nvml->init();
    nvml->initialised = result == NVML_SUCCESS;
    if (nvml->initialised)
        return VGPU_OK;
    if (result == NVML_ERROR_DRIVER_NOT_LOADED)
        return error_set(err, VGPU_ERR_NOT_FOUND, "NVML: the NVIDIA driver is not loaded");
    const char *advice = result == NVML_ERROR_LIB_RM_VERSION_MISMATCH
                             ? "reload the driver's kernel modules, or restart the host"
                             : "see whether nvidia-smi works, and the kernel's log";
    return error_set(err, VGPU_ERR_UNAVAILABLE, "NVML does not start: %s: %s", nvml->error_string(result),
                     advice);
}

/* ---- One GPU ---- */

/* Whether the GPU itself does not work, and not just lacks a value. */
static bool is_failure(nvmlReturn_t result)
{
    return result == NVML_ERROR_GPU_IS_LOST || result == NVML_ERROR_RESET_REQUIRED ||
           result == NVML_ERROR_UNKNOWN || result == NVML_ERROR_IRQ_ISSUE;
}

static void note(const struct nvml *nvml, struct vgpu_gpu *gpu, nvmlReturn_t result)
{
    if (!is_failure(result) || gpu->status == VGPU_GPU_ERROR)
        return;
    gpu->status = VGPU_GPU_ERROR;
    snprintf(gpu->reason, sizeof gpu->reason, "%s", nvml->error_string(result));
}

static struct vgpu_optional known_if(nvmlReturn_t result, int64_t value)
{
    return (struct vgpu_optional){.known = result == NVML_SUCCESS,
                                  .value = result == NVML_SUCCESS ? value : 0};
}

/* As nvidia-smi shows it: what the driver keeps for itself is not used memory, where the driver can tell. */
static void read_memory(const struct nvml *nvml, nvmlDevice_t device, struct vgpu_gpu *gpu)
{
    nvmlReturn_t result = NVML_ERROR_FUNCTION_NOT_FOUND;
    if (nvml->get_memory_v2 != NULL) {
        nvmlMemory_v2_t memory = {.version = NVML_MEMORY_V2};
        result = nvml->get_memory_v2(device, &memory);
        gpu->memory_total_mib = known_if(result, (int64_t)(memory.total >> 20));
        gpu->memory_used_mib = known_if(result, (int64_t)(memory.used >> 20));
    }
    if (result != NVML_SUCCESS && !is_failure(result) && nvml->get_memory != NULL) {
        nvmlMemory_t memory = {.total = 0};
        result = nvml->get_memory(device, &memory);
        gpu->memory_total_mib = known_if(result, (int64_t)(memory.total >> 20));
        gpu->memory_used_mib = known_if(result, (int64_t)(memory.used >> 20));
    }
    note(nvml, gpu, result);
}

static void read_live(const struct nvml *nvml, nvmlDevice_t device, struct vgpu_gpu *gpu)
{
    read_memory(nvml, device, gpu);
    if (nvml->get_utilization != NULL) {
        nvmlUtilization_t utilization = {.gpu = 0};
        nvmlReturn_t result = nvml->get_utilization(device, &utilization);
        gpu->utilization_percent = known_if(result, utilization.gpu);
        note(nvml, gpu, result);
    }
    if (nvml->get_temperature != NULL) {
        unsigned celsius = 0;
        nvmlReturn_t result = nvml->get_temperature(device, NVML_TEMPERATURE_GPU, &celsius);
        gpu->temperature_c = known_if(result, (int)celsius);
        note(nvml, gpu, result);
    }
    if (nvml->get_power != NULL) {
        unsigned milliwatts = 0;
        nvmlReturn_t result = nvml->get_power(device, &milliwatts);
        gpu->power_mw = known_if(result, milliwatts);
        note(nvml, gpu, result);
    }
}

/* False: nothing tells which GPU it is. */
static bool read_identity(const struct nvml *nvml, nvmlDevice_t device, struct vgpu_gpu *gpu)
{
    nvmlPciInfo_t pci;
    memset(&pci, 0, sizeof pci);
    nvmlReturn_t result = nvml->get_pci_info(device, &pci);
    note(nvml, gpu, result);
    if (result == NVML_SUCCESS) {
        pci.busId[sizeof pci.busId - 1] = '\0';
        pci_address_normalize(pci.busId, gpu->pci_address);
    }
    result = nvml->get_name(device, gpu->gpu_name, sizeof gpu->gpu_name);
    note(nvml, gpu, result);
    if (result != NVML_SUCCESS)
        gpu->gpu_name[0] = '\0';
    result = nvml->get_uuid(device, gpu->gpu_uuid, sizeof gpu->gpu_uuid);
    note(nvml, gpu, result);
    if (result == NVML_SUCCESS && gpu->gpu_uuid[0] != '\0')
        return true;
    snprintf(gpu->gpu_uuid, sizeof gpu->gpu_uuid, SOURCE_STAND_IN_PREFIX "%s", gpu->pci_address);
    return gpu->pci_address[0] != '\0';
}

static enum vgpu_status read_gpu(const struct nvml *nvml, unsigned index, struct gpu_list *list,
                                 struct vgpu_error *err)
{
    nvmlDevice_t device = NULL;
    nvmlReturn_t result = nvml->get_by_index(index, &device);
    if (result != NVML_SUCCESS)
        return VGPU_OK; /* lost, or not for this user: the PCI bus tells more */
    struct vgpu_gpu gpu = {.gpu_id = (int32_t)index, .status = VGPU_GPU_ONLINE};
    if (!read_identity(nvml, device, &gpu))
        return VGPU_OK;
    read_live(nvml, device, &gpu);
    struct vgpu_gpu *added = gpu_list_add(list);
    if (added == NULL)
        return error_set(err, VGPU_ERR_MEMORY, "out of memory");
    *added = gpu;
    return VGPU_OK;
}

/* ---- The source ---- */

static void nvml_close(void *state)
{
    struct nvml *nvml = state;
    if (nvml == NULL)
        return;
    if (nvml->initialised)
        nvml->shutdown();
    if (nvml->library != NULL)
        dlclose(nvml->library);
    free(nvml->path);
    free(nvml);
}

static enum vgpu_status nvml_open(const struct inventory_options *options, void **state,
                                  struct vgpu_error *err)
{
    struct nvml *nvml = calloc(1, sizeof *nvml);
    if (nvml != NULL)
        nvml->path = strdup(options->nvml_path != NULL ? options->nvml_path : "libnvidia-ml.so.1");
    if (nvml == NULL || nvml->path == NULL) {
        nvml_close(nvml);
        return error_set(err, VGPU_ERR_MEMORY, "out of memory");
    }
    *state = nvml;
    return VGPU_OK;
}

static enum vgpu_status nvml_scan(void *state, bool fresh, struct gpu_list *list, struct vgpu_error *err)
{
    struct nvml *nvml = state;
    enum vgpu_status status = nvml_begin(nvml, fresh, err);
    if (status != VGPU_OK)
        return status;
    unsigned count = 0;
    nvmlReturn_t result = nvml->get_count(&count);
    if (result != NVML_SUCCESS) {
        nvml->shutdown();
        nvml->initialised = false; /* the next scan starts it again */
        return error_set(err, VGPU_ERR_UNAVAILABLE, "NVML does not count the GPUs: %s",
                         nvml->error_string(result));
    }
    for (unsigned index = 0; status == VGPU_OK && index < count; index++)
        status = read_gpu(nvml, index, list, err);
    return status;
}

const struct source source_nvml = {
    .name = "NVML",
    .open = nvml_open,
    .scan = nvml_scan,
    .close = nvml_close,
};

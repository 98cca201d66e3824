/* libnvidia-ml.so.1 of the simulated machine: the entry points that ask about the library, the system, and
 * who a GPU is. How a GPU is stands in nvml_metrics.c. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "simgpu/nvml_device.h"

static pthread_mutex_t init_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int init_count;
static _Atomic(bool) is_initialized;
static struct machine machine;
static struct shared_state *shared_state;

/* --- init --- */

static nvmlReturn_t start(void)
{
    struct vgpu_error err;
    enum vgpu_status status = machine_load(&machine, &err);
    if (!status && !shared_state)
        status = shared_state_open(machine.seed, &shared_state, &err);
    if (status) {
        fprintf(stderr, "simulated libnvidia-ml.so.1: %s\n", err.message);
        return NVML_ERROR_DRIVER_NOT_LOADED;
    }
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlInit_v2(void)
{
    nvmlReturn_t result = NVML_SUCCESS;
    pthread_mutex_lock(&init_lock);
    if (init_count == 0)
        result = start();
    if (!result) {
        init_count++;
        is_initialized = true;
    }
    pthread_mutex_unlock(&init_lock);
    return result;
}

nvmlReturn_t nvmlInitWithFlags(unsigned int flags)
{
    return nvmlInit_v2();
}

nvmlReturn_t nvmlShutdown(void)
{
    nvmlReturn_t result = NVML_SUCCESS;
    pthread_mutex_lock(&init_lock);
    if (init_count == 0)
        result = NVML_ERROR_UNINITIALIZED;
    else if (--init_count == 0)
        is_initialized = false;
    pthread_mutex_unlock(&init_lock);
    return result;
}

const char *nvmlErrorString(nvmlReturn_t result)
{
    static const struct {
        nvmlReturn_t result;
        const char *text;
    } TEXTS[] = {
        {NVML_SUCCESS, "Success"},
        {NVML_ERROR_UNINITIALIZED, "Uninitialized"},
        {NVML_ERROR_INVALID_ARGUMENT, "Invalid Argument"},
        {NVML_ERROR_NOT_SUPPORTED, "Not Supported"},
        {NVML_ERROR_NO_PERMISSION, "Insufficient Permissions"},
        {NVML_ERROR_ALREADY_INITIALIZED, "Already Initialized"},
        {NVML_ERROR_NOT_FOUND, "Not Found"},
        {NVML_ERROR_INSUFFICIENT_SIZE, "Insufficient Size"},
        {NVML_ERROR_INSUFFICIENT_POWER, "Insufficient External Power"},
        {NVML_ERROR_DRIVER_NOT_LOADED, "Driver Not Loaded"},
        {NVML_ERROR_TIMEOUT, "Timeout"},
        {NVML_ERROR_IRQ_ISSUE, "Interrupt Request Issue"},
        {NVML_ERROR_LIBRARY_NOT_FOUND, "NVML Shared Library Not Found"},
        {NVML_ERROR_FUNCTION_NOT_FOUND, "Function Not Found"},
        {NVML_ERROR_CORRUPTED_INFOROM, "Corrupted infoROM"},
        {NVML_ERROR_GPU_IS_LOST, "GPU is lost"},
        {NVML_ERROR_RESET_REQUIRED, "GPU requires reset"},
        {NVML_ERROR_OPERATING_SYSTEM, "GPU access blocked by the operating system"},
        {NVML_ERROR_LIB_RM_VERSION_MISMATCH, "Driver/library version mismatch"},
        {NVML_ERROR_IN_USE, "In use by another client"},
        {NVML_ERROR_MEMORY, "Insufficient Memory"},
        {NVML_ERROR_NO_DATA, "No data"},
        {NVML_ERROR_INSUFFICIENT_RESOURCES, "Insufficient Resources"},
        {NVML_ERROR_ARGUMENT_VERSION_MISMATCH, "Argument Version Mismatch"},
        {NVML_ERROR_GPU_NOT_FOUND, "GPU Not Found"},
    };
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++)
        if (TEXTS[i].result == result)
            return TEXTS[i].text;
    return "Unknown Error";
}

/* --- what nvml_device.h promises --- */

struct shared_state *nvml_shared_state(void)
{
    return shared_state;
}

nvmlReturn_t nvml_gpu_of(nvmlDevice_t device, const struct machine_gpu **gpu)
{
    if (!is_initialized)
        return NVML_ERROR_UNINITIALIZED;
    for (unsigned int i = 0; i < machine.gpu_count; i++)
        if ((const void *)device == &machine.gpus[i]) {
            *gpu = &machine.gpus[i];
            return (*gpu)->lost ? NVML_ERROR_GPU_IS_LOST : NVML_SUCCESS;
        }
    return NVML_ERROR_INVALID_ARGUMENT;
}

nvmlReturn_t nvml_answer_text(const char *text, char *out, unsigned int length)
{
    if (!out)
        return NVML_ERROR_INVALID_ARGUMENT;
    size_t bytes = strlen(text) + 1;
    if (bytes > length)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    memcpy(out, text, bytes);
    return NVML_SUCCESS;
}

/* --- system --- */

nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned int length)
{
    return is_initialized ? nvml_answer_text(MACHINE_DRIVER_VERSION, version, length)
                          : NVML_ERROR_UNINITIALIZED;
}

nvmlReturn_t nvmlSystemGetNVMLVersion(char *version, unsigned int length)
{
    return is_initialized ? nvml_answer_text(MACHINE_NVML_VERSION, version, length)
                          : NVML_ERROR_UNINITIALIZED;
}

nvmlReturn_t nvmlSystemGetCudaDriverVersion(int *cuda_version)
{
    if (!cuda_version)
        return NVML_ERROR_INVALID_ARGUMENT;
    *cuda_version = MACHINE_CUDA_VERSION;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *cuda_version)
{
    return nvmlSystemGetCudaDriverVersion(cuda_version);
}

nvmlReturn_t nvmlSystemGetProcessName(unsigned int pid, char *name, unsigned int length)
{
    if (!is_initialized)
        return NVML_ERROR_UNINITIALIZED;
    if (!name || !length)
        return NVML_ERROR_INVALID_ARGUMENT;
    char path[32];
    snprintf(path, sizeof path, "/proc/%u/cmdline", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NVML_ERROR_NOT_FOUND;
    ssize_t got = read(fd, name, length - 1);
    close(fd);
    name[got > 0 ? got : 0] = 0;
    return NVML_SUCCESS;
}

/* --- finding devices --- */

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *count)
{
    if (!is_initialized)
        return NVML_ERROR_UNINITIALIZED;
    if (!count)
        return NVML_ERROR_INVALID_ARGUMENT;
    *count = machine.gpu_count;
    return NVML_SUCCESS;
}

static nvmlReturn_t answer_device(unsigned int index, nvmlDevice_t *device)
{
    if (machine.gpus[index].lost)
        return NVML_ERROR_GPU_IS_LOST;
    *device = (nvmlDevice_t)(void *)&machine.gpus[index];
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device)
{
    if (!is_initialized)
        return NVML_ERROR_UNINITIALIZED;
    if (!device || index >= machine.gpu_count)
        return NVML_ERROR_INVALID_ARGUMENT;
    return answer_device(index, device);
}

nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device)
{
    if (!is_initialized)
        return NVML_ERROR_UNINITIALIZED;
    if (!device || !uuid)
        return NVML_ERROR_INVALID_ARGUMENT;
    for (unsigned int i = 0; i < machine.gpu_count; i++)
        if (strcasecmp(machine.gpus[i].uuid_text, uuid) == 0)
            return answer_device(i, device);
    return NVML_ERROR_NOT_FOUND;
}

nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char *bus_id, nvmlDevice_t *device)
{
    unsigned int domain = 0, bus, place, function;
    char rest;
    if (!is_initialized)
        return NVML_ERROR_UNINITIALIZED;
    if (!device || !bus_id)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (sscanf(bus_id, "%8x:%2x:%2x.%1x%c", &domain, &bus, &place, &function, &rest) != 4) {
        domain = 0;
        if (sscanf(bus_id, "%2x:%2x.%1x%c", &bus, &place, &function, &rest) != 3)
            return NVML_ERROR_INVALID_ARGUMENT;
    }
    for (unsigned int i = 0; i < machine.gpu_count; i++)
        if (domain == 0 && place == 0 && function == 0 && machine.gpus[i].pci_bus == bus)
            return answer_device(i, device);
    return NVML_ERROR_NOT_FOUND;
}

nvmlReturn_t nvmlDeviceGetHandleBySerial(const char *serial, nvmlDevice_t *device)
{
    if (!is_initialized)
        return NVML_ERROR_UNINITIALIZED;
    if (!device || !serial)
        return NVML_ERROR_INVALID_ARGUMENT;
    for (unsigned int i = 0; i < machine.gpu_count; i++)
        if (strcmp(machine.gpus[i].serial, serial) == 0 && !machine.gpus[i].missing[METRIC_SERIAL])
            return answer_device(i, device);
    return NVML_ERROR_NOT_FOUND;
}

/* --- who it is --- */

nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t device, unsigned int *index)
{
    const struct machine_gpu *gpu;
    nvmlReturn_t result = nvml_gpu_of(device, &gpu);
    if (!result && !index)
        result = NVML_ERROR_INVALID_ARGUMENT;
    if (!result)
        *index = (unsigned int)(gpu - machine.gpus);
    return result;
}

nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned int length)
{
    const struct machine_gpu *gpu;
    nvmlReturn_t result = nvml_gpu_of(device, &gpu);
    return result ? result : nvml_answer_text(gpu->model->name, name, length);
}

nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned int length)
{
    const struct machine_gpu *gpu;
    nvmlReturn_t result = nvml_gpu_of(device, &gpu);
    return result ? result : nvml_answer_text(gpu->uuid_text, uuid, length);
}

nvmlReturn_t nvmlDeviceGetSerial(nvmlDevice_t device, char *serial, unsigned int length)
{
    const struct machine_gpu *gpu;
    nvmlReturn_t result = nvml_gpu_of(device, &gpu);
    if (!result && gpu->missing[METRIC_SERIAL])
        result = NVML_ERROR_NOT_SUPPORTED;
    return result ? result : nvml_answer_text(gpu->serial, serial, length);
}

nvmlReturn_t nvmlDeviceGetMinorNumber(nvmlDevice_t device, unsigned int *minor_number)
{
    const struct machine_gpu *gpu;
    nvmlReturn_t result = nvml_gpu_of(device, &gpu);
    if (!result && !minor_number)
        result = NVML_ERROR_INVALID_ARGUMENT;
    if (!result)
        *minor_number = gpu->slot;
    return result;
}

nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t *pci)
{
    const struct machine_gpu *gpu;
    nvmlReturn_t result = nvml_gpu_of(device, &gpu);
    if (!result && !pci)
        result = NVML_ERROR_INVALID_ARGUMENT;
    if (result)
        return result;
    memset(pci, 0, sizeof *pci);
    snprintf(pci->busIdLegacy, sizeof pci->busIdLegacy, "0000:%02X:00.0", gpu->pci_bus);
    snprintf(pci->busId, sizeof pci->busId, "00000000:%02X:00.0", gpu->pci_bus);
    pci->bus = gpu->pci_bus;
    pci->pciDeviceId = gpu->model->pci_device;
    pci->pciSubSystemId = gpu->model->pci_subsystem;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetVbiosVersion(nvmlDevice_t device, char *version, unsigned int length)
{
    const struct machine_gpu *gpu;
    nvmlReturn_t result = nvml_gpu_of(device, &gpu);
    return result ? result : nvml_answer_text("96.00.00.00.01", version, length);
}

nvmlReturn_t nvmlDeviceGetCudaComputeCapability(nvmlDevice_t device, int *major, int *minor)
{
    const struct machine_gpu *gpu;
    nvmlReturn_t result = nvml_gpu_of(device, &gpu);
    if (!result && (!major || !minor))
        result = NVML_ERROR_INVALID_ARGUMENT;
    if (!result) {
        *major = gpu->model->compute_major;
        *minor = gpu->model->compute_minor;
    }
    return result;
}

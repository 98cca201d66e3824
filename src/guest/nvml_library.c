/* The guest's libnvidia-ml.so.1: the library itself, and the system it runs on. */
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cuda/nvml_types.h"
#include "guest/nvml_fact.h"
#include "guest/nvml_functions.h"
#include "guest/nvml_host.h"

VGPU_EXPORT nvmlReturn_t nvmlInit_v2(void)
{
    return nvml_host_begin();
}

VGPU_EXPORT nvmlReturn_t nvmlInit(void)
{
    return nvml_host_begin();
}

VGPU_EXPORT nvmlReturn_t nvmlInitWithFlags(unsigned int flags)
{
    return nvml_host_begin();
}

VGPU_EXPORT nvmlReturn_t nvmlShutdown(void)
{
    return nvml_host_end();
}

VGPU_EXPORT const char *nvmlErrorString(nvmlReturn_t result)
{
    static const char *const texts[] = {
        [NVML_SUCCESS] = "Success",
        [NVML_ERROR_UNINITIALIZED] = "Uninitialized",
        [NVML_ERROR_INVALID_ARGUMENT] = "Invalid Argument",
        [NVML_ERROR_NOT_SUPPORTED] = "Not Supported",
        [NVML_ERROR_NO_PERMISSION] = "Insufficient Permissions",
        [NVML_ERROR_ALREADY_INITIALIZED] = "Already Initialized",
        [NVML_ERROR_NOT_FOUND] = "Not Found",
        [NVML_ERROR_INSUFFICIENT_SIZE] = "Insufficient Size",
        [NVML_ERROR_INSUFFICIENT_POWER] = "Insufficient External Power",
        [NVML_ERROR_DRIVER_NOT_LOADED] = "Driver Not Loaded",
        [NVML_ERROR_TIMEOUT] = "Timeout",
        [NVML_ERROR_IRQ_ISSUE] = "Interrupt Request Issue",
        [NVML_ERROR_LIBRARY_NOT_FOUND] = "NVML Shared Library Not Found",
        [NVML_ERROR_FUNCTION_NOT_FOUND] = "Function Not Found",
        [NVML_ERROR_CORRUPTED_INFOROM] = "Corrupted infoROM",
        [NVML_ERROR_GPU_IS_LOST] = "GPU is lost",
        [NVML_ERROR_RESET_REQUIRED] = "GPU requires reset",
        [NVML_ERROR_OPERATING_SYSTEM] = "GPU access blocked by the operating system",
        [NVML_ERROR_LIB_RM_VERSION_MISMATCH] = "Driver/library version mismatch",
        [NVML_ERROR_IN_USE] = "In use by another client",
        [NVML_ERROR_MEMORY] = "Insufficient Memory",
        [NVML_ERROR_NO_DATA] = "No data",
        [NVML_ERROR_VGPU_ECC_NOT_SUPPORTED] =
            "The requested vgpu operation is not available because ECC is enabled",
        [NVML_ERROR_INSUFFICIENT_RESOURCES] = "Insufficient Resources",
        [NVML_ERROR_FREQ_NOT_SUPPORTED] = "Frequency Not Supported",
        [NVML_ERROR_ARGUMENT_VERSION_MISMATCH] = "Argument Version Mismatch",
        [NVML_ERROR_DEPRECATED] = "Deprecated",
        [NVML_ERROR_NOT_READY] = "Not Ready",
        [NVML_ERROR_GPU_NOT_FOUND] = "GPU Not Found",
        [NVML_ERROR_INVALID_STATE] = "Invalid State",
    };
    if ((unsigned)result >= sizeof texts / sizeof texts[0] || texts[result] == NULL)
        return "Unknown Error";
    return texts[result];
}

/* ---- The system ---- */

static nvmlReturn_t answer_text(const char *text, char *out, unsigned int length)
{
    size_t bytes = strlen(text) + 1;
    if (out == NULL)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (text[0] == '\0')
        return NVML_ERROR_UNKNOWN;
    if (bytes > length)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    memcpy(out, text, bytes);
    return NVML_SUCCESS;
}

VGPU_EXPORT nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned int length)
{
    const struct nvml_state *state;
    nvmlReturn_t result = nvml_host_take_any(&state);
    if (result != NVML_SUCCESS)
        return result;
    result = answer_text(state->head.facts.library.driver_version, version, length);
    nvml_host_release();
    return result;
}

VGPU_EXPORT nvmlReturn_t nvmlSystemGetNVMLVersion(char *version, unsigned int length)
{
    const struct nvml_state *state;
    nvmlReturn_t result = nvml_host_take_any(&state);
    if (result != NVML_SUCCESS)
        return result;
    result = answer_text(state->head.facts.library.nvml_version, version, length);
    nvml_host_release();
    return result;
}

VGPU_EXPORT nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *cuda_version)
{
    const struct nvml_state *state;
    if (cuda_version == NULL)
        return NVML_ERROR_INVALID_ARGUMENT;
    nvmlReturn_t result = nvml_host_take_any(&state);
    if (result != NVML_SUCCESS)
        return result;
    if (state->head.facts.library.cuda_version > 0)
        *cuda_version = state->head.facts.library.cuda_version;
    else
        result = NVML_ERROR_UNKNOWN;
    nvml_host_release();
    return result;
}

VGPU_EXPORT nvmlReturn_t nvmlSystemGetCudaDriverVersion(int *cuda_version)
{
    return nvmlSystemGetCudaDriverVersion_v2(cuda_version);
}

bool nvml_process_name(unsigned int pid, char *name, size_t bytes)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/%u/cmdline", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, name, bytes - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (got < 0)
        return false;
    name[got] = '\0'; /* the program ends at its own NUL */
    return true;
}

/* The processes are those of this machine: their ids are what the guests' own programs have told the host. */
VGPU_EXPORT nvmlReturn_t nvmlSystemGetProcessName(unsigned int pid, char *name, unsigned int length)
{
    char text[1024];
    nvmlReturn_t result = nvml_host_check(NVML_THE_DEVICE);
    if (result != NVML_SUCCESS)
        return result;
    if (name == NULL || length == 0)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (!nvml_process_name(pid, text, sizeof text))
        return NVML_ERROR_NOT_FOUND;
    snprintf(name, length, "%s", text);
    return NVML_SUCCESS;
}

/* ---- What there is none of ---- */

static nvmlReturn_t none_of_it(unsigned int *count)
{
    nvmlReturn_t result = nvml_host_check(NVML_THE_DEVICE);
    if (result == NVML_SUCCESS && count == NULL)
        result = NVML_ERROR_INVALID_ARGUMENT;
    if (result == NVML_SUCCESS)
        *count = 0;
    return result;
}

VGPU_EXPORT nvmlReturn_t nvmlUnitGetCount(unsigned int *unitCount)
{
    return none_of_it(unitCount);
}

VGPU_EXPORT nvmlReturn_t nvmlGetExcludedDeviceCount(unsigned int *deviceCount)
{
    return none_of_it(deviceCount);
}

VGPU_EXPORT nvmlReturn_t nvmlGetBlacklistDeviceCount(unsigned int *deviceCount)
{
    return none_of_it(deviceCount);
}

/* ---- Events: none ever comes ---- */

struct nvmlEventSet_st {
    int unused;
};

VGPU_EXPORT nvmlReturn_t nvmlEventSetCreate(nvmlEventSet_t *set)
{
    static struct nvmlEventSet_st the_set;
    nvmlReturn_t result = nvml_host_check(NVML_THE_DEVICE);
    if (result == NVML_SUCCESS && set == NULL)
        result = NVML_ERROR_INVALID_ARGUMENT;
    if (result == NVML_SUCCESS)
        *set = &the_set;
    return result;
}

VGPU_EXPORT nvmlReturn_t nvmlEventSetFree(nvmlEventSet_t set)
{
    return nvml_host_check(NVML_THE_DEVICE);
}

VGPU_EXPORT nvmlReturn_t nvmlEventSetWait_v2(nvmlEventSet_t set, nvmlEventData_t *data,
                                             unsigned int timeoutms)
{
    nvmlReturn_t result = nvml_host_check(NVML_THE_DEVICE);
    if (result != NVML_SUCCESS)
        return result;
    if (set == NULL || data == NULL)
        return NVML_ERROR_INVALID_ARGUMENT;
    for (unsigned int left_ms = timeoutms; left_ms > 0;) {
        unsigned int step_ms = left_ms < 1000 ? left_ms : 1000;
        usleep(step_ms * 1000);
        left_ms -= step_ms;
    }
    return NVML_ERROR_TIMEOUT;
}

VGPU_EXPORT nvmlReturn_t nvmlEventSetWait(nvmlEventSet_t set, nvmlEventData_t *data, unsigned int timeoutms)
{
    return nvmlEventSetWait_v2(set, data, timeoutms);
}

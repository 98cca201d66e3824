/* The guest's libnvidia-ml.so.1: the processes of this VM that use the GPU. Each is a compute process. */
#include <string.h>

#include "guest/nvml_fact.h"
#include "guest/nvml_functions.h"
#include "guest/nvml_host.h"

#define NO_INSTANCE 0xffffffffu /* there is no MIG */

/* Takes the state for a list with room for *room entries, of which *count become known: how many there are.
 * What is too little room is NVML_ERROR_INSUFFICIENT_SIZE; on success the state is held. */
static nvmlReturn_t take_list(nvmlDevice_t device, unsigned int *count, const void *entries,
                              const struct nvml_state **state)
{
    if (count == NULL || (entries == NULL && *count != 0))
        return NVML_ERROR_INVALID_ARGUMENT;
    nvmlReturn_t result = nvml_host_take(device, state);
    if (result != NVML_SUCCESS)
        return result;
    unsigned int room = *count;
    *count = (*state)->head.process_count;
    if (*count <= room)
        return NVML_SUCCESS;
    nvml_host_release();
    return NVML_ERROR_INSUFFICIENT_SIZE;
}

VGPU_EXPORT nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t device, unsigned int *count,
                                                                 nvmlProcessInfo_t *infos)
{
    const struct nvml_state *state;
    nvmlReturn_t result = take_list(device, count, infos, &state);
    if (result != NVML_SUCCESS)
        return result;
    for (unsigned int i = 0; i < *count; i++)
        infos[i] = (nvmlProcessInfo_t){.pid = state->processes[i].pid,
                                       .usedGpuMemory = state->processes[i].memory_bytes,
                                       .gpuInstanceId = NO_INSTANCE,
                                       .computeInstanceId = NO_INSTANCE};
    nvml_host_release();
    return NVML_SUCCESS;
}

VGPU_EXPORT nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v2(nvmlDevice_t device, unsigned int *infoCount,
                                                                 nvmlProcessInfo_t *infos)
{
    return nvmlDeviceGetComputeRunningProcesses_v3(device, infoCount, infos);
}

VGPU_EXPORT nvmlReturn_t nvmlDeviceGetComputeRunningProcesses(nvmlDevice_t device, unsigned int *infoCount,
                                                              nvmlProcessInfo_v1_t *infos)
{
    const struct nvml_state *state;
    nvmlReturn_t result = take_list(device, infoCount, infos, &state);
    if (result != NVML_SUCCESS)
        return result;
    for (unsigned int i = 0; i < *infoCount; i++)
        infos[i] = (nvmlProcessInfo_v1_t){.pid = state->processes[i].pid,
                                          .usedGpuMemory = state->processes[i].memory_bytes};
    nvml_host_release();
    return NVML_SUCCESS;
}

/* ---- Graphics and MPS: none ---- */

static nvmlReturn_t no_processes(nvmlDevice_t device, unsigned int *count)
{
    nvmlReturn_t result = nvml_host_check(device);
    if (result == NVML_SUCCESS && count == NULL)
        result = NVML_ERROR_INVALID_ARGUMENT;
    if (result == NVML_SUCCESS)
        *count = 0;
    return result;
}

VGPU_EXPORT nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses(nvmlDevice_t device, unsigned int *infoCount,
                                                               nvmlProcessInfo_v1_t *infos)
{
    return no_processes(device, infoCount);
}

VGPU_EXPORT nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v2(nvmlDevice_t device,
                                                                  unsigned int *infoCount,
                                                                  nvmlProcessInfo_t *infos)
{
    return no_processes(device, infoCount);
}

VGPU_EXPORT nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v3(nvmlDevice_t device, unsigned int *count,
                                                                  nvmlProcessInfo_t *infos)
{
    return no_processes(device, count);
}

VGPU_EXPORT nvmlReturn_t nvmlDeviceGetMPSComputeRunningProcesses(nvmlDevice_t device, unsigned int *infoCount,
                                                                 nvmlProcessInfo_v1_t *infos)
{
    return no_processes(device, infoCount);
}

VGPU_EXPORT nvmlReturn_t nvmlDeviceGetMPSComputeRunningProcesses_v2(nvmlDevice_t device,
                                                                    unsigned int *infoCount,
                                                                    nvmlProcessInfo_t *infos)
{
    return no_processes(device, infoCount);
}

VGPU_EXPORT nvmlReturn_t nvmlDeviceGetMPSComputeRunningProcesses_v3(nvmlDevice_t device,
                                                                    unsigned int *infoCount,
                                                                    nvmlProcessInfo_t *infos)
{
    return no_processes(device, infoCount);
}

/* ---- In detail ---- */

VGPU_EXPORT nvmlReturn_t nvmlDeviceGetRunningProcessDetailList(nvmlDevice_t device,
                                                               nvmlProcessDetailList_t *plist)
{
    const struct nvml_state *state;
    if (plist == NULL)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (plist->version != NVML_VERSION_OF(nvmlProcessDetailList_t, 1u))
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    if (plist->mode != 0)
        return no_processes(device, &plist->numProcArrayEntries);
    nvmlReturn_t result = take_list(device, &plist->numProcArrayEntries, plist->procArray, &state);
    if (result != NVML_SUCCESS)
        return result;
    for (unsigned int i = 0; i < plist->numProcArrayEntries; i++)
        plist->procArray[i] = (nvmlProcessDetail_v1_t){.pid = state->processes[i].pid,
                                                       .usedGpuMemory = state->processes[i].memory_bytes,
                                                       .gpuInstanceId = NO_INSTANCE,
                                                       .computeInstanceId = NO_INSTANCE};
    nvml_host_release();
    return NVML_SUCCESS;
}

static unsigned int percent_of(const struct monitor_process *process)
{
    return process->utilization_percent != MONITOR_UNKNOWN ? process->utilization_percent : 0;
}

VGPU_EXPORT nvmlReturn_t nvmlDeviceGetProcessUtilization(nvmlDevice_t device,
                                                         nvmlProcessUtilizationSample_t *utilization,
                                                         unsigned int *processSamplesCount,
                                                         unsigned long long lastSeenTimeStamp)
{
    const struct nvml_state *state;
    nvmlReturn_t result = take_list(device, processSamplesCount, utilization, &state);
    if (result != NVML_SUCCESS)
        return result;
    if (*processSamplesCount == 0 || state->head.time_us <= lastSeenTimeStamp)
        result = NVML_ERROR_NOT_FOUND; /* as the real one says that there is nothing newer */
    for (unsigned int i = 0; result == NVML_SUCCESS && i < *processSamplesCount; i++)
        utilization[i] = (nvmlProcessUtilizationSample_t){.pid = state->processes[i].pid,
                                                          .timeStamp = state->head.time_us,
                                                          .smUtil = percent_of(&state->processes[i])};
    nvml_host_release();
    return result;
}

VGPU_EXPORT nvmlReturn_t nvmlDeviceGetProcessesUtilizationInfo(nvmlDevice_t device,
                                                               nvmlProcessesUtilizationInfo_t *info)
{
    const struct nvml_state *state;
    if (info == NULL)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (info->version != NVML_VERSION_OF(nvmlProcessesUtilizationInfo_t, 1u))
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    if (info->procUtilArray == NULL)
        info->processSamplesCount = 0; /* asks how many there are */
    nvmlReturn_t result = take_list(device, &info->processSamplesCount, info->procUtilArray, &state);
    if (result != NVML_SUCCESS)
        return result;
    if (info->processSamplesCount == 0 || state->head.time_us <= info->lastSeenTimeStamp)
        result = NVML_ERROR_NOT_FOUND;
    for (unsigned int i = 0; result == NVML_SUCCESS && i < info->processSamplesCount; i++)
        info->procUtilArray[i] =
            (nvmlProcessUtilizationInfo_v1_t){.timeStamp = state->head.time_us,
                                              .pid = state->processes[i].pid,
                                              .smUtil = percent_of(&state->processes[i])};
    nvml_host_release();
    return result;
}

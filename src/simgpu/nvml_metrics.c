/* How a simulated GPU is. Memory, processes and utilisation are what the machine's processes really do;
 * temperature, power and clocks follow from the utilisation as they would on the card. */
#include <stdlib.h>

#include "simgpu/nvml_device.h"

/* The GPU, when it can answer for that metric. METRIC_COUNT: a value that cannot be missing. */
static nvmlReturn_t answering_gpu(nvmlDevice_t device, enum machine_metric metric, const void *out,
                                  const struct machine_gpu **gpu)
{
    nvmlReturn_t result = nvml_gpu_of(device, gpu);
    if (result)
        return result;
    if (!out)
        return NVML_ERROR_INVALID_ARGUMENT;
    if ((*gpu)->error)
        return NVML_ERROR_GPU_IS_LOST;
    return metric < METRIC_COUNT && (*gpu)->missing[metric] ? NVML_ERROR_NOT_SUPPORTED : NVML_SUCCESS;
}

static unsigned int busy_percent(const struct machine_gpu *gpu)
{
    return shared_state_utilization(nvml_shared_state(), gpu->key);
}

static nvmlReturn_t answer_number(nvmlDevice_t device, enum machine_metric metric, unsigned int *out,
                                  unsigned int (*value)(const struct machine_gpu *gpu))
{
    const struct machine_gpu *gpu;
    nvmlReturn_t result = answering_gpu(device, metric, out, &gpu);
    if (!result)
        *out = value(gpu);
    return result;
}

/* --- memory --- */

nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *memory)
{
    const struct machine_gpu *gpu;
    nvmlReturn_t result = answering_gpu(device, METRIC_MEMORY, memory, &gpu);
    if (result)
        return result;
    if (memory->version != NVML_MEMORY_V2)
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    memory->total = gpu->memory_bytes;
    memory->reserved = gpu->reserved_bytes;
    memory->used = shared_state_used_bytes(nvml_shared_state(), gpu->key);
    memory->free = memory->total - memory->reserved - memory->used;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory)
{
    nvmlMemory_v2_t whole = {.version = NVML_MEMORY_V2};
    nvmlReturn_t result = nvmlDeviceGetMemoryInfo_v2(device, memory ? &whole : NULL);
    if (!result)
        *memory = (nvmlMemory_t){whole.total, whole.free, whole.used + whole.reserved};
    return result;
}

nvmlReturn_t nvmlDeviceGetBAR1MemoryInfo(nvmlDevice_t device, nvmlBAR1Memory_t *memory)
{
    const struct machine_gpu *gpu;
    nvmlReturn_t result = answering_gpu(device, METRIC_MEMORY, memory, &gpu);
    if (!result) {
        memory->bar1Total = 128ull << 30;
        memory->bar1Used = 1ull << 20;
        memory->bar1Free = memory->bar1Total - memory->bar1Used;
    }
    return result;
}

/* --- utilisation and what follows from it --- */

nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *utilization)
{
    const struct machine_gpu *gpu;
    nvmlReturn_t result = answering_gpu(device, METRIC_UTILIZATION, utilization, &gpu);
    if (!result) {
        utilization->gpu = busy_percent(gpu);
        utilization->memory = utilization->gpu * 2 / 5;
    }
    return result;
}

static unsigned int temperature(const struct machine_gpu *gpu)
{
    return 33 + gpu->slot % 4 + busy_percent(gpu) * 2 / 5;
}

nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, nvmlTemperatureSensors_t sensor,
                                      unsigned int *celsius)
{
    if (sensor != NVML_TEMPERATURE_GPU)
        return NVML_ERROR_INVALID_ARGUMENT;
    return answer_number(device, METRIC_TEMPERATURE, celsius, temperature);
}

nvmlReturn_t nvmlDeviceGetTemperatureThreshold(nvmlDevice_t device, nvmlTemperatureThresholds_t threshold,
                                               unsigned int *celsius)
{
    const struct machine_gpu *gpu;
    nvmlReturn_t result = answering_gpu(device, METRIC_TEMPERATURE, celsius, &gpu);
    if (!result && threshold != NVML_TEMPERATURE_THRESHOLD_SHUTDOWN &&
        threshold != NVML_TEMPERATURE_THRESHOLD_SLOWDOWN)
        result = NVML_ERROR_INVALID_ARGUMENT;
    if (!result)
        *celsius = threshold == NVML_TEMPERATURE_THRESHOLD_SHUTDOWN ? 95 : 90;
    return result;
}

static unsigned int power_usage(const struct machine_gpu *gpu)
{
    unsigned int idle = (unsigned int)gpu->model->idle_watts * 1000;
    unsigned int full = (unsigned int)gpu->model->power_limit_watts * 930;
    return idle + (full - idle) / 100 * busy_percent(gpu);
}

static unsigned int power_limit(const struct machine_gpu *gpu)
{
    return (unsigned int)gpu->model->power_limit_watts * 1000;
}

nvmlReturn_t nvmlDeviceGetPowerUsage(nvmlDevice_t device, unsigned int *milliwatts)
{
    return answer_number(device, METRIC_POWER, milliwatts, power_usage);
}

nvmlReturn_t nvmlDeviceGetEnforcedPowerLimit(nvmlDevice_t device, unsigned int *milliwatts)
{
    return answer_number(device, METRIC_POWER, milliwatts, power_limit);
}

nvmlReturn_t nvmlDeviceGetPowerManagementLimit(nvmlDevice_t device, unsigned int *milliwatts)
{
    return answer_number(device, METRIC_POWER, milliwatts, power_limit);
}

nvmlReturn_t nvmlDeviceGetPowerManagementDefaultLimit(nvmlDevice_t device, unsigned int *milliwatts)
{
    return answer_number(device, METRIC_POWER, milliwatts, power_limit);
}

nvmlReturn_t nvmlDeviceGetPowerManagementLimitConstraints(nvmlDevice_t device, unsigned int *min_milliwatts,
                                                          unsigned int *max_milliwatts)
{
    if (!min_milliwatts)
        return NVML_ERROR_INVALID_ARGUMENT;
    nvmlReturn_t result = answer_number(device, METRIC_POWER, max_milliwatts, power_limit);
    if (!result)
        *min_milliwatts = *max_milliwatts * 4 / 7;
    return result;
}

static unsigned int fan_percent(const struct machine_gpu *gpu)
{
    unsigned int celsius = temperature(gpu);
    return celsius < 50 ? 0 : (celsius - 40) * 2;
}

nvmlReturn_t nvmlDeviceGetFanSpeed(nvmlDevice_t device, unsigned int *percent)
{
    const struct machine_gpu *gpu;
    nvmlReturn_t result = answering_gpu(device, METRIC_FAN, percent, &gpu);
    if (!result && !gpu->model->has_fan)
        result = NVML_ERROR_NOT_SUPPORTED;
    if (!result)
        *percent = fan_percent(gpu);
    return result;
}

nvmlReturn_t nvmlDeviceGetMaxClockInfo(nvmlDevice_t device, nvmlClockType_t type, unsigned int *mhz)
{
    const struct machine_gpu *gpu;
    nvmlReturn_t result = answering_gpu(device, METRIC_CLOCK, mhz, &gpu);
    if (!result && (unsigned int)type > NVML_CLOCK_VIDEO)
        result = NVML_ERROR_INVALID_ARGUMENT;
    if (!result)
        *mhz = (unsigned int)(type == NVML_CLOCK_MEM ? gpu->model->memory_clock_mhz : gpu->model->clock_mhz);
    return result;
}

nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t device, nvmlClockType_t type, unsigned int *mhz)
{
    const struct machine_gpu *gpu;
    nvmlReturn_t result = nvmlDeviceGetMaxClockInfo(device, type, mhz);
    if (!result)
        result = nvml_gpu_of(device, &gpu);
    if (!result && type != NVML_CLOCK_MEM && busy_percent(gpu) == 0)
        *mhz = 345;
    return result;
}

nvmlReturn_t nvmlDeviceGetPerformanceState(nvmlDevice_t device, nvmlPstates_t *state)
{
    const struct machine_gpu *gpu;
    nvmlReturn_t result = answering_gpu(device, METRIC_CLOCK, state, &gpu);
    if (!result)
        *state = 0;
    return result;
}

/* --- hardware --- */

static unsigned int core_count(const struct machine_gpu *gpu)
{
    return (unsigned int)(gpu->model->sm_count * model_limits(gpu->model).cores_per_sm);
}

static unsigned int bus_width(const struct machine_gpu *gpu)
{
    return (unsigned int)gpu->model->memory_bus_bits;
}

static unsigned int pcie_generation(const struct machine_gpu *gpu)
{
    return (unsigned int)gpu->model->pcie_generation;
}

static unsigned int pcie_lanes(const struct machine_gpu *gpu)
{
    return 16;
}

nvmlReturn_t nvmlDeviceGetNumGpuCores(nvmlDevice_t device, unsigned int *cores)
{
    return answer_number(device, METRIC_COUNT, cores, core_count);
}

nvmlReturn_t nvmlDeviceGetMemoryBusWidth(nvmlDevice_t device, unsigned int *bits)
{
    return answer_number(device, METRIC_COUNT, bits, bus_width);
}

nvmlReturn_t nvmlDeviceGetCurrPcieLinkGeneration(nvmlDevice_t device, unsigned int *generation)
{
    return answer_number(device, METRIC_COUNT, generation, pcie_generation);
}

nvmlReturn_t nvmlDeviceGetMaxPcieLinkGeneration(nvmlDevice_t device, unsigned int *generation)
{
    return answer_number(device, METRIC_COUNT, generation, pcie_generation);
}

nvmlReturn_t nvmlDeviceGetCurrPcieLinkWidth(nvmlDevice_t device, unsigned int *lanes)
{
    return answer_number(device, METRIC_COUNT, lanes, pcie_lanes);
}

nvmlReturn_t nvmlDeviceGetMaxPcieLinkWidth(nvmlDevice_t device, unsigned int *lanes)
{
    return answer_number(device, METRIC_COUNT, lanes, pcie_lanes);
}

/* --- modes --- */

nvmlReturn_t nvmlDeviceGetComputeMode(nvmlDevice_t device, nvmlComputeMode_t *mode)
{
    const struct machine_gpu *gpu;
    nvmlReturn_t result = answering_gpu(device, METRIC_COUNT, mode, &gpu);
    if (!result)
        *mode = NVML_COMPUTEMODE_DEFAULT;
    return result;
}

static nvmlReturn_t answer_mode(nvmlDevice_t device, nvmlEnableState_t *out, nvmlEnableState_t value)
{
    const struct machine_gpu *gpu;
    nvmlReturn_t result = answering_gpu(device, METRIC_COUNT, out, &gpu);
    if (!result)
        *out = value;
    return result;
}

nvmlReturn_t nvmlDeviceGetPersistenceMode(nvmlDevice_t device, nvmlEnableState_t *mode)
{
    return answer_mode(device, mode, NVML_FEATURE_ENABLED);
}

nvmlReturn_t nvmlDeviceGetDisplayMode(nvmlDevice_t device, nvmlEnableState_t *mode)
{
    return answer_mode(device, mode, NVML_FEATURE_DISABLED);
}

nvmlReturn_t nvmlDeviceGetDisplayActive(nvmlDevice_t device, nvmlEnableState_t *active)
{
    return answer_mode(device, active, NVML_FEATURE_DISABLED);
}

nvmlReturn_t nvmlDeviceGetEccMode(nvmlDevice_t device, nvmlEnableState_t *current, nvmlEnableState_t *pending)
{
    const struct machine_gpu *gpu;
    nvmlReturn_t result = answering_gpu(device, METRIC_COUNT, pending ? current : NULL, &gpu);
    if (!result && !gpu->model->has_ecc)
        result = NVML_ERROR_NOT_SUPPORTED;
    if (!result)
        *current = *pending = NVML_FEATURE_ENABLED;
    return result;
}

nvmlReturn_t nvmlDeviceGetTotalEccErrors(nvmlDevice_t device, nvmlMemoryErrorType_t type,
                                         nvmlEccCounterType_t counter, unsigned long long *errors)
{
    const struct machine_gpu *gpu;
    nvmlReturn_t result = answering_gpu(device, METRIC_COUNT, errors, &gpu);
    if (!result && !gpu->model->has_ecc)
        result = NVML_ERROR_NOT_SUPPORTED;
    if (!result)
        *errors = 0;
    return result;
}

nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned int *current, unsigned int *pending)
{
    const struct machine_gpu *gpu;
    nvmlReturn_t result = answering_gpu(device, METRIC_COUNT, pending ? current : NULL, &gpu);
    if (!result && gpu->model->compute_major < 8)
        result = NVML_ERROR_NOT_SUPPORTED;
    if (!result)
        *current = *pending = 0;
    return result;
}

/* --- processes --- */

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t device, unsigned int *count,
                                                     nvmlProcessInfo_t *infos)
{
    const struct machine_gpu *gpu;
    nvmlReturn_t result = answering_gpu(device, METRIC_PROCESSES, count, &gpu);
    if (!result && *count && !infos)
        result = NVML_ERROR_INVALID_ARGUMENT;
    if (result)
        return result;
    size_t room = *count < 4096 ? *count : 4096;
    struct shared_process *processes = calloc(room + 1, sizeof *processes);
    if (!processes)
        return NVML_ERROR_MEMORY;
    size_t found = shared_state_processes(nvml_shared_state(), gpu->key, processes, room);
    for (size_t i = 0; i < found && found <= room; i++)
        infos[i] = (nvmlProcessInfo_t){.pid = (unsigned int)processes[i].pid,
                                       .usedGpuMemory = processes[i].memory_bytes,
                                       .gpuInstanceId = 0xffffffff,
                                       .computeInstanceId = 0xffffffff};
    free(processes);
    *count = (unsigned int)found;
    return found > room ? NVML_ERROR_INSUFFICIENT_SIZE : NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v3(nvmlDevice_t device, unsigned int *count,
                                                      nvmlProcessInfo_t *infos)
{
    const struct machine_gpu *gpu;
    nvmlReturn_t result = answering_gpu(device, METRIC_PROCESSES, count, &gpu);
    if (!result)
        *count = 0;
    return result;
}

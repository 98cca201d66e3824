/* The guest's libnvidia-ml.so.1: the private table that nvidia-smi asks for.
 *
 * Its functions have no names. nvidia-smi of driver 580 asks for the device by index and for the lists of
 * processes through it, and for values that have no public function; which place is what was found by
 * watching it. What is not known here answers that it is not supported, which nvidia-smi shows as such. */
#include <stdint.h>
#include <string.h>

#include "guest/diagnostics.h"
#include "guest/nvml_fact.h"
#include "guest/nvml_functions.h"
#include "guest/nvml_host.h"

#define PLACES 512 /* the first one has the size of the table in bytes */

#define PLACE_DEVICE_BY_INDEX   81
#define PLACE_SAY               26  /* takes texts, and has nothing to answer */
#define PLACE_CAN_BE_WATCHED    72  /* whether nvidia-smi's dmon and pmon go with the device */
#define PLACE_PROCESSES_COMPUTE 213 /* also under the two that follow, of graphics and of MPS */

static const uint8_t table_id[16] = {0xc4, 0xfe, 0x3e, 0x6c, 0xc9, 0x8f, 0x6c, 0x4e,
                                     0xa3, 0x27, 0xee, 0x69, 0x6e, 0x12, 0xf7, 0xc4};

/* An entry of those lists. */
struct private_process {
    uint32_t pid;
    uint64_t memory_bytes;
    uint32_t gpu_instance, compute_instance;
    uint64_t protected_bytes;
    char name[4096];
};
_Static_assert(sizeof(struct private_process) == 4128, "the list's entries have this distance");

static nvmlReturn_t not_known(void)
{
    if (diagnostics_wanted())
        diagnostics_say("a private function of NVML is not supported");
    return NVML_ERROR_NOT_SUPPORTED;
}

static nvmlReturn_t device_by_index(unsigned int index, nvmlDevice_t *device)
{
    return nvmlDeviceGetHandleByIndex_v2(index, device);
}

static nvmlReturn_t compute_processes(nvmlDevice_t device, unsigned int *count,
                                      struct private_process *entries)
{
    const struct nvml_state *state;
    if (count == NULL || entries == NULL)
        return NVML_ERROR_INVALID_ARGUMENT;
    nvmlReturn_t result = nvml_host_take(device, &state);
    if (result != NVML_SUCCESS)
        return result;
    if (*count > state->head.process_count)
        *count = state->head.process_count;
    for (unsigned int i = 0; i < *count; i++) {
        struct private_process *entry = &entries[i];
        *entry = (struct private_process){.pid = state->processes[i].pid,
                                          .memory_bytes = state->processes[i].memory_bytes,
                                          .gpu_instance = 0xffffffffu,
                                          .compute_instance = 0xffffffffu};
        if (!nvml_process_name(entry->pid, entry->name, sizeof entry->name))
            strcpy(entry->name, "[Not Found]");
    }
    nvml_host_release();
    return NVML_SUCCESS;
}

static nvmlReturn_t no_processes(nvmlDevice_t device, unsigned int *count, struct private_process *entries)
{
    nvmlReturn_t result = nvml_host_check(device);
    if (result == NVML_SUCCESS && count != NULL)
        *count = 0;
    return result;
}

static nvmlReturn_t nothing_to_answer(void)
{
    return NVML_SUCCESS;
}

static nvmlReturn_t can_be_watched(nvmlDevice_t device, unsigned int *yes)
{
    nvmlReturn_t result = nvml_host_check(device);
    if (result == NVML_SUCCESS && yes != NULL)
        *yes = 1;
    return result;
}

/* A function's address as the table has it. */
#define PLACE(function) ((uintptr_t)(function))

VGPU_EXPORT nvmlReturn_t nvmlInternalGetExportTable(const void **table, const void *id)
{
    static uintptr_t places[PLACES]; /* filled in again with the same by each caller */
    if (table == NULL || id == NULL)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (memcmp(id, table_id, sizeof table_id) != 0) {
        *table = NULL;
        return NVML_ERROR_INVALID_ARGUMENT;
    }
    for (size_t i = 1; i < PLACES; i++)
        places[i] = PLACE(not_known);
    places[0] = sizeof places;
    places[PLACE_DEVICE_BY_INDEX] = PLACE(device_by_index);
    places[PLACE_SAY] = PLACE(nothing_to_answer);
    places[PLACE_CAN_BE_WATCHED] = PLACE(can_be_watched);
    places[PLACE_PROCESSES_COMPUTE] = PLACE(compute_processes);
    places[PLACE_PROCESSES_COMPUTE + 1] = PLACE(no_processes);
    places[PLACE_PROCESSES_COMPUTE + 2] = PLACE(no_processes);
    *table = places;
    return NVML_SUCCESS;
}

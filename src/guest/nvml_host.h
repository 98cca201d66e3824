/* The guest's NVML and the host: one connection to vgpud, and its last answer. Any thread. */
#ifndef VGPU_GUEST_NVML_HOST_H
#define VGPU_GUEST_NVML_HOST_H

#include "cuda/nvml_types.h"
#include "wire/monitor.h"

#include <stdbool.h>

/* The device of this VM, the only one there is. */
extern const char nvml_the_device[];
#define NVML_THE_DEVICE ((nvmlDevice_t)(uintptr_t)nvml_the_device)

/* nvmlInit and nvmlShutdown: counted. The first connects; what is wrong is said on stderr once. */
nvmlReturn_t nvml_host_begin(void);
nvmlReturn_t nvml_host_end(void);

struct nvml_state {
    struct monitor_answer head;
    struct monitor_process processes[MONITOR_PROCESSES_MAX];
};

/* Holds the last answer still until nvml_host_release(); it is asked anew first if it is older than a tenth
 * of a second. Unless it returns NVML_SUCCESS there is nothing to release. `device`: NULL for a question that
 * is about none. */
nvmlReturn_t nvml_host_take(nvmlDevice_t device, const struct nvml_state **state);
/* The same whether there is a GPU or not: for counting them. */
nvmlReturn_t nvml_host_take_any(const struct nvml_state **state);
void nvml_host_release(void);

/* Without asking: NVML_ERROR_UNINITIALIZED, or NVML_ERROR_INVALID_ARGUMENT for another device. */
nvmlReturn_t nvml_host_check(nvmlDevice_t device);

#endif

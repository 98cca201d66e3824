/* The machine that is played: which GPUs it has, who they are and what is wrong with them. Shaped by the
 * environment (docs/simulated-driver.md):
 *
 *   VGPU_SIM_GPUS       '2', 'NVIDIA H100 80GB PCIe*2', 'L40S,T4*2'; default 2 of the first known model
 *   VGPU_SIM_SEED       a word; machines with different seeds have other UUIDs and share nothing
 *   VGPU_SIM_MEMORY_MB  memory of every card, instead of the model's
 *   VGPU_SIM_HIDE       '1' or '0,3': these GPUs have vanished, the others stay who they are
 *   VGPU_SIM_LOST       these GPUs have fallen off the bus: still counted, but no handle can be had
 *   VGPU_SIM_ERROR      these GPUs answer who they are, and an error to all else
 *   VGPU_SIM_MISSING    'temperature,power' or '1:temperature': NVML values that the hardware does not give
 *   VGPU_SIM_PAUSES     how often a process may have its channels disabled
 */
#ifndef VGPU_SIMGPU_MACHINE_H
#define VGPU_SIMGPU_MACHINE_H

#include <vgpu/error.h>

#include "simgpu/model.h"

#define MACHINE_GPUS_MAX   16
#define MACHINE_SEED_BYTES 33

#define PAUSES_UNLIMITED (-1)

/* The driver that is played: 580.159.04, CUDA 13.0. */
#define MACHINE_DRIVER_VERSION "580.159.04"
#define MACHINE_NVML_VERSION   "13.580.159.04"
#define MACHINE_CUDA_VERSION   13000

enum machine_metric {
    METRIC_MEMORY,
    METRIC_UTILIZATION,
    METRIC_TEMPERATURE,
    METRIC_POWER,
    METRIC_FAN,
    METRIC_SERIAL,
    METRIC_CLOCK,
    METRIC_PROCESSES,
    METRIC_COUNT
};

struct machine_gpu {
    const struct gpu_model *model;
    unsigned int slot; /* its place in VGPU_SIM_GPUS: what is hidden leaves a hole here */
    unsigned char uuid[16];
    char uuid_text[41]; /* "GPU-xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx" */
    char serial[16];
    unsigned int pci_bus;    /* domain 0, device 0, function 0 */
    uint64_t key;            /* names the GPU in the shared state */
    uint64_t memory_bytes;   /* all of it, as NVML gives it */
    uint64_t reserved_bytes; /* kept by driver and firmware: CUDA's total is memory_bytes less this */
    uint64_t context_bytes;  /* what a process's context takes for itself */
    bool lost;
    bool error;
    bool missing[METRIC_COUNT];
};

struct machine {
    char seed[MACHINE_SEED_BYTES]; /* "" where none is set */
    unsigned int gpu_count;        /* without the hidden ones */
    struct machine_gpu gpus[MACHINE_GPUS_MAX];
    long pauses; /* of each process; PAUSES_UNLIMITED */
};

/* Reads the environment. On error nothing of *machine may be used. */
enum vgpu_status machine_load(struct machine *machine, struct vgpu_error *err);

#endif

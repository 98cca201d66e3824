/* The GPU models that the simulated machine can be made of: what does not differ between two cards of one
 * model. Figures are those the real cards report through CUDA and NVML. */
#ifndef VGPU_SIMGPU_MODEL_H
#define VGPU_SIMGPU_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gpu_model {
    const char *name;    /* as NVML and CUDA give it */
    uint32_t pci_device; /* device id << 16 | vendor id, as in nvmlPciInfo_t */
    uint32_t pci_subsystem;
    uint32_t memory_mib; /* all memory of the card, as NVML gives it */
    int compute_major;
    int compute_minor;
    int sm_count;
    int clock_mhz;
    int memory_clock_mhz;
    int memory_bus_bits;
    int l2_kib;
    int power_limit_watts;
    int idle_watts;
    int pcie_generation;
    bool has_fan;
    bool has_ecc;
};

/* What follows from the compute capability. */
struct gpu_limits {
    int shared_per_sm_bytes;
    int shared_optin_per_block_bytes; /* with CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES raised */
    int threads_per_sm;
    int blocks_per_sm;
    int cores_per_sm;
};

/* The model of that name, case ignored and with or without its "NVIDIA " or "Tesla " in front. NULL: unknown.
 */
const struct gpu_model *model_find(const char *name, size_t length);

/* The index-th known model, NULL past the last. */
const struct gpu_model *model_at(size_t index);

struct gpu_limits model_limits(const struct gpu_model *model);

#endif

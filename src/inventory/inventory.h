/* What physical GPUs this host has.
 *
 * Three sources, each a struct of functions (inventory/source.h): NVML, loaded at run time; `nvidia-smi`
 * where NVML cannot be loaded; and the PCI bus, which adds the GPUs that no driver serves, as offline with
 * the reason. With the simulated driver its own NVML is the only source: the real bus is not asked.
 *
 * A struct inventory belongs to one thread at a time. It keeps NVML open between scans. */
#ifndef VGPU_INVENTORY_INVENTORY_H
#define VGPU_INVENTORY_INVENTORY_H

#include <vgpu/error.h>
#include <vgpu/types.h>

struct inventory;

struct inventory_options {
    /* libnvidia-ml.so.1 to load: a path, or a bare name for the loader to find. NULL: "libnvidia-ml.so.1". */
    const char *nvml_path;
    /* The simulated driver: neither nvidia-smi nor the PCI bus is asked, and no NVML is an error. */
    bool simulated;
    /* Program to run where NVML cannot be loaded. NULL: "nvidia-smi", found in PATH. */
    const char *nvidia_smi;
    /* Where to find bus/pci/devices. NULL: "/sys". */
    const char *sysfs_root;
    /* Where to find driver/nvidia. NULL: "/proc". */
    const char *proc_root;
};

/* Keeps copies of the options. Loads nothing yet. Fails only with VGPU_ERR_MEMORY. */
enum vgpu_status inventory_open(const struct inventory_options *options, struct inventory **inventory,
                                struct vgpu_error *err);
void inventory_close(struct inventory *inventory); /* NULL is fine */

/* Finds the GPUs, with their live values. *gpus is an array from malloc (NULL when there is none), in order
 * of the driver's index, then those on the bus alone by address. gpu_id is the driver's index, or -1 where
 * only the bus shows the GPU; pools and timestamps are empty. VGPU_ERR_UNAVAILABLE: a driver is there but
 * does not answer and no GPU can be seen, or the simulated one cannot be loaded. A host without any GPU is no
 * error. */
enum vgpu_status inventory_scan(struct inventory *inventory, struct vgpu_gpu **gpus, size_t *count,
                                struct vgpu_error *err);

/* Brings what is live (memory used, utilisation, temperature, power, status, reason) in each of the count
 * GPUs up to date by asking once. A GPU that is not there any more becomes offline with the reason. */
enum vgpu_status inventory_refresh(struct inventory *inventory, struct vgpu_gpu *gpus, size_t count,
                                   struct vgpu_error *err);

#endif

/* Inside of the inventory: where GPUs are looked for. Each source is a struct of functions; the rest of the
 * inventory does not know which vendor or which tool it is. */
#ifndef VGPU_INVENTORY_SOURCE_H
#define VGPU_INVENTORY_SOURCE_H

#include "inventory/inventory.h"

/* A GPU that no driver has given a UUID for. */
#define SOURCE_STAND_IN_PREFIX "PCI-"

struct gpu_list {
    struct vgpu_gpu *gpus; /* from malloc */
    size_t count;
};

struct source {
    const char *name; /* for messages */

    /* state: NULL at first; what it keeps between scans. */
    enum vgpu_status (*open)(const struct inventory_options *options, void **state, struct vgpu_error *err);

    /* Adds the GPUs that it sees. fresh: forget what was known of the hardware, look anew.
     * VGPU_ERR_NOT_FOUND: this source does not exist on this host, ask the next; VGPU_ERR_UNAVAILABLE: it
     * does and should answer, but fails. */
    enum vgpu_status (*scan)(void *state, bool fresh, struct gpu_list *list, struct vgpu_error *err);

    void (*close)(void *state); /* NULL is fine */
};

extern const struct source source_nvml;
extern const struct source source_nvidia_smi;

/* The PCI bus: not a source of its own but what remains to be said after the driver has spoken. Adds the
 * NVIDIA GPUs whose address is not in the list yet. driver_error: why the driver does not answer, or NULL. */
enum vgpu_status pci_add_missing(const struct inventory_options *options, const char *driver_error,
                                 struct gpu_list *list, struct vgpu_error *err);

/* A zeroed element at the end, with gpu_id -1; NULL when out of memory. */
struct vgpu_gpu *gpu_list_add(struct gpu_list *list);

/* "00000000:01:00.0", "0000:01:00.0", "01:00.0", in any case, to "0000:01:00.0". False: no such thing. */
bool pci_address_normalize(const char *text, char address[VGPU_PCI_ADDRESS_BYTES]);

#endif

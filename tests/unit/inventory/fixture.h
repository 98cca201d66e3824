/* A host of its own for each test: its NVML, its nvidia-smi, its PCI bus. */
#ifndef VGPU_TESTS_INVENTORY_FIXTURE_H
#define VGPU_TESTS_INVENTORY_FIXTURE_H

#include "inventory/inventory.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

struct fixture {
    char directory[PATH_MAX / 4];
    char nvidia_smi[PATH_MAX / 2];
    char sysfs[PATH_MAX / 2];
    char proc[PATH_MAX / 2];
    struct inventory_options options; /* no NVML, no nvidia-smi, an empty bus */
    struct inventory *inventory;
    struct vgpu_gpu *gpus; /* of the last fixture_scan() */
    size_t count;
    struct vgpu_error err;
};

int fixture_make(void **state);
int fixture_remove(void **state);

/* Scans, opening the inventory with the options at the first call. Frees the list of the last scan. */
enum vgpu_status fixture_scan(struct fixture *fixture);
/* The same, and asserts that it works and how many GPUs there are. */
void fixture_scan_finds(struct fixture *fixture, size_t count);

/* Makes an nvidia-smi: a shell script with this body. */
void fixture_nvidia_smi(struct fixture *fixture, const char *body);
/* Puts a device on the PCI bus. vendor, device, class: as sysfs has them ("0x10de"). driver NULL: none bound.
 */
void fixture_pci_device(struct fixture *fixture, const char *address, const char *vendor, const char *device,
                        const char *class_code, const char *driver);
/* Makes a folder under proc, as "driver/nvidia/gpus/0000:01:00.0". */
void fixture_proc(struct fixture *fixture, const char *path);

#endif

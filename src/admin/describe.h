/* GPUs, VMs and pools in words: the pieces that several commands print. What is not known is said to be
 * "unknown", never shown as 0. What a function with a buffer returns lies in the buffer or is constant. */
#ifndef VGPU_ADMIN_DESCRIBE_H
#define VGPU_ADMIN_DESCRIBE_H

#include <stdio.h>
#include <vgpu/vgpu.h>

#include "admin/snapshot.h"
#include "admin/text.h"

#define DESCRIBE_BYTES 320

/* "NVIDIA H100 80GB PCIe", "unknown model". */
const char *describe_gpu_name(const struct vgpu_gpu *gpu);
/* "0000:01:00.0", "unknown". */
const char *describe_pci_address(const struct vgpu_gpu *gpu);
/* "Online", "Offline (no driver is loaded for it)". */
const char *describe_gpu_status(char buffer[DESCRIBE_BYTES], const struct vgpu_gpu *gpu);
enum text_style describe_gpu_style(const struct vgpu_gpu *gpu);
/* "A", "A, B (time-sliced)", "none". */
const char *describe_pools(char buffer[DESCRIBE_BYTES], const char *pools);
/* "80GB (45GB used, 35GB free)", "80GB (use unknown)", "unknown". */
const char *describe_memory(char buffer[DESCRIBE_BYTES], const struct vgpu_gpu *gpu);
/* "45%", "unknown": number, unit. */
const char *describe_number(char buffer[DESCRIBE_BYTES], struct vgpu_optional number, const char *unit);
/* "1 VM", "7 VMs". */
const char *describe_count(char buffer[DESCRIBE_BYTES], size_t count, const char *noun);

/* "7 (3 high, 2 medium, 2 low)". */
const char *describe_vm_counts(char buffer[DESCRIBE_BYTES], const struct vm_counts *counts);

/* "exclusive", "shared:4": how many VMs of the pool may run side by side. */
const char *describe_mode(char buffer[DESCRIBE_BYTES], const struct vgpu_pool *pool);

/* Why the VM is in quarantine; NULL where it is in none. */
const char *describe_quarantine(const struct vgpu_vm *vm);
/* "  Limits: weight 4, memory 16G (of pool A)", a whole line: what is set for the VM or its pool (may be
 * NULL). Nothing where nothing is. */
void describe_limits(FILE *out, const struct vgpu_vm *vm, const struct vgpu_pool *pool);

/* The block of the control panel that begins "GPU 0: ...", its lines indented by two. */
void describe_gpu_block(FILE *out, bool colour, const struct vgpu_snapshot *snapshot,
                        const struct vgpu_gpu *gpu);
/* "GPU 0: NVIDIA H100 80GB PCIe | PCI: 0000:01:00.0 | Status: Online", a whole line. */
void describe_gpu_line(FILE *out, const struct vgpu_gpu *gpu);

/* Where snapshot_refresh() left a note: a line that live values are unknown, and why. */
void describe_note(FILE *out, const struct vgpu_error *note);

/* "GPU 0", "GPU 0, GPU 1", "no GPU": the GPUs that serve a pool. */
const char *describe_pool_gpus(char buffer[DESCRIBE_BYTES], const struct vgpu_snapshot *snapshot, char pool);

#endif

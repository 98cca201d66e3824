/* The queue of each GPU, as the control panel shows it. */
#ifndef VGPU_ADMIN_QUEUE_LINES_H
#define VGPU_ADMIN_QUEUE_LINES_H

#include <stdio.h>
#include <vgpu/vgpu.h>

/* One line for each GPU that the daemon serves, wrapped to width:
 * "GPU 0: held by VM-3 (high) for 12 ms; 2 waiting: VM-4 (medium) 3 ms, VM-5 (low) 1 ms". */
void queue_print_lines(FILE *out, size_t width, const struct vgpu_snapshot *snapshot,
                       const struct vgpu_live *live);

/* The name of a VM that the daemon speaks of; one that was removed meanwhile has only its identifier. */
const char *queue_vm_name(const struct vgpu_snapshot *snapshot, const char *vm_uuid);

#endif

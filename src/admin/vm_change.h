/* Changing VMs that a command line means. */
#ifndef VGPU_ADMIN_VM_CHANGE_H
#define VGPU_ADMIN_VM_CHANGE_H

#include <vgpu/vgpu.h>

#include "admin/command.h"

/* Makes one change to all VMs that are meant, or to none, and prints what became of each. */
enum vgpu_status vm_change_run(const struct command_context *context, struct vgpu_vm_update wanted,
                               struct vgpu_error *err);

/* ": weight 4 (was not set), memory 16G (as before)": of the limits that a change names. *any: whether
 * something stands in front of it; becomes whether something does now. */
void vm_change_print_limits(FILE *out, const struct vgpu_limits *change, const struct vgpu_limits *before,
                            const struct vgpu_limits *now, bool *any);

#endif

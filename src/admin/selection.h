/* The VMs that a command line means. */
#ifndef VGPU_ADMIN_SELECTION_H
#define VGPU_ADMIN_SELECTION_H

#include <vgpu/vgpu.h>

#include "admin/command.h"

/* Those that --vm-uuid, --vm-name or --vm-id names: at least one, by vm_id. *vms is given back with
 * vgpu_free(). VGPU_ERR_NOT_FOUND, VGPU_ERR_AMBIGUOUS. */
enum vgpu_status selection_find(const struct command_context *context, struct vgpu_vm **vms, size_t *count,
                                struct vgpu_error *err);

#endif

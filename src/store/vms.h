/* VMs, as the parts of the store use them. */
#ifndef VGPU_STORE_VMS_H
#define VGPU_STORE_VMS_H

#include "store/limit_columns.h"

/* Every column that vm_read() reads; a WHERE may follow. */
#define VM_SELECT                                                                                            \
    "SELECT vm_id, vm_uuid, coalesce(vm_name, 'VM-' || vm_id), coalesce(further_pool_id, pool_id), "         \
    "priority,"                                                                                              \
    " coalesce(vsock_cid, 0), gpu_id, created_at, updated_at, paused, quarantined_at, "                      \
    "quarantine_reason, " LIMIT_COLUMNS_OF_VM " FROM vms "

void vm_read(const struct query *query, struct vgpu_vm *vm);

/* Runs a query that begins with VM_SELECT to its end. *vms is the caller's. */
enum vgpu_status vm_collect(struct query *query, struct vgpu_vm **vms, size_t *count, struct vgpu_error *err);

/* Inside a change: gives the VM that was *before the values of the fields named (enum vgpu_vm_field), and
 * records what differs. vm_ids and CIDs must be free. row gets the VM as it is then. */
enum vgpu_status vm_change(struct store *store, uint32_t fields, const struct vgpu_vm *values,
                           const struct vgpu_vm *before, struct vgpu_vm *row, struct vgpu_error *err);

#endif

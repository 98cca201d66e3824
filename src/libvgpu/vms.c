/* VMs and the snapshot: callers' words are checked here, the store does the rest. */
#include "base/error.h"
#include "libvgpu/handle.h"
#include "libvgpu/vm_limits.h"
#include "libvgpu/words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* CIDs 0 to 2 name hypervisor, loopback and host; the highest is "any". */
#define VSOCK_CID_MIN 3
#define VSOCK_CID_MAX (UINT32_MAX - 1)

/* ---- Checks ---- */

static enum vgpu_status check_priority(enum vgpu_priority priority, struct vgpu_error *err)
{
    if ((unsigned)priority < VGPU_PRIORITY_COUNT)
        return VGPU_OK;
    return error_set(err, VGPU_ERR_USAGE, "%d is no priority: give low, medium or high", (int)priority);
}

static enum vgpu_status check_vm_id(int32_t vm_id, int32_t minimum, struct vgpu_error *err)
{
    if (vm_id >= minimum)
        return VGPU_OK;
    return error_set(err, VGPU_ERR_USAGE, "%" PRId32 " is no vm-id: give a whole number from 1 to %d", vm_id,
                     VGPU_VM_ID_MAX);
}

static enum vgpu_status check_vsock_cid(uint32_t cid, struct vgpu_error *err)
{
    if (cid == 0 || (cid >= VSOCK_CID_MIN && cid <= VSOCK_CID_MAX))
        return VGPU_OK;
    return error_set(err, VGPU_ERR_USAGE,
                     "%" PRIu32 " is no vsock CID of a VM: give a number from %d to %" PRIu32, cid,
                     VSOCK_CID_MIN, VSOCK_CID_MAX);
}

/* NULL: the default name, which the store keeps as "". */
static enum vgpu_status check_name(const char *vm_name, char checked[VGPU_VM_NAME_BYTES],
                                   struct vgpu_error *err)
{
    checked[0] = '\0';
    return vm_name == NULL ? VGPU_OK : vgpu_parse_vm_name(vm_name, checked, err);
}

/* ---- VMs ---- */

enum vgpu_status vgpu_register_vm(struct vgpu *handle, const struct vgpu_vm_registration *registration,
                                  struct vgpu_vm *registered, struct vgpu_error *err)
{
    struct vgpu_vm vm = {
        .vm_id = registration->vm_id,
        .pool = registration->pool,
        .priority = registration->priority,
        .vsock_cid = registration->vsock_cid,
        .limits = registration->limits,
    };
    enum vgpu_status status = vgpu_parse_vm_uuid(registration->vm_uuid, vm.vm_uuid, err);
    if (status == VGPU_OK)
        status = check_name(registration->vm_name, vm.vm_name, err);
    if (status == VGPU_OK)
        status = check_priority(vm.priority, err);
    if (status == VGPU_OK)
        status = check_vm_id(vm.vm_id, 0, err);
    if (status == VGPU_OK)
        status = check_vsock_cid(vm.vsock_cid, err);
    if (status == VGPU_OK)
        status = limits_check(&vm.limits, false, err);
    if (status != VGPU_OK)
        return status;
    return handle_changed(handle, store_register_vm(handle->store, &vm, registered, err));
}

enum vgpu_status vgpu_get_vm(struct vgpu *handle, const char *vm_uuid, struct vgpu_vm *vm,
                             struct vgpu_error *err)
{
    char checked[VGPU_VM_UUID_BYTES];
    enum vgpu_status status = vgpu_parse_vm_uuid(vm_uuid, checked, err);
    return status == VGPU_OK ? store_get_vm(handle->store, checked, vm, err) : status;
}

enum vgpu_status vgpu_list_vms(struct vgpu *handle, const struct vgpu_vm_filter *filter, struct vgpu_vm **vms,
                               size_t *count, struct vgpu_error *err)
{
    char pool = filter == NULL ? '\0' : filter->pool;
    int priority = filter == NULL ? -1 : filter->priority;
    return store_list_vms(handle->store, pool, priority, vms, count, err);
}

static enum vgpu_status check_update(const struct vgpu_vm_update *update, struct vgpu_vm *values,
                                     struct vgpu_error *err)
{
    static const uint32_t known = VGPU_VM_POOL | VGPU_VM_PRIORITY | VGPU_VM_ID | VGPU_VM_NAME |
                                  VGPU_VM_VSOCK_CID | VGPU_VM_PAUSED | VGPU_VM_LIMITS | VGPU_VM_QUARANTINE;
    enum vgpu_status status = VGPU_OK;
    *values = (struct vgpu_vm){
        .pool = update->pool,
        .priority = update->priority,
        .vm_id = update->vm_id,
        .vsock_cid = update->vsock_cid,
        .paused = update->paused,
        .limits = update->limits,
        .quarantined = update->quarantined,
    };
    words_fit_line(update->quarantine_reason == NULL ? "" : update->quarantine_reason,
                   values->quarantine_reason, sizeof values->quarantine_reason);
    if (update->fields == 0 || (update->fields & ~known) != 0)
        return error_set(err, VGPU_ERR_USAGE, "nothing to change: name at least one field of the VM");
    if ((update->fields & VGPU_VM_PRIORITY) != 0)
        status = check_priority(values->priority, err);
    if (status == VGPU_OK && (update->fields & VGPU_VM_ID) != 0)
        status = check_vm_id(values->vm_id, 1, err);
    if (status == VGPU_OK && (update->fields & VGPU_VM_VSOCK_CID) != 0)
        status = check_vsock_cid(values->vsock_cid, err);
    if (status == VGPU_OK && (update->fields & VGPU_VM_NAME) != 0)
        status = check_name(update->vm_name, values->vm_name, err);
    if (status == VGPU_OK && (update->fields & VGPU_VM_LIMITS) != 0)
        status = limits_check(&values->limits, false, err);
    return status;
}

enum vgpu_status vgpu_update_vm(struct vgpu *handle, const char *vm_uuid, const struct vgpu_vm_update *update,
                                struct vgpu_vm *updated, struct vgpu_error *err)
{
    char checked[VGPU_VM_UUID_BYTES];
    struct vgpu_vm values;
    enum vgpu_status status = vgpu_parse_vm_uuid(vm_uuid, checked, err);
    if (status == VGPU_OK)
        status = check_update(update, &values, err);
    if (status != VGPU_OK)
        return status;
    return handle_changed(handle,
                          store_update_vm(handle->store, checked, update->fields, &values, updated, err));
}

enum vgpu_status vgpu_remove_vm(struct vgpu *handle, const char *vm_uuid, struct vgpu_vm *removed,
                                struct vgpu_error *err)
{
    char checked[VGPU_VM_UUID_BYTES];
    enum vgpu_status status = vgpu_parse_vm_uuid(vm_uuid, checked, err);
    if (status != VGPU_OK)
        return status;
    return handle_changed(handle, store_remove_vm(handle->store, checked, removed, err));
}

/* ---- All of it ---- */

enum vgpu_status vgpu_get_snapshot(struct vgpu *handle, struct vgpu_snapshot *snapshot,
                                   struct vgpu_error *err)
{
    return store_get_snapshot(handle->store, snapshot, err);
}

void vgpu_snapshot_fini(struct vgpu_snapshot *snapshot)
{
    store_snapshot_fini(snapshot);
}

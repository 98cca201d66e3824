/* What was: grants that have ended, changes of the configuration. */
#include "libvgpu/handle.h"

/* The filter as the store takes it; its identifier in canonical form lies in checked. */
static enum vgpu_status check_filter(const struct vgpu_history_filter *filter,
                                     char checked[VGPU_VM_UUID_BYTES], struct store_history_filter *wanted,
                                     struct vgpu_error *err)
{
    *wanted = (struct store_history_filter){.gpu_id = -1};
    if (filter == NULL)
        return VGPU_OK;
    wanted->gpu_id = filter->gpu_id;
    wanted->limit = filter->limit;
    wanted->since_us = filter->since_us;
    if (filter->vm_uuid == NULL)
        return VGPU_OK;
    wanted->vm_uuid = checked;
    return vgpu_parse_vm_uuid(filter->vm_uuid, checked, err);
}

enum vgpu_status vgpu_list_grants(struct vgpu *handle, const struct vgpu_history_filter *filter,
                                  struct vgpu_grant **grants, size_t *count, struct vgpu_error *err)
{
    char checked[VGPU_VM_UUID_BYTES];
    struct store_history_filter wanted;
    enum vgpu_status status = check_filter(filter, checked, &wanted, err);
    return status == VGPU_OK ? store_list_grants(handle->store, &wanted, grants, count, err) : status;
}

enum vgpu_status vgpu_list_changes(struct vgpu *handle, const struct vgpu_history_filter *filter,
                                   struct vgpu_change **changes, size_t *count, struct vgpu_error *err)
{
    char checked[VGPU_VM_UUID_BYTES];
    struct store_history_filter wanted;
    enum vgpu_status status = check_filter(filter, checked, &wanted, err);
    return status == VGPU_OK ? store_list_changes(handle->store, &wanted, changes, count, err) : status;
}

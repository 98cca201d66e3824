/* Looking things up in what is configured, as read at one moment. */
#ifndef VGPU_ADMIN_SNAPSHOT_H
#define VGPU_ADMIN_SNAPSHOT_H

#include <vgpu/vgpu.h>

/* How many VMs of each class: index enum vgpu_priority. */
struct vm_counts {
    size_t total;
    size_t by_priority[VGPU_PRIORITY_COUNT];
};

/* Asks the driver for what is live of all GPUs. Where that fails, the live values become unknown (stale ones
 * would be believed) and note says why in one line; otherwise note is empty. */
void snapshot_refresh(struct vgpu *vgpu, struct vgpu_snapshot *snapshot, struct vgpu_error *note);

/* NULL when there is none. */
const struct vgpu_gpu *snapshot_find_gpu(const struct vgpu_snapshot *snapshot, int64_t gpu_id);
const struct vgpu_vm *snapshot_find_vm(const struct vgpu_snapshot *snapshot, const char *vm_uuid);
const struct vgpu_pool *snapshot_find_pool(const struct vgpu_snapshot *snapshot, char pool);
/* The GPU that serves the VM; NULL: none. */
const struct vgpu_gpu *snapshot_vm_gpu(const struct vgpu_snapshot *snapshot, const struct vgpu_vm *vm);

/* VGPU_ERR_NOT_FOUND, with the letters there are, unless pool exists or is 0. */
enum vgpu_status snapshot_require_pool(const struct vgpu_snapshot *snapshot, char pool,
                                       struct vgpu_error *err);

struct vm_counts snapshot_count_gpu_vms(const struct vgpu_snapshot *snapshot, int32_t gpu_id);

#endif

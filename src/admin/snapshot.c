#include "admin/snapshot.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"

void snapshot_refresh(struct vgpu *vgpu, struct vgpu_snapshot *snapshot, struct vgpu_error *note)
{
    *note = (struct vgpu_error){0};
    if (vgpu_refresh_gpus(vgpu, snapshot->gpus, snapshot->gpu_count, note) == VGPU_OK) {
        note->message[0] = '\0';
        return;
    }
    for (size_t i = 0; i < snapshot->gpu_count; i++) {
        struct vgpu_gpu *gpu = &snapshot->gpus[i];
        gpu->memory_used_mib.known = false;
        gpu->utilization_percent.known = false;
        gpu->temperature_c.known = false;
        gpu->power_mw.known = false;
    }
}

const struct vgpu_gpu *snapshot_find_gpu(const struct vgpu_snapshot *snapshot, int64_t gpu_id)
{
    for (size_t i = 0; i < snapshot->gpu_count; i++)
        if (snapshot->gpus[i].gpu_id == gpu_id)
            return &snapshot->gpus[i];
    return NULL;
}

const struct vgpu_vm *snapshot_find_vm(const struct vgpu_snapshot *snapshot, const char *vm_uuid)
{
    for (size_t i = 0; i < snapshot->vm_count; i++)
        if (strcmp(snapshot->vms[i].vm_uuid, vm_uuid) == 0)
            return &snapshot->vms[i];
    return NULL;
}

const struct vgpu_pool *snapshot_find_pool(const struct vgpu_snapshot *snapshot, char pool)
{
    for (size_t i = 0; i < snapshot->pool_count; i++)
        if (snapshot->pools[i].pool == pool)
            return &snapshot->pools[i];
    return NULL;
}

const struct vgpu_gpu *snapshot_vm_gpu(const struct vgpu_snapshot *snapshot, const struct vgpu_vm *vm)
{
    return vm->gpu_id.known ? snapshot_find_gpu(snapshot, vm->gpu_id.value) : NULL;
}

enum vgpu_status snapshot_require_pool(const struct vgpu_snapshot *snapshot, char pool,
                                       struct vgpu_error *err)
{
    char letters[4 * VGPU_POOLS_BYTES] = "";
    size_t used = 0;
    if (pool == 0 || snapshot_find_pool(snapshot, pool) != NULL)
        return VGPU_OK;
    for (size_t i = 0; i < snapshot->pool_count && used + 4 < sizeof letters; i++)
        used += (size_t)snprintf(letters + used, sizeof letters - used, "%s%c", i > 0 ? ", " : "",
                                 snapshot->pools[i].pool);
    return error_set(err, VGPU_ERR_NOT_FOUND, "there is no pool %c; choose one of %s", pool, letters);
}

struct vm_counts snapshot_count_gpu_vms(const struct vgpu_snapshot *snapshot, int32_t gpu_id)
{
    struct vm_counts counts = {0};
    for (size_t i = 0; i < snapshot->vm_count; i++) {
        const struct vgpu_vm *vm = &snapshot->vms[i];
        if (!vm->gpu_id.known || vm->gpu_id.value != gpu_id)
            continue;
        counts.total++;
        counts.by_priority[vm->priority]++;
    }
    return counts;
}

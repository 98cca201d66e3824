/* A whole configuration at once. Each difference is a change like any other, with its row in the history; the
 * order below keeps every step consistent. */
#include "base/error.h"
#include "base/limit.h"
#include "store/vms.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOT_YET_FOUND "imported, not found by a scan yet"

static bool has_pool(const struct vgpu_snapshot *snapshot, char pool)
{
    for (size_t i = 0; i < snapshot->pool_count; i++)
        if (snapshot->pools[i].pool == pool)
            return true;
    return false;
}

static const struct vgpu_gpu *find_gpu(const struct vgpu_snapshot *snapshot, const char *gpu_uuid)
{
    for (size_t i = 0; i < snapshot->gpu_count; i++)
        if (strcmp(snapshot->gpus[i].gpu_uuid, gpu_uuid) == 0)
            return &snapshot->gpus[i];
    return NULL;
}

/* ---- Pools ---- */

static enum vgpu_status add_pools(struct store *store, const struct vgpu_snapshot *now,
                                  const struct vgpu_snapshot *wanted, struct vgpu_error *err)
{
    enum vgpu_status status = VGPU_OK;
    for (size_t i = 0; status == VGPU_OK && i < wanted->pool_count; i++)
        if (!has_pool(now, wanted->pools[i].pool))
            status = store_add_pool(store, wanted->pools[i].pool, err);
    return status;
}

static enum vgpu_status limit_pools(struct store *store, const struct vgpu_snapshot *wanted,
                                    struct vgpu_error *err)
{
    enum vgpu_status status = VGPU_OK;
    for (size_t i = 0; status == VGPU_OK && i < wanted->pool_count; i++) {
        struct vgpu_limits change = limits_replacement(&wanted->pools[i].limits);
        status = store_set_pool_limits(store, wanted->pools[i].pool, &change, NULL, err);
    }
    return status;
}

static enum vgpu_status remove_pools(struct store *store, const struct vgpu_snapshot *now,
                                     const struct vgpu_snapshot *wanted, struct vgpu_error *err)
{
    enum vgpu_status status = VGPU_OK;
    for (size_t i = 0; status == VGPU_OK && i < now->pool_count; i++) {
        char pool = now->pools[i].pool;
        if (pool != 'A' && pool != 'B' && !has_pool(wanted, pool))
            status = store_remove_pool(store, pool, err);
    }
    return status;
}

/* ---- GPUs ---- */

static enum vgpu_status add_gpu(struct store *store, const struct vgpu_snapshot *now,
                                const struct vgpu_gpu *wanted, struct vgpu_gpu *added, struct vgpu_error *err)
{
    for (size_t i = 0; i < now->gpu_count; i++)
        if (now->gpus[i].gpu_id == wanted->gpu_id)
            return error_set(err, VGPU_ERR_EXISTS,
                             "GPU %" PRId32 " is %s here, and %s in the file: correct the gpu_uuid or the "
                             "gpu_id in the file",
                             wanted->gpu_id, now->gpus[i].gpu_uuid, wanted->gpu_uuid);
    struct vgpu_gpu gpu = {.gpu_id = wanted->gpu_id, .status = VGPU_GPU_OFFLINE, .reason = NOT_YET_FOUND};
    memcpy(gpu.gpu_uuid, wanted->gpu_uuid, sizeof gpu.gpu_uuid);
    memcpy(gpu.gpu_name, wanted->gpu_name, sizeof gpu.gpu_name);
    memcpy(gpu.pci_address, wanted->pci_address, sizeof gpu.pci_address);
    return store_register_gpu(store, &gpu, added, err);
}

static enum vgpu_status apply_gpus(struct store *store, const struct vgpu_snapshot *now,
                                   const struct vgpu_snapshot *wanted, struct vgpu_error *err)
{
    enum vgpu_status status = VGPU_OK;
    for (size_t i = 0; status == VGPU_OK && i < now->gpu_count; i++)
        if (find_gpu(wanted, now->gpus[i].gpu_uuid) == NULL)
            status = store_set_gpu_pools(store, now->gpus[i].gpu_id, "", err);
    for (size_t i = 0; status == VGPU_OK && i < wanted->gpu_count; i++) {
        const struct vgpu_gpu *same = find_gpu(now, wanted->gpus[i].gpu_uuid);
        struct vgpu_gpu added;
        if (same == NULL) {
            status = add_gpu(store, now, &wanted->gpus[i], &added, err);
            same = &added;
        }
        if (status == VGPU_OK)
            status = store_set_gpu_pools(store, same->gpu_id, wanted->gpus[i].pools, err);
    }
    return status;
}

/* ---- VMs ---- */

static int compare_vms(const void *left, const void *right)
{
    const struct vgpu_vm *const *first = left;
    const struct vgpu_vm *const *second = right;
    return strcmp((*first)->vm_uuid, (*second)->vm_uuid);
}

/* Pointers to the VMs, by vm_uuid. From malloc; NULL when out of memory. */
static const struct vgpu_vm **sort_vms(const struct vgpu_snapshot *snapshot)
{
    const struct vgpu_vm **sorted = calloc(snapshot->vm_count + 1, sizeof *sorted);
    if (sorted == NULL)
        return NULL;
    for (size_t i = 0; i < snapshot->vm_count; i++)
        sorted[i] = &snapshot->vms[i];
    qsort(sorted, snapshot->vm_count, sizeof *sorted, compare_vms);
    return sorted;
}

/* Numbers may go round in a circle, as where two VMs swap theirs: a VM whose number or CID changes gives
 * both up before any gets its new one. A negative number is nobody's. */
static enum vgpu_status park(struct store *store, const struct vgpu_vm *vm, struct vgpu_error *err)
{
    struct query query =
        query_start(store, "UPDATE vms SET vm_id = -vm_id, vsock_cid = NULL WHERE vm_uuid = ?1");
    query_bind_text(&query, 1, vm->vm_uuid);
    return query_run(&query, err);
}

static enum vgpu_status change(struct store *store, const struct vgpu_vm *now, const struct vgpu_vm *wanted,
                               struct vgpu_error *err)
{
    struct vgpu_vm row;
    uint32_t fields = VGPU_VM_POOL | VGPU_VM_PRIORITY | VGPU_VM_ID | VGPU_VM_VSOCK_CID | VGPU_VM_PAUSED |
                      VGPU_VM_LIMITS | VGPU_VM_QUARANTINE;
    struct vgpu_vm values = *wanted;
    char standard[VGPU_VM_NAME_BYTES];
    snprintf(standard, sizeof standard, "VM-%" PRId32, now->vm_id);
    bool was_standard = strcmp(now->vm_name, standard) == 0;
    bool is_standard = wanted->vm_name[0] == '\0';
    if (was_standard != is_standard || (!is_standard && strcmp(now->vm_name, wanted->vm_name) != 0))
        fields |= VGPU_VM_NAME;
    values.limits = limits_replacement(&wanted->limits);
    return vm_change(store, fields, &values, now, &row, err);
}

/* What happens to VMs, in this order: removals make room, parked numbers too, then come changes and arrivals.
 */
enum step { STEP_REMOVE, STEP_PARK, STEP_CHANGE, STEP_ADD, STEP_COUNT };

/* now, wanted: one of them may be NULL. */
static enum vgpu_status apply_vm(struct store *store, enum step step, const struct vgpu_vm *now,
                                 const struct vgpu_vm *wanted, struct vgpu_error *err)
{
    if (now != NULL && wanted == NULL)
        return step == STEP_REMOVE ? store_remove_vm(store, now->vm_uuid, NULL, err) : VGPU_OK;
    if (now == NULL)
        return step == STEP_ADD ? store_register_vm(store, wanted, NULL, err) : VGPU_OK;
    bool renumbered = now->vm_id != wanted->vm_id || now->vsock_cid != wanted->vsock_cid;
    if (step == STEP_PARK && renumbered)
        return park(store, now, err);
    return step == STEP_CHANGE ? change(store, now, wanted, err) : VGPU_OK;
}

static enum vgpu_status apply_vms(struct store *store, const struct vgpu_snapshot *now,
                                  const struct vgpu_snapshot *wanted, struct vgpu_error *err)
{
    const struct vgpu_vm **old = sort_vms(now);
    const struct vgpu_vm **new = sort_vms(wanted);
    enum vgpu_status status = VGPU_OK;
    if (old == NULL || new == NULL)
        status = error_set(err, VGPU_ERR_MEMORY, "database %s: out of memory", store->path);
    for (int step = 0; status == VGPU_OK && step < STEP_COUNT; step++) {
        size_t i = 0;
        size_t j = 0;
        while (status == VGPU_OK && (i < now->vm_count || j < wanted->vm_count)) {
            int order = i == now->vm_count      ? 1
                        : j == wanted->vm_count ? -1
                                                : strcmp(old[i]->vm_uuid, new[j]->vm_uuid);
            status =
                apply_vm(store, (enum step)step, order <= 0 ? old[i] : NULL, order >= 0 ? new[j] : NULL, err);
            i += order <= 0;
            j += order >= 0;
        }
    }
    free(old);
    free(new);
    return status;
}

enum vgpu_status store_apply_configuration(struct store *store, const struct vgpu_snapshot *wanted,
                                           struct vgpu_error *err)
{
    struct vgpu_snapshot now = {.gpus = NULL};
    if (!store->explicit_transaction)
        return error_set(err, VGPU_ERR_USAGE, "a configuration is applied in a transaction: begin one first");
    enum vgpu_status status = store_get_snapshot(store, &now, err);
    if (status == VGPU_OK)
        status = add_pools(store, &now, wanted, err);
    if (status == VGPU_OK)
        status = limit_pools(store, wanted, err);
    if (status == VGPU_OK)
        status = apply_gpus(store, &now, wanted, err);
    if (status == VGPU_OK)
        status = apply_vms(store, &now, wanted, err);
    if (status == VGPU_OK)
        status = remove_pools(store, &now, wanted, err);
    store_snapshot_fini(&now);
    return status;
}

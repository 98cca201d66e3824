#include "store/placement.h"

#include <stdlib.h>
#include <string.h>

static struct place *place_find(struct placement *placement, int64_t gpu_id)
{
    for (size_t i = 0; i < placement->count; i++)
        if (placement->places[i].gpu_id == gpu_id)
            return &placement->places[i];
    return NULL;
}

static enum vgpu_status load(struct store *store, struct vgpu_error *err)
{
    struct placement *placement = &store->placement;
    if (placement->loaded)
        return VGPU_OK;
    struct vgpu_gpu *gpus = NULL;
    size_t gpu_count = 0;
    enum vgpu_status status = store_list_gpus(store, 0, &gpus, &gpu_count, err);
    if (status != VGPU_OK)
        return status;
    placement->count = gpu_count < STORE_PLACES_MAX ? gpu_count : STORE_PLACES_MAX;
    for (size_t i = 0; i < placement->count; i++) {
        struct place *place = &placement->places[i];
        *place = (struct place){.gpu_id = gpus[i].gpu_id, .online = gpus[i].status == VGPU_GPU_ONLINE};
        memcpy(place->pools, gpus[i].pools, sizeof place->pools);
    }
    free(gpus);

    struct query query =
        query_start(store, "SELECT gpu_id, count(*) FROM vms WHERE gpu_id IS NOT NULL GROUP BY gpu_id");
    while (query_row(&query)) {
        struct place *place = place_find(placement, query_int(&query, 0));
        if (place != NULL)
            place->vm_count = query_int(&query, 1);
    }
    status = query_end(&query, err);
    placement->loaded = status == VGPU_OK;
    return status;
}

/* NULL: the pool has no GPU. */
static struct place *choose(struct placement *placement, char pool, struct vgpu_optional now)
{
    bool any_online = false;
    for (size_t i = 0; i < placement->count; i++)
        any_online |= placement->places[i].online && strchr(placement->places[i].pools, pool) != NULL;
    struct place *best = NULL;
    for (size_t i = 0; i < placement->count; i++) {
        struct place *place = &placement->places[i];
        if (strchr(place->pools, pool) == NULL || (any_online && !place->online))
            continue;
        if (now.known && now.value == place->gpu_id)
            return place;
        if (best == NULL || place->vm_count < best->vm_count)
            best = place;
    }
    return best;
}

void placement_leave(struct store *store, struct vgpu_optional gpu_id)
{
    if (!store->placement.loaded || !gpu_id.known)
        return;
    struct place *place = place_find(&store->placement, gpu_id.value);
    if (place != NULL)
        place->vm_count--;
}

enum vgpu_status placement_choose(struct store *store, char pool, struct vgpu_optional now,
                                  struct vgpu_optional *gpu_id, struct vgpu_error *err)
{
    enum vgpu_status status = load(store, err);
    if (status != VGPU_OK)
        return status;
    placement_leave(store, now);
    struct place *place = choose(&store->placement, pool, now);
    *gpu_id = (struct vgpu_optional){.known = false};
    if (place != NULL) {
        place->vm_count++;
        *gpu_id = (struct vgpu_optional){.known = true, .value = place->gpu_id};
    }
    return VGPU_OK;
}

/* updated_at stays: the administrator has not changed the VM. */
static enum vgpu_status place_vm(struct store *store, const struct vgpu_vm *vm, struct vgpu_error *err)
{
    struct query query = query_start(store, "UPDATE vms SET gpu_id = ?2 WHERE vm_id = ?1");
    query_bind_int(&query, 1, vm->vm_id);
    query_bind_optional(&query, 2, vm->gpu_id);
    return query_run(&query, err);
}

enum vgpu_status placement_renew(struct store *store, struct vgpu_error *err)
{
    store->placement.loaded = false;
    struct vgpu_vm *vms = NULL;
    size_t count = 0;
    enum vgpu_status status = store_list_vms(store, 0, -1, &vms, &count, err);
    for (size_t i = 0; status == VGPU_OK && i < count; i++) {
        struct vgpu_optional before = vms[i].gpu_id;
        status = placement_choose(store, vms[i].pool, before, &vms[i].gpu_id, err);
        bool same = before.known == vms[i].gpu_id.known && before.value == vms[i].gpu_id.value;
        if (status == VGPU_OK && !same)
            status = place_vm(store, &vms[i], err);
    }
    free(vms);
    return status;
}

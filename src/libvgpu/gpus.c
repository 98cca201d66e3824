/* GPUs: the store's rows and the inventory's view of the hardware, brought together. */
#include "base/error.h"
#include "base/prefix.h"
#include "libvgpu/handle.h"

#include <stdlib.h>
#include <string.h>

/* ---- The hardware ---- */

static enum vgpu_status open_inventory(struct vgpu *handle, struct vgpu_error *err)
{
    if (handle->inventory != NULL)
        return VGPU_OK;
    char path[PATH_MAX];
    struct inventory_options options = {
        .simulated = settings_choice(handle->settings, SETTING_DRIVER) == SETTING_DRIVER_SIMULATED,
    };
    if (options.simulated) {
        enum vgpu_status status = prefix_find(PREFIX_SIMULATED_NVML, path, err);
        if (status != VGPU_OK)
            return status;
        options.nvml_path = path;
    }
    return inventory_open(&options, &handle->inventory, err);
}

/* Of all stored GPUs, those that were found. */
static size_t keep_found(struct vgpu_gpu *gpus, size_t count, const int32_t *ids, size_t id_count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        bool found = false;
        for (size_t j = 0; j < id_count; j++)
            found = found || ids[j] == gpus[i].gpu_id;
        if (found)
            gpus[kept++] = gpus[i];
    }
    return kept;
}

/* Stores what was found and returns it as stored. */
static enum vgpu_status store_found(struct vgpu *handle, const struct vgpu_gpu *found, size_t found_count,
                                    struct vgpu_gpu **gpus, size_t *count, struct vgpu_error *err)
{
    struct vgpu_gpu *stored = NULL;
    size_t stored_count = 0;
    int32_t *ids = calloc(found_count + 1, sizeof *ids);
    if (ids == NULL)
        return error_set(err, VGPU_ERR_MEMORY, "out of memory");
    enum vgpu_status status = store_apply_scan(handle->store, found, found_count, ids, err);
    if (status == VGPU_OK)
        status = store_list_gpus(handle->store, 0, &stored, &stored_count, err);
    if (status == VGPU_OK) {
        *count = keep_found(stored, stored_count, ids, found_count);
        if (*count == 0) {
            free(stored);
            stored = NULL;
        }
        *gpus = stored;
    }
    free(ids);
    return status;
}

enum vgpu_status vgpu_scan_gpus(struct vgpu *handle, struct vgpu_gpu **gpus, size_t *count,
                                struct vgpu_error *err)
{
    struct vgpu_gpu *found = NULL;
    size_t found_count = 0;
    enum vgpu_status status = open_inventory(handle, err);
    if (status == VGPU_OK)
        status = inventory_scan(handle->inventory, &found, &found_count, err);
    if (status == VGPU_OK)
        status = handle_changed(handle, store_found(handle, found, found_count, gpus, count, err));
    free(found);
    return status;
}

enum vgpu_status vgpu_refresh_gpus(struct vgpu *handle, struct vgpu_gpu *gpus, size_t count,
                                   struct vgpu_error *err)
{
    enum vgpu_status status = open_inventory(handle, err);
    return status == VGPU_OK ? inventory_refresh(handle->inventory, gpus, count, err) : status;
}

enum vgpu_status vgpu_get_gpu_status(struct vgpu *handle, int32_t gpu_id, struct vgpu_gpu *gpu,
                                     struct vgpu_error *err)
{
    struct vgpu_gpu read;
    enum vgpu_status status = store_get_gpu(handle->store, gpu_id, &read, err);
    if (status == VGPU_OK)
        status = vgpu_refresh_gpus(handle, &read, 1, err);
    if (status == VGPU_OK)
        *gpu = read;
    return status;
}

/* ---- The configuration ---- */

enum vgpu_status vgpu_register_gpu(struct vgpu *handle, const struct vgpu_gpu *gpu,
                                   struct vgpu_gpu *registered, struct vgpu_error *err)
{
    if (strnlen(gpu->gpu_uuid, sizeof gpu->gpu_uuid) == 0)
        return error_set(err, VGPU_ERR_USAGE, "a GPU without a UUID cannot be registered: give gpu_uuid");
    if ((unsigned)gpu->status > VGPU_GPU_ERROR)
        return error_set(err, VGPU_ERR_USAGE, "GPU %s: %d is no status of a GPU", gpu->gpu_uuid,
                         (int)gpu->status);
    return handle_changed(handle, store_register_gpu(handle->store, gpu, registered, err));
}

enum vgpu_status vgpu_list_gpus(struct vgpu *handle, char pool, struct vgpu_gpu **gpus, size_t *count,
                                struct vgpu_error *err)
{
    return store_list_gpus(handle->store, pool, gpus, count, err);
}

enum vgpu_status vgpu_get_gpu(struct vgpu *handle, int32_t gpu_id, struct vgpu_gpu *gpu,
                              struct vgpu_error *err)
{
    return store_get_gpu(handle->store, gpu_id, gpu, err);
}

enum vgpu_status vgpu_assign_gpu_to_pool(struct vgpu *handle, int32_t gpu_id, char pool,
                                         struct vgpu_error *err)
{
    char pools[2] = {pool, '\0'};
    return vgpu_assign_gpu_to_pools(handle, gpu_id, pools, err);
}

enum vgpu_status vgpu_assign_gpu_to_pools(struct vgpu *handle, int32_t gpu_id, const char *pools,
                                          struct vgpu_error *err)
{
    return handle_changed(handle, store_set_gpu_pools(handle->store, gpu_id, pools, err));
}

/* ---- Pools ---- */

enum vgpu_status vgpu_list_pools(struct vgpu *handle, struct vgpu_pool **pools, size_t *count,
                                 struct vgpu_error *err)
{
    return store_list_pools(handle->store, pools, count, err);
}

enum vgpu_status vgpu_add_pool(struct vgpu *handle, char pool, struct vgpu_error *err)
{
    if (pool < 'A' || pool > 'Z')
        return error_set(err, VGPU_ERR_USAGE, "a pool's name is one letter from A to Z: give one");
    return handle_changed(handle, store_add_pool(handle->store, pool, err));
}

enum vgpu_status vgpu_remove_pool(struct vgpu *handle, char pool, struct vgpu_error *err)
{
    return handle_changed(handle, store_remove_pool(handle->store, pool, err));
}

/* Exporting and importing the whole configuration. */
#include "libvgpu/configuration_text.h"

#include "base/error.h"
#include "libvgpu/handle.h"

#include <stdlib.h>
#include <string.h>

enum vgpu_status vgpu_export(struct vgpu *handle, char **text, struct vgpu_error *err)
{
    struct vgpu_snapshot snapshot = {.gpus = NULL};
    enum vgpu_status status = store_get_snapshot(handle->store, &snapshot, err);
    if (status == VGPU_OK)
        status = configuration_format(&snapshot, text, err);
    store_snapshot_fini(&snapshot);
    return status;
}

/* The changes made since the one with the number last. */
static enum vgpu_status list_new_changes(struct vgpu *handle, int64_t last, struct vgpu_change **changes,
                                         size_t *count, struct vgpu_error *err)
{
    struct store_history_filter filter = {.gpu_id = -1};
    int64_t now = 0;
    enum vgpu_status status = store_last_change_id(handle->store, &now, err);
    *changes = NULL;
    *count = 0;
    filter.limit = (size_t)(now - last);
    if (status != VGPU_OK || now == last)
        return status;
    return store_list_changes(handle->store, &filter, changes, count, err);
}

/* Inside a transaction. */
static enum vgpu_status apply(struct vgpu *handle, const struct vgpu_snapshot *wanted,
                              struct vgpu_change **changes, size_t *count, struct vgpu_error *err)
{
    int64_t last = 0;
    enum vgpu_status status = store_last_change_id(handle->store, &last, err);
    if (status == VGPU_OK)
        status = store_apply_configuration(handle->store, wanted, err);
    if (status == VGPU_OK)
        status = list_new_changes(handle, last, changes, count, err);
    return status;
}

/* What would differ is found by making the change and taking it back: so it is what is made, and recorded. */
enum vgpu_status vgpu_import(struct vgpu *handle, const char *text, size_t length, bool dry_run,
                             struct vgpu_change **changes, size_t *count, struct vgpu_error *err)
{
    struct vgpu_snapshot wanted = {.gpus = NULL};
    struct vgpu_change *made = NULL;
    size_t made_count = 0;
    enum vgpu_status status = configuration_parse(text, length, &wanted, err);
    if (status == VGPU_OK)
        status = vgpu_begin(handle, err);
    if (status == VGPU_OK) {
        status = apply(handle, &wanted, &made, &made_count, err);
        handle->changed = made_count > 0;
        if (status == VGPU_OK && !dry_run)
            status = vgpu_commit(handle, err);
        else
            vgpu_rollback(handle);
    }
    store_snapshot_fini(&wanted);
    if (status != VGPU_OK) {
        free(made);
        return status;
    }
    *changes = made;
    *count = made_count;
    return VGPU_OK;
}

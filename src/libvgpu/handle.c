#include "libvgpu/handle.h"

#include "base/error.h"
#include "libvgpu/admin_client.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- Opening ---- */

/* value NULL: not given. */
static enum vgpu_status set_option(struct settings *settings, const char *name, const char *value,
                                   struct vgpu_error *err)
{
    if (value == NULL)
        return VGPU_OK;
    char *argument = NULL;
    if (asprintf(&argument, "--%s=%s", name, value) < 0)
        return error_set(err, VGPU_ERR_MEMORY, "out of memory");
    enum vgpu_status status = settings_set_option(settings, argument, err);
    free(argument);
    return status;
}

static enum vgpu_status load_settings(const struct vgpu_options *options, struct settings **settings,
                                      struct vgpu_error *err)
{
    static const struct vgpu_options defaults;
    if (options == NULL)
        options = &defaults;
    enum vgpu_status status = settings_load(settings, options->config_file, err);
    if (status != VGPU_OK)
        return status;
    status = set_option(*settings, "state-dir", options->state_dir, err);
    if (status == VGPU_OK)
        status = set_option(*settings, "run-dir", options->run_dir, err);
    if (status == VGPU_OK)
        status = set_option(*settings, "driver", options->driver, err);
    return status;
}

static enum vgpu_status open_store(struct vgpu *handle, struct vgpu_error *err)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/vgpu.db", vgpu_state_dir(handle));
    if (length >= (int)sizeof path)
        return error_set(err, VGPU_ERR_USAGE, "the state directory's name is too long: name another");
    return store_open(path, &handle->store, err);
}

enum vgpu_status vgpu_open(const struct vgpu_options *options, struct vgpu **handle, struct vgpu_error *err)
{
    struct vgpu *opened = calloc(1, sizeof *opened);
    if (opened == NULL)
        return error_set(err, VGPU_ERR_MEMORY, "out of memory");
    enum vgpu_status status = load_settings(options, &opened->settings, err);
    if (status == VGPU_OK)
        status = open_store(opened, err);
    if (status != VGPU_OK) {
        vgpu_close(opened);
        return status;
    }
    *handle = opened;
    return VGPU_OK;
}

void vgpu_close(struct vgpu *handle)
{
    if (handle == NULL)
        return;
    inventory_close(handle->inventory);
    store_close(handle->store);
    settings_destroy(handle->settings);
    free(handle);
}

enum vgpu_status vgpu_check_database(struct vgpu *handle, struct vgpu_error *err)
{
    return store_check(handle->store, err);
}

void vgpu_free(void *array)
{
    free(array);
}

const char *vgpu_version(void)
{
    return VGPU_VERSION;
}

const char *vgpu_state_dir(const struct vgpu *handle)
{
    return settings_text(handle->settings, SETTING_STATE_DIR);
}

const char *vgpu_run_dir(const struct vgpu *handle)
{
    return settings_text(handle->settings, SETTING_RUN_DIR);
}

const char *vgpu_driver_name(const struct vgpu *handle)
{
    return settings_text(handle->settings, SETTING_DRIVER);
}

uint64_t vgpu_window(const struct vgpu *handle, const char *vm_uuid, char *path, size_t path_bytes)
{
    uint64_t bytes = settings_size_bytes(handle->settings, SETTING_WINDOW_SIZE);
    snprintf(path, path_bytes, "%s", "");
    if (bytes != 0)
        snprintf(path, path_bytes, "%s/vgpu-%s", settings_text(handle->settings, SETTING_WINDOW_DIR),
                 vm_uuid);
    return bytes;
}

/* ---- Transactions, and telling the daemon ---- */

enum vgpu_status handle_changed(struct vgpu *handle, enum vgpu_status status)
{
    if (status != VGPU_OK)
        return status;
    if (handle->in_transaction)
        handle->changed = true;
    else
        admin_client_reload(vgpu_run_dir(handle));
    return VGPU_OK;
}

enum vgpu_status vgpu_begin(struct vgpu *handle, struct vgpu_error *err)
{
    enum vgpu_status status = store_begin(handle->store, err);
    if (status == VGPU_OK) {
        handle->in_transaction = true;
        handle->changed = false;
    }
    return status;
}

enum vgpu_status vgpu_commit(struct vgpu *handle, struct vgpu_error *err)
{
    enum vgpu_status status = store_commit(handle->store, err);
    bool changed = handle->changed;
    handle->in_transaction = false;
    handle->changed = false;
    return changed ? handle_changed(handle, status) : status;
}

void vgpu_rollback(struct vgpu *handle)
{
    store_rollback(handle->store);
    handle->in_transaction = false;
    handle->changed = false;
}

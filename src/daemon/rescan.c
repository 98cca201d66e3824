#include "daemon/rescan.h"

#include "base/error.h"
#include "base/log.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct rescan {
    uv_loop_t *loop;
    uv_timer_t timer;
    uv_work_t work;
    uint64_t interval_ms;
    bool looking; /* what follows up to `error` is the thread's then */
    struct inventory *inventory;
    struct store *store;
    struct vgpu_gpu *stored; /* as last written to the database */
    size_t stored_count;
    bool has_stored;
    enum vgpu_status status;
    struct vgpu_error error;
    enum vgpu_status told; /* the status last logged */
    bool closing;
};

/* Whether the same GPUs are there in the same state. What changes all the time (utilisation, ...) does not
 * count: who wants to know that asks the driver. */
static bool is_stored(const struct rescan *rescan, const struct vgpu_gpu *found, size_t count)
{
    if (!rescan->has_stored || count != rescan->stored_count)
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct vgpu_gpu *stored = &rescan->stored[i];
        if (strcmp(found[i].gpu_uuid, stored->gpu_uuid) != 0 || found[i].status != stored->status ||
            strcmp(found[i].reason, stored->reason) != 0 ||
            strcmp(found[i].pci_address, stored->pci_address) != 0)
            return false;
    }
    return true;
}

static void look(struct rescan *rescan)
{
    struct vgpu_gpu *found;
    size_t count;
    rescan->status = inventory_scan(rescan->inventory, &found, &count, &rescan->error);
    if (rescan->status != VGPU_OK)
        return;
    if (is_stored(rescan, found, count)) {
        free(found);
        return;
    }
    rescan->status = store_apply_scan(rescan->store, found, count, NULL, &rescan->error);
    free(rescan->stored);
    rescan->stored = found;
    rescan->stored_count = count;
    rescan->has_stored = rescan->status == VGPU_OK;
}

static void timer_closed(uv_handle_t *handle)
{
    struct rescan *rescan = handle->data;
    inventory_close(rescan->inventory);
    store_close(rescan->store);
    free(rescan->stored);
    free(rescan);
}

static void work_run(uv_work_t *work)
{
    look(work->data);
}

static void work_done(uv_work_t *work, int status);

static void look_start(struct rescan *rescan)
{
    rescan->looking = uv_queue_work(rescan->loop, &rescan->work, work_run, work_done) == 0;
}

static void timer_due(uv_timer_t *timer)
{
    look_start(timer->data);
}

static void work_done(uv_work_t *work, int status)
{
    struct rescan *rescan = work->data;
    rescan->looking = false;
    if (rescan->closing) {
        uv_close((uv_handle_t *)&rescan->timer, timer_closed);
        return;
    }
    if (rescan->status != VGPU_OK && rescan->status != rescan->told)
        log_warning("cannot look for GPUs: %s", rescan->error.message);
    rescan->told = rescan->status;
    uv_timer_start(&rescan->timer, timer_due, rescan->interval_ms, 0);
}

enum vgpu_status rescan_open(uv_loop_t *loop, const char *database_path,
                             const struct inventory_options *inventory, uint64_t interval_us,
                             struct rescan **rescan, struct vgpu_error *err)
{
    struct rescan *made = calloc(1, sizeof *made);
    if (!made)
        return error_set(err, VGPU_ERR_MEMORY, "out of memory");
    enum vgpu_status status = store_open(database_path, &made->store, err);
    if (status == VGPU_OK)
        status = inventory_open(inventory, &made->inventory, err);
    if (status != VGPU_OK) {
        store_close(made->store);
        free(made);
        return status;
    }
    made->loop = loop;
    made->interval_ms = (interval_us + 999) / 1000;
    made->timer.data = made;
    made->work.data = made;
    uv_timer_init(loop, &made->timer);
    look_start(made);
    *rescan = made;
    return VGPU_OK;
}

void rescan_close(struct rescan *rescan)
{
    if (!rescan)
        return;
    rescan->closing = true;
    uv_timer_stop(&rescan->timer);
    if (!rescan->looking)
        uv_close((uv_handle_t *)&rescan->timer, timer_closed);
}

#include "daemon/config_watch.h"

#include "base/error.h"
#include "base/log.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define INTERVAL_MS 200

struct config_watch {
    uv_loop_t *loop;
    uv_timer_t timer;
    uv_work_t work;
    struct config_watch_options options;
    bool reading; /* what follows up to `error` is the thread's then */
    struct store *store;
    bool forced;
    bool found; /* snapshot was filled in */
    struct vgpu_snapshot snapshot;
    enum vgpu_status status;
    struct vgpu_error error;
    bool closing;
    bool complained;          /* about what lasts */
    uint64_t last_ticket;     /* given out */
    uint64_t reading_ticket;  /* the reading that goes on answers up to it */
    uint64_t answered_ticket; /* answered */
};

static void read_store(struct config_watch *watch)
{
    bool changed = false;
    watch->found = false;
    watch->status = store_changed(watch->store, &changed, &watch->error);
    if (watch->status != VGPU_OK || !(changed || watch->forced))
        return;
    watch->status = store_get_snapshot(watch->store, &watch->snapshot, &watch->error);
    watch->found = watch->status == VGPU_OK;
}

static void complain(struct config_watch *watch)
{
    if (watch->status == VGPU_OK) {
        if (watch->complained)
            log_info("the configuration can be read again");
        watch->complained = false;
        return;
    }
    if (!watch->complained)
        log_error("cannot read the configuration, going on with the last known: %s", watch->error.message);
    watch->complained = true;
}

static void take_over(struct config_watch *watch)
{
    complain(watch);
    if (!watch->found)
        return;
    watch->options.changed(watch->options.context, &watch->snapshot);
    store_snapshot_fini(&watch->snapshot);
    watch->found = false;
}

static void timer_closed(uv_handle_t *handle)
{
    struct config_watch *watch = handle->data;
    if (watch->found)
        store_snapshot_fini(&watch->snapshot);
    store_close(watch->store);
    free(watch);
}

static void work_run(uv_work_t *work)
{
    read_store(work->data);
}

static void work_done(uv_work_t *work, int status);

static void read_start(struct config_watch *watch)
{
    watch->forced = watch->last_ticket > watch->answered_ticket;
    watch->reading_ticket = watch->last_ticket;
    watch->reading = uv_queue_work(watch->loop, &watch->work, work_run, work_done) == 0;
}

static void work_done(uv_work_t *work, int status)
{
    struct config_watch *watch = work->data;
    watch->reading = false;
    if (watch->closing) {
        uv_close((uv_handle_t *)&watch->timer, timer_closed);
        return;
    }
    take_over(watch);
    if (watch->reading_ticket > watch->answered_ticket) {
        watch->answered_ticket = watch->reading_ticket;
        watch->options.answered(watch->options.context, watch->answered_ticket);
    }
    if (watch->last_ticket > watch->answered_ticket && !watch->closing)
        read_start(watch);
}

static void timer_due(uv_timer_t *timer)
{
    struct config_watch *watch = timer->data;
    if (!watch->reading)
        read_start(watch);
}

enum vgpu_status config_watch_open(uv_loop_t *loop, const struct config_watch_options *options,
                                   struct config_watch **watch, struct vgpu_error *err)
{
    struct config_watch *made = calloc(1, sizeof *made);
    if (!made)
        return error_set(err, VGPU_ERR_MEMORY, "out of memory");
    made->status = store_open(options->database_path, &made->store, &made->error);
    made->forced = true;
    if (made->status == VGPU_OK)
        read_store(made);
    if (made->status != VGPU_OK) {
        enum vgpu_status status = error_set(err, made->status, "%s", made->error.message);
        store_close(made->store);
        free(made);
        return status;
    }
    made->loop = loop;
    made->options = *options;
    made->options.database_path = NULL;
    made->work.data = made;
    made->timer.data = made;
    uv_timer_init(loop, &made->timer);
    uv_timer_start(&made->timer, timer_due, INTERVAL_MS, INTERVAL_MS);
    *watch = made;
    take_over(made);
    return VGPU_OK;
}

uint64_t config_watch_request(struct config_watch *watch)
{
    watch->last_ticket++;
    if (!watch->reading && !watch->closing)
        read_start(watch);
    return watch->last_ticket;
}

void config_watch_close(struct config_watch *watch)
{
    if (!watch)
        return;
    watch->closing = true;
    uv_timer_stop(&watch->timer);
    if (!watch->reading)
        uv_close((uv_handle_t *)&watch->timer, timer_closed);
}

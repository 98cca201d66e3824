#include "daemon/grant_log.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One transaction at most in this time. */
#define FLUSH_INTERVAL_MS 250

/* How long the last batch waits for a lock: the end of the daemon waits with it. */
#define LAST_BUSY_TIMEOUT_MS 5000

/* Grants kept in memory while the database cannot take them: about 30 MB. */
#define ENTRIES_MAX 65536

struct batch {
    struct vgpu_grant *grants;
    size_t count, capacity;
};

struct grant_log {
    uv_loop_t *loop;
    uv_timer_t timer;
    uv_work_t work;
    struct store *store; /* the thread's while writing, else the loop's */
    size_t keep;
    struct batch pending;   /* the loop's */
    struct batch in_flight; /* the thread's while writing */
    bool writing;
    bool closing;
    size_t lost; /* since it last went well */
    enum vgpu_status status;
    struct vgpu_error error;
};

static void flush_due(uv_timer_t *timer);

enum vgpu_status grant_log_open(uv_loop_t *loop, const char *database_path, size_t keep,
                                struct grant_log **log, struct vgpu_error *err)
{
    struct grant_log *made = calloc(1, sizeof *made);
    if (!made)
        return error_set(err, VGPU_ERR_MEMORY, "out of memory");
    enum vgpu_status status = store_open(database_path, &made->store, err);
    if (status != VGPU_OK) {
        free(made);
        return status;
    }
    made->loop = loop;
    made->keep = keep;
    made->timer.data = made;
    made->work.data = made;
    uv_timer_init(loop, &made->timer);
    *log = made;
    return VGPU_OK;
}

static struct vgpu_grant *batch_place(struct batch *batch)
{
    if (batch->count == batch->capacity) {
        size_t capacity = batch->capacity ? 2 * batch->capacity : 64;
        struct vgpu_grant *grown =
            capacity <= ENTRIES_MAX ? reallocarray(batch->grants, capacity, sizeof *grown) : NULL;
        if (!grown)
            return NULL;
        batch->grants = grown;
        batch->capacity = capacity;
    }
    return &batch->grants[batch->count++];
}

/* Some went missing, for the reason given. */
static void lose(struct grant_log *log, size_t count, const char *why)
{
    if (!log->lost)
        log_warning("the log of grants has a gap from here on: %s", why);
    log->lost += count;
}

void grant_log_add(struct grant_log *log, const struct grant_log_entry *entry)
{
    if (!log->keep)
        return;
    struct vgpu_grant *grant = batch_place(&log->pending);
    if (!grant) {
        lose(log, 1, "the database does not keep up");
        return;
    }
    uint64_t to_wall_us = clock_wall_us() - clock_monotonic_ns() / 1000;
    *grant = (struct vgpu_grant){
        .gpu_id = entry->gpu_id,
        .priority = entry->vm->priority,
        .asked_us = (int64_t)(entry->asked_us + to_wall_us),
        .got_us = (int64_t)(entry->got_us + to_wall_us),
        .gave_back_us = (int64_t)(entry->gave_back_us + to_wall_us),
    };
    memcpy(grant->vm_uuid, entry->vm->vm_uuid, sizeof grant->vm_uuid);
    memcpy(grant->vm_name, entry->vm->vm_name, sizeof grant->vm_name);
    snprintf(grant->reason, sizeof grant->reason, "%s", entry->reason);
    if (!log->writing && !uv_is_active((uv_handle_t *)&log->timer))
        uv_timer_start(&log->timer, flush_due, FLUSH_INTERVAL_MS, 0);
}

static void write_batch(struct grant_log *log)
{
    log->status =
        store_append_grants(log->store, log->in_flight.grants, log->in_flight.count, log->keep, &log->error);
}

static void batch_written(struct grant_log *log)
{
    if (log->status != VGPU_OK) {
        lose(log, log->in_flight.count, log->error.message);
    } else if (log->lost) {
        log_warning("the log of grants goes on; %zu are missing", log->lost);
        log->lost = 0;
    }
    log->in_flight.count = 0;
}

/* What was collected goes to the thread, and its emptied memory comes back for the next. */
static void batches_swap(struct grant_log *log)
{
    struct batch written = log->in_flight;
    log->in_flight = log->pending;
    log->pending = written;
}

static void work_run(uv_work_t *work)
{
    write_batch(work->data);
}

static void timer_closed(uv_handle_t *handle)
{
    struct grant_log *log = handle->data;
    store_close(log->store);
    free(log->pending.grants);
    free(log->in_flight.grants);
    free(log);
}

/* The last batch, written by the loop's own thread: nothing else is left to do. */
static void finish(struct grant_log *log)
{
    batches_swap(log);
    store_set_busy_timeout(log->store, LAST_BUSY_TIMEOUT_MS);
    if (log->in_flight.count) {
        write_batch(log);
        batch_written(log);
    }
    uv_close((uv_handle_t *)&log->timer, timer_closed);
}

static void work_done(uv_work_t *work, int status)
{
    struct grant_log *log = work->data;
    log->writing = false;
    batch_written(log);
    if (log->closing)
        finish(log);
    else if (log->pending.count)
        uv_timer_start(&log->timer, flush_due, FLUSH_INTERVAL_MS, 0);
}

static void flush_due(uv_timer_t *timer)
{
    struct grant_log *log = timer->data;
    batches_swap(log);
    log->writing = uv_queue_work(log->loop, &log->work, work_run, work_done) == 0;
}

void grant_log_close(struct grant_log *log)
{
    if (!log)
        return;
    log->closing = true;
    uv_timer_stop(&log->timer);
    if (!log->writing)
        finish(log);
}

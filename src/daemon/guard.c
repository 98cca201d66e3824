#include "daemon/guard.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOK_INTERVAL_MS 1000

/* How long the last sentences wait for a lock: the end of the daemon waits with them. */
#define LAST_BUSY_TIMEOUT_MS 5000

/* Written to the database by a thread, one at a time. Until the host has been read anew from there, the VM's
 * own mark holds (vm->sentenced): from then on the database alone says, and whoever releases the VM there has
 * released it. */
struct sentence {
    STAILQ_ENTRY(sentence) next;
    char vm_uuid[VGPU_VM_UUID_BYTES];
    char reason[VGPU_REASON_BYTES];
    uint64_t ticket; /* of the reading after the writing */
};
STAILQ_HEAD(sentence_list, sentence);

struct guard {
    uv_loop_t *loop;
    struct guard_options options;
    uv_timer_t timer;
    uv_work_t work;
    bool writing; /* the store, the first sentence, status and error are the thread's then */
    bool closing;
    bool complained;
    struct store *store;
    struct sentence_list pending;
    struct sentence_list written; /* the loop's */
    enum vgpu_status status;
    struct vgpu_error error;
};

/* ---- Writing ---- */

static void write_sentence(struct guard *guard)
{
    const struct sentence *sentence = STAILQ_FIRST(&guard->pending);
    struct vgpu_vm values = {.quarantined = true};
    memcpy(values.quarantine_reason, sentence->reason, sizeof values.quarantine_reason);
    guard->status =
        store_update_vm(guard->store, sentence->vm_uuid, VGPU_VM_QUARANTINE, &values, NULL, &guard->error);
}

/* True: the sentence is dealt with. One that cannot be written is tried again at the next look. */
static bool sentence_written(struct guard *guard)
{
    struct sentence *sentence = STAILQ_FIRST(&guard->pending);
    if (guard->status != VGPU_OK && guard->status != VGPU_ERR_NOT_FOUND) {
        if (!guard->complained)
            log_error("VM %s: its quarantine cannot be written down: %s", sentence->vm_uuid,
                      guard->error.message);
        guard->complained = true;
        return false;
    }
    guard->complained = false;
    STAILQ_REMOVE_HEAD(&guard->pending, next);
    STAILQ_INSERT_TAIL(&guard->written, sentence, next);
    sentence->ticket = guard->closing ? 0 : guard->options.written(guard->options.context);
    return true;
}

void guard_reread(struct guard *guard, uint64_t ticket)
{
    struct sentence *sentence;
    while (guard && (sentence = STAILQ_FIRST(&guard->written)) && sentence->ticket <= ticket) {
        struct vm *vm = host_find_vm(guard->options.host, sentence->vm_uuid);
        if (vm)
            vm->sentenced = false;
        STAILQ_REMOVE_HEAD(&guard->written, next);
        free(sentence);
    }
}

static void work_run(uv_work_t *work)
{
    write_sentence(work->data);
}

static void work_done(uv_work_t *work, int status);

static void write_start(struct guard *guard)
{
    if (!guard->writing && !STAILQ_EMPTY(&guard->pending))
        guard->writing = uv_queue_work(guard->loop, &guard->work, work_run, work_done) == 0;
}

static void sentences_free(struct sentence_list *list)
{
    struct sentence *sentence;
    while ((sentence = STAILQ_FIRST(list))) {
        STAILQ_REMOVE_HEAD(list, next);
        free(sentence);
    }
}

static void timer_closed(uv_handle_t *handle)
{
    struct guard *guard = handle->data;
    sentences_free(&guard->pending);
    sentences_free(&guard->written);
    store_close(guard->store);
    free(guard);
}

/* The last ones, by the loop's own thread: nothing else is left to do. */
static void finish(struct guard *guard)
{
    bool good = true;
    store_set_busy_timeout(guard->store, LAST_BUSY_TIMEOUT_MS);
    while (good && !STAILQ_EMPTY(&guard->pending)) {
        write_sentence(guard);
        good = sentence_written(guard);
    }
    uv_close((uv_handle_t *)&guard->timer, timer_closed);
}

static void work_done(uv_work_t *work, int status)
{
    struct guard *guard = work->data;
    guard->writing = false;
    bool written = sentence_written(guard);
    if (guard->closing)
        finish(guard);
    else if (written)
        write_start(guard);
}

/* ---- Faults ---- */

static void quarantine(struct guard *guard, struct vm *vm, const char *what)
{
    struct sentence *sentence = calloc(1, sizeof *sentence);
    snprintf(vm->info.quarantine_reason, sizeof vm->info.quarantine_reason,
             "%" PRIu32 " faults within %" PRIu64 " s, the last: %.80s", vm->policy.fault_limit,
             vm->policy.fault_window_us / 1000000, what);
    log_warning("VM %s: put into quarantine: %s", vm->info.vm_uuid, vm->info.quarantine_reason);
    vm->sentenced = true;
    if (sentence) { /* else it lasts until the daemon ends */
        memcpy(sentence->vm_uuid, vm->info.vm_uuid, sizeof sentence->vm_uuid);
        memcpy(sentence->reason, vm->info.quarantine_reason, sizeof sentence->reason);
        STAILQ_INSERT_TAIL(&guard->pending, sentence, next);
        write_start(guard);
    }
    guard->options.quarantined(guard->options.context, vm);
}

void guard_fault(struct guard *guard, struct vm *vm, const char *what)
{
    uint64_t now_us = clock_monotonic_ns() / 1000;
    vm->totals.faults++;
    log_info("VM %s: fault: %s", vm->info.vm_uuid, what);
    bool too_many = fault_log_add(&vm->faults, now_us, vm->policy.fault_limit, vm->policy.fault_window_us);
    if (too_many && guard && !vm->removed && !vm_is_quarantined(vm))
        quarantine(guard, vm, what);
}

/* A worker may write anything there: no more than one look can hold is counted. */
static void look_at(struct guard *guard, struct vm *vm, const _Atomic uint64_t *counter, uint64_t *seen,
                    const char *what)
{
    uint64_t count = vm_page_read(counter);
    uint64_t new = count - *seen;
    *seen = count;
    for (uint64_t i = 0; i < new &&i < vm->policy.fault_limit + 1; i++)
        guard_fault(guard, vm, what);
}

void guard_look(struct guard *guard, struct vm *vm)
{
    if (!vm->page)
        return;
    look_at(guard, vm, &vm->page->timeouts, &vm->seen_timeouts, "its work ran longer than its time limit");
    look_at(guard, vm, &vm->page->faults, &vm->seen_faults, "an error of its own code, or of its protocol");
}

static void look_due(uv_timer_t *timer)
{
    struct guard *guard = timer->data;
    const struct host *host = guard->options.host;
    for (size_t i = 0; i < host->vm_count; i++)
        if (host->vms[i]->process_count > 0)
            guard_look(guard, host->vms[i]);
    write_start(guard);
}

/* ---- Opening and closing ---- */

enum vgpu_status guard_open(uv_loop_t *loop, const struct guard_options *options, struct guard **guard,
                            struct vgpu_error *err)
{
    struct guard *made = calloc(1, sizeof *made);
    if (!made)
        return error_set(err, VGPU_ERR_MEMORY, "out of memory");
    enum vgpu_status status = store_open(options->database_path, &made->store, err);
    if (status != VGPU_OK) {
        free(made);
        return status;
    }
    store_set_actor(made->store, getuid(), "vgpud");
    STAILQ_INIT(&made->pending);
    STAILQ_INIT(&made->written);
    made->loop = loop;
    made->options = *options;
    made->options.database_path = NULL;
    made->timer.data = made;
    made->work.data = made;
    uv_timer_init(loop, &made->timer);
    uv_timer_start(&made->timer, look_due, LOOK_INTERVAL_MS, LOOK_INTERVAL_MS);
    *guard = made;
    return VGPU_OK;
}

void guard_close(struct guard *guard)
{
    if (!guard)
        return;
    guard->closing = true;
    uv_timer_stop(&guard->timer);
    if (!guard->writing)
        finish(guard);
}

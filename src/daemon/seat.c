#include "daemon/seat.h"

#include "base/log.h"
#include "daemon/grant_log.h"
#include "daemon/metrics.h"
#include "daemon/worker.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static struct seat *seat_of_sched(struct sched_vm *vm)
{
    return (struct seat *)((char *)vm - offsetof(struct seat, sched));
}

static struct sched *seat_scheduler(struct seat *seat)
{
    return &seat->service->schedule.sched;
}

struct seat *seat_take(struct service *service, struct vm *vm, struct gpu *gpu)
{
    struct seat *seat;
    LIST_FOREACH(seat, &vm->seats, in_vm)
    {
        if (seat->gpu == gpu)
            return seat;
    }
    seat = calloc(1, sizeof *seat);
    if (!seat)
        return NULL;
    seat->service = service;
    seat->vm = vm;
    seat->gpu = gpu;
    seat->asked_us = SCHED_NEVER;
    LIST_INIT(&seat->workers);
    LIST_INSERT_HEAD(&vm->seats, seat, in_vm);
    LIST_INSERT_HEAD(&gpu->seats, seat, in_gpu);
    sched_vm_add(&service->schedule.sched, &gpu->sched, &seat->sched, (enum sched_class)vm->info.priority);
    sched_vm_set_weight(&service->schedule.sched, &seat->sched, vm->policy.weight, schedule_now_us());
    if (vm->info.paused)
        sched_vm_set_paused(&service->schedule.sched, &seat->sched, true, schedule_now_us());
    return seat;
}

void seat_free_if_empty(struct seat *seat)
{
    if (!LIST_EMPTY(&seat->workers))
        return;
    sched_vm_remove(seat_scheduler(seat), &seat->sched, schedule_now_us());
    LIST_REMOVE(seat, in_vm);
    LIST_REMOVE(seat, in_gpu);
    free(seat);
}

static bool seat_wants(const struct seat *seat)
{
    const struct worker *worker;
    LIST_FOREACH(worker, &seat->workers, in_seat)
    {
        if (worker->wants)
            return true;
    }
    return false;
}

_Static_assert((int)SCHED_SLICE_EQUAL == (int)GRANT_SLICE_EQUAL &&
                   (int)SCHED_SLICE_SHORT == (int)GRANT_SLICE_SHORT &&
                   (int)SCHED_SLICE_LONG == (int)GRANT_SLICE_LONG &&
                   (int)SCHED_SLICE_BRIEF == (int)GRANT_SLICE_BRIEF &&
                   (int)SCHED_SLICE_PAUSED == (int)GRANT_SLICE_PAUSED,
               "the scheduler's slices are those of the grant page");

static enum grant_slice seat_slice(const struct seat *seat)
{
    return (enum grant_slice)seat->sched.slice;
}

static void seat_give(struct seat *seat, struct worker *worker)
{
    worker_grant(worker, seat->sched.contended, seat_slice(seat));
    seat->holders++;
    seat->service->holder_count++;
}

static void seat_granted(void *context, struct sched_vm *vm)
{
    struct seat *seat = seat_of_sched(vm);
    struct worker *worker;
    seat->granted_asked_us = seat->asked_us;
    seat->asked_us = SCHED_NEVER;
    metrics_granted(seat->vm, seat->gpu, vm->granted_us - seat->granted_asked_us);
    LIST_FOREACH(worker, &seat->workers, in_seat)
    {
        if (worker->wants)
            seat_give(seat, worker);
    }
    assert(seat->holders > 0); /* a seat waits for as long as a worker of it wants, and no longer */
}

static void seat_told(void *context, struct sched_vm *vm)
{
    struct seat *seat = seat_of_sched(vm);
    struct worker *worker;
    LIST_FOREACH(worker, &seat->workers, in_seat)
    {
        if (worker->holds)
            worker_tell(worker, vm->contended, seat_slice(seat));
    }
}

static void seat_revoked(void *context, struct sched_vm *vm)
{
    struct worker *worker;
    LIST_FOREACH(worker, &seat_of_sched(vm)->workers, in_seat)
    {
        if (worker->holds)
            worker_revoke(worker);
    }
}

static void seat_prepares(void *context, struct sched_vm *vm)
{
    struct seat *seat = seat_of_sched(vm);
    struct worker *worker;
    LIST_FOREACH(worker, &seat->workers, in_seat)
    {
        if (worker->wants)
            worker_announce(worker);
    }
    schedule_watch_closely(&seat->service->schedule);
}

static uint64_t worker_gpu_time(const struct worker *worker)
{
    return atomic_load_explicit(&worker->page->gpu_time_us, memory_order_relaxed);
}

/* The scheduler takes no more of it than the VM has held. */
static uint64_t seat_gpu_time(void *context, const struct sched_vm *vm)
{
    const struct seat *seat = (const struct seat *)((const char *)vm - offsetof(struct seat, sched));
    const struct worker *worker;
    uint64_t sum_us = seat->gone_gpu_time_us;
    LIST_FOREACH(worker, &seat->workers, in_seat)
    {
        sum_us += worker_gpu_time(worker);
    }
    return sum_us;
}

/* How far a sum of meters has come since it was read last; it goes back when a VM leaves. */
static uint64_t meter_step(uint64_t *last_us, uint64_t sum_us)
{
    uint64_t step_us = sum_us > *last_us ? sum_us - *last_us : 0;
    *last_us = sum_us;
    return step_us;
}

uint64_t seat_worker_beside_us(struct worker *worker)
{
    const struct seat *seat = worker->seat, *other;
    uint64_t higher_us = 0, equal_us = 0, equals = 0;
    LIST_FOREACH(other, &seat->gpu->seats, in_gpu)
    {
        if (other->sched.class > seat->sched.class) {
            higher_us += seat_gpu_time(NULL, &other->sched);
        } else if (other != seat && other->sched.class == seat->sched.class && seat->gpu->sched.places > 1) {
            equal_us += seat_gpu_time(NULL, &other->sched);
            equals += sched_vm_holds(&other->sched);
        }
    }
    uint64_t step_us = meter_step(&worker->beside.higher_us, higher_us) +
                       meter_step(&worker->beside.equal_us, equal_us) / (equals + 1);
    uint64_t now_us = schedule_now_us();
    uint64_t passed_us = worker->beside.asked_us ? now_us - worker->beside.asked_us : 0;
    worker->beside.asked_us = now_us;
    bool stands_still = sched_vm_holds(&seat->sched) && seat->sched.slice == SCHED_SLICE_PAUSED;
    worker->beside.sum_us += stands_still && passed_us > step_us ? passed_us : step_us;
    return worker->beside.sum_us;
}

const struct sched_actions seat_actions = {
    .grant = seat_granted,
    .tell = seat_told,
    .revoke = seat_revoked,
    .prepare = seat_prepares,
    .gpu_time = seat_gpu_time,
};

/* Others run beside the VM only if all its workers follow their slices; several workers share the slice. */
static void seat_review_slices(struct seat *seat)
{
    bool preemptible = !LIST_EMPTY(&seat->workers);
    unsigned have_asked = 0;
    const struct worker *worker;
    LIST_FOREACH(worker, &seat->workers, in_seat)
    {
        preemptible = preemptible && (worker->follows_slices || !worker->has_asked);
        have_asked += worker->has_asked;
    }
    if (seat->sched.several != (have_asked > 1))
        sched_vm_set_several(seat_scheduler(seat), &seat->sched, have_asked > 1, schedule_now_us());
    if (preemptible != seat->sched.preemptible)
        sched_vm_set_preemptible(seat_scheduler(seat), &seat->sched, preemptible, schedule_now_us());
    schedule_arm(&seat->service->schedule);
}

void seat_worker_slices(struct worker *worker, bool follows)
{
    worker->follows_slices = follows;
    worker->gpu->preemption = follows ? GPU_PREEMPTION_SLICES : GPU_PREEMPTION_DRAIN;
    if (worker->seat) /* else it counts once it has a guest that asks */
        seat_review_slices(worker->seat);
}

void seat_worker_wants(struct worker *worker, uint32_t generation)
{
    struct seat *seat = worker->seat;
    if (generation != worker->generation) {
        log_debug("VM %s: process %d wants after grant %u, which was answered already",
                  seat->vm->info.vm_uuid, worker_pid(worker), generation);
        return;
    }
    worker->wants = true;
    if (!worker->has_asked) {
        worker->has_asked = true;
        seat_review_slices(seat);
    }
    if (seat->service->closing)
        return;
    if (seat->sched.state == SCHED_VM_HOLDING) {
        if (!worker->holds) /* else its release is on the way, and counts first */
            seat_give(seat, worker);
        return;
    }
    uint64_t now_us = schedule_now_us();
    if (seat->asked_us == SCHED_NEVER)
        seat->asked_us = now_us;
    sched_vm_want(seat_scheduler(seat), &seat->sched, now_us);
    schedule_arm(&seat->service->schedule);
}

static void grant_over(struct seat *seat, const char *reason)
{
    uint64_t now_us = schedule_now_us();
    metrics_gave_back(seat->vm, seat->gpu, now_us - seat->sched.granted_us, strcmp(reason, "revoked") == 0);
    grant_log_add(seat->service->grant_log, &(struct grant_log_entry){.vm = &seat->vm->info,
                                                                      .gpu_id = seat->gpu->gpu_id,
                                                                      .asked_us = seat->granted_asked_us,
                                                                      .got_us = seat->sched.granted_us,
                                                                      .gave_back_us = now_us,
                                                                      .reason = reason});
}

/* The last holder has given back: the GPU goes to whoever is next, perhaps to this VM again. */
static void seat_give_back(struct seat *seat)
{
    uint64_t now_us = schedule_now_us();
    bool wants = !seat->service->closing && seat_wants(seat);
    if (wants && seat->asked_us == SCHED_NEVER)
        seat->asked_us = now_us;
    if (!wants) /* who asked while it drained may have ended since */
        sched_vm_withdraw(seat_scheduler(seat), &seat->sched, now_us);
    sched_vm_released(seat_scheduler(seat), &seat->sched, now_us);
    if (wants)
        sched_vm_want(seat_scheduler(seat), &seat->sched, now_us);
    schedule_arm(&seat->service->schedule);
}

static void holder_gone(struct worker *worker)
{
    worker->holds = false;
    worker->seat->holders--;
    worker->seat->service->holder_count--;
}

void seat_worker_released(struct worker *worker, uint32_t generation)
{
    struct seat *seat = worker->seat;
    if (!worker->holds || generation != worker->generation) {
        log_debug("VM %s: process %d gives back grant %u, which it does not hold", seat->vm->info.vm_uuid,
                  worker_pid(worker), generation);
        return;
    }
    if (!worker_has_given_back(worker))
        return;
    holder_gone(worker);
    if (!seat->holders) {
        bool revoked = seat->sched.state == SCHED_VM_REVOKING || seat->service->closing;
        grant_over(seat, revoked ? "revoked" : "idle");
        seat_give_back(seat);
    } else if (worker->wants && seat->sched.state == SCHED_VM_HOLDING && !seat->service->closing) {
        seat_give(seat, worker);
    }
    seat->service->progress(seat->service->context);
}

void seat_worker_gone(struct worker *worker)
{
    struct seat *seat = worker->seat;
    struct service *service = seat->service;
    bool ends_grant = worker->holds && seat->holders == 1;
    seat->gone_gpu_time_us += worker_gpu_time(worker);
    LIST_REMOVE(worker, in_seat);
    worker->wants = false;
    if (worker->holds)
        holder_gone(worker);
    worker->seat = NULL;
    if (ends_grant)
        grant_over(seat, "exit");
    if (LIST_EMPTY(&seat->workers)) {
        seat_free_if_empty(seat);
        schedule_arm(&service->schedule);
        service->progress(service->context);
        return;
    }
    if (ends_grant) {
        seat_give_back(seat);
    } else if (!seat_wants(seat)) {
        seat->asked_us = SCHED_NEVER;
        sched_vm_withdraw(seat_scheduler(seat), &seat->sched, schedule_now_us());
    }
    seat_review_slices(seat);
    schedule_arm(&service->schedule);
    service->progress(service->context);
}

void seat_close_wait(struct seat *seat)
{
    sched_vm_withdraw(seat_scheduler(seat), &seat->sched, schedule_now_us());
    schedule_arm(&seat->service->schedule);
}

void seat_close_grant(struct seat *seat)
{
    if (seat->sched.state == SCHED_VM_HOLDING)
        seat_revoked(NULL, &seat->sched);
}

#include "daemon/admin_state.h"

#include "base/limit.h"
#include "daemon/metrics.h"
#include "daemon/seat.h"
#include "daemon/worker.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct seat *seat_of_sched(const struct sched_vm *vm)
{
    return (const struct seat *)((const char *)vm - offsetof(struct seat, sched));
}

/* ---- GPUs ---- */

struct queue_order {
    const struct sched *sched;
    uint64_t now_us;
};

/* Who is served first comes first. */
static int seat_compare(const void *a, const void *b, void *context)
{
    const struct queue_order *order = context;
    const struct sched_vm *left = &(*(const struct seat *const *)a)->sched;
    const struct sched_vm *right = &(*(const struct seat *const *)b)->sched;
    return sched_vm_comes_first(order->sched, left, right, order->now_us) ? -1 : 1;
}

static json_t *waiting_entry(const struct seat *seat, uint64_t now_us)
{
    return json_pack("{s:s, s:i, s:I}", "vm_uuid", seat->vm->info.vm_uuid, "priority",
                     (int)seat->vm->info.priority, "waiting_us", (json_int_t)(now_us - seat->asked_us));
}

static json_t *waiting_list(const struct admin_state_source *source, const struct gpu *gpu, uint64_t now_us)
{
    json_t *list = json_array();
    const struct seat **seats = calloc(gpu->sched.waiting_count + 1, sizeof *seats);
    size_t count = 0;
    const struct seat *seat;
    if (!seats)
        return list;
    LIST_FOREACH(seat, &gpu->seats, in_gpu)
    {
        if (seat->sched.state == SCHED_VM_WAITING)
            seats[count++] = seat;
    }
    struct queue_order order = {&source->service->schedule.sched, now_us};
    qsort_r(seats, count, sizeof *seats, seat_compare, &order);
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, waiting_entry(seats[i], now_us));
    free(seats);
    return list;
}

/* Of those on the GPU, one at the front, or the one in the background; NULL: nobody is. */
static const struct sched_vm *holder_at(const struct gpu *gpu, bool background)
{
    const struct sched_vm *holder = gpu->sched.holders;
    while (holder && sched_vm_is_background(holder) != background)
        holder = holder->next_holder;
    return holder;
}

static const char *holder_uuid(const struct sched_vm *holder)
{
    return holder ? seat_of_sched(holder)->vm->info.vm_uuid : NULL;
}

static json_t *gpu_entry(const struct admin_state_source *source, const struct gpu *gpu, uint64_t now_us)
{
    const struct sched_vm *front = holder_at(gpu, false);
    return json_pack(
        "{s:i, s:s, s:s?, s:s?, s:I, s:I, s:I, s:I, s:o}", "gpu_id", (int)gpu->gpu_id, "gpu_uuid",
        gpu->gpu_uuid, "holder", holder_uuid(front), "background", holder_uuid(holder_at(gpu, true)),
        "held_us", (json_int_t)(front ? now_us - front->granted_us : 0), "generation",
        (json_int_t)gpu->grants, "warm_workers", (json_int_t)spares_ready_count(gpu), "warm_memory_bytes",
        (json_int_t)spares_memory_bytes(gpu), "waiting", waiting_list(source, gpu, now_us));
}

/* ---- VMs ---- */

/* A worker's counters are whatever it wrote; the protocol's integers are below 2^63. */
static json_int_t bounded(uint64_t value)
{
    return value <= INT64_MAX ? (json_int_t)value : INT64_MAX;
}

static void set_percentiles(json_t *object, const char *what, const struct percentiles *values)
{
    static const char *const names[] = {"p50", "p95", "p99"};
    const uint64_t numbers[] = {values->p50_us, values->p95_us, values->p99_us};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s_%s_us", what, names[i]);
        json_object_set_new(object, name, values->known ? json_integer(bounded(numbers[i])) : json_null());
    }
}

static json_t *vm_entry(struct vm *vm, uint64_t now_us)
{
    struct vm_metrics metrics;
    metrics_of_vm(vm, now_us, &metrics);
    const struct vm_totals *totals = &metrics.totals;
    const struct {
        const char *name;
        uint64_t value;
    } counts[] = {{"processes", metrics.processes},
                  {"waiting", metrics.waiting},
                  {"grants", totals->grants},
                  {"wait_us", totals->wait_us},
                  {"hold_us", totals->hold_us},
                  {"calls", totals->calls},
                  {"gpu_calls", totals->gpu_calls},
                  {"gpu_time_us", totals->gpu_time_us},
                  {"device_memory_bytes", metrics.device_memory_bytes},
                  {"preemptions", totals->preemptions},
                  {"timeouts", metrics.timeouts},
                  {"limited_calls", metrics.limited_calls},
                  {"limited_us", metrics.limited_us},
                  {"refused_allocations", metrics.refused_allocations},
                  {"faults", totals->faults}};
    json_t *object = json_pack("{s:s}", "vm_uuid", vm->info.vm_uuid);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        json_object_set_new(object, counts[i].name, json_integer(bounded(counts[i].value)));
    set_percentiles(object, "wait", &metrics.wait);
    set_percentiles(object, "hold", &metrics.hold);
    return object;
}

/* Of the GPU's grants to VMs of all classes. */
static json_t *gpu_with_metrics(json_t *object, const struct gpu *gpu)
{
    static const char *const preemption[] = {[GPU_PREEMPTION_UNKNOWN] = NULL,
                                             [GPU_PREEMPTION_DRAIN] = "drain",
                                             [GPU_PREEMPTION_SLICES] = "hardware time slices"};
    struct timing sum = {.waited_us = 0};
    for (int class = 0; class < SCHED_CLASS_COUNT; class ++) {
        histogram_merge(&sum.waits, &gpu->timing[class].waits);
        histogram_merge(&sum.holds, &gpu->timing[class].holds);
        sum.waited_us += gpu->timing[class].waited_us;
        sum.held_us += gpu->timing[class].held_us;
    }
    metrics_renew(&sum.wait, &sum.waits);
    metrics_renew(&sum.hold, &sum.holds);
    const char *mode = preemption[gpu->preemption];
    json_object_set_new(object, "handovers", json_integer(bounded(gpu->handovers)));
    json_object_set_new(object, "preemptions", json_integer(bounded(gpu->preemptions)));
    json_object_set_new(object, "waited_us", json_integer(bounded(sum.waited_us)));
    json_object_set_new(object, "ended_hold_us", json_integer(bounded(sum.held_us)));
    json_object_set_new(object, "ended_grants", json_integer(bounded(sum.holds.total)));
    json_object_set_new(object, "places", json_integer(gpu->policy.places));
    json_object_set_new(object, "preemption", mode ? json_string(mode) : json_null());
    set_percentiles(object, "wait", &sum.wait);
    set_percentiles(object, "hold", &sum.hold);
    return object;
}

/* The object as a line, from malloc; takes the reference. NULL when out of memory. */
static char *make_line(json_t *object)
{
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    size_t bytes = text ? strlen(text) : 0;
    char *line = text ? realloc(text, bytes + 2) : NULL;
    if (!line) {
        free(text);
        return NULL;
    }
    memcpy(line + bytes, "\n", 2);
    return line;
}

char *admin_state_line(const struct admin_state_source *source)
{
    uint64_t now_us = schedule_now_us();
    json_t *gpus = json_array();
    json_t *vms = json_array();
    for (size_t i = 0; i < source->host->gpu_count; i++) {
        const struct gpu *gpu = source->host->gpus[i];
        if (gpu->online || !LIST_EMPTY(&gpu->seats))
            json_array_append_new(gpus, gpu_with_metrics(gpu_entry(source, gpu, now_us), gpu));
    }
    for (size_t i = 0; i < source->host->vm_count; i++) {
        if (source->host->vms[i]->has_been_used)
            json_array_append_new(vms, vm_entry(source->host->vms[i], now_us));
    }
    json_t *state =
        json_pack("{s:b, s:{s:s, s:I, s:I, s:s}, s:o, s:o}", "ok", 1, "daemon", "version", VGPU_VERSION,
                  "pid", (json_int_t)getpid(), "uptime_us", (json_int_t)(now_us - source->started_us),
                  "driver", source->driver, "gpus", gpus, "vms", vms);
    return make_line(state);
}

char *admin_limits_line(const struct vgpu_limits *limits)
{
    json_t *object = json_object();
    for (int limit = 0; limit < VGPU_LIMIT_COUNT; limit++)
        json_object_set_new(object, limit_describe((enum vgpu_limit)limit)->member,
                            json_integer(limits->values[limit]));
    return make_line(json_pack("{s:b, s:o}", "ok", 1, "limits", object));
}

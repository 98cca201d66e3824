#include "daemon/admin_state.h"

#include "daemon/seat.h"
#include "daemon/worker.h"

#include <jansson.h>
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
    return json_pack("{s:i, s:s, s:s?, s:s?, s:I, s:I, s:I, s:o}", "gpu_id", (int)gpu->gpu_id, "gpu_uuid",
                     gpu->gpu_uuid, "holder", holder_uuid(front), "background",
                     holder_uuid(holder_at(gpu, true)), "held_us",
                     (json_int_t)(front ? now_us - front->granted_us : 0), "generation",
                     (json_int_t)gpu->grants, "warm_workers", (json_int_t)spares_ready_count(gpu), "waiting",
                     waiting_list(source, gpu, now_us));
}

/* ---- VMs ---- */

/* With what its living processes have counted, and what lasts now. */
static struct vm_totals vm_sum(const struct vm *vm, uint64_t now_us, uint64_t *device_memory_bytes)
{
    struct vm_totals sum = vm->totals;
    const struct seat *seat;
    const struct worker *worker;
    *device_memory_bytes = 0;
    LIST_FOREACH(seat, &vm->seats, in_vm)
    {
        if (sched_vm_holds(&seat->sched))
            sum.hold_us += now_us - seat->sched.granted_us;
        if (seat->sched.state == SCHED_VM_WAITING)
            sum.wait_us += now_us - seat->asked_us;
        LIST_FOREACH(worker, &seat->workers, in_seat)
        {
            struct grant_page *page = worker->page;
            sum.calls += atomic_load_explicit(&page->calls, memory_order_relaxed);
            sum.gpu_calls += atomic_load_explicit(&page->gpu_calls, memory_order_relaxed);
            *device_memory_bytes += atomic_load_explicit(&page->device_memory_bytes, memory_order_relaxed);
        }
    }
    return sum;
}

/* A worker's counters are whatever it wrote; the protocol's integers are below 2^63. */
static json_int_t bounded(uint64_t value)
{
    return value <= INT64_MAX ? (json_int_t)value : INT64_MAX;
}

static json_t *wait_percentile(const struct vm *vm, unsigned percent)
{
    uint64_t value_us;
    return histogram_percentile(&vm->waits, percent, &value_us) ? json_integer(bounded(value_us))
                                                                : json_null();
}

static json_t *vm_entry(const struct vm *vm, uint64_t now_us)
{
    uint64_t memory_bytes;
    struct vm_totals sum = vm_sum(vm, now_us, &memory_bytes);
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "vm_uuid", vm->info.vm_uuid,
                     "processes", (json_int_t)vm->process_count, "grants", bounded(sum.grants), "wait_us",
                     bounded(sum.wait_us), "hold_us", bounded(sum.hold_us), "calls", bounded(sum.calls),
                     "gpu_calls", bounded(sum.gpu_calls), "device_memory_bytes", bounded(memory_bytes),
                     "wait_p50_us", wait_percentile(vm, 50), "wait_p99_us", wait_percentile(vm, 99));
}

char *admin_state_line(const struct admin_state_source *source)
{
    uint64_t now_us = schedule_now_us();
    json_t *gpus = json_array();
    json_t *vms = json_array();
    for (size_t i = 0; i < source->host->gpu_count; i++) {
        const struct gpu *gpu = source->host->gpus[i];
        if (gpu->online || !LIST_EMPTY(&gpu->seats))
            json_array_append_new(gpus, gpu_entry(source, gpu, now_us));
    }
    for (size_t i = 0; i < source->host->vm_count; i++) {
        if (source->host->vms[i]->has_been_used)
            json_array_append_new(vms, vm_entry(source->host->vms[i], now_us));
    }
    json_t *state =
        json_pack("{s:b, s:{s:s, s:I, s:I, s:s}, s:o, s:o}", "ok", 1, "daemon", "version", VGPU_VERSION,
                  "pid", (json_int_t)getpid(), "uptime_us", (json_int_t)(now_us - source->started_us),
                  "driver", source->driver, "gpus", gpus, "vms", vms);
    char *text = state ? json_dumps(state, JSON_COMPACT) : NULL;
    json_decref(state);
    size_t bytes = text ? strlen(text) : 0;
    char *line = text ? realloc(text, bytes + 2) : NULL;
    if (!line) {
        free(text);
        return NULL;
    }
    memcpy(line + bytes, "\n", 2);
    return line;
}

#include "daemon/metrics.h"

#include "daemon/seat.h"
#include "daemon/worker.h"

#include <stdlib.h>

void metrics_granted(struct vm *vm, struct gpu *gpu, uint64_t wait_us)
{
    vm->totals.grants++;
    vm->totals.wait_us += wait_us;
    histogram_add(&vm->timing->waits, wait_us);
    histogram_add(&gpu->timing[vm->info.priority].waits, wait_us);
    gpu->timing[vm->info.priority].waited_us += wait_us;
    gpu->grants++;
    if (gpu->preemption == GPU_PREEMPTION_UNKNOWN) /* who can follow slices says so before it asks */
        gpu->preemption = GPU_PREEMPTION_DRAIN;
    gpu->handovers += gpu->latest_vm != vm;
    gpu->latest_vm = vm;
}

void metrics_gave_back(struct vm *vm, struct gpu *gpu, uint64_t hold_us, bool preempted)
{
    vm->totals.hold_us += hold_us;
    vm->totals.preemptions += preempted;
    vm->timing->held_us += hold_us;
    histogram_add(&vm->timing->holds, hold_us);
    histogram_add(&gpu->timing[vm->info.priority].holds, hold_us);
    gpu->timing[vm->info.priority].held_us += hold_us;
    gpu->preemptions += preempted;
}

struct metrics_percentiles metrics_percentiles_of(const struct histogram *histogram)
{
    struct metrics_percentiles values;
    values.known = histogram_percentile(histogram, 50, &values.p50_us) &&
                   histogram_percentile(histogram, 95, &values.p95_us) &&
                   histogram_percentile(histogram, 99, &values.p99_us);
    return values;
}

static uint64_t read_counter(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void add_worker(struct vm_metrics *metrics, const struct grant_page *page)
{
    metrics->totals.calls += read_counter(&page->calls);
    metrics->totals.gpu_calls += read_counter(&page->gpu_calls);
    metrics->totals.gpu_time_us += read_counter(&page->gpu_time_us);
    metrics->device_memory_bytes += read_counter(&page->device_memory_bytes);
}

static void add_seat(struct vm_metrics *metrics, const struct seat *seat, uint64_t now_us)
{
    const struct worker *worker;
    bool holds = sched_vm_holds(&seat->sched);
    if (holds && now_us > seat->sched.granted_us)
        metrics->totals.hold_us += now_us - seat->sched.granted_us;
    if (seat->sched.state == SCHED_VM_WAITING) {
        metrics->waiting++;
        metrics->totals.wait_us += now_us > seat->asked_us ? now_us - seat->asked_us : 0;
    }
    LIST_FOREACH(worker, &seat->workers, in_seat)
    {
        add_worker(metrics, worker->page);
    }
}

void metrics_of_vm(const struct vm *vm, uint64_t now_us, struct vm_metrics *metrics)
{
    const struct seat *seat;
    *metrics = (struct vm_metrics){.totals = vm->totals, .processes = vm->process_count};
    LIST_FOREACH(seat, &vm->seats, in_vm)
    {
        add_seat(metrics, seat, now_us);
    }
    if (vm->page) {
        metrics->limited_calls = read_counter(&vm->page->limited_calls);
        metrics->limited_us = read_counter(&vm->page->limited_ns) / 1000;
        metrics->refused_allocations = read_counter(&vm->page->refused_allocations);
        metrics->timeouts = read_counter(&vm->page->timeouts);
    }
    if (vm->timing) {
        metrics->wait = metrics_percentiles_of(&vm->timing->waits);
        metrics->hold = metrics_percentiles_of(&vm->timing->holds);
        metrics->holds_ended = vm->timing->holds.total;
        metrics->holds_ended_us = vm->timing->held_us;
    }
}

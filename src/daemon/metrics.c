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

void metrics_renew(struct percentiles *percentiles, const struct histogram *histogram)
{
    static const unsigned percents[] = {50, 95, 99};
    uint64_t values[3];
    if (histogram->total == percentiles->of_total || !histogram_percentiles(histogram, percents, values, 3))
        return;
    *percentiles = (struct percentiles){.known = true,
                                        .p50_us = values[0],
                                        .p95_us = values[1],
                                        .p99_us = values[2],
                                        .of_total = histogram->total};
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

void metrics_of_vm(struct vm *vm, uint64_t now_us, struct vm_metrics *metrics)
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
        metrics_renew(&vm->timing->wait, &vm->timing->waits);
        metrics_renew(&vm->timing->hold, &vm->timing->holds);
        metrics->wait = vm->timing->wait;
        metrics->hold = vm->timing->hold;
        metrics->holds_ended = vm->timing->holds.total;
        metrics->holds_ended_us = vm->timing->held_us;
    }
}

/* What is measured of VMs and GPUs since the daemon started: for the admin socket and for Prometheus. */
#ifndef VGPU_DAEMON_METRICS_H
#define VGPU_DAEMON_METRICS_H

#include "daemon/host.h"

/* What so many of 100 durations did not exceed, in microseconds; nothing is known before the first. */
struct metrics_percentiles {
    bool known;
    uint64_t p50_us, p95_us, p99_us;
};

/* Of one VM, with what its living processes have counted and what lasts now. Workers may write anything into
 * their pages, and these are whatever they wrote. */
struct vm_metrics {
    struct vm_totals totals; /* wait_us and hold_us with the wait and the grant that last now */
    unsigned processes;
    unsigned waiting; /* GPUs that it waits for now */
    uint64_t device_memory_bytes;
    uint64_t limited_calls; /* calls that waited for the VM's rates */
    uint64_t limited_us;    /* for so long */
    uint64_t refused_allocations;
    uint64_t timeouts;
    uint64_t holds_ended; /* grants that have ended: those that hold.* knows of */
    uint64_t holds_ended_us;
    struct metrics_percentiles wait, hold;
};

/* now_us: of schedule_now_us(). */
void metrics_of_vm(const struct vm *vm, uint64_t now_us, struct vm_metrics *metrics);

struct metrics_percentiles metrics_percentiles_of(const struct histogram *histogram);

/* Events: a VM has been granted the GPU, or has given it back (preempted: it had to). */
void metrics_granted(struct vm *vm, struct gpu *gpu, uint64_t wait_us);
void metrics_gave_back(struct vm *vm, struct gpu *gpu, uint64_t hold_us, bool preempted);

#endif

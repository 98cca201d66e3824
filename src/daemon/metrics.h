/* What is measured of VMs and GPUs since the daemon started: for the admin socket and for Prometheus. */
#ifndef VGPU_DAEMON_METRICS_H
#define VGPU_DAEMON_METRICS_H

#include "daemon/host.h"

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
    struct percentiles wait, hold;
};

/* now_us: of schedule_now_us(). */
void metrics_of_vm(struct vm *vm, uint64_t now_us, struct vm_metrics *metrics);

/* Found anew only where the histogram has changed: idle VMs cost nothing, however often somebody asks. */
void metrics_renew(struct percentiles *percentiles, const struct histogram *histogram);

/* Events: a VM has been granted the GPU, or has given it back (preempted: it had to). */
void metrics_granted(struct vm *vm, struct gpu *gpu, uint64_t wait_us);
void metrics_gave_back(struct vm *vm, struct gpu *gpu, uint64_t hold_us, bool preempted);

#endif

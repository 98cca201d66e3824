/* What Prometheus reads: the numbers, copied out of the daemon at one moment, and their text. No threads and
 * no clock here: what is collected by the event loop is written by another thread. */
#ifndef VGPU_DAEMON_EXPOSITION_H
#define VGPU_DAEMON_EXPOSITION_H

#include "daemon/metrics.h"

#include <stdio.h>

struct exposition_gpu {
    int32_t gpu_id;
    char gpu_uuid[VGPU_GPU_UUID_BYTES];
    bool online;
    bool held;
    uint32_t waiting;
    uint32_t places;
    enum gpu_preemption preemption;
    uint64_t handovers;
    uint64_t preemptions;
    struct timing timing[SCHED_CLASS_COUNT];
};

struct exposition_vm {
    char vm_uuid[VGPU_VM_UUID_BYTES];
    char vm_name[VGPU_VM_NAME_BYTES];
    char pool;
    enum vgpu_priority priority;
    bool paused;
    bool quarantined;
    uint32_t weight;
    struct vm_metrics metrics;
};

struct exposition {
    uint64_t started_wall_us; /* when the daemon started, since 1970 */
    uint64_t guests;
    uint64_t registered_vms;
    uint64_t left_out_vms; /* that have had guest processes and are not among vms */
    struct exposition_gpu *gpus;
    size_t gpu_count;
    struct exposition_vm *vms;
    size_t vm_count;
};

/* Of at most vms_max VMs: the first that have guest processes, for as long as they are registered. NULL: out
 * of memory. */
struct exposition *exposition_collect(struct host *host, uint64_t now_us, size_t vms_max);
void exposition_destroy(struct exposition *exposition); /* NULL is fine */

/* In the text format of Prometheus, version 0.0.4. */
void exposition_print(FILE *out, const struct exposition *exposition);

#endif

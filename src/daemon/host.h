/* What the daemon serves: the GPUs and the registered VMs, as the configuration database has them. */
#ifndef VGPU_DAEMON_HOST_H
#define VGPU_DAEMON_HOST_H

#include "base/histogram.h"
#include "daemon/fault_log.h"
#include "daemon/gpu_facts.h"
#include "daemon/policy.h"
#include "daemon/vm_page.h"
#include "sched/sched.h"

#include <sys/queue.h>
#include <vgpu/error.h>
#include <vgpu/types.h>

struct door;
struct seat;
struct window;
struct worker;
LIST_HEAD(seat_list, seat);
LIST_HEAD(spare_list, worker);

/* What so many of 100 durations did not exceed, in microseconds; nothing is known before the first. */
struct percentiles {
    bool known;
    uint64_t p50_us, p95_us, p99_us;
    uint64_t of_total; /* durations there were when they were found */
};

/* How long grants were waited for, and how long those that have ended lasted; in microseconds. */
struct timing {
    struct histogram waits, holds;
    uint64_t waited_us, held_us;   /* in all */
    struct percentiles wait, hold; /* as last asked for: metrics.c */
};

/* How the GPU is taken from a VM for a higher class, as its workers have told last. */
enum gpu_preemption { GPU_PREEMPTION_UNKNOWN, GPU_PREEMPTION_DRAIN, GPU_PREEMPTION_SLICES };

struct gpu {
    struct sched_gpu sched;
    int32_t gpu_id;
    char gpu_uuid[VGPU_GPU_UUID_BYTES];
    char reason[VGPU_REASON_BYTES]; /* why it is not online */
    bool online;
    struct gpu_policy policy;
    enum gpu_preemption preemption;
    /* Since the daemon started. */
    uint64_t grants;
    uint64_t handovers;    /* grants to another VM than the one before */
    uint64_t preemptions;  /* grants that ended because they were revoked */
    const void *latest_vm; /* that was granted; for comparing only */
    struct timing timing[SCHED_CLASS_COUNT];
    struct seat_list seats; /* of VMs with guest processes on it */
    struct {
        struct spare_list list;       /* workers that wait for a guest */
        unsigned failures;            /* that ended since one became ready */
        uint64_t next_us;             /* no new one before */
        struct facts_request request; /* what memory they hold */
    } spares;
};

/* Since the daemon started. Of processes that have ended; those that live have theirs in their grant pages.
 */
struct vm_totals {
    uint64_t grants;
    uint64_t wait_us;
    uint64_t hold_us;
    uint64_t calls;
    uint64_t gpu_calls;
    uint64_t gpu_time_us;
    uint64_t preemptions; /* grants that ended because they were revoked */
    uint64_t faults;      /* see guard.h */
};

struct arrival;
STAILQ_HEAD(arrival_list, arrival);

struct vm {
    struct vgpu_vm info;
    struct gpu *gpu; /* that new guest processes go to; NULL: its pool has none */
    struct seat_list seats;
    unsigned process_count;
    bool exposed;                        /* its metrics are among those of exposition.h */
    bool has_been_used;                  /* has had a guest process */
    bool removed;                        /* not registered any more; goes when its last process has */
    struct vm_policy policy;             /* policy.page: what its page says, or will say */
    struct vm_page *page;                /* with its workers, from the first one on; NULL before */
    int page_fd;                         /* to hand to them; only with page */
    struct window *window;               /* NULL: it has none */
    uint64_t seen_timeouts, seen_faults; /* of those counted on its page: what the guard has looked at */
    struct fault_log faults;
    bool sentenced; /* in quarantine, and the database does not say so yet */
    struct vm_totals totals;
    struct timing *timing;        /* from its first guest process on; NULL before */
    struct arrival_list arrivals; /* guest processes that wait for a worker to be started for them */
    unsigned arrival_count;
    TAILQ_ENTRY(vm) in_arrivals; /* while there is one */
    unsigned starting_count;     /* workers in WORKER_STARTING */
    struct door *door;           /* its socket file; NULL when it could not be made, or systemd made it */
};

/* What follows from a change. vm_removed may free the VM (vm_destroy). */
struct host_actions {
    void (*vm_added)(void *context, struct vm *vm);
    void (*vm_removed)(void *context, struct vm *vm);
    void (*vm_reclassed)(void *context, struct vm *vm); /* its priority, weight, or whether it is paused */
    void (*vm_quarantined)(void *context, struct vm *vm);
    void (*gpu_changed)(void *context, struct gpu *gpu); /* its policy */
    void (*gpu_lost)(void *context, struct gpu *gpu);    /* was online, is not */
};

struct host {
    struct sched *sched;
    struct vgpu_limits defaults;  /* of vgpu.conf */
    struct vgpu_limits pools[26]; /* by letter */
    struct gpu **gpus;            /* by gpu_id; one that is gone stays, offline */
    size_t gpu_count;
    struct vm **vms; /* registered ones, by vm_uuid */
    size_t vm_count;
    const struct host_actions *actions;
    void *context;
};

/* Makes the host what the snapshot says. On VGPU_ERR_MEMORY VMs are as they were. */
enum vgpu_status host_apply(struct host *host, const struct vgpu_snapshot *snapshot, struct vgpu_error *err);
/* Frees everything; no VM has a process any more. */
void host_fini(struct host *host);

/* NULL: not registered. */
struct vm *host_find_vm(const struct host *host, const char *vm_uuid);
struct vm *host_find_vm_by_cid(const struct host *host, uint32_t vsock_cid);

/* Makes what a VM with guest processes needs, its page with its limits and its timing, if there is none yet.
 */
enum vgpu_status vm_open_page(struct vm *vm, struct vgpu_error *err);
static inline bool vm_is_quarantined(const struct vm *vm)
{
    return vm->sentenced || vm->info.quarantined;
}

/* "VM abc123 is in quarantine (...); ...": for its guests. */
void vm_describe_quarantine(const struct vm *vm, char *text, size_t text_bytes);

void vm_destroy(struct vm *vm);

#endif

/* A seat: one VM on one GPU, for as long as it has guest processes there. It stands between the scheduler,
 * which grants to VMs, and the workers, each with its own page.
 *
 * The VM wants the GPU when one of its workers does. It holds it until every worker that holds has given
 * back. A VM that was moved to another GPU keeps its seat on the old one for the processes it has there. */
#ifndef VGPU_DAEMON_SEAT_H
#define VGPU_DAEMON_SEAT_H

#include "daemon/host.h"
#include "daemon/service.h"

struct seat {
    struct sched_vm sched;
    struct service *service;
    struct vm *vm;
    struct gpu *gpu;
    LIST_ENTRY(seat) in_vm;
    LIST_ENTRY(seat) in_gpu;
    struct worker_list workers;
    unsigned holders;          /* workers that hold */
    uint64_t asked_us;         /* since when a worker wants in vain; SCHED_NEVER: none does */
    uint64_t granted_asked_us; /* while the VM holds: when it had asked */
    uint64_t gone_gpu_time_us; /* of its workers that have ended */
};

/* What the scheduler decides goes to the seats. */
extern const struct sched_actions seat_actions;

/* The VM's seat on this GPU, made when there is none. NULL: out of memory. */
struct seat *seat_take(struct service *service, struct vm *vm, struct gpu *gpu);
/* For a seat without any worker; others stay as they are. */
void seat_free_if_empty(struct seat *seat);

/* A message of the worker: of which generation it speaks is checked here. */
void seat_worker_wants(struct worker *worker, uint32_t generation);
/* Whether it can follow the slices of its grants. */
void seat_worker_slices(struct worker *worker, bool follows);
void seat_worker_released(struct worker *worker, uint32_t generation);
/* GPU time of others that this worker's work cannot have had: of VMs that go before it all, of equals beside
 * it what is theirs. Microseconds, since it began to ask. */
uint64_t seat_worker_beside_us(struct worker *worker);
/* The worker's process has ended; afterwards worker->seat is NULL and the seat may be gone. */
void seat_worker_gone(struct worker *worker);

/* The daemon stops (service.closing). First all seats stop waiting, then those that hold must give back. */
void seat_close_wait(struct seat *seat);
void seat_close_grant(struct seat *seat);

#endif

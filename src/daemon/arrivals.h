/* Guest processes that wait for a worker to be started for them. Only so many workers start at a time, so
 * that a VM that forks without end takes neither the processor nor the GPU's driver from the others: a few of
 * one VM, and those of several VMs in turns. A VM that starts nothing else is never kept waiting. */
#ifndef VGPU_DAEMON_ARRIVALS_H
#define VGPU_DAEMON_ARRIVALS_H

#include "daemon/host.h"
#include "daemon/service.h"
#include "wire/handshake.h"

/* Workers in WORKER_STARTING. */
#define STARTING_PER_VM_MAX 4
#define STARTING_MAX        16

TAILQ_HEAD(arriving_vm_list, vm);

struct arrivals {
    uv_timer_t timer; /* due at once: what starts another worker must not happen inside of an event of one */
    const struct service *service;
    /* Has a worker started for the guest, or refuses it; takes fd over. */
    void (*serve)(void *context, struct vm *vm, int fd);
    void *context;
    struct arriving_vm_list vms; /* with at least one arrival; the next in turn first */
    unsigned count;
    bool open;
};

/* service, serve and context are set already. */
void arrivals_open(struct arrivals *arrivals, uv_loop_t *loop);
/* Nobody waits any more: each is refused. */
void arrivals_close(struct arrivals *arrivals, const struct host *host, const char *text);

/* Whether another worker of this VM may be started now. */
bool arrivals_may_start(const struct arrivals *arrivals, const struct vm *vm);
/* Keeps the guest until then; takes fd over. */
void arrivals_add(struct arrivals *arrivals, struct vm *vm, int fd);
/* A worker has started, or ended: looks whether another may be started, as soon as the loop comes round. */
void arrivals_wake(struct arrivals *arrivals);
/* Those of one VM are told that they come in vain. */
void arrivals_refuse(struct arrivals *arrivals, struct vm *vm, enum handshake_status status,
                     const char *text);

#endif

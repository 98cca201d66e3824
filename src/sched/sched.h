/* The scheduler: which VM may have work running on which GPU. docs/scheduling.md states its rules.
 *
 * Pure logic: no clock, no I/O, no threads, no allocation. Events come in as function calls, each with the
 * time at which it happened (any monotonic count of microseconds); decisions go out through
 * struct sched_actions before the call returns. The same events give the same decisions.
 *
 *                  want                 grant
 *      ┌──────┐ ─────────► ┌─────────┐ ───────► ┌─────────┐  revoke  ┌──────────┐
 *      │ IDLE │            │ WAITING │          │ HOLDING ├─────────►│ REVOKING │
 *      └──▲───┘ ◄───────── └────▲────┘          └────┬────┘          └────┬─────┘
 *         │      withdraw       │ wanted meanwhile   │ released           │ released
 *         └─────────────────────┴────────────────────┴────────────────────┘
 *
 * The caller owns the memory of GPUs and VMs: they are embedded in its own structs, zeroed before they are
 * added, and stay where they are until removed. An event costs O(log n) in the VMs that wait (amortised). */
#ifndef VGPU_SCHED_SCHED_H
#define VGPU_SCHED_SCHED_H

#include "sched/heap.h"

#include <stdbool.h>
#include <stdint.h>

enum sched_class { SCHED_LOW = 0, SCHED_MEDIUM = 1, SCHED_HIGH = 2 };
#define SCHED_CLASS_COUNT 3

/* "No such time": later than any other. */
#define SCHED_NEVER UINT64_MAX

enum sched_vm_state { SCHED_VM_IDLE, SCHED_VM_WAITING, SCHED_VM_HOLDING, SCHED_VM_REVOKING };

/* What may be set. Read at every event, so a change takes effect at the next one. */
struct sched_config {
    uint64_t quantum_us;  /* how long a turn lasts once others of the same or a higher class wait */
    uint64_t ageing_us;   /* a waiting VM rises by one class each time this has passed; 0: never */
    uint64_t min_hold_us; /* how long a grant lasts at least before a higher class takes it */
};

/* One GPU. All fields are the scheduler's; others only read them. */
struct sched_gpu {
    struct heap waiting[SCHED_CLASS_COUNT]; /* by the VMs' own class, longest wait first */
    uint32_t waiting_count;
    uint32_t vm_count;         /* VMs added to it */
    struct sched_vm *holder;   /* HOLDING or REVOKING; NULL: the GPU is free */
    struct heap_node deadline; /* in sched.deadlines while the holder's time to be revoked is known */
};

/* One VM on one GPU (a VM with processes on two GPUs is two of these). All fields are the scheduler's;
 * others only read them.
 *
 * A turn begins when the VM asks and ends when it gives back of itself, or has used up its quantum. A
 * higher class interrupts it: then the VM's next wait counts what it had waited already, and its
 * next grant what it had used, so that an interruption neither starves nor favours it. */
struct sched_vm {
    struct sched_gpu *gpu;
    enum sched_class class;
    enum sched_vm_state state;
    bool contended;          /* while HOLDING: it has been told that others wait */
    bool wants_again;        /* while REVOKING, or while paused: it has asked */
    bool paused;             /* it asks in vain until it goes on */
    struct heap_node place;  /* in gpu->waiting[class] while WAITING; key: asked_us */
    uint64_t asked_us;       /* when it asked, put earlier by the waits of an interrupted turn */
    uint64_t granted_us;     /* while HOLDING or REVOKING */
    uint32_t classes_aged;   /* while HOLDING or REVOKING: classes it had risen by when granted */
    uint64_t turn_waited_us; /* what the interrupted turn waited, 0 when none is open */
    uint64_t turn_used_us;   /* what the interrupted turn held */
};

/* Decisions. Called from within an event function; they must not call the scheduler. vm->gpu says
 * which GPU; none is NULL. */
struct sched_actions {
    /* The VM may use its GPU. contended: others wait, so give back as soon as there is nothing to run. */
    void (*grant)(void *context, struct sched_vm *vm, bool contended);
    /* The holder's `contended` has changed. */
    void (*contend)(void *context, struct sched_vm *vm, bool contended);
    /* The holder must drain and give back: answered by sched_vm_released or sched_vm_remove. Once a grant. */
    void (*revoke)(void *context, struct sched_vm *vm);
};

struct sched {
    struct sched_config config;
    const struct sched_actions *actions;
    void *context;
    struct heap deadlines; /* of GPUs, by when their holder is to be revoked */
    uint64_t now_us;       /* of the latest event; never goes back */
    uint64_t next_order;   /* breaks ties in the order of asking */
};

/* actions and context are kept. */
void sched_init(struct sched *sched, const struct sched_config *config, const struct sched_actions *actions,
                void *context);

void sched_gpu_add(struct sched *sched, struct sched_gpu *gpu);
/* No VM may be on it any more. */
void sched_gpu_remove(struct sched *sched, struct sched_gpu *gpu);

void sched_vm_add(struct sched *sched, struct sched_gpu *gpu, struct sched_vm *vm, enum sched_class class);
/* In any state: it was removed, or its last process has ended. Whatever it held is free at once. */
void sched_vm_remove(struct sched *sched, struct sched_vm *vm, uint64_t now_us);
/* In any state. A waiting VM keeps the time that it has waited. */
void sched_vm_set_class(struct sched *sched, struct sched_vm *vm, enum sched_class class, uint64_t now_us);

/* Paused, a VM gets no grant: one that holds is revoked, one that waits leaves the queue, and what it asks is
 * remembered until it goes on, when it asks anew, at the tail of its class. */
void sched_vm_set_paused(struct sched *sched, struct sched_vm *vm, bool paused, uint64_t now_us);

/* It has something to run. Nothing happens when it waits or holds already. */
void sched_vm_want(struct sched *sched, struct sched_vm *vm, uint64_t now_us);
/* It has nothing to run after all (the process that asked has ended). Nothing happens when it holds. */
void sched_vm_withdraw(struct sched *sched, struct sched_vm *vm, uint64_t now_us);
/* Nothing of it runs any more: it gave back early, or has drained after a revoke. */
void sched_vm_released(struct sched *sched, struct sched_vm *vm, uint64_t now_us);

/* The time has come to be now_us. To be called at sched_next_deadline_us at the latest. */
void sched_advance(struct sched *sched, uint64_t now_us);
/* When something is to be decided without any event; SCHED_NEVER when nothing is. */
uint64_t sched_next_deadline_us(const struct sched *sched);

/* The class of a waiting VM with what it has risen by; of a holder, what it had when granted; else its own.
 */
enum sched_class sched_vm_effective_class(const struct sched *sched, const struct sched_vm *vm,
                                          uint64_t now_us);

#endif

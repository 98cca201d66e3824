/* The scheduler: which VMs may have work running on which GPU. docs/scheduling.md states its rules.
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
 * A GPU has a front and a background. At the front is one VM of the highest class that has work (a shared GPU
 * has several places there, for VMs of that class). Where the hardware lets a long time slice go before a
 * short one, one VM of a lower class is in the background: it runs in the gaps that the front leaves. Where
 * it does not, the background is empty. Who is where follows from the holders' ranks, at each moment.
 *
 * The caller owns the memory of GPUs and VMs: they are embedded in its own structs, zeroed before they are
 * added, and stay where they are until removed. An event costs O(log n) in the VMs that wait (amortised), and
 * O(places). */
#ifndef VGPU_SCHED_SCHED_H
#define VGPU_SCHED_SCHED_H

#include "sched/heap.h"

#include <stdbool.h>
#include <stdint.h>

enum sched_class { SCHED_LOW = 0, SCHED_MEDIUM = 1, SCHED_HIGH = 2 };
#define SCHED_CLASS_COUNT 3

/* "No such time": later than any other. */
#define SCHED_NEVER UINT64_MAX

#define SCHED_WEIGHT_MAX 10000u
#define SCHED_PLACES_MAX 64u

enum sched_vm_state { SCHED_VM_IDLE, SCHED_VM_WAITING, SCHED_VM_HOLDING, SCHED_VM_REVOKING };

/* The time slice of a holder beside the others; the numbers are those of enum grant_slice. */
enum sched_slice {
    SCHED_SLICE_EQUAL = 0,  /* side by side with its equals, or on hardware that cannot do otherwise */
    SCHED_SLICE_SHORT = 1,  /* it runs in the gaps of others, present or to come */
    SCHED_SLICE_LONG = 2,   /* it goes before the others */
    SCHED_SLICE_BRIEF = 3,  /* it runs in the gaps of the front: for a VM with several processes */
    SCHED_SLICE_PAUSED = 4, /* its work stands still until another one's is done */
};

/* What may be set. Read at every event, so a change takes effect at the next one. */
struct sched_config {
    uint64_t quantum_us;   /* how long a turn lasts once others of the same class wait */
    uint64_t ageing_us;    /* that of a GPU until it is set (sched_gpu_set_ageing) */
    uint64_t min_hold_us;  /* how long a grant lasts at least before a higher class ends it */
    uint32_t aged_percent; /* how much of a GPU's time aged turns take at most, 1 to 99; else all of it */
};

/* The VMs of one class at one GPU. */
struct sched_queue {
    struct heap fair;         /* those that wait, least virtual time first */
    struct heap starving;     /* the same ones, longest without first */
    uint64_t virtual_us;      /* where the class stands: what a newcomer begins with; never goes back */
    uint64_t left_us;         /* when one of them last went idle; SCHED_NEVER: none has */
    uint64_t turn_virtual_us; /* how far the longest of the latest turns has brought one of them */
};

/* One GPU. All fields are the scheduler's; others only read them. */
struct sched_gpu {
    struct sched_queue queues[SCHED_CLASS_COUNT]; /* by the VMs' own class */
    uint32_t waiting_count;
    uint32_t vm_count;  /* VMs added to it */
    uint32_t places;    /* at the front, side by side; 1: the GPU is exclusive */
    uint64_t ageing_us; /* a VM that goes without rises by one class each time this has passed; 0: never */
    uint32_t holder_count;
    const struct sched_vm *prepared; /* the one that expects the place which is becoming free; NULL: none */
    struct sched_vm *holders;        /* HOLDING or REVOKING; NULL: the GPU is free */
    uint64_t settled_us;             /* up to when the holders' use has been charged */
    uint64_t aged_next_us;           /* no aged turn begins before */
    struct heap_node deadline;       /* in sched.deadlines while a time is known at which to decide */
};

/* One VM on one GPU (a VM with processes on two GPUs is two of these). All fields are the scheduler's;
 * others only read them. */
struct sched_vm {
    struct sched_gpu *gpu;
    enum sched_class class;
    enum sched_vm_state state;
    uint32_t weight;           /* its share among those of its class */
    bool preemptible;          /* its slices can be set */
    bool several;              /* it has several processes with work, which share its slice's length */
    bool paused;               /* it asks in vain until it goes on */
    bool wants_again;          /* while REVOKING, or while paused: it has asked */
    struct heap_node fair;     /* while WAITING; key: virtual_us */
    struct heap_node starving; /* while WAITING; key: since_us */
    uint64_t asked_us;         /* when it asked last */
    uint64_t left_us;          /* when it last went IDLE */
    bool interrupted;          /* then it had been revoked: it had more to run */
    uint64_t virtual_us;       /* GPU time that it has used, by weight, and what it was lifted by */
    uint64_t since_us;         /* since when it asks and has not had a quantum of GPU time */
    uint64_t served_us;        /* how much it has had since */

    /* While HOLDING or REVOKING. */
    struct sched_vm *next_holder;
    bool contended;         /* it has been told that others wait */
    enum sched_slice slice; /* as it has been told */
    bool told;              /* of its grant */
    bool aged;              /* it is served for its wait: as one of held_class, and before that class */
    bool lapsed;            /* it was, in this grant, and that turn is over */
    enum sched_class held_class;
    uint64_t granted_us;
    uint64_t turn_us;    /* when its turn began: granted, or brought to the front for its wait */
    uint64_t revoked_us; /* while REVOKING: since when */
    bool late;           /* while REVOKING: it has taken too long to drain, and goes on behind the others */
    uint64_t drain_us;   /* while REVOKING: how long it has had the front since */
    uint64_t metered_us; /* what its meter said when it was granted */
    uint64_t charged_us; /* of this grant */
};

/* Decisions. Called from within an event function; they must not call the scheduler. vm->gpu says
 * which GPU, vm->contended and vm->slice what the VM is to be told; called ones may not be NULL unless they
 * say so. */
struct sched_actions {
    /* The VM may use its GPU. contended: others wait, so give back as soon as there is nothing to run. */
    void (*grant)(void *context, struct sched_vm *vm);
    /* The holder's `contended` or `slice` has changed; of a REVOKING one, the slice. */
    void (*tell)(void *context, struct sched_vm *vm);
    /* The holder must drain and give back: answered by sched_vm_released or sched_vm_remove. Once a grant. */
    void (*revoke)(void *context, struct sched_vm *vm);
    /* A place is becoming free that this waiting VM is to have, as things stand. May be NULL. */
    void (*prepare)(void *context, struct sched_vm *vm);
    /* The GPU time that the VM has used on this GPU, in microseconds; never goes back while it holds. Used is
     * never more than held. NULL: what it held it has used. */
    uint64_t (*gpu_time)(void *context, const struct sched_vm *vm);
};

struct sched {
    struct sched_config config;
    const struct sched_actions *actions;
    void *context;
    struct heap deadlines; /* of GPUs, by when something is to be decided there */
    uint64_t now_us;       /* of the latest event; never goes back */
    uint64_t next_order;   /* breaks ties in the order of asking */
};

/* actions and context are kept. */
void sched_init(struct sched *sched, const struct sched_config *config, const struct sched_actions *actions,
                void *context);

/* An exclusive one. */
void sched_gpu_add(struct sched *sched, struct sched_gpu *gpu);
/* No VM may be on it any more. */
void sched_gpu_remove(struct sched *sched, struct sched_gpu *gpu);
/* places: 1 to SCHED_PLACES_MAX; others are taken as the nearest. */
void sched_gpu_set_places(struct sched *sched, struct sched_gpu *gpu, uint32_t places, uint64_t now_us);
void sched_gpu_set_ageing(struct sched *sched, struct sched_gpu *gpu, uint64_t ageing_us, uint64_t now_us);

/* Of weight 1, not preemptible. */
void sched_vm_add(struct sched *sched, struct sched_gpu *gpu, struct sched_vm *vm, enum sched_class class);
/* In any state: it was removed, or its last process has ended. Whatever it held is free at once. */
void sched_vm_remove(struct sched *sched, struct sched_vm *vm, uint64_t now_us);
/* In any state. A waiting VM keeps the time that it has gone without. */
void sched_vm_set_class(struct sched *sched, struct sched_vm *vm, enum sched_class class, uint64_t now_us);
/* In any state: 1 to SCHED_WEIGHT_MAX; others are taken as the nearest. Counts from now on. */
void sched_vm_set_weight(struct sched *sched, struct sched_vm *vm, uint32_t weight, uint64_t now_us);
/* Whether the hardware can be told to run others before it: only then others run beside it. */
void sched_vm_set_preemptible(struct sched *sched, struct sched_vm *vm, bool preemptible, uint64_t now_us);
/* Whether several of its processes have work: they take turns by the slices that it is given, so they get
 * none that is too short to get anywhere or so long that one keeps the others out. */
void sched_vm_set_several(struct sched *sched, struct sched_vm *vm, bool several, uint64_t now_us);

/* Paused, a VM gets no grant: one that holds is revoked, one that waits leaves the queue, and what it asks is
 * remembered until it goes on, when it asks anew. */
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

/* The class of a waiting VM with what it has risen by; of a holder, the one that it is served as; else its
 * own. */
enum sched_class sched_vm_effective_class(const struct sched *sched, const struct sched_vm *vm,
                                          uint64_t now_us);
/* Of two that wait at one GPU: whether a comes first, were there a place for each now. */
bool sched_vm_comes_first(const struct sched *sched, const struct sched_vm *a, const struct sched_vm *b,
                          uint64_t now_us);
static inline bool sched_vm_holds(const struct sched_vm *vm)
{
    return vm->state == SCHED_VM_HOLDING || vm->state == SCHED_VM_REVOKING;
}
/* How long a REVOKING VM has had the GPU to itself since: in the background its drain does not go on by
 * right. */
uint64_t sched_vm_drain_us(const struct sched *sched, const struct sched_vm *vm, uint64_t now_us);
/* Whether it holds in the background: somebody of a higher rank is on its GPU. */
bool sched_vm_is_background(const struct sched_vm *vm);

#endif

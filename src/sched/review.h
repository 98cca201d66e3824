/* What is to be decided on a GPU now. Internal to the scheduler. */
#ifndef VGPU_SCHED_REVIEW_H
#define VGPU_SCHED_REVIEW_H

#include "sched/sched.h"

/* The order in which VMs are served. Each class has two ranks: that of its own VMs, and above it that of
 * lower ones that have risen to it by going without. */
#define RANK_NONE (-2)
#define RANK_LATE (-1) /* of those that take too long to drain: behind all others */
static inline int class_rank(enum sched_class class, bool aged)
{
    return 2 * (int)class + aged;
}
static inline int holder_rank(const struct sched_vm *holder)
{
    return holder->late ? RANK_LATE : class_rank(holder->held_class, holder->aged);
}

/* The highest rank of a holder; RANK_NONE: the GPU is free. */
int gpu_top_rank(const struct sched_gpu *gpu);

static inline uint64_t quantum_us(const struct sched *sched)
{
    return sched->config.quantum_us ? sched->config.quantum_us : 1;
}

/* An idle VM that asks: whether it has been idle for so short a time that it is still at the same piece of
 * work, as a program is that looks at one result and starts the next. */
static inline bool was_away_shortly(const struct sched *sched, const struct sched_vm *vm)
{
    return vm->left_us != SCHED_NEVER && sched->now_us - vm->left_us <= quantum_us(sched);
}

/* The class of a waiting VM with what it has risen by at that time. */
enum sched_class waiting_class(const struct sched *sched, const struct sched_vm *vm, uint64_t now_us);

/* Into and out of the waiting: the heaps of its class, and its state. */
void queue_enter(struct sched_vm *vm);
void queue_leave(struct sched_vm *vm);

/* Takes a holder off its GPU; the use must have been settled. */
void holder_leave(struct sched *sched, struct sched_vm *vm);
void holder_revoke(struct sched *sched, struct sched_vm *vm);

void deadline_set(struct sched *sched, struct sched_gpu *gpu, uint64_t time_us);

/* Every event ends here. */
void gpu_review(struct sched *sched, struct sched_gpu *gpu);

#endif

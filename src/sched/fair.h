/* Fairness within a class: each VM has a virtual time, which goes on by the GPU time that it uses, divided by
 * its weight; whoever is behind goes first. Internal to the scheduler. */
#ifndef VGPU_SCHED_FAIR_H
#define VGPU_SCHED_FAIR_H

#include "sched/deadline.h"

/* An idle VM that asks: whether it has been idle for so short a time that it is still at the same piece of
 * work, as a program is that looks at one result and starts the next. */
static inline bool was_away_shortly(const struct sched *sched, const struct sched_vm *vm)
{
    return vm->left_us != SCHED_NEVER && sched->now_us - vm->left_us <= quantum_us(sched);
}

/* A use of GPU time in virtual time. */
uint64_t fair_of_use(const struct sched_vm *vm, uint64_t use_us);
/* And back: the use by which its virtual time goes on that much, rounded up. */
uint64_t fair_to_use(const struct sched_vm *vm, uint64_t virtual_us);

/* A holder's virtual time as it is now, if it uses all that it holds. */
uint64_t fair_estimate(const struct sched *sched, const struct sched_vm *vm);

/* It asks, or goes over to this class: it begins where the class stands. Who has been away for no longer than
 * a quantum keeps what it was behind by the others' overlong turns; nobody keeps more. */
void fair_join(const struct sched *sched, struct sched_vm *vm);
/* It goes over to another class, with what it is ahead of those of its own that wait or hold. It is in no
 * queue. */
void fair_change_class(const struct sched *sched, struct sched_vm *vm, enum sched_class class);
/* It has become idle. */
void fair_leave(const struct sched *sched, struct sched_vm *vm);

/* The meter of a new holder begins. */
void fair_begin(const struct sched *sched, struct sched_vm *vm);
/* Charges the GPU's holders with what they have used so far. To be called before the holders or their ranks
 * change. */
void fair_settle(const struct sched *sched, struct sched_gpu *gpu);

#endif

/* Ageing: a VM that goes without rises, by one class each time the GPU's ageing_us passes, to a class that
 * has work; then it is served for its wait, in an aged turn. Internal to the scheduler. */
#ifndef VGPU_SCHED_AGEING_H
#define VGPU_SCHED_AGEING_H

#include "sched/deadline.h"

/* Whether VMs of this class wait or hold. */
bool class_is_present(const struct sched_gpu *gpu, int class);
/* When a class counts as idle, of which nobody is present: not between two pieces of work. */
uint64_t class_idle_time(const struct sched *sched, const struct sched_gpu *gpu, int class);
/* Whether VMs of this class have work. */
bool class_is_active(const struct sched *sched, const struct sched_gpu *gpu, int class);

/* The class of a waiting VM with what it has risen by at that time: it rises to those who keep it from the
 * GPU. */
enum sched_class waiting_class(const struct sched *sched, const struct sched_vm *vm, uint64_t now_us);

/* When a VM will have risen by so many classes (at least 1), and an aged turn may begin. SCHED_NEVER: it does
 * not rise. */
uint64_t time_of_steps(const struct review *review, const struct sched_vm *vm, uint64_t steps);

/* When a VM in the background, behind a front of rank `top`, will have risen above that. SCHED_NEVER: it will
 * not. */
uint64_t rising_time(const struct review *review, const struct sched_vm *vm, int top);

/* One in the background that gets nothing there comes to the front: a quantum after rising_time(), since when
 * it has been told that others wait, so that one which has nothing to run has left. Whether something has
 * changed. */
bool background_rises(struct review *review);

/* An aged turn that has lasted a quantum is over: the VM is one of its own class again. Whether there was
 * one. */
bool aged_turns_lapse(struct review *review);
/* A holder is about to leave its GPU; the use must have been settled. What that means for the aged turn that
 * it has, or had. */
void aged_turn_leave(const struct sched *sched, struct sched_vm *vm);

#endif

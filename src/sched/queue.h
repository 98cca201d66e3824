/* The VMs that wait at a GPU, and which of them come next. Internal to the scheduler. */
#ifndef VGPU_SCHED_QUEUE_H
#define VGPU_SCHED_QUEUE_H

#include "sched/deadline.h"

/* Into and out of the heaps of its class. Afterwards it is WAITING, or IDLE. What the heaps go by, its class,
 * virtual_us, since_us and both orders, may be changed only while it is out of them. */
void queue_enter(struct sched_vm *vm);
void queue_leave(struct sched_vm *vm);

/* Of those of a class that wait, the one furthest behind in virtual time; NULL: none waits. */
struct sched_vm *queue_first(const struct sched_queue *queue);

/* One that waits, and the rank by which it does: its own, or one to which it has risen. */
struct candidate {
    struct sched_vm *vm;
    int rank;
};
#define CANDIDATES_MAX (2 * SCHED_CLASS_COUNT)

/* The best that wait, in the order in which they are served: of each class the one furthest behind, and the
 * one that has gone without for longest, in each class to which that has raised it. How many those are. */
unsigned candidates_now(struct review *review, struct candidate list[CANDIDATES_MAX]);

#endif

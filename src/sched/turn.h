/* Turns on a GPU: who of those that wait takes a place, whose turn is over, and what happens to a VM at both
 * ends of it. Internal to the scheduler. */
#ifndef VGPU_SCHED_TURN_H
#define VGPU_SCHED_TURN_H

#include "sched/deadline.h"

/* The first of those that wait for which there is a place takes it; it is told of that by holders_are_told()
 * (sched/notice.h). Whether there was one. */
bool somebody_is_granted(struct review *review);

/* A holder more than there is room for, or one whose turn somebody ends that waits, is revoked. Whether there
 * was one. */
bool somebody_is_revoked(struct review *review);

/* A HOLDING one becomes REVOKING, and hears of it. It must have been told of its grant. */
void holder_revoke(struct sched *sched, struct sched_vm *vm);

/* Takes a holder off its GPU: it is IDLE. The use must have been settled. */
void holder_leave(struct sched *sched, struct sched_vm *vm);

#endif

/* Drains that take too long: where slices can be set, an equal does not wait for ever. Who has not drained
 * within a quantum, in the background within some, goes behind it, and has its share of the place like one
 * that waits. Internal to the scheduler. */
#ifndef VGPU_SCHED_DRAIN_H
#define VGPU_SCHED_DRAIN_H

#include "sched/deadline.h"

/* One that drains in a place for which somebody waits goes behind the others: it is late. Whether there
 * was one. */
bool drain_takes_too_long(struct review *review);

/* A place is free that a late one may have again: it does, if it is not ahead of those that wait. Whether it
 * did. */
bool late_one_returns(struct review *review);

#endif

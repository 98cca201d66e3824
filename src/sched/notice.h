/* What VMs are told once a GPU's places are settled: grants, whether others wait, slices, and that a place is
 * becoming free. Internal to the scheduler. */
#ifndef VGPU_SCHED_NOTICE_H
#define VGPU_SCHED_NOTICE_H

#include "sched/deadline.h"

/* First those that have a place already hear what has changed for them, if anything has; then those that
 * have a new one are granted it. */
void holders_are_told(struct review *review);

/* Whoever comes next hears of it while the place is made free, so that it loses no time then. */
void next_one_prepares(struct review *review);

#endif

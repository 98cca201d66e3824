/* What is to be decided on a GPU now. Internal to the scheduler. */
#ifndef VGPU_SCHED_REVIEW_H
#define VGPU_SCHED_REVIEW_H

#include "sched/sched.h"

/* Every event ends here. Afterwards nothing is due on this GPU, its VMs have been told, and its deadline is
 * the next time at which something may be. */
void gpu_review(struct sched *sched, struct sched_gpu *gpu);

#endif

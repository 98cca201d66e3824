#include "sched/review.h"

#include "sched/ageing.h"
#include "sched/deadline.h"
#include "sched/drain.h"
#include "sched/notice.h"
#include "sched/turn.h"

void gpu_review(struct sched *sched, struct sched_gpu *gpu)
{
    struct review review = {.sched = sched, .gpu = gpu};
    do {
        review.due_us = SCHED_NEVER;
    } while (aged_turns_lapse(&review) || background_rises(&review) || late_one_returns(&review) ||
             somebody_is_granted(&review) || somebody_is_revoked(&review) || drain_takes_too_long(&review));
    holders_are_told(&review);
    next_one_prepares(&review);
    deadline_set(sched, gpu, review.due_us);
}

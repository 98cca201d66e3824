#include "sched/deadline.h"

void deadline_set(struct sched *sched, struct sched_gpu *gpu, uint64_t time_us)
{
    if (gpu->deadline.queued && gpu->deadline.key == time_us)
        return;
    if (gpu->deadline.queued)
        heap_remove(&sched->deadlines, &gpu->deadline);
    if (time_us == SCHED_NEVER)
        return;
    gpu->deadline.key = time_us;
    gpu->deadline.order = sched->next_order++;
    heap_add(&sched->deadlines, &gpu->deadline);
}

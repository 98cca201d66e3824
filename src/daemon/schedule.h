/* The scheduler in the event loop: gives it the time, and wakes it when its next decision is due. */
#ifndef VGPU_DAEMON_SCHEDULE_H
#define VGPU_DAEMON_SCHEDULE_H

#include "base/clock.h"
#include "sched/sched.h"

#include <uv.h>
#include <vgpu/error.h>

struct schedule {
    struct sched sched;
    uv_poll_t poll; /* of timer_fd: the loop's own timers count milliseconds, a quantum may be shorter */
    int timer_fd;
    uv_idle_t closely;      /* keeps the loop from sleeping while it runs */
    uint64_t closely_us;    /* until when */
    bool can_watch_closely; /* there are processors enough */
    uint64_t armed_us;      /* the time that timer_fd is set to; SCHED_NEVER: none */
};

enum vgpu_status schedule_init(struct schedule *schedule, uv_loop_t *loop, const struct sched_config *config,
                               const struct sched_actions *actions, void *context, struct vgpu_error *err);
/* Once the loop has come round, the struct may go. */
void schedule_fini(struct schedule *schedule);

/* To be called after events have been given to schedule->sched. */
void schedule_arm(struct schedule *schedule);

/* A handover is near: for a moment the loop looks for messages without sleeping, so that it loses no time. */
void schedule_watch_closely(struct schedule *schedule);

/* The time that the scheduler's events carry: CLOCK_MONOTONIC in microseconds. */
static inline uint64_t schedule_now_us(void)
{
    return clock_monotonic_ns() / 1000;
}

#endif

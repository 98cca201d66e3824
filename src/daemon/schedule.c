#include "daemon/schedule.h"

#include "base/error.h"

#include <sys/timerfd.h>
#include <unistd.h>

/* A drain that lasts longer is not worth a processor. Nor is any on a machine that has few. */
#define CLOSELY_US         2000
#define CLOSELY_PROCESSORS 4

static void timer_due(uv_poll_t *poll, int status, int events)
{
    struct schedule *schedule = poll->data;
    uint64_t expirations;
    if (read(schedule->timer_fd, &expirations, sizeof expirations) < 0)
        return; /* set anew since: it will be due again */
    schedule->armed_us = SCHED_NEVER;
    sched_advance(&schedule->sched, schedule_now_us());
    schedule_arm(schedule);
}

enum vgpu_status schedule_init(struct schedule *schedule, uv_loop_t *loop, const struct sched_config *config,
                               const struct sched_actions *actions, void *context, struct vgpu_error *err)
{
    sched_init(&schedule->sched, config, actions, context);
    schedule->armed_us = SCHED_NEVER;
    schedule->can_watch_closely = sysconf(_SC_NPROCESSORS_ONLN) >= CLOSELY_PROCESSORS;
    schedule->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (schedule->timer_fd < 0)
        return error_set_errno(err, VGPU_ERR_IO, "cannot make the scheduler's timer");
    uv_idle_init(loop, &schedule->closely);
    schedule->closely.data = schedule;
    uv_poll_init(loop, &schedule->poll, schedule->timer_fd);
    schedule->poll.data = schedule;
    uv_poll_start(&schedule->poll, UV_READABLE, timer_due);
    return VGPU_OK;
}

static void poll_closed(uv_handle_t *handle)
{
    struct schedule *schedule = handle->data;
    close(schedule->timer_fd);
}

void schedule_fini(struct schedule *schedule)
{
    if (!schedule->poll.data) /* schedule_init failed */
        return;
    uv_close((uv_handle_t *)&schedule->closely, NULL);
    uv_close((uv_handle_t *)&schedule->poll, poll_closed);
}

static void watched_closely(uv_idle_t *closely)
{
    const struct schedule *schedule = closely->data;
    if (schedule_now_us() >= schedule->closely_us)
        uv_idle_stop(closely);
}

void schedule_watch_closely(struct schedule *schedule)
{
    if (!schedule->can_watch_closely)
        return;
    schedule->closely_us = schedule_now_us() + CLOSELY_US;
    uv_idle_start(&schedule->closely, watched_closely);
}

void schedule_arm(struct schedule *schedule)
{
    uint64_t deadline_us = sched_next_deadline_us(&schedule->sched);
    if (deadline_us == schedule->armed_us)
        return;
    struct itimerspec setting = {0}; /* all zero: disarmed */
    if (deadline_us != SCHED_NEVER) {
        setting.it_value.tv_sec = (time_t)(deadline_us / 1000000);
        setting.it_value.tv_nsec = (long)(deadline_us % 1000000 * 1000);
    }
    timerfd_settime(schedule->timer_fd, TFD_TIMER_ABSTIME, &setting, NULL);
    schedule->armed_us = deadline_us;
}

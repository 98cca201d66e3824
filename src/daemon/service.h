/* What seats and workers share: the scheduler, the log of grants, and how workers are started. */
#ifndef VGPU_DAEMON_SERVICE_H
#define VGPU_DAEMON_SERVICE_H

#include "daemon/schedule.h"
#include "daemon/spares.h"

#include <limits.h>
#include <sys/queue.h>

struct grant_log;
struct guard;
struct worker;
LIST_HEAD(worker_list, worker);

struct service {
    uv_loop_t *loop;
    struct schedule schedule;
    struct spares spares;
    struct grant_log *grant_log;
    struct guard *guard;
    char worker_path[PATH_MAX]; /* the program vgpu-worker */
    char driver[PATH_MAX];      /* its --driver */
    uint64_t drain_timeout_us;  /* after a revoke, until the worker is killed; 0: never */
    struct worker_list workers; /* all there are */
    unsigned worker_count;
    unsigned guest_count;    /* of them, those that have a guest */
    unsigned holder_count;   /* workers that hold a grant */
    unsigned starting_count; /* workers in WORKER_STARTING */
    bool closing;            /* the daemon stops: no new grants */
    /* Called when a worker has given back or gone. */
    void (*progress)(void *context);
    /* Called when a worker is not STARTING any more: another may be started. */
    void (*started)(void *context);
    void *context;
};

#endif

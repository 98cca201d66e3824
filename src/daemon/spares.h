/* Spare workers: processes that have loaded the driver and made a context before there is a guest for them,
 * so that a guest process need not wait for that. Each GPU that VMs are placed on has up to `wanted` of them;
 * each costs the device memory of a context. One that a guest has taken is replaced when the guest has been
 * served, so that the two do not stand in each other's way in the driver.
 *
 * One that ends by itself is tried again after a second, then after two, four, ... and a minute. */
#ifndef VGPU_DAEMON_SPARES_H
#define VGPU_DAEMON_SPARES_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct gpu;
struct host;
struct service;
struct worker;

struct spares {
    uv_timer_t timer;
    uint64_t due_us; /* when the timer fires; UINT64_MAX: it does not */
    struct service *service;
    const struct host *host;
    struct gpu_facts *facts;
    unsigned wanted; /* of each GPU */
    bool closed;
};

/* Starts none before the first spares_look(). `facts` may be set later, before the loop runs. */
void spares_init(struct spares *spares, uv_loop_t *loop, struct service *service, const struct host *host,
                 unsigned wanted);
/* Ends those there are; none is started any more. */
void spares_close(struct spares *spares);
/* Once the loop has come round, the struct may go. */
void spares_fini(struct spares *spares);

/* GPUs or placements have changed: ends what is not wanted any more, starts what is missing. */
void spares_look(struct spares *spares);

/* One for a guest, the readiest there is; it is no spare from here on. NULL: none. */
struct worker *spares_take(struct gpu *gpu);
/* How many have their context made; what device memory they hold, by NVML, 0 while that is not known. */
unsigned spares_ready_count(const struct gpu *gpu);
uint64_t spares_memory_bytes(const struct gpu *gpu);
/* A guest has been served. */
void spares_served(struct spares *spares);

/* Of a spare: its context is made; its process has ended. */
void spares_ready(struct worker *worker);
void spares_gone(struct worker *worker);

#endif

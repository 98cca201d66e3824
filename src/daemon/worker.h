/* A worker process, from its start to the moment when it has been reaped. It serves one guest process: the
 * one it was started for, or, a spare (spares.h), one that comes later. wire/grant.h says what is spoken with
 * it.
 *
 *     start ──────────────────────────┐guest
 *       │ spare                       ▼
 *       └──► WARMING ──warm──► WARM ──► STARTING ──ready──► SERVING ──end──► ENDING ──► reaped
 *               └──────────guest─────────►│
 *               └───────────────── its process ends, at any time ───────────────────────►
 *
 * Whatever the worker does wrong (closes its control socket, breaks its page, ignores a revoke or the word to
 * end) is answered by SIGKILL: what follows is always the same path, over the end of its process. */
#ifndef VGPU_DAEMON_WORKER_H
#define VGPU_DAEMON_WORKER_H

#include "daemon/grant_page.h"
#include "daemon/service.h"

struct gpu;
struct seat;
struct vm;

enum worker_state { WORKER_WARMING, WORKER_WARM, WORKER_STARTING, WORKER_SERVING, WORKER_ENDING };

struct worker {
    uv_process_t process;
    uv_poll_t control_poll;
    uv_timer_t drain_timer; /* runs while a revoke waits to be answered */
    uv_timer_t end_timer;   /* runs while ENDING */
    unsigned open_handles;
    LIST_ENTRY(worker) in_service;
    LIST_ENTRY(worker) in_seat;
    LIST_ENTRY(worker) in_spares;
    struct service *service;
    struct gpu *gpu;
    struct seat *seat; /* NULL before it has a guest, and once the process has ended */
    enum worker_state state;
    bool is_spare;               /* waits for a guest: is in gpu->spares */
    uint64_t spare_memory_bytes; /* of the GPU, that it held when it became ready; 0: not known */
    unsigned spare_memory_asked;
    bool starting;      /* counts in starting_count of its VM and the service */
    bool killed;        /* by the daemon: its end says nothing of itself */
    bool untaken;       /* a spare that was given a guest, and has not touched it yet */
    bool reaped;        /* its process number is not its own any more */
    bool failed;        /* it said why it cannot serve */
    int guest_fd;       /* kept until READY, to tell the guest if the worker dies before; then -1 */
    int leaver_fd;      /* the same from READY on, if it uses its VM's window: window_guest_gone(); else -1 */
    bool has_no_window; /* it does not use one */
    uint32_t number;    /* of the guest process in its VM */
    int control_fd;

    /* The grant: seat.c decides, the functions below carry out. */
    struct grant_page *page;
    struct {
        uint64_t since_us; /* 0: nobody has asked yet */
        uint64_t gpu_time_us;
        uint32_t percent;
    } usage; /* of the GPU, for monitor.c */
    struct {
        uint64_t higher_us, equal_us; /* the others' meters when it asked last */
        uint64_t sum_us, asked_us;
    } beside;            /* seat_worker_beside_us() */
    uint32_t generation; /* of the page, as the daemon last set it */
    bool wants;          /* asked, and has not been granted since */
    bool holds;          /* was granted, and has not given back since */
    bool has_asked;      /* at any time */
    bool follows_slices; /* it said so: CONTROL_SLICES */
};

/* Gives the guest process at guest_fd a worker, which takes it over: a spare if there is one. On error
 * guest_fd is still the caller's. */
enum vgpu_status worker_start(struct service *service, struct vm *vm, struct gpu *gpu, int guest_fd,
                              struct vgpu_error *err);

/* Starts a worker that waits for a guest on this GPU with a context made. */
enum vgpu_status worker_start_spare(struct service *service, struct gpu *gpu, struct vgpu_error *err);

/* Tells the worker to tell its guest, if it has one, `text` and exit, and sees to it that it does. */
void worker_end(struct worker *worker, const char *text);
void worker_kill(struct worker *worker);

int worker_pid(const struct worker *worker);

/* The moves on its page. A page found broken kills the worker; it counts as holding until it is reaped. */
void worker_grant(struct worker *worker, bool contended, enum grant_slice slice);
void worker_tell(struct worker *worker, bool contended, enum grant_slice slice);
void worker_announce(struct worker *worker);
void worker_revoke(struct worker *worker);
/* After CONTROL_RELEASED: whether the page says so too. */
bool worker_has_given_back(struct worker *worker);

#endif

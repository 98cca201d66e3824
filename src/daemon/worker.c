#include "daemon/worker.h"

#include "base/error.h"
#include "base/log.h"
#include "daemon/guard.h"
#include "daemon/host.h"
#include "daemon/refusal.h"
#include "daemon/seat.h"
#include "daemon/window.h"
#include "daemon/worker_environment.h"
#include "wire/control.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* From CONTROL_END to SIGKILL. */
#define END_TIMEOUT_MS 5000

/* Messages read in one go, so that a worker that never stops sending leaves the others their turn. */
#define MESSAGE_BATCH 16

static const char *worker_vm(const struct worker *worker)
{
    return worker->seat ? worker->seat->vm->info.vm_uuid : "(none yet)";
}

int worker_pid(const struct worker *worker)
{
    return worker->process.pid;
}

static void process_kill(struct worker *worker)
{
    if (!worker->reaped)
        uv_process_kill(&worker->process, SIGKILL);
}

void worker_kill(struct worker *worker)
{
    worker->killed = true;
    process_kill(worker);
}

/* ---- The grant page ---- */

/* What a guest process did wrong, once for each. */
static void fault(struct worker *worker, const char *what)
{
    if (worker->seat && !worker->killed)
        guard_fault(worker->service->guard, worker->seat->vm, what);
}

static void page_broken(struct worker *worker)
{
    fault(worker, "its worker broke the protocol");
    log_error("VM %s: worker %d has broken the protocol on its grant page; killing it", worker_vm(worker),
              worker_pid(worker));
    worker_kill(worker);
}

void worker_grant(struct worker *worker, bool contended, enum grant_slice slice)
{
    worker->wants = false;
    worker->holds = true;
    if (grant_page_grant(worker->page, &worker->generation, contended, slice) != GRANT_MOVED)
        page_broken(worker);
}

void worker_tell(struct worker *worker, bool contended, enum grant_slice slice)
{
    if (grant_page_tell(worker->page, worker->generation, contended, slice) == GRANT_BROKEN)
        page_broken(worker);
}

void worker_announce(struct worker *worker)
{
    grant_page_announce(worker->page, worker->generation);
}

static void drain_timer_start(struct worker *worker, uint64_t timeout_us);

static void drain_timed_out(uv_timer_t *timer)
{
    struct worker *worker = timer->data;
    uint64_t timeout_us = worker->service->drain_timeout_us;
    uint64_t drain_us =
        sched_vm_drain_us(&worker->service->schedule.sched, &worker->seat->sched, schedule_now_us());
    if (sched_vm_is_background(&worker->seat->sched) || (drain_us > 0 && drain_us < timeout_us)) {
        /* The GPU was not its own to finish its work on for all that time. */
        drain_timer_start(worker, drain_us < timeout_us ? timeout_us - drain_us : timeout_us);
        return;
    }
    log_warning("VM %s: worker %d has not given GPU %d back within %llu ms (drain_timeout); killing it",
                worker_vm(worker), worker_pid(worker), (int)worker->seat->gpu->gpu_id,
                (unsigned long long)timeout_us / 1000);
    fault(worker, "it did not give its GPU back within drain_timeout");
    worker_kill(worker);
}

static void drain_timer_start(struct worker *worker, uint64_t timeout_us)
{
    if (timeout_us)
        uv_timer_start(&worker->drain_timer, drain_timed_out, (timeout_us + 999) / 1000, 0);
}

void worker_revoke(struct worker *worker)
{
    if (grant_page_revoke(worker->page, worker->generation) == GRANT_BROKEN)
        page_broken(worker);
    else
        drain_timer_start(worker, worker->service->drain_timeout_us);
}

bool worker_has_given_back(struct worker *worker)
{
    if (!grant_page_is_given_back(worker->page, worker->generation)) {
        page_broken(worker);
        return false;
    }
    uv_timer_stop(&worker->drain_timer);
    return true;
}

/* ---- The control socket ---- */

static void guest_fd_close(struct worker *worker)
{
    if (worker->guest_fd >= 0)
        close(worker->guest_fd);
    worker->guest_fd = -1;
}

/* The worker has it now. */
static void guest_fd_done(struct worker *worker, bool uses_window)
{
    worker->has_no_window = !uses_window;
    if (uses_window) {
        worker->leaver_fd = worker->guest_fd;
        worker->guest_fd = -1;
    }
    guest_fd_close(worker);
}

/* What a worker says goes into the log as one line. */
static void text_clean(struct control_message *message)
{
    message->text[sizeof message->text - 1] = '\0';
    for (char *c = message->text; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = '?';
    }
}

/* It serves now, or never will. */
static void start_over(struct worker *worker)
{
    if (!worker->starting)
        return;
    worker->starting = false;
    worker->seat->vm->starting_count--;
    worker->service->starting_count--;
    worker->service->started(worker->service->context);
}

static void failure_handle(struct worker *worker, const char *text)
{
    worker->failed = true;
    if (worker->is_spare) {
        log_warning("GPU %d: worker %d cannot wait for a guest: %s", (int)worker->gpu->gpu_id,
                    worker_pid(worker), text);
        return;
    }
    log_warning("VM %s: worker %d cannot serve its guest process: %s", worker_vm(worker), worker_pid(worker),
                text);
    if (worker->guest_fd >= 0)
        refusal_send(worker->service->loop, worker->guest_fd, HANDSHAKE_NO_DRIVER, text);
    worker->guest_fd = -1;
}

/* A worker that does not read, and loses the answer, asks again. */
static void answer_beside(struct worker *worker)
{
    struct control_message answer = {.type = CONTROL_BESIDE};
    if (!worker->seat)
        return;
    answer.value = seat_worker_beside_us(worker);
    (void)!send(worker->control_fd, &answer, sizeof answer, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void message_handle(struct worker *worker, struct control_message *message)
{
    text_clean(message);
    switch ((enum control_type)message->type) {
    case CONTROL_WARM:
        if (worker->state == WORKER_WARMING) {
            worker->state = WORKER_WARM;
            spares_ready(worker);
        }
        return;
    case CONTROL_TAKEN:
        worker->untaken = false;
        return;
    case CONTROL_READY:
        guest_fd_done(worker, message->value == 1);
        if (worker->state == WORKER_STARTING) {
            worker->state = WORKER_SERVING;
            start_over(worker);
            spares_served(&worker->service->spares);
        }
        return;
    case CONTROL_WANT:
        if (!worker->reaped && worker->seat)
            seat_worker_wants(worker, message->generation);
        return;
    case CONTROL_RELEASED:
        if (worker->seat)
            seat_worker_released(worker, message->generation);
        return;
    case CONTROL_FAILED:
        failure_handle(worker, message->text);
        return;
    case CONTROL_SLICES:
        seat_worker_slices(worker, message->value == 1);
        return;
    case CONTROL_BESIDE:
        answer_beside(worker);
        return;
    case CONTROL_END:
    case CONTROL_SERVE:
        break; /* ours to say */
    }
    log_debug("VM %s: worker %d sends a message of unknown type %u", worker_vm(worker), worker_pid(worker),
              message->type);
}

/* Whether there may be more. */
static bool message_read(struct worker *worker)
{
    struct control_message message;
    ssize_t got = recv(worker->control_fd, &message, sizeof message, MSG_DONTWAIT);
    if (got < 0)
        return errno == EINTR;
    if (got == 0) {
        uv_poll_stop(&worker->control_poll);
        process_kill(worker); /* it ends, or it should */
        return false;
    }
    if (got == (ssize_t)sizeof message)
        message_handle(worker, &message);
    return true;
}

static void control_ready(uv_poll_t *poll, int status, int events)
{
    struct worker *worker = poll->data;
    for (int i = 0; i < MESSAGE_BATCH && !worker->reaped; i++) {
        if (!message_read(worker))
            return;
    }
}

static void end_timed_out(uv_timer_t *timer)
{
    struct worker *worker = timer->data;
    log_warning("VM %s: worker %d has not ended when told to; killing it", worker_vm(worker),
                worker_pid(worker));
    worker_kill(worker);
}

void worker_end(struct worker *worker, const char *text)
{
    if (worker->reaped || worker->state == WORKER_ENDING)
        return;
    struct control_message message = {.type = CONTROL_END, .generation = worker->generation};
    snprintf(message.text, sizeof message.text, "%s", text);
    worker->state = WORKER_ENDING;
    uv_timer_start(&worker->end_timer, end_timed_out, END_TIMEOUT_MS, 0);
    if (send(worker->control_fd, &message, sizeof message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        worker_kill(worker);
}

/* ---- The process ---- */

static void handle_closed(uv_handle_t *handle)
{
    struct worker *worker = handle->data;
    if (--worker->open_handles > 0)
        return;
    close(worker->control_fd);
    grant_page_destroy(worker->page);
    free(worker);
}

static void worker_close(struct worker *worker)
{
    uv_close((uv_handle_t *)&worker->process, handle_closed);
    uv_close((uv_handle_t *)&worker->control_poll, handle_closed);
    uv_close((uv_handle_t *)&worker->drain_timer, handle_closed);
    uv_close((uv_handle_t *)&worker->end_timer, handle_closed);
}

/* Tells the guest what became of the worker that was to serve it. */
static void guest_refuse(struct worker *worker, const char *how)
{
    char text[sizeof((struct server_welcome){0}).text];
    snprintf(text, sizeof text, "the host's worker %s before it could serve; see the log of vgpud", how);
    refusal_send(worker->service->loop, worker->guest_fd, HANDSHAKE_NO_DRIVER, text);
    worker->guest_fd = -1;
}

static void exit_report(struct worker *worker, int64_t exit_status, int term_signal)
{
    char how[64];
    if (term_signal)
        snprintf(how, sizeof how, "was ended by signal %d (%s)", term_signal, strsignal(term_signal));
    else
        snprintf(how, sizeof how, "ended with status %d", (int)exit_status);
    if (worker->is_spare && worker->state != WORKER_ENDING && !worker->failed)
        log_warning("GPU %d: worker %d, which waited for a guest, %s", (int)worker->gpu->gpu_id,
                    worker_pid(worker), how);
    else if (worker->state == WORKER_SERVING && term_signal && term_signal != SIGKILL)
        log_warning("VM %s: worker %d %s", worker_vm(worker), worker_pid(worker), how);
    else
        log_debug("VM %s: worker %d %s", worker_vm(worker), worker_pid(worker), how);
    if (worker->guest_fd < 0 || worker->failed || worker->untaken || worker->state == WORKER_ENDING)
        return;
    if (exit_status || term_signal) /* else its guest left early */
        log_warning("VM %s: worker %d %s before it could serve", worker_vm(worker), worker_pid(worker), how);
    guest_refuse(worker, how);
}

/* What an ended process had counted is its VM's; what it had is the driver's again. */
static void totals_add(struct vm *vm, const struct grant_page *page)
{
    vm_page_release_memory(vm->page, atomic_load_explicit(&page->device_memory_bytes, memory_order_relaxed));
    vm->totals.calls += atomic_load_explicit(&page->calls, memory_order_relaxed);
    vm->totals.gpu_calls += atomic_load_explicit(&page->gpu_calls, memory_order_relaxed);
    vm->totals.gpu_time_us += atomic_load_explicit(&page->gpu_time_us, memory_order_relaxed);
}

/* A spare may die in the moment in which it is given a guest: who finds the connection untouched takes it. */
static void guest_pass_on(struct worker *worker, struct vm *vm)
{
    struct vgpu_error err;
    if (vm->removed || worker->service->closing ||
        worker_start(worker->service, vm, worker->gpu, worker->guest_fd, &err) != VGPU_OK)
        guest_refuse(worker, "ended");
    worker->guest_fd = -1;
}

/* The worker of a guest has been reaped. */
static void guest_gone(struct worker *worker)
{
    struct vm *vm = worker->seat->vm;
    totals_add(vm, worker->page);
    guard_look(worker->service->guard, vm);
    start_over(worker);
    vm_page_forget_exports(vm->page, worker_pid(worker));
    worker->service->guest_count--;
    if (--vm->process_count == 0)
        vm_page_forget_memory(vm->page);
    if (worker->state == WORKER_STARTING)
        spares_served(&worker->service->spares);
    seat_worker_gone(worker);
    if (vm->window && !worker->has_no_window)
        window_guest_gone(vm->window, worker->number, worker->leaver_fd);
    worker->leaver_fd = -1;
    if (worker->untaken && worker->guest_fd >= 0)
        guest_pass_on(worker, vm);
    if (vm->removed && !vm->process_count)
        vm_destroy(vm);
}

static void process_ended(uv_process_t *process, int64_t exit_status, int term_signal)
{
    struct worker *worker = process->data;
    struct service *service = worker->service;
    worker->reaped = true;
    for (int i = 0; i < MESSAGE_BATCH && message_read(worker); i++)
        ; /* its last words */
    exit_report(worker, exit_status, term_signal);
    if (term_signal && term_signal != SIGKILL && worker->state != WORKER_ENDING)
        fault(worker, "a worker of it crashed");
    LIST_REMOVE(worker, in_service);
    service->worker_count--;
    if (worker->is_spare)
        spares_gone(worker);
    else if (worker->seat)
        guest_gone(worker);
    guest_fd_close(worker);
    service->progress(service->context);
    worker_close(worker);
}

static int process_spawn(struct service *service, struct worker *worker, int control, int grant,
                         char **environment)
{
    char driver[PATH_MAX + 16];
    char gpu_argument[VGPU_GPU_UUID_BYTES + 8];
    char warm_argument[] = "--warm";
    char vm_argument[sizeof WORKER_VM_ARGUMENT + VGPU_VM_UUID_BYTES];
    snprintf(driver, sizeof driver, "--driver=%s", service->driver);
    snprintf(gpu_argument, sizeof gpu_argument, "--gpu=%s", worker->gpu->gpu_uuid);
    snprintf(vm_argument, sizeof vm_argument, WORKER_VM_ARGUMENT "%*s", VGPU_VM_UUID_BYTES - 1, "");
    char *arguments[6] = {service->worker_path, driver, gpu_argument};
    char **next = &arguments[3];
    if (worker->is_spare)
        *next++ = warm_argument;
    *next = vm_argument;
    uv_stdio_container_t stdio[] = {
        {.flags = UV_IGNORE},
        {.flags = UV_IGNORE}, /* where the driver would print for a guest's kernels */
        {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
        [WORKER_FD_GUEST] = {.flags = UV_IGNORE},
        [WORKER_FD_CONTROL] = {.flags = UV_INHERIT_FD, .data.fd = control},
        [WORKER_FD_GRANT] = {.flags = UV_INHERIT_FD, .data.fd = grant},
    };
    uv_process_options_t options = {
        .exit_cb = process_ended,
        .file = service->worker_path,
        .args = arguments,
        .env = environment,
        .flags = UV_PROCESS_DETACHED, /* a Ctrl-C at the daemon's terminal is the daemon's to deal with */
        .stdio = stdio,
        .stdio_count = sizeof stdio / sizeof *stdio,
    };
    return uv_spawn(service->loop, &worker->process, &options);
}

/* Everything that a worker needs but its process. */
static struct worker *worker_prepare(struct service *service, struct gpu *gpu, int *control, int *grant,
                                     struct vgpu_error *err)
{
    int pair[2];
    struct worker *worker = calloc(1, sizeof *worker);
    if (!worker) {
        error_set(err, VGPU_ERR_MEMORY, "out of memory");
        return NULL;
    }
    if (grant_page_create(&worker->page, grant, err) != VGPU_OK) {
        free(worker);
        return NULL;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        error_set_errno(err, VGPU_ERR_IO, "cannot make a control socket");
        grant_page_destroy(worker->page);
        close(*grant);
        free(worker);
        return NULL;
    }
    worker->control_fd = pair[0];
    *control = pair[1];
    worker->service = service;
    worker->gpu = gpu;
    worker->guest_fd = worker->leaver_fd = -1;
    return worker;
}

static void handles_init(struct service *service, struct worker *worker)
{
    uv_poll_init(service->loop, &worker->control_poll, worker->control_fd);
    uv_timer_init(service->loop, &worker->drain_timer);
    uv_timer_init(service->loop, &worker->end_timer);
    worker->open_handles = 4; /* with the process, which uv_spawn makes whether it succeeds or not */
    worker->process.data = worker->control_poll.data = worker;
    worker->drain_timer.data = worker->end_timer.data = worker;
}

/* Starts a worker process. NULL: err says why not. */
static struct worker *worker_spawn(struct service *service, struct gpu *gpu, bool is_spare,
                                   struct vgpu_error *err)
{
    int control;
    int grant;
    char **environment = worker_environment_create(gpu->gpu_uuid);
    if (!environment) {
        error_set(err, VGPU_ERR_MEMORY, "out of memory");
        return NULL;
    }
    struct worker *worker = worker_prepare(service, gpu, &control, &grant, err);
    if (!worker) {
        worker_environment_destroy(environment);
        return NULL;
    }
    worker->is_spare = is_spare;
    worker->state = is_spare ? WORKER_WARMING : WORKER_STARTING;
    handles_init(service, worker);
    int result = process_spawn(service, worker, control, grant, environment);
    worker_environment_destroy(environment);
    close(control);
    close(grant);
    if (result != 0) {
        worker->reaped = true;
        worker_close(worker);
        error_set(err, VGPU_ERR_IO, "cannot start %s: %s", service->worker_path, uv_strerror(result));
        return NULL;
    }
    uv_poll_start(&worker->control_poll, UV_READABLE, control_ready);
    LIST_INSERT_HEAD(&service->workers, worker, in_service);
    service->worker_count++;
    return worker;
}

enum vgpu_status worker_start_spare(struct service *service, struct gpu *gpu, struct vgpu_error *err)
{
    struct worker *worker = worker_spawn(service, gpu, true, err);
    if (!worker)
        return VGPU_ERR_IO;
    LIST_INSERT_HEAD(&gpu->spares.list, worker, in_spares);
    log_debug("GPU %d: worker %d waits for a guest", (int)gpu->gpu_id, worker_pid(worker));
    return VGPU_OK;
}

/* Tells the worker which guest it is for. False: it is dying, or of no use; guest_fd stays as it is. */
static bool guest_hand_over(struct worker *worker, const struct vm *vm, int guest_fd)
{
    struct control_message message = {.type = CONTROL_SERVE};
    int fds[SERVE_FDS_WINDOW] = {[SERVE_FD_GUEST] = guest_fd, [SERVE_FD_VM] = vm->page_fd};
    if (vm->window) {
        fds[SERVE_FD_WINDOW] = window_fd(vm->window);
        fds[SERVE_FD_WINDOW_TABLE] = window_table_fd(vm->window);
        message.value = worker->number = window_next_number(vm->window);
    }
    snprintf(message.text, sizeof message.text, "%s", vm->info.vm_uuid);
    return control_send_fds(worker->control_fd, &message, fds, vm->window ? SERVE_FDS_WINDOW : SERVE_FDS);
}

/* It has been handed over: takes guest_fd over. */
static void guest_seat(struct worker *worker, struct seat *seat, int guest_fd)
{
    struct vm *vm = seat->vm;
    worker->guest_fd = guest_fd;
    worker->seat = seat;
    worker->state = WORKER_STARTING;
    worker->starting = true;
    vm->starting_count++;
    worker->service->starting_count++;
    LIST_INSERT_HEAD(&seat->workers, worker, in_seat);
    worker->service->guest_count++;
    vm->process_count++;
    vm->has_been_used = true;
    log_debug("VM %s: worker %d on GPU %d", vm->info.vm_uuid, worker_pid(worker), (int)seat->gpu->gpu_id);
}

/* Has a worker in the seat serve the guest. On error the seat is as it was. */
static enum vgpu_status serve_in_seat(struct service *service, struct seat *seat, int guest_fd,
                                      struct vgpu_error *err)
{
    struct worker *worker;
    while ((worker = spares_take(seat->gpu))) {
        if (guest_hand_over(worker, seat->vm, guest_fd)) {
            worker->untaken = true;
            guest_seat(worker, seat, guest_fd);
            return VGPU_OK;
        }
        worker_kill(worker); /* it has just died */
    }
    worker = worker_spawn(service, seat->gpu, false, err);
    if (!worker)
        return VGPU_ERR_IO;
    if (!guest_hand_over(worker, seat->vm, guest_fd))
        worker_kill(worker); /* as if it had taken it: the guest is told what becomes of the process */
    guest_seat(worker, seat, guest_fd);
    return VGPU_OK;
}

enum vgpu_status worker_start(struct service *service, struct vm *vm, struct gpu *gpu, int guest_fd,
                              struct vgpu_error *err)
{
    struct seat *seat = seat_take(service, vm, gpu);
    if (!seat)
        return error_set(err, VGPU_ERR_MEMORY, "out of memory");
    enum vgpu_status status = vm_open_page(vm, err);
    if (status == VGPU_OK)
        status = serve_in_seat(service, seat, guest_fd, err);
    if (status != VGPU_OK)
        seat_free_if_empty(seat);
    return status;
}

#include "daemon/daemon.h"

#include "base/error.h"
#include "base/limit.h"
#include "base/log.h"
#include "base/prefix.h"
#include "daemon/admin_server.h"
#include "daemon/admin_state.h"
#include "daemon/config_watch.h"
#include "daemon/exporter.h"
#include "daemon/exposition.h"
#include "daemon/grant_log.h"
#include "daemon/guard.h"
#include "daemon/instance.h"
#include "daemon/reception.h"
#include "daemon/rescan.h"
#include "daemon/seat.h"
#include "daemon/systemd.h"
#include "daemon/window.h"
#include "daemon/worker.h"
#include "libvgpu/admin_protocol.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* How much of a GPU's time goes at most to VMs that are served for their wait while a higher class has work.
 */
#define AGED_PERCENT 10

#define DRAIN_LIMIT_MS 5000
#define CLOSE_LIMIT_MS 10000

enum daemon_state { DAEMON_STARTING, DAEMON_RUNNING, DAEMON_DRAINING, DAEMON_ENDING, DAEMON_STOPPED };

#define SIGNAL_COUNT 3
static const int stop_signals[SIGNAL_COUNT] = {SIGTERM, SIGINT, SIGHUP};

struct daemon {
    enum daemon_state state;
    const struct settings *settings;
    const char *run_dir;
    char database_path[PATH_MAX];
    int lock_fd;
    uint64_t started_us;
    uv_loop_t loop;
    uv_signal_t signals[SIGNAL_COUNT];
    uv_timer_t limit; /* of what the state waits for */
    uv_timer_t watchdog;
    struct service service;
    struct host host;
    struct reception reception;
    struct monitors monitors;
    struct windows windows;
    struct config_watch *config_watch;
    struct rescan *rescan;
    struct grant_log *grant_log;
    struct admin_server *admin_server;
    struct exporter *exporter;
};

/* ---- Changes of the configuration ---- */

static void on_vm_added(void *context, struct vm *vm)
{
    struct daemon *daemon = context;
    struct vgpu_error err;
    if (daemon->windows.bytes != 0 && !(vm->window = window_create(&daemon->windows, vm->info.vm_uuid, &err)))
        log_error("VM %s has no window: %s", vm->info.vm_uuid, err.message);
    reception_add_vm(&daemon->reception, vm);
}

static void on_vm_removed(void *context, struct vm *vm)
{
    struct daemon *daemon = context;
    struct seat *seat;
    struct worker *worker;
    char text[200];
    reception_remove_vm(&daemon->reception, vm);
    if (vm->window)
        window_unlink(vm->window);
    snprintf(text, sizeof text, "VM %s is not registered any more; ask the host's administrator",
             vm->info.vm_uuid);
    LIST_FOREACH(seat, &vm->seats, in_vm)
    {
        LIST_FOREACH(worker, &seat->workers, in_seat)
        {
            worker_end(worker, text);
        }
    }
    if (!vm->process_count)
        vm_destroy(vm);
}

static void on_vm_reclassed(void *context, struct vm *vm)
{
    struct daemon *daemon = context;
    struct seat *seat;
    LIST_FOREACH(seat, &vm->seats, in_vm)
    {
        struct sched *sched = &daemon->service.schedule.sched;
        sched_vm_set_class(sched, &seat->sched, (enum sched_class)vm->info.priority, schedule_now_us());
        sched_vm_set_weight(sched, &seat->sched, vm->policy.weight, schedule_now_us());
        if (seat->sched.paused != vm->info.paused)
            sched_vm_set_paused(sched, &seat->sched, vm->info.paused, schedule_now_us());
    }
    schedule_arm(&daemon->service.schedule);
}

static void on_vm_quarantined(void *context, struct vm *vm)
{
    struct daemon *daemon = context;
    struct seat *seat;
    struct worker *worker;
    char text[240];
    reception_quarantine_vm(&daemon->reception, vm);
    vm_describe_quarantine(vm, text, sizeof text);
    LIST_FOREACH(seat, &vm->seats, in_vm)
    {
        LIST_FOREACH(worker, &seat->workers, in_seat)
        {
            worker_end(worker, text);
        }
    }
}

static void on_gpu_changed(void *context, struct gpu *gpu)
{
    struct schedule *schedule = &((struct daemon *)context)->service.schedule;
    sched_gpu_set_places(&schedule->sched, &gpu->sched, gpu->policy.places, schedule_now_us());
    sched_gpu_set_ageing(&schedule->sched, &gpu->sched, gpu->policy.ageing_us, schedule_now_us());
    schedule_arm(schedule);
}

static void on_gpu_lost(void *context, struct gpu *gpu)
{
    struct seat *seat;
    struct worker *worker;
    char text[240];
    snprintf(text, sizeof text, "GPU %d is not online any more%s%.100s; ask the host's administrator",
             (int)gpu->gpu_id, gpu->reason[0] ? ": " : "", gpu->reason);
    log_warning("%s", text);
    LIST_FOREACH(seat, &gpu->seats, in_gpu)
    {
        LIST_FOREACH(worker, &seat->workers, in_seat)
        {
            worker_end(worker, text);
        }
    }
}

static const struct host_actions host_actions = {
    .vm_added = on_vm_added,
    .vm_removed = on_vm_removed,
    .vm_reclassed = on_vm_reclassed,
    .vm_quarantined = on_vm_quarantined,
    .gpu_changed = on_gpu_changed,
    .gpu_lost = on_gpu_lost,
};

static void on_config_changed(void *context, const struct vgpu_snapshot *snapshot)
{
    struct daemon *daemon = context;
    struct vgpu_error err;
    if (daemon->state <= DAEMON_RUNNING && host_apply(&daemon->host, snapshot, &err) != VGPU_OK)
        log_error("%s", err.message);
    spares_look(&daemon->service.spares);
}

static void on_reloaded(void *context, uint64_t ticket)
{
    struct daemon *daemon = context;
    guard_reread(daemon->service.guard, ticket);
    if (daemon->admin_server)
        admin_server_reloaded(daemon->admin_server, ticket);
}

/* ---- Requests of the admin socket ---- */

static char *on_admin_state(void *context)
{
    struct daemon *daemon = context;
    const struct admin_state_source source = {
        .host = &daemon->host,
        .service = &daemon->service,
        .driver = settings_text(daemon->settings, SETTING_DRIVER),
        .started_us = daemon->started_us,
    };
    return admin_state_line(&source);
}

static char *on_admin_limits(void *context)
{
    const struct daemon *daemon = context;
    return admin_limits_line(&daemon->host.defaults);
}

static uint64_t on_admin_reload(void *context)
{
    struct daemon *daemon = context;
    return config_watch_request(daemon->config_watch);
}

static struct exposition *on_collect(void *context)
{
    struct daemon *daemon = context;
    uint64_t now_us = schedule_now_us();
    struct exposition *collected = exposition_collect(
        &daemon->host, now_us, (size_t)settings_integer(daemon->settings, SETTING_METRICS_MAX_VMS));
    if (collected) {
        collected->started_wall_us = clock_wall_us() - (now_us - daemon->started_us);
        collected->guests = daemon->service.guest_count;
    }
    return collected;
}

/* ---- Stopping ---- */

static void on_close_limit(uv_timer_t *timer)
{
    log_warning("a thread hangs in the driver or the database; stopping without it");
    _exit(0);
}

static void close_all(struct daemon *daemon)
{
    daemon->state = DAEMON_STOPPED;
    uv_timer_start(&daemon->limit, on_close_limit, CLOSE_LIMIT_MS, 0);
    uv_unref((uv_handle_t *)&daemon->limit); /* runs only while something else keeps the loop going */
    for (int i = 0; i < SIGNAL_COUNT; i++)
        uv_close((uv_handle_t *)&daemon->signals[i], NULL);
    uv_close((uv_handle_t *)&daemon->watchdog, NULL);
    config_watch_close(daemon->config_watch);
    rescan_close(daemon->rescan);
    grant_log_close(daemon->grant_log);
    guard_close(daemon->service.guard);
    daemon->service.guard = NULL;
    gpu_facts_close(daemon->monitors.facts);
    exporter_close(daemon->exporter);
    admin_server_close(daemon->admin_server);
    daemon->admin_server = NULL;
    spares_fini(&daemon->service.spares);
    windows_close(&daemon->windows);
    schedule_fini(&daemon->service.schedule);
}

static void end_begin(struct daemon *daemon)
{
    struct worker *worker;
    daemon->state = DAEMON_ENDING;
    uv_timer_stop(&daemon->limit);
    LIST_FOREACH(worker, &daemon->service.workers, in_service)
    {
        worker_end(worker, "the host's vgpud stops; try again when it runs again");
    }
    if (!daemon->service.worker_count)
        close_all(daemon);
}

static void on_drain_limit(uv_timer_t *timer)
{
    struct daemon *daemon = timer->data;
    log_warning("%u workers have not given back in time", daemon->service.holder_count);
    end_begin(daemon);
}

static void each_seat(struct daemon *daemon, void (*act)(struct seat *seat))
{
    struct seat *seat;
    for (size_t i = 0; i < daemon->host.gpu_count; i++) {
        LIST_FOREACH(seat, &daemon->host.gpus[i]->seats, in_gpu)
        {
            act(seat);
        }
    }
}

static void drain_begin(struct daemon *daemon)
{
    systemd_notify("STOPPING=1");
    log_info("stopping; %u guest processes", daemon->service.guest_count);
    daemon->state = DAEMON_DRAINING;
    daemon->service.closing = true;
    reception_close(&daemon->reception);
    spares_close(&daemon->service.spares);
    each_seat(daemon, seat_close_wait);
    each_seat(daemon, seat_close_grant);
    if (!daemon->service.holder_count)
        end_begin(daemon);
    else
        uv_timer_start(&daemon->limit, on_drain_limit, DRAIN_LIMIT_MS, 0);
}

static void on_progress(void *context)
{
    struct daemon *daemon = context;
    if (daemon->state == DAEMON_DRAINING && !daemon->service.holder_count)
        end_begin(daemon);
    else if (daemon->state == DAEMON_ENDING && !daemon->service.worker_count)
        close_all(daemon);
}

static void on_started(void *context)
{
    struct daemon *daemon = context;
    arrivals_wake(&daemon->reception.arrivals);
}

static void kill_all(struct daemon *daemon)
{
    struct worker *worker;
    LIST_FOREACH(worker, &daemon->service.workers, in_service)
    {
        worker_kill(worker);
    }
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct daemon *daemon = handle->data;
    if (daemon->state != DAEMON_RUNNING)
        log_info("stopping is cut short by another signal");
    if (daemon->state == DAEMON_RUNNING)
        drain_begin(daemon);
    else if (daemon->state == DAEMON_DRAINING)
        end_begin(daemon);
    else if (daemon->state == DAEMON_ENDING)
        kill_all(daemon);
}

/* ---- Starting ---- */

static void on_watchdog(uv_timer_t *timer)
{
    systemd_notify("WATCHDOG=1");
}

static void loop_init(struct daemon *daemon)
{
    uint64_t watchdog_ms = systemd_watchdog_us() / 2000; /* sd_watchdog_enabled(3): half the time */
    uv_loop_init(&daemon->loop);
    for (int i = 0; i < SIGNAL_COUNT; i++) {
        uv_signal_init(&daemon->loop, &daemon->signals[i]);
        daemon->signals[i].data = daemon;
        uv_signal_start(&daemon->signals[i], on_signal, stop_signals[i]);
    }
    uv_timer_init(&daemon->loop, &daemon->limit);
    uv_timer_init(&daemon->loop, &daemon->watchdog);
    daemon->limit.data = daemon;
    if (watchdog_ms)
        uv_timer_start(&daemon->watchdog, on_watchdog, watchdog_ms, watchdog_ms);
}

static enum vgpu_status service_init(struct daemon *daemon, struct vgpu_error *err)
{
    const struct settings *settings = daemon->settings;
    struct service *service = &daemon->service;
    const struct sched_config config = {
        .quantum_us = settings_duration_us(settings, SETTING_QUANTUM),
        .ageing_us = settings_duration_us(settings, SETTING_AGEING),
        .min_hold_us = settings_duration_us(settings, SETTING_MIN_HOLD),
        .aged_percent = AGED_PERCENT,
    };
    service->loop = &daemon->loop;
    service->drain_timeout_us = settings_duration_us(settings, SETTING_DRAIN_TIMEOUT);
    service->progress = on_progress;
    service->started = on_started;
    service->context = daemon;
    LIST_INIT(&service->workers);
    spares_init(&service->spares, &daemon->loop, service, &daemon->host,
                (unsigned)settings_integer(settings, SETTING_WARM_WORKERS));
    snprintf(service->driver, sizeof service->driver, "libcuda.so.1");
    enum vgpu_status status =
        schedule_init(&service->schedule, &daemon->loop, &config, &seat_actions, NULL, err);
    if (status == VGPU_OK)
        status = prefix_find(PREFIX_WORKER, service->worker_path, err);
    if (status == VGPU_OK && settings_choice(settings, SETTING_DRIVER) == SETTING_DRIVER_SIMULATED)
        status = prefix_find(PREFIX_SIMULATED_CUDA, service->driver, err);
    return status;
}

static enum vgpu_status database_open(struct daemon *daemon, struct vgpu_error *err)
{
    const struct settings *settings = daemon->settings;
    snprintf(daemon->database_path, sizeof daemon->database_path, "%s/vgpu.db",
             settings_text(settings, SETTING_STATE_DIR));
    daemon->host.sched = &daemon->service.schedule.sched;
    daemon->host.actions = &host_actions;
    daemon->host.context = daemon;
    enum vgpu_status status = limits_default(settings, &daemon->host.defaults, err);
    if (status != VGPU_OK)
        return status;
    const struct config_watch_options options = {.database_path = daemon->database_path,
                                                 .changed = on_config_changed,
                                                 .answered = on_reloaded,
                                                 .context = daemon};
    status = config_watch_open(&daemon->loop, &options, &daemon->config_watch, err);
    if (status == VGPU_OK)
        status = grant_log_open(&daemon->loop, daemon->database_path,
                                (size_t)settings_integer(settings, SETTING_GRANT_HISTORY), &daemon->grant_log,
                                err);
    daemon->service.grant_log = daemon->grant_log;
    const struct guard_options guard = {.database_path = daemon->database_path,
                                        .host = &daemon->host,
                                        .quarantined = on_vm_quarantined,
                                        .written = on_admin_reload,
                                        .context = daemon};
    if (status == VGPU_OK)
        status = guard_open(&daemon->loop, &guard, &daemon->service.guard, err);
    return status;
}

/* Whoever asks NVML: for which GPUs there are, and for what guests may know of them. */
static enum vgpu_status nvml_begin(struct daemon *daemon, struct vgpu_error *err)
{
    uint64_t interval_us = settings_duration_us(daemon->settings, SETTING_GPU_RESCAN);
    char nvml[PATH_MAX];
    struct inventory_options inventory = {0};
    enum vgpu_status status = VGPU_OK;
    if (settings_choice(daemon->settings, SETTING_DRIVER) == SETTING_DRIVER_SIMULATED) {
        status = prefix_find(PREFIX_SIMULATED_NVML, nvml, err);
        inventory.nvml_path = nvml;
        inventory.simulated = true;
    }
    if (status == VGPU_OK)
        status = gpu_facts_open(&daemon->loop, inventory.nvml_path, &daemon->monitors.facts, err);
    daemon->service.spares.facts = daemon->monitors.facts;
    if (status == VGPU_OK && interval_us)
        status =
            rescan_open(&daemon->loop, daemon->database_path, &inventory, interval_us, &daemon->rescan, err);
    return status;
}

/* Whether fd is the listening socket of this path. */
static bool is_socket_of(int fd, const char *path)
{
    struct sockaddr_un address = {0};
    socklen_t size = sizeof address - 1;
    return getsockname(fd, (struct sockaddr *)&address, &size) == 0 && address.sun_family == AF_UNIX &&
           strcmp(address.sun_path, path) == 0;
}

/* The sockets that systemd handed over; *admin_fd: the admin socket, if it is among them. */
static void sockets_inherit(struct daemon *daemon, const char *admin_path, int *admin_fd)
{
    int first;
    struct vgpu_error err;
    unsigned count = systemd_listen_fds(&first);
    for (int fd = first; fd < first + (int)count; fd++) {
        if (is_socket_of(fd, admin_path)) {
            *admin_fd = fd;
        } else if (reception_inherit(&daemon->reception, fd, &err) != VGPU_OK) {
            log_warning("socket activation: %s", err.message);
            close(fd);
        }
    }
}

static enum vgpu_status admin_open(struct daemon *daemon, int fd, const char *path, struct vgpu_error *err)
{
    const struct socket_access access = {.mode = 0660, .uid = (uid_t)-1, .gid = (gid_t)-1};
    const struct admin_server_options options = {
        .state = on_admin_state, .limits = on_admin_limits, .reload = on_admin_reload, .context = daemon};
    bool inherited = fd >= 0;
    enum vgpu_status status = inherited ? VGPU_OK : socket_listen_unix(path, &access, &fd, err);
    if (status != VGPU_OK)
        return status;
    return admin_server_open(&daemon->loop, fd, inherited ? NULL : path, &options, &daemon->admin_server,
                             err);
}

static enum vgpu_status exporter_begin(struct daemon *daemon, struct vgpu_error *err)
{
    const struct exporter_options options = {.address =
                                                 settings_text(daemon->settings, SETTING_METRICS_ADDRESS),
                                             .collect = on_collect,
                                             .context = daemon};
    if (options.address[0] == '\0')
        return VGPU_OK;
    return exporter_open(&daemon->loop, &options, &daemon->exporter, err);
}

static enum vgpu_status start(struct daemon *daemon, struct vgpu_error *err)
{
    char admin_path[PATH_MAX];
    int admin_fd = -1;
    struct reception *reception = &daemon->reception;
    *reception = (struct reception){.loop = &daemon->loop,
                                    .service = &daemon->service,
                                    .host = &daemon->host,
                                    .monitors = &daemon->monitors,
                                    .run_dir = daemon->run_dir};
    daemon->monitors.loop = &daemon->loop;
    daemon->monitors.host = &daemon->host;
    snprintf(admin_path, sizeof admin_path, "%s/" ADMIN_SOCKET_NAME, daemon->run_dir);
    sockets_inherit(daemon, admin_path, &admin_fd);
    enum vgpu_status status = service_init(daemon, err);
    if (status == VGPU_OK)
        status = reception_open(reception, daemon->settings, err);
    if (status == VGPU_OK)
        status = windows_init(&daemon->windows, &daemon->loop, daemon->settings, &reception->access, err);
    if (status == VGPU_OK)
        status = admin_open(daemon, admin_fd, admin_path, err);
    if (status == VGPU_OK)
        status = database_open(daemon, err);
    if (status == VGPU_OK)
        status = nvml_begin(daemon, err);
    if (status == VGPU_OK)
        status = exporter_begin(daemon, err);
    if (status == VGPU_OK) {
        reception_sweep(reception);
        windows_sweep(&daemon->windows, &daemon->host);
    }
    return status;
}

/* Each VM has a socket, each worker three descriptors: take as many as the system allows. */
static void descriptors_raise(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

enum vgpu_status daemon_run(const struct settings *settings, struct vgpu_error *err)
{
    struct daemon *daemon = calloc(1, sizeof *daemon);
    if (!daemon)
        return error_set(err, VGPU_ERR_MEMORY, "out of memory");
    daemon->settings = settings;
    daemon->run_dir = settings_text(settings, SETTING_RUN_DIR);
    daemon->started_us = schedule_now_us();
    /* For the workers, wherever the values came from. */
    setenv("VGPU_RUN_DIR", daemon->run_dir, 1);
    setenv("VGPU_IMAGE_STORE", settings_written(settings, SETTING_IMAGE_STORE), 1);
    umask(022);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error of write(2), not the end */
    descriptors_raise();
    enum vgpu_status status = instance_claim(daemon->run_dir, &daemon->lock_fd, err);
    if (status != VGPU_OK) {
        free(daemon);
        return status;
    }
    loop_init(daemon);
    status = start(daemon, err);
    if (status == VGPU_OK) {
        daemon->state = DAEMON_RUNNING;
        systemd_notify("READY=1");
        log_info("running: driver %s, %zu GPUs, %zu VMs, sockets in %s",
                 settings_text(settings, SETTING_DRIVER), daemon->host.gpu_count, daemon->host.vm_count,
                 daemon->run_dir);
    } else {
        reception_close(&daemon->reception);
        close_all(daemon);
    }
    uv_run(&daemon->loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&daemon->limit, NULL);
    uv_run(&daemon->loop, UV_RUN_DEFAULT);
    uv_loop_close(&daemon->loop);
    host_fini(&daemon->host);
    instance_release(daemon->lock_fd);
    free(daemon);
    if (status == VGPU_OK)
        log_info("stopped");
    return status;
}

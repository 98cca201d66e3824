#include "daemon/reception.h"

#include "base/error.h"
#include "base/log.h"
#include "daemon/listener.h"
#include "daemon/refusal.h"
#include "daemon/worker.h"

#include <dirent.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

/* Connections of one VM that have said nothing yet. */
#define SILENT_PER_VM_MAX 64

enum door_kind { DOOR_TCP, DOOR_OWN_FILE, DOOR_INHERITED_FILE };

struct door {
    LIST_ENTRY(door) in_reception; /* all but DOOR_OWN_FILE */
    struct reception *reception;
    enum door_kind kind;
    struct listener *listener;
    char vm_uuid[VGPU_VM_UUID_BYTES];
};

/* ---- Who comes in ---- */

/* Why this VM cannot have another guest process now; HANDSHAKE_OK when it can. */
static enum handshake_status vm_refusal(const struct reception *reception, const struct vm *vm, char *text,
                                        size_t text_bytes)
{
    if (vm_is_quarantined(vm)) {
        vm_describe_quarantine(vm, text, text_bytes);
        return HANDSHAKE_QUARANTINED;
    }
    if (!vm->gpu) {
        snprintf(text, text_bytes,
                 "VM %s: pool %c has no GPU; ask the host's administrator for one (vgpu-admin assign-gpu)",
                 vm->info.vm_uuid, vm->info.pool);
        return HANDSHAKE_NO_GPU;
    }
    if (!vm->gpu->online) {
        snprintf(text, text_bytes, "VM %s: GPU %d of pool %c is not online%s%.80s", vm->info.vm_uuid,
                 (int)vm->gpu->gpu_id, vm->info.pool, vm->gpu->reason[0] ? ": " : "", vm->gpu->reason);
        return HANDSHAKE_NO_GPU;
    }
    if (vm->process_count + vm->arrival_count >= vm->policy.process_limit) {
        snprintf(text, text_bytes, "VM %s has %u guest process%s already, no more are allowed at a time",
                 vm->info.vm_uuid, vm->process_count + vm->arrival_count,
                 vm->process_count + vm->arrival_count == 1 ? "" : "es");
        return HANDSHAKE_BUSY;
    }
    if (reception->service->guest_count + reception->arrivals.count >= reception->guests_max) {
        snprintf(text, text_bytes, "the host serves %u guest processes already; try again later",
                 reception->service->guest_count);
        return HANDSHAKE_BUSY;
    }
    return HANDSHAKE_OK;
}

/* A guest that tries again and again does not fill the log: the same refusal is said once a second. */
static void log_refusal(const struct reception *reception, const char *text)
{
    static char last[sizeof((struct server_welcome){0}).text]; /* the event loop's thread only */
    static uint64_t last_ms;
    uint64_t now_ms = uv_now(reception->loop);
    if (strcmp(last, text) == 0 && now_ms - last_ms < 1000)
        return;
    snprintf(last, sizeof last, "%s", text);
    last_ms = now_ms;
    log_info("refused a guest process: %s", text);
}

static void refuse(const struct reception *reception, int fd, enum handshake_status status, const char *text)
{
    log_refusal(reception, text);
    refusal_send(reception->loop, fd, status, text);
}

/* Has a worker started for the guest, or says why not. */
static void serve(void *context, struct vm *vm, int fd)
{
    struct reception *reception = context;
    char text[sizeof((struct server_welcome){0}).text];
    struct vgpu_error err;
    enum handshake_status status = vm_refusal(reception, vm, text, sizeof text);
    if (status == HANDSHAKE_OK && worker_start(reception->service, vm, vm->gpu, fd, &err) != VGPU_OK) {
        log_error("VM %s: %s", vm->info.vm_uuid, err.message);
        snprintf(text, sizeof text, "VM %s: the host could not start a worker; see the log of vgpud",
                 vm->info.vm_uuid);
        status = HANDSHAKE_BUSY;
    }
    if (status != HANDSHAKE_OK)
        refuse(reception, fd, status, text);
}

static void receive(struct reception *reception, struct vm *vm, int fd)
{
    char text[sizeof((struct server_welcome){0}).text];
    enum handshake_status status = vm_refusal(reception, vm, text, sizeof text);
    if (status != HANDSHAKE_OK)
        refuse(reception, fd, status, text);
    else if (vm->arrival_count == 0 && arrivals_may_start(&reception->arrivals, vm))
        serve(reception, vm, fd);
    else
        arrivals_add(&reception->arrivals, vm, fd);
}

static void first_byte_known(void *context, const char *vm_uuid, int fd, bool is_monitor)
{
    struct reception *reception = context;
    struct vm *vm = host_find_vm(reception->host, vm_uuid);
    if (!vm || (is_monitor && vm_is_quarantined(vm)))
        close(fd);
    else if (is_monitor)
        monitor_accept(reception->monitors, vm_uuid, fd);
    else
        receive(reception, vm, fd);
}

/* A connection of this VM. */
static void let_in(struct reception *reception, const struct vm *vm, int fd)
{
    if (!doorstep_add(&reception->doorstep, vm->info.vm_uuid, fd))
        refuse(reception, fd, HANDSHAKE_BUSY,
               "too many connections of this VM have come in and said nothing");
}

static void unknown_vm(const struct reception *reception, int fd, const char *who)
{
    char text[sizeof((struct server_welcome){0}).text];
    snprintf(text, sizeof text,
             "%s is no registered VM; ask the host's administrator (vgpu-admin register-vm)", who);
    refuse(reception, fd, HANDSHAKE_NO_VM, text);
}

/* Without effect where fd is no TCP socket. A machine that vanishes says no goodbye: its worker would wait
 * for it for ever. */
static void tcp_prepare(int fd)
{
    const int yes = 1, idle_s = 60, interval_s = 15, probes = 4;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

static void door_accepted(void *context, struct listener *listener, int fd)
{
    const struct door *door = context;
    tcp_prepare(fd);
    struct vm *vm = host_find_vm(door->reception->host, door->vm_uuid);
    if (vm)
        let_in(door->reception, vm, fd);
    else
        unknown_vm(door->reception, fd, door->vm_uuid);
}

static void vsock_accepted(void *context, struct listener *listener, int fd)
{
    struct reception *reception = context;
    struct sockaddr_vm peer = {0};
    socklen_t size = sizeof peer;
    if (getpeername(fd, (struct sockaddr *)&peer, &size) < 0) {
        close(fd);
        return;
    }
    struct vm *vm = host_find_vm_by_cid(reception->host, peer.svm_cid);
    char who[32];
    snprintf(who, sizeof who, "vsock CID %u", peer.svm_cid);
    if (vm)
        let_in(reception, vm, fd);
    else
        unknown_vm(reception, fd, who);
}

/* ---- Doors ---- */

/* Takes fd over. kind: whether it is a socket file, and whose. */
static enum vgpu_status door_open(struct reception *reception, int fd, const char *name, const char *vm_uuid,
                                  enum door_kind kind, struct door **opened, struct vgpu_error *err)
{
    struct door *door = calloc(1, sizeof *door);
    if (!door) {
        close(fd);
        return error_set(err, VGPU_ERR_MEMORY, "out of memory");
    }
    door->reception = reception;
    door->kind = kind;
    snprintf(door->vm_uuid, sizeof door->vm_uuid, "%s", vm_uuid);
    const struct listener_options options = {.accepted = door_accepted,
                                             .context = door,
                                             .name = name,
                                             .remove_file = kind == DOOR_OWN_FILE,
                                             .is_of_one = true};
    enum vgpu_status status = listener_open(reception->loop, fd, &options, &door->listener, err);
    if (status != VGPU_OK) {
        free(door);
        return status;
    }
    *opened = door;
    return VGPU_OK;
}

static void door_close(struct door *door)
{
    listener_close(door->listener);
    free(door);
}

/* One that stays, whatever becomes of its VM. */
static enum vgpu_status door_open_for_good(struct reception *reception, int fd, const char *name,
                                           const char *vm_uuid, enum door_kind kind, struct vgpu_error *err)
{
    struct door *door;
    enum vgpu_status status = door_open(reception, fd, name, vm_uuid, kind, &door, err);
    if (status == VGPU_OK)
        LIST_INSERT_HEAD(&reception->doors, door, in_reception);
    return status;
}

/* "ADDRESS:PORT=VM_UUID" */
static enum vgpu_status tcp_open(struct reception *reception, const char *item, struct vgpu_error *err)
{
    char address[128];
    const char *equals = strchr(item, '=');
    size_t length = equals ? (size_t)(equals - item) : 0;
    if (!equals || length >= sizeof address || !equals[1] || strlen(equals + 1) >= VGPU_VM_UUID_BYTES)
        return error_set(err, VGPU_ERR_USAGE, "listen_tcp: '%s' is not ADDRESS:PORT=VM_UUID", item);
    snprintf(address, sizeof address, "%.*s", (int)length, item);
    int fd;
    enum vgpu_status status = socket_listen_tcp("listen_tcp", address, &fd, err);
    if (status != VGPU_OK)
        return status;
    return door_open_for_good(reception, fd, address, equals + 1, DOOR_TCP, err);
}

static enum vgpu_status vsock_take(struct reception *reception, int fd, struct vgpu_error *err)
{
    const struct listener_options options = {
        .accepted = vsock_accepted, .context = reception, .name = "vsock"};
    return listener_open(reception->loop, fd, &options, &reception->vsock, err);
}

enum vgpu_status reception_open(struct reception *reception, const struct settings *settings,
                                struct vgpu_error *err)
{
    uint32_t vsock_port = (uint32_t)settings_integer(settings, SETTING_LISTEN_VSOCK_PORT);
    reception->guests_max = (unsigned)settings_integer(settings, SETTING_MAX_GUESTS);
    reception->arrivals.service = reception->service;
    reception->arrivals.serve = serve;
    reception->arrivals.context = reception;
    arrivals_open(&reception->arrivals, reception->loop);
    reception->doorstep = (struct doorstep){.loop = reception->loop,
                                            .per_vm_max = SILENT_PER_VM_MAX,
                                            .known = first_byte_known,
                                            .context = reception};
    reception->access = (struct socket_access){
        .mode = settings_mode(settings, SETTING_GUEST_SOCKET_MODE), .uid = (uid_t)-1, .gid = (gid_t)-1};
    enum vgpu_status status =
        socket_access_owner(&reception->access, settings_text(settings, SETTING_GUEST_SOCKET_OWNER), err);
    const char *const *items = settings_list(settings, SETTING_LISTEN_TCP);
    for (; status == VGPU_OK && *items; items++)
        status = tcp_open(reception, *items, err);
    if (status == VGPU_OK && vsock_port && !reception->vsock) {
        int fd;
        status = socket_listen_vsock(vsock_port, &fd, err);
        if (status == VGPU_OK)
            status = vsock_take(reception, fd, err);
    }
    return status;
}

/* The VM whose socket file in our run directory this is. */
static bool path_to_vm(const struct reception *reception, const char *path, char vm_uuid[VGPU_VM_UUID_BYTES])
{
    char start[PATH_MAX];
    snprintf(start, sizeof start, "%s/guests/", reception->run_dir);
    size_t length = strlen(path);
    size_t before = strlen(start);
    if (strncmp(path, start, before) != 0 || length < before + 6 || strcmp(path + length - 5, ".sock") != 0 ||
        length - before - 5 >= VGPU_VM_UUID_BYTES || strchr(path + before, '/'))
        return false;
    snprintf(vm_uuid, VGPU_VM_UUID_BYTES, "%.*s", (int)(length - before - 5), path + before);
    return true;
}

enum vgpu_status reception_inherit(struct reception *reception, int fd, struct vgpu_error *err)
{
    union {
        struct sockaddr any;
        struct sockaddr_un file;
        struct sockaddr_vm vsock;
    } address = {0};
    socklen_t size = sizeof address - 1; /* so that a path ends in NUL */
    char vm_uuid[VGPU_VM_UUID_BYTES];
    if (getsockname(fd, &address.any, &size) < 0)
        return error_set_errno(err, VGPU_ERR_USAGE, "descriptor %d is no socket", fd);
    if (address.any.sa_family == AF_VSOCK && !reception->vsock)
        return vsock_take(reception, fd, err);
    if (address.any.sa_family == AF_UNIX && path_to_vm(reception, address.file.sun_path, vm_uuid))
        return door_open_for_good(reception, fd, address.file.sun_path, vm_uuid, DOOR_INHERITED_FILE, err);
    return error_set(err, VGPU_ERR_USAGE, "descriptor %d is a socket that vgpud has no use for", fd);
}

/* ---- Socket files ---- */

static bool has_inherited_file(const struct reception *reception, const char *vm_uuid)
{
    const struct door *door;
    LIST_FOREACH(door, &reception->doors, in_reception)
    {
        if (door->kind == DOOR_INHERITED_FILE && strcmp(door->vm_uuid, vm_uuid) == 0)
            return true;
    }
    return false;
}

void reception_add_vm(struct reception *reception, struct vm *vm)
{
    char path[PATH_MAX];
    int fd;
    struct vgpu_error err;
    if (has_inherited_file(reception, vm->info.vm_uuid))
        return;
    snprintf(path, sizeof path, "%s/guests/%s.sock", reception->run_dir, vm->info.vm_uuid);
    enum vgpu_status status = socket_listen_unix(path, &reception->access, &fd, &err);
    if (status == VGPU_OK)
        status = door_open(reception, fd, path, vm->info.vm_uuid, DOOR_OWN_FILE, &vm->door, &err);
    if (status != VGPU_OK)
        log_error("VM %s cannot be reached: %s", vm->info.vm_uuid, err.message);
}

void reception_quarantine_vm(struct reception *reception, struct vm *vm)
{
    char text[sizeof((struct server_welcome){0}).text];
    vm_describe_quarantine(vm, text, sizeof text);
    monitors_end(reception->monitors, vm->info.vm_uuid);
    arrivals_refuse(&reception->arrivals, vm, HANDSHAKE_QUARANTINED, text);
}

void reception_remove_vm(struct reception *reception, struct vm *vm)
{
    arrivals_refuse(&reception->arrivals, vm, HANDSHAKE_NO_VM, "the VM is not registered any more");
    if (vm->door)
        door_close(vm->door);
    vm->door = NULL;
    doorstep_clear(&reception->doorstep, vm->info.vm_uuid);
    monitors_end(reception->monitors, vm->info.vm_uuid);
}

void reception_sweep(const struct reception *reception)
{
    char path[PATH_MAX];
    char vm_uuid[VGPU_VM_UUID_BYTES];
    struct stat info;
    snprintf(path, sizeof path, "%s/guests", reception->run_dir);
    DIR *directory = opendir(path);
    const struct dirent *entry;
    while (directory && (entry = readdir(directory))) {
        if (snprintf(path, sizeof path, "%s/guests/%s", reception->run_dir, entry->d_name) >=
                (int)sizeof path ||
            !path_to_vm(reception, path, vm_uuid) || has_inherited_file(reception, vm_uuid))
            continue;
        if (!host_find_vm(reception->host, vm_uuid) && lstat(path, &info) == 0 && S_ISSOCK(info.st_mode))
            unlink(path);
    }
    if (directory)
        closedir(directory);
}

void reception_close(struct reception *reception)
{
    arrivals_close(&reception->arrivals, reception->host,
                   "the host's vgpud stops; try again when it runs again");
    struct door *door;
    while ((door = LIST_FIRST(&reception->doors))) {
        LIST_REMOVE(door, in_reception);
        door_close(door);
    }
    listener_close(reception->vsock);
    reception->vsock = NULL;
    doorstep_clear(&reception->doorstep, NULL);
    monitors_end(reception->monitors, NULL);
    for (size_t i = 0; i < reception->host->vm_count; i++)
        reception_remove_vm(reception, reception->host->vms[i]);
}

/* The daemon, and the sockets it makes. */
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "admin/doctor.h"
#include "admin/format.h"

#define AREA         "daemon"
#define SOCKETS_AREA "sockets"

#define SOCKET_PATH_MAX (sizeof((struct sockaddr_un *)0)->sun_path - 1)

/* ---- The daemon ---- */

static void check_answer(struct doctor *doctor)
{
    char uptime[FORMAT_BYTES];
    const struct vgpu_live *live = &doctor->live;
    const char *driver = settings_text(doctor->settings, SETTING_DRIVER);
    doctor_note(doctor, DOCTOR_OK, AREA, "vgpud runs (version %s, process %" PRId64 ", for %s)",
                live->version, live->pid, format_duration(uptime, live->uptime_us));
    if (strcmp(live->version, vgpu_version()) != 0)
        doctor_note(doctor, DOCTOR_WARNING, AREA,
                    "vgpud is of version %s, this program of %s; restart vgpud: systemctl restart vgpud",
                    live->version, vgpu_version());
    if (strcmp(live->driver, driver) != 0)
        doctor_note(
            doctor, DOCTOR_FAULT, AREA,
            "vgpud uses the %s driver, the settings say %s (from %s); restart vgpud: systemctl restart "
            "vgpud",
            live->driver, driver, settings_source(doctor->settings, SETTING_DRIVER));
    for (size_t i = 0; i < doctor->snapshot.gpu_count; i++) {
        const struct vgpu_gpu *gpu = &doctor->snapshot.gpus[i];
        bool served = gpu->status != VGPU_GPU_ONLINE || gpu->pools[0] == '\0';
        for (size_t j = 0; j < live->gpu_count && !served; j++)
            served = strcmp(live->gpus[j].gpu_uuid, gpu->gpu_uuid) == 0;
        if (!served)
            doctor_note(doctor, DOCTOR_WARNING, AREA,
                        "vgpud does not serve GPU %" PRId32 " (yet); see its log: journalctl -u vgpud",
                        gpu->gpu_id);
    }
}

static void check_warm_workers(struct doctor *doctor)
{
    for (size_t i = 0; i < doctor->live.gpu_count; i++) {
        const struct vgpu_live_gpu *gpu = &doctor->live.gpus[i];
        char held[48] = "";
        if (!gpu->warm_workers.known || gpu->warm_workers.value == 0)
            continue;
        if (gpu->warm_memory_bytes.known && gpu->warm_memory_bytes.value > 0)
            snprintf(held, sizeof held, ", holding %" PRId64 " MiB of its memory",
                     gpu->warm_memory_bytes.value >> 20);
        doctor_note(doctor, DOCTOR_OK, AREA,
                    "GPU %" PRId32 ": %" PRId64 " worker%s for guest processes with a context made%s",
                    gpu->gpu_id, gpu->warm_workers.value, gpu->warm_workers.value == 1 ? " waits" : "s wait",
                    held);
    }
}

/* Without the library, which needs the database: whether somebody listens, and no more. */
static void check_listener(struct doctor *doctor)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *run_dir = settings_text(doctor->settings, SETTING_RUN_DIR);
    int length = snprintf(address.sun_path, sizeof address.sun_path, "%s/admin.sock", run_dir);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || length >= (int)sizeof address.sun_path)
        doctor_note(doctor, DOCTOR_FAULT, AREA, "the daemon's socket below %s cannot be reached", run_dir);
    else if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        doctor_note(doctor, DOCTOR_OK, AREA, "vgpud listens at %s", address.sun_path);
    else
        doctor_note(doctor, DOCTOR_FAULT, AREA, "no daemon is running (%s: %s): start vgpud",
                    address.sun_path, strerror(errno));
    if (fd >= 0)
        close(fd);
}

void doctor_check_daemon(struct doctor *doctor)
{
    struct vgpu_error err;
    if (doctor->vgpu == NULL && doctor->settings != NULL)
        check_listener(doctor);
    if (doctor->vgpu == NULL)
        return;
    if (vgpu_get_live(doctor->vgpu, &doctor->live, &err) == VGPU_OK) {
        doctor->daemon_answers = true;
        check_answer(doctor);
        check_warm_workers(doctor);
        return;
    }
    doctor_note(doctor, err.status == VGPU_ERR_PERMISSION ? DOCTOR_WARNING : DOCTOR_FAULT, AREA, "%s",
                err.message);
}

/* ---- Sockets ---- */

/* Numbers of "user:group" as the setting has them; -1: any will do. */
static void wanted_owner(const struct doctor *doctor, int64_t *uid, int64_t *gid)
{
    char user[256];
    snprintf(user, sizeof user, "%s", settings_text(doctor->settings, SETTING_GUEST_SOCKET_OWNER));
    char *group = strchr(user, ':');
    if (group != NULL)
        *group++ = '\0';
    const struct passwd *account = user[0] != '\0' ? getpwnam(user) : NULL;
    *uid = account != NULL ? (int64_t)account->pw_uid : -1;
    const struct group *entry = group != NULL && group[0] != '\0' ? getgrnam(group) : NULL;
    *gid = entry != NULL ? (int64_t)entry->gr_gid : -1;
}

/* One VM's socket. Returns true when it is as it should be. */
static bool check_vm_socket(struct doctor *doctor, const struct vgpu_vm *vm, const char *path)
{
    struct stat file;
    int64_t uid = -1;
    int64_t gid = -1;
    mode_t mode = (mode_t)settings_mode(doctor->settings, SETTING_GUEST_SOCKET_MODE);
    if (lstat(path, &file) != 0) {
        doctor_note(doctor, DOCTOR_FAULT, SOCKETS_AREA,
                    "%s (VM %s): %s; see vgpud's log: journalctl -u vgpud", path, vm->vm_name,
                    strerror(errno));
        return false;
    }
    wanted_owner(doctor, &uid, &gid);
    if (!S_ISSOCK(file.st_mode)) {
        doctor_note(doctor, DOCTOR_FAULT, SOCKETS_AREA, "%s is no socket; remove it and restart vgpud", path);
        return false;
    }
    if ((file.st_mode & 0777) == mode && (uid < 0 || file.st_uid == uid) && (gid < 0 || file.st_gid == gid))
        return true;
    doctor_note(doctor, DOCTOR_WARNING, SOCKETS_AREA,
                "%s has mode %04o and owner %u:%u, the settings say %04o and '%s'; restart vgpud to set them",
                path, (unsigned)file.st_mode & 0777, file.st_uid, file.st_gid, (unsigned)mode,
                settings_text(doctor->settings, SETTING_GUEST_SOCKET_OWNER));
    return false;
}

static void check_vm_sockets(struct doctor *doctor, const char *run_dir)
{
    size_t well = 0;
    for (size_t i = 0; i < doctor->snapshot.vm_count; i++) {
        char path[PATH_MAX];
        const struct vgpu_vm *vm = &doctor->snapshot.vms[i];
        snprintf(path, sizeof path, "%s/guests/%s.sock", run_dir, vm->vm_uuid);
        if (strlen(path) > SOCKET_PATH_MAX)
            doctor_note(
                doctor, DOCTOR_FAULT, SOCKETS_AREA,
                "%s has more than the %zu characters that a socket's path can have; set a shorter run_dir",
                path, SOCKET_PATH_MAX);
        else if (doctor->daemon_answers)
            well += check_vm_socket(doctor, vm, path);
    }
    if (well > 0)
        doctor_note(doctor, DOCTOR_OK, SOCKETS_AREA, "%zu of %zu sockets of VMs are as they should be", well,
                    doctor->snapshot.vm_count);
}

/* Who may put other sockets in the place of ours is every VM. */
static void check_directory(struct doctor *doctor, const char *path)
{
    struct stat file;
    if (stat(path, &file) != 0)
        doctor_note(doctor, DOCTOR_WARNING, SOCKETS_AREA, "%s: %s; vgpud makes it when it starts", path,
                    strerror(errno));
    else if ((file.st_mode & S_IWOTH) != 0)
        doctor_note(doctor, DOCTOR_FAULT, SOCKETS_AREA, "every user may write in %s; run: chmod o-w %s", path,
                    path);
    else
        doctor_note(doctor, DOCTOR_OK, SOCKETS_AREA, "%s has mode %04o and belongs to user %u", path,
                    (unsigned)file.st_mode & 07777, file.st_uid);
}

void doctor_check_sockets(struct doctor *doctor)
{
    char path[PATH_MAX];
    struct stat file;
    if (doctor->settings == NULL)
        return;
    const char *run_dir = settings_text(doctor->settings, SETTING_RUN_DIR);
    check_directory(doctor, run_dir);
    snprintf(path, sizeof path, "%s/admin.sock", run_dir);
    if (strlen(path) > SOCKET_PATH_MAX)
        doctor_note(
            doctor, DOCTOR_FAULT, SOCKETS_AREA,
            "%s has more than the %zu characters that a socket's path can have; set a shorter run_dir", path,
            SOCKET_PATH_MAX);
    else if (lstat(path, &file) == 0 && (file.st_mode & S_IWOTH) != 0)
        doctor_note(doctor, DOCTOR_WARNING, SOCKETS_AREA,
                    "every user may ask the daemon what it does (%s); run: chmod o-rw %s", path, path);
    check_vm_sockets(doctor, run_dir);
}

/* The configuration file, and settings that make no sense. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/doctor.h"
#include "base/limit.h"

#define AREA "configuration"

/* ---- The file ---- */

static void check_file(struct doctor *doctor, const char *path)
{
    struct stat file;
    if (stat(path, &file) != 0) {
        doctor_note(doctor, DOCTOR_OK, AREA, "there is no %s: built-in defaults hold", path);
        return;
    }
    if (S_ISREG(file.st_mode) && (file.st_mode & S_IWOTH) != 0)
        doctor_note(doctor, DOCTOR_FAULT, AREA, "%s can be changed by every user; run: chmod o-w %s", path,
                    path);
    else
        doctor_note(doctor, DOCTOR_OK, AREA, "%s is read", path);
}

/* Settings that hold for whoever has this environment may not hold for the daemon. */
static void check_environment(struct doctor *doctor)
{
    for (int key = 0; key < SETTING_COUNT; key++) {
        const char *source = settings_source(doctor->settings, (enum setting_key)key);
        if (key == SETTING_HYPERVISOR_URIS) /* the daemon asks none */
            continue;
        if (strncmp(source, "VGPU_", 5) == 0)
            doctor_note(doctor, DOCTOR_OK, AREA,
                        "%s comes from the environment (%s); the daemon must have been started with the same",
                        settings_describe((enum setting_key)key)->name, source);
    }
}

void doctor_check_configuration(struct doctor *doctor)
{
    struct vgpu_error err;
    const char *named = getenv("VGPU_CONFIG");
    if (settings_load(&doctor->settings, NULL, &err) != VGPU_OK) {
        doctor_note(doctor, DOCTOR_FAULT, AREA, "%s", err.message);
        return;
    }
    check_file(doctor, named != NULL && named[0] != '\0' ? named : SETTINGS_DEFAULT_FILE);
    check_environment(doctor);
}

/* ---- What makes no sense ---- */

static const char *written(const struct doctor *doctor, enum setting_key key)
{
    return settings_written(doctor->settings, key);
}

/* A duration that must not be longer than another one, where neither is 0. */
static void check_order(struct doctor *doctor, enum setting_key shorter, enum setting_key longer,
                        const char *why)
{
    uint64_t shorter_us = settings_duration_us(doctor->settings, shorter);
    uint64_t longer_us = settings_duration_us(doctor->settings, longer);
    if (longer_us != 0 && shorter_us > longer_us)
        doctor_note(doctor, DOCTOR_WARNING, AREA, "%s (%s) is longer than %s (%s): %s; make one of them fit",
                    settings_describe(shorter)->name, written(doctor, shorter),
                    settings_describe(longer)->name, written(doctor, longer), why);
}

static void check_guests(struct doctor *doctor)
{
    int64_t one = settings_integer(doctor->settings, SETTING_MAX_GUESTS_PER_VM);
    int64_t all = settings_integer(doctor->settings, SETTING_MAX_GUESTS);
    if (one > all)
        doctor_note(
            doctor, DOCTOR_WARNING, AREA,
            "max_guests_per_vm (%lld) is more than max_guests (%lld): one VM can take all places; lower it",
            (long long)one, (long long)all);
}

static void check_socket_mode(struct doctor *doctor)
{
    unsigned mode = settings_mode(doctor->settings, SETTING_GUEST_SOCKET_MODE);
    if ((mode & 0002) != 0)
        doctor_note(
            doctor, DOCTOR_WARNING, AREA,
            "guest_socket_mode %04o lets every user of this host be any VM; give 0660 and a group with "
            "guest_socket_owner",
            mode);
    if ((mode & 0222) == 0)
        doctor_note(doctor, DOCTOR_WARNING, AREA,
                    "guest_socket_mode %04o lets nobody but root open a VM's socket; give 0660", mode);
}

/* "user", "user:group", ":group", names or numbers. */
static void check_socket_owner(struct doctor *doctor)
{
    const char *owner = settings_text(doctor->settings, SETTING_GUEST_SOCKET_OWNER);
    char user[256];
    snprintf(user, sizeof user, "%s", owner);
    char *group = strchr(user, ':');
    if (group != NULL)
        *group++ = '\0';
    if (user[0] != '\0' && strspn(user, "0123456789") != strlen(user) && getpwnam(user) == NULL)
        doctor_note(doctor, DOCTOR_FAULT, AREA,
                    "guest_socket_owner: there is no user '%s'; make it, or name another", user);
    if (group != NULL && group[0] != '\0' && strspn(group, "0123456789") != strlen(group) &&
        getgrnam(group) == NULL)
        doctor_note(doctor, DOCTOR_FAULT, AREA,
                    "guest_socket_owner: there is no group '%s'; make it, or name another", group);
}

/* Who reaches the port of the metrics reads them. */
static void check_metrics(struct doctor *doctor)
{
    const char *address = settings_text(doctor->settings, SETTING_METRICS_ADDRESS);
    if (address[0] != '\0' && strncmp(address, "127.", 4) != 0 && strncmp(address, "[::1]", 5) != 0)
        doctor_note(
            doctor, DOCTOR_WARNING, AREA,
            "metrics_address: who reaches %.200s reads the names of VMs and what they use; keep that network "
            "closed to others, or give 127.0.0.1",
            address);
}

static void check_limits(struct doctor *doctor)
{
    struct vgpu_limits limits;
    struct vgpu_error err;
    if (limits_default(doctor->settings, &limits, &err) != VGPU_OK)
        doctor_note(doctor, DOCTOR_FAULT, AREA, "%s; vgpud does not start with it", err.message);
}

/* Who reaches a TCP port is the VM: beyond the host itself that is whoever can reach the network. */
static void check_tcp(struct doctor *doctor)
{
    const char *const *ports = settings_list(doctor->settings, SETTING_LISTEN_TCP);
    for (size_t i = 0; ports[i] != NULL; i++) {
        const char *address = ports[i];
        if (strncmp(address, "127.", 4) != 0 && strncmp(address, "[::1]", 5) != 0)
            doctor_note(
                doctor, DOCTOR_WARNING, AREA,
                "listen_tcp: who reaches %.200s is that VM, and nothing is encrypted; keep that network "
                "closed to others",
                address);
    }
}

/* One row of findings for all of it, where there is nothing to say. */
void doctor_check_settings(struct doctor *doctor)
{
    size_t before = doctor->finding_count;
    if (doctor->settings == NULL)
        return;
    check_order(doctor, SETTING_QUANTUM, SETTING_AGEING,
                "a waiting VM rises before it could have had a turn");
    check_order(doctor, SETTING_MIN_HOLD, SETTING_QUANTUM, "a higher class waits longer than an equal one");
    check_order(doctor, SETTING_QUANTUM, SETTING_DRAIN_TIMEOUT,
                "programs may be ended for what they were allowed to do");
    check_guests(doctor);
    check_socket_mode(doctor);
    check_socket_owner(doctor);
    check_tcp(doctor);
    check_metrics(doctor);
    check_limits(doctor);
    if (settings_choice(doctor->settings, SETTING_DRIVER) == SETTING_DRIVER_SIMULATED &&
        settings_nvidia_driver_present(""))
        doctor_note(doctor, DOCTOR_WARNING, AREA,
                    "driver is simulated (from %s) although this host has a GPU driver; set driver = nvidia",
                    settings_source(doctor->settings, SETTING_DRIVER));
    if (doctor->finding_count == before)
        doctor_note(doctor, DOCTOR_OK, AREA, "the settings fit together");
}

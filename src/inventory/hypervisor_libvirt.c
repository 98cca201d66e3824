/* VMs of libvirt's hypervisors, through the program vgpu-libvirt (libvirt_main.c). */
#include "inventory/hypervisor_vendor.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Sockets of libvirt's daemons, and what they serve: one daemon for all, or one for each driver. Their names
 * are those of libvirt's own systemd units. */
static const struct {
    const char *socket;
    const char *uri;
    bool uncertain; /* the daemon need not have this driver */
} daemons[] = {
    {"virtqemud-sock-ro", "qemu:///system", false}, {"virtxend-sock-ro", "xen:///system", false},
    {"virtlxcd-sock-ro", "lxc:///system", false},   {"libvirt-sock-ro", "qemu:///system", true},
    {"libvirt-sock-ro", "xen:///system", true},     {"libvirt-sock-ro", "lxc:///system", true},
};

static bool libvirt_takes(const char *word)
{
    const char *scheme_end = strstr(word, ":/");
    return scheme_end != NULL && scheme_end != word;
}

static bool is_listed(const struct hypervisor_target_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->targets[i].name, name) == 0)
            return true;
    return false;
}

/* libvirt's own way to name a default comes first. The socket is looked at before libvirt is asked: without
 * a daemon libvirt would start one of the user's own. */
static bool libvirt_discover(const struct hypervisor_options *options, struct hypervisor_target_list *list)
{
    const char *run_dir = options->libvirt_run_dir != NULL ? options->libvirt_run_dir : "/run/libvirt";
    const char *named = getenv("LIBVIRT_DEFAULT_URI");
    if (named != NULL && libvirt_takes(named))
        return hypervisor_add_target(list, &hypervisor_libvirt, named, false);
    for (size_t i = 0; i < sizeof daemons / sizeof daemons[0]; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", run_dir, daemons[i].socket);
        if (access(path, F_OK) == 0 && !is_listed(list, daemons[i].uri) &&
            !hypervisor_add_target(list, &hypervisor_libvirt, daemons[i].uri, daemons[i].uncertain))
            return false;
    }
    return true;
}

static void libvirt_command(const struct hypervisor_options *options, const struct hypervisor_target *target,
                            const char *arguments[HYPERVISOR_MAX_ARGUMENTS + 1])
{
    arguments[0] = options->libvirt_program != NULL ? options->libvirt_program : "vgpu-libvirt";
    arguments[1] = target->name;
    arguments[2] = NULL;
}

static enum vgpu_power power_of_state(const char *state)
{
    /* virDomainState of libvirt's API; a blocked VM is a running one whose processors are idle. */
    static const enum vgpu_power powers[] = {
        VGPU_POWER_UNKNOWN,       VGPU_POWER_RUNNING,  VGPU_POWER_RUNNING, VGPU_POWER_PAUSED,
        VGPU_POWER_SHUTTING_DOWN, VGPU_POWER_SHUT_OFF, VGPU_POWER_CRASHED, VGPU_POWER_SUSPENDED,
    };
    bool one_digit = state[0] >= '0' && state[0] <= '7' && state[1] == '\0';
    return one_digit ? powers[state[0] - '0'] : VGPU_POWER_UNKNOWN;
}

/* Lines "UUID\tSTATE\tNAME"; all else is somebody's warning. */
static bool libvirt_read(char *output, struct hypervisor_vm_list *list)
{
    char *rest = NULL;
    for (char *line = strtok_r(output, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        char *state = strchr(line, '\t');
        char *name = state == NULL ? NULL : strchr(state + 1, '\t');
        if (name == NULL)
            continue;
        *state++ = '\0';
        *name++ = '\0';
        if (!hypervisor_add_vm(list, line, name, power_of_state(state)))
            return false;
    }
    return true;
}

const struct hypervisor_vendor hypervisor_libvirt = {
    .takes = libvirt_takes,
    .discover = libvirt_discover,
    .command = libvirt_command,
    .missing = "the program vgpu-libvirt is missing; install vgpu anew",
    .read = libvirt_read,
};

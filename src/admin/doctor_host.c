/* What the host has for virtual machines: vsock, windows, hypervisors. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "admin/doctor.h"
#include "admin/vm_scan_lines.h"

#define VSOCK_AREA       "vsock"
#define WINDOWS_AREA     "windows"
#define HYPERVISORS_AREA "hypervisors"

#define TIME_LIMIT_MS 5000

void doctor_check_vsock(struct doctor *doctor)
{
    size_t with_cid = 0;
    if (doctor->settings == NULL)
        return;
    int64_t port = settings_integer(doctor->settings, SETTING_LISTEN_VSOCK_PORT);
    for (size_t i = 0; i < doctor->snapshot.vm_count; i++)
        with_cid += doctor->snapshot.vms[i].vsock_cid != 0;
    if (port == 0 && with_cid > 0)
        doctor_note(doctor, DOCTOR_WARNING, VSOCK_AREA,
                    "%zu VM(s) have a vsock CID, but vgpud does not listen; set listen_vsock_port", with_cid);
    else if (port == 0)
        doctor_note(doctor, DOCTOR_OK, VSOCK_AREA, "not used (listen_vsock_port is 0)");
    else if (access("/dev/vsock", F_OK) != 0)
        doctor_note(doctor, DOCTOR_FAULT, VSOCK_AREA,
                    "listen_vsock_port is %" PRId64 ", but there is no /dev/vsock; run: modprobe vsock",
                    port);
    else if (access("/dev/vhost-vsock", F_OK) != 0)
        doctor_note(doctor, DOCTOR_WARNING, VSOCK_AREA,
                    "there is no /dev/vhost-vsock, which QEMU needs for its VMs; run: modprobe vhost_vsock");
    else if (with_cid == 0)
        doctor_note(doctor, DOCTOR_WARNING, VSOCK_AREA,
                    "listen_vsock_port is %" PRId64
                    ", but no VM has a CID; give it with vgpu-admin update-vm "
                    "--vsock-cid",
                    port);
    else
        doctor_note(doctor, DOCTOR_OK, VSOCK_AREA, "port %" PRId64 ", %zu VM(s) with a CID", port, with_cid);
}

/* Where the windows lie. False: they cannot. */
static bool check_window_folder(struct doctor *doctor, const char *folder, uint64_t window_bytes)
{
    struct statfs system;
    if (statfs(folder, &system) != 0) {
        doctor_note(doctor, DOCTOR_FAULT, WINDOWS_AREA, "window_dir: %s: %s", folder, strerror(errno));
        return false;
    }
    if (system.f_type != TMPFS_MAGIC) {
        doctor_note(doctor, DOCTOR_FAULT, WINDOWS_AREA,
                    "window_dir: %s is not in memory; name a folder on a tmpfs, as /dev/shm", folder);
        return false;
    }
    uint64_t total_bytes = (uint64_t)system.f_blocks * (uint64_t)system.f_bsize;
    size_t windows = doctor->snapshot.vm_count > 0 ? doctor->snapshot.vm_count : 1;
    if (window_bytes > total_bytes / windows)
        doctor_note(
            doctor, DOCTOR_WARNING, WINDOWS_AREA,
            "%s holds %" PRIu64 " MiB, less than %zu window(s) of %" PRIu64
            " MiB: a VM that fills its own leaves none to others; mount a larger tmpfs, or take a smaller "
            "window_size",
            folder, total_bytes >> 20, windows, window_bytes >> 20);
    return true;
}

/* VMs whose window is not there. */
static size_t count_without_window(struct doctor *doctor)
{
    size_t count = 0;
    for (size_t i = 0; i < doctor->snapshot.vm_count; i++) {
        char path[PATH_MAX];
        struct stat file;
        uint64_t bytes = vgpu_window(doctor->vgpu, doctor->snapshot.vms[i].vm_uuid, path, sizeof path);
        if (stat(path, &file) == 0 && S_ISREG(file.st_mode) && (uint64_t)file.st_size >= bytes)
            continue;
        doctor_note(doctor, DOCTOR_FAULT, WINDOWS_AREA, "VM %s has no window %s; the log of vgpud says why",
                    doctor->snapshot.vms[i].vm_name, path);
        count++;
    }
    return count;
}

void doctor_check_windows(struct doctor *doctor)
{
    if (doctor->settings == NULL)
        return;
    uint64_t bytes = settings_size_bytes(doctor->settings, SETTING_WINDOW_SIZE);
    if (bytes == 0) {
        doctor_note(doctor, DOCTOR_OK, WINDOWS_AREA, "not used (window_size is 0)");
        return;
    }
    if (!check_window_folder(doctor, settings_text(doctor->settings, SETTING_WINDOW_DIR), bytes))
        return;
    if (settings_integer(doctor->settings, SETTING_LISTEN_VSOCK_PORT) == 0 &&
        *settings_list(doctor->settings, SETTING_LISTEN_TCP) == NULL)
        doctor_note(doctor, DOCTOR_WARNING, WINDOWS_AREA,
                    "window_size is set, but a virtual machine has no way to vgpud; set listen_vsock_port");
    if (doctor->daemon_answers && count_without_window(doctor) == 0)
        doctor_note(doctor, DOCTOR_OK, WINDOWS_AREA, "%zu VM(s) have one, of %" PRIu64 " MiB",
                    doctor->snapshot.vm_count, bytes >> 20);
}

void doctor_check_hypervisors(struct doctor *doctor)
{
    struct vgpu_vm_scan scan;
    struct vgpu_error err;
    if (doctor->vgpu == NULL)
        return;
    if (vgpu_scan_vms(doctor->vgpu, &doctor->snapshot, TIME_LIMIT_MS, &scan, &err) != VGPU_OK) {
        doctor_note(doctor, DOCTOR_FAULT, HYPERVISORS_AREA, "%s", err.message);
        return;
    }
    if (scan.hypervisor_count == 0)
        doctor_note(doctor, DOCTOR_OK, HYPERVISORS_AREA,
                    "none is asked (hypervisor_uris is %s): VMs are registered by hand",
                    settings_written(doctor->settings, SETTING_HYPERVISOR_URIS));
    for (size_t i = 0; i < scan.hypervisor_count; i++) {
        const struct vgpu_hypervisor *hypervisor = &scan.hypervisors[i];
        if (hypervisor->answered)
            doctor_note(doctor, DOCTOR_OK, HYPERVISORS_AREA, "%s answers: %" PRIu32 " VM(s)",
                        hypervisor->name, hypervisor->vm_count);
        else
            doctor_note(doctor, DOCTOR_WARNING, HYPERVISORS_AREA, "%s: %s (see hypervisor_uris in vgpu.conf)",
                        hypervisor->name, hypervisor->reason);
    }
    size_t unregistered = vm_scan_count(&scan, VGPU_VM_UNREGISTERED);
    size_t vanished = vm_scan_count(&scan, VGPU_VM_VANISHED);
    if (unregistered > 0)
        doctor_note(doctor, DOCTOR_OK, HYPERVISORS_AREA,
                    "%zu VM(s) are not registered; vgpu-admin scan-vms lists them", unregistered);
    if (vanished > 0)
        doctor_note(
            doctor, DOCTOR_WARNING, HYPERVISORS_AREA,
            "%zu registered VM(s) are known to no hypervisor; vgpu-admin scan-vms lists them, remove-vm "
            "removes one",
            vanished);
    vgpu_vm_scan_fini(&scan);
}

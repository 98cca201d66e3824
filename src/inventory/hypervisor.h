/* What VMs the hypervisors of this host have, registered or not.
 *
 * A vendor is a struct of functions (inventory/hypervisor_vendor.h): libvirt (QEMU/KVM, Xen, LXC, its test
 * driver, at any URI) and XCP-ng/XenServer. Each hypervisor is asked by a program in a process and session of
 * its own, all at once and within one time limit: one that hangs, crashes or asks for a password costs that
 * time and nothing else. All access is for reading. */
#ifndef VGPU_INVENTORY_HYPERVISOR_H
#define VGPU_INVENTORY_HYPERVISOR_H

#include <vgpu/error.h>
#include <vgpu/types.h>

/* What setting hypervisor_uris may say instead of naming hypervisors. */
#define HYPERVISOR_AUTO "auto"
#define HYPERVISOR_NONE "none"

struct hypervisor_options {
    /* The setting hypervisor_uris, NULL-terminated: libvirt URIs and "xe", or "auto" or "none" alone. */
    const char *const *uris;
    int time_limit_ms;
    /* The program vgpu-libvirt; NULL: not installed, every libvirt URI then fails with that reason. */
    const char *libvirt_program;
    /* Where libvirt's daemons have their sockets. NULL: "/run/libvirt". */
    const char *libvirt_run_dir;
    /* XenServer's command line. NULL: "xe", found in PATH or /opt/xensource/bin. */
    const char *xe_program;
};

/* One VM as a hypervisor knows it. */
struct hypervisor_vm {
    char vm_uuid[VGPU_VM_UUID_BYTES]; /* canonical, lower case */
    char vm_name[VGPU_VM_NAME_BYTES]; /* as the hypervisor has it: any bytes; cut to fit; may be empty */
    enum vgpu_power power;
    size_t hypervisor; /* index into hypervisors */
};

/* Both lists are from malloc; hypervisor_scan_fini() frees them. */
struct hypervisor_scan {
    struct vgpu_hypervisor *hypervisors; /* those asked, in the order of the setting */
    size_t hypervisor_count;
    struct hypervisor_vm *vms; /* by vm_uuid; one that several know is here once, as the first says */
    size_t vm_count;
};

/* Asks them all. That one does not answer is no error but stands in its entry, and so is a host without any;
 * VGPU_ERR_USAGE: the setting makes no sense; VGPU_ERR_MEMORY. */
enum vgpu_status hypervisor_scan(const struct hypervisor_options *options, struct hypervisor_scan *scan,
                                 struct vgpu_error *err);
void hypervisor_scan_fini(struct hypervisor_scan *scan); /* frees the lists and empties it */

#endif

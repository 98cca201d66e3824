/* What a scan of the hypervisors found, in the words of scan-vms and of the control panel. */
#ifndef VGPU_ADMIN_VM_SCAN_LINES_H
#define VGPU_ADMIN_VM_SCAN_LINES_H

#include <stdio.h>
#include <vgpu/vgpu.h>

/* How many VMs are so. */
size_t vm_scan_count(const struct vgpu_vm_scan *scan, enum vgpu_registration_state state);

/* One line for each hypervisor that did not answer, indented: whose VMs are missing, and why. */
void vm_scan_print_silent(FILE *out, const char *indent, const struct vgpu_vm_scan *scan);

/* The sections of the control panel about VMs that are not registered and registered ones that are gone, from
 * "Unregistered VMs: 3" on, wrapped to width. */
void vm_scan_print_panel(FILE *out, size_t width, const struct vgpu_vm_scan *scan);

/* The sections of scan-vms: "=== Registered VMs (5) ===" and those that follow, an empty line before each. */
void vm_scan_print_sections(FILE *out, const struct vgpu_vm_scan *scan);

#endif

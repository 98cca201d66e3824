/* A scan of the hypervisors as JSON, in the manner of document.h. */
#ifndef VGPU_ADMIN_VM_SCAN_DOCUMENT_H
#define VGPU_ADMIN_VM_SCAN_DOCUMENT_H

#include <jansson.h>
#include <vgpu/vgpu.h>

json_t *document_hypervisors(const struct vgpu_vm_scan *scan);

/* The VMs of a scan. state: those that are so; -1: all. */
json_t *document_scanned_vms(const struct vgpu_vm_scan *scan, int state);

#endif

/* The daemon's side of a VM's page (wire/vm_page.h). */
#ifndef VGPU_DAEMON_VM_PAGE_H
#define VGPU_DAEMON_VM_PAGE_H

#include "wire/vm_exports.h"
#include "wire/vm_page.h"

#include <vgpu/error.h>

/* The page, and what lies behind it (struct vm_segment), without limits, all counters 0. *memfd is the
 * caller's to keep, for the VM's workers, and to close; its size is sealed. */
enum vgpu_status vm_page_create(struct vm_page **page, int *memfd, struct vgpu_error *err);
void vm_page_destroy(struct vm_page *page); /* NULL is fine */

/* Workers see the change at once. A rate that changes begins with a full bucket. */
void vm_page_set_limits(struct vm_page *page, const struct vm_limits *limits);

/* The process has ended: what it had exported to others of its VM is to be had no more. */
void vm_page_forget_exports(struct vm_page *page, int pid);

/* The VM's last process has ended: what was reserved and not returned, by one killed at the wrong moment, is
 * free again. */
void vm_page_forget_memory(struct vm_page *page);

#endif

/* What commands print with --json: GPUs, VMs and the rest as JSON objects. docs/json.md describes every
 * member, and docs/vgpu-admin.schema.json checks it: a member is never renamed or removed, only added.
 *
 * The functions that make a value return NULL when out of memory, and jansson passes that on: a NULL put into
 * an object makes the object NULL. document_print() reports it. */
#ifndef VGPU_ADMIN_DOCUMENT_H
#define VGPU_ADMIN_DOCUMENT_H

#include <jansson.h>
#include <vgpu/vgpu.h>

#include "admin/command.h"

/* A text that may be any bytes; "" is null. */
json_t *document_text(const char *text);
/* A number that may be unknown: null. */
json_t *document_optional(struct vgpu_optional number);
/* "AB" is ["A", "B"]. */
json_t *document_pools(const char *pools);
/* Microseconds since 1970, as "2026-11-23T05:00:00.123456Z". */
json_t *document_time(int64_t us);

/* Those that are set, each under its member's name. */
json_t *document_limits(const struct vgpu_limits *limits);

json_t *document_gpu(const struct vgpu_snapshot *snapshot, const struct vgpu_gpu *gpu);
json_t *document_vm(const struct vgpu_vm *vm);
json_t *document_pool(const struct vgpu_snapshot *snapshot, const struct vgpu_pool *pool);
json_t *document_grant(const struct vgpu_grant *grant);
json_t *document_change(const struct vgpu_change *change);
/* One GPU of the queue: who holds it, who waits. */
json_t *document_queue(const struct vgpu_snapshot *snapshot, const struct vgpu_live_gpu *gpu);
/* What a VM has done since the daemon started. */
json_t *document_activity(const struct vgpu_live_vm *vm);
json_t *document_daemon(const struct vgpu_live *live);

/* The lists of all of them. */
json_t *document_gpus(const struct vgpu_snapshot *snapshot, const struct vgpu_gpu *gpus, size_t count);
json_t *document_vms(const struct vgpu_vm *vms, size_t count);
json_t *document_changes(const struct vgpu_change *changes, size_t count);
/* What a command made of VMs: [{"before": ..., "after": ...}]. before or after NULL: there was, or is, none.
 */
json_t *document_vm_changes(const struct vgpu_vm *before, const struct vgpu_vm *after, size_t count);

/* Prints {"format": 1, "command": ..., members...} and takes the reference to the object members. */
enum vgpu_status document_print(const struct command_context *context, json_t *members,
                                struct vgpu_error *err);

#endif

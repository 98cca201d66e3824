#include "admin/document.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "admin/snapshot.h"
#include "admin/text.h"
#include "base/error.h"

#define DOCUMENT_FORMAT 1

/* ---- Values ---- */

/* The list becomes NULL where the value cannot be added. */
static void append(json_t **list, json_t *value)
{
    if (json_array_append_new(*list, value) == 0)
        return;
    json_decref(*list);
    *list = NULL;
}

json_t *document_text(const char *text)
{
    if (text == NULL || *text == '\0')
        return json_null();
    char *clean = text_clean(text);
    json_t *value = clean == NULL ? NULL : json_string(clean);
    free(clean);
    return value;
}

json_t *document_optional(struct vgpu_optional number)
{
    return number.known ? json_integer(number.value) : json_null();
}

json_t *document_pools(const char *pools)
{
    json_t *letters = json_array();
    for (const char *pool = pools; *pool != '\0'; pool++)
        append(&letters, json_stringn(pool, 1));
    return letters;
}

json_t *document_time(int64_t us)
{
    char text[48];
    time_t seconds = (time_t)(us / 1000000);
    struct tm utc;
    size_t used = 0;
    if (gmtime_r(&seconds, &utc) != NULL)
        used = strftime(text, sizeof text - 16, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + used, sizeof text - used, ".%06dZ", (int)(us % 1000000));
    return used == 0 ? json_null() : json_string(text);
}

/* "2026-11-23 05:00:00", as the database has it, is "2026-11-23T05:00:00Z". */
static json_t *make_timestamp(const char *text)
{
    char iso[VGPU_TIMESTAMP_BYTES + 2];
    if (strlen(text) != VGPU_TIMESTAMP_BYTES - 1)
        return document_text(text);
    snprintf(iso, sizeof iso, "%.10sT%.8sZ", text, text + 11);
    return json_string(iso);
}

static json_t *make_counts(const size_t by_priority[VGPU_PRIORITY_COUNT])
{
    return json_pack("{s:I, s:I, s:I}", "high", (json_int_t)by_priority[VGPU_PRIORITY_HIGH], "medium",
                     (json_int_t)by_priority[VGPU_PRIORITY_MEDIUM], "low",
                     (json_int_t)by_priority[VGPU_PRIORITY_LOW]);
}

json_t *document_limits(const struct vgpu_limits *limits)
{
    json_t *object = json_object();
    for (int limit = 0; limit < VGPU_LIMIT_COUNT; limit++)
        if ((limits->set >> limit & 1u) != 0)
            json_object_set_new(object, vgpu_limit_member((enum vgpu_limit)limit),
                                json_integer(limits->values[limit]));
    return object;
}

/* ---- Things ---- */

json_t *document_gpu(const struct vgpu_snapshot *snapshot, const struct vgpu_gpu *gpu)
{
    struct vm_counts counts = snapshot_count_gpu_vms(snapshot, gpu->gpu_id);
    return json_pack("{s:I, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o}",
                     "gpu_id", (json_int_t)gpu->gpu_id, "gpu_uuid", document_text(gpu->gpu_uuid), "gpu_name",
                     document_text(gpu->gpu_name), "pci_address", document_text(gpu->pci_address), "pools",
                     document_pools(gpu->pools), "status", vgpu_gpu_status_name(gpu->status), "reason",
                     document_text(gpu->reason), "memory_total_mib", document_optional(gpu->memory_total_mib),
                     "memory_used_mib", document_optional(gpu->memory_used_mib), "utilization_percent",
                     document_optional(gpu->utilization_percent), "temperature_c",
                     document_optional(gpu->temperature_c), "power_mw", document_optional(gpu->power_mw),
                     "vm_count", (json_int_t)counts.total, "vm_count_by_priority",
                     make_counts(counts.by_priority), "created_at", make_timestamp(gpu->created_at),
                     "updated_at", make_timestamp(gpu->updated_at), "last_seen_at",
                     make_timestamp(gpu->last_seen_at));
}

json_t *document_vm(const struct vgpu_vm *vm)
{
    return json_pack("{s:I, s:o, s:o, s:o, s:s, s:o, s:o, s:b, s:o, s:o, s:o, s:b, s:o, s:o}", "vm_id",
                     (json_int_t)vm->vm_id, "vm_uuid", document_text(vm->vm_uuid), "vm_name",
                     document_text(vm->vm_name), "pool", json_stringn(&vm->pool, 1), "priority",
                     vgpu_priority_name(vm->priority), "gpu_id", document_optional(vm->gpu_id), "vsock_cid",
                     vm->vsock_cid != 0 ? json_integer(vm->vsock_cid) : json_null(), "paused",
                     (int)vm->paused, "created_at", make_timestamp(vm->created_at), "updated_at",
                     make_timestamp(vm->updated_at), "limits", document_limits(&vm->limits), "quarantined",
                     (int)vm->quarantined, "quarantine_reason", document_text(vm->quarantine_reason),
                     "quarantined_at", make_timestamp(vm->quarantined_at));
}

json_t *document_pool(const struct vgpu_snapshot *snapshot, const struct vgpu_pool *pool)
{
    size_t by_priority[VGPU_PRIORITY_COUNT];
    json_t *gpu_ids = json_array();
    for (size_t i = 0; i < snapshot->gpu_count; i++)
        if (strchr(snapshot->gpus[i].pools, pool->pool) != NULL)
            append(&gpu_ids, json_integer(snapshot->gpus[i].gpu_id));
    for (size_t i = 0; i < VGPU_PRIORITY_COUNT; i++)
        by_priority[i] = pool->vm_count_by_priority[i];
    return json_pack("{s:o, s:o, s:I, s:o, s:o}", "pool", json_stringn(&pool->pool, 1), "gpu_ids", gpu_ids,
                     "vm_count", (json_int_t)pool->vm_count, "vm_count_by_priority", make_counts(by_priority),
                     "limits", document_limits(&pool->limits));
}

json_t *document_grant(const struct vgpu_grant *grant)
{
    return json_pack("{s:I, s:o, s:o, s:I, s:s, s:o, s:o, s:o, s:o}", "grant_id", (json_int_t)grant->grant_id,
                     "vm_uuid", document_text(grant->vm_uuid), "vm_name", document_text(grant->vm_name),
                     "gpu_id", (json_int_t)grant->gpu_id, "priority", vgpu_priority_name(grant->priority),
                     "asked_at", document_time(grant->asked_us), "got_at", document_time(grant->got_us),
                     "gave_back_at", document_time(grant->gave_back_us), "reason",
                     document_text(grant->reason));
}

json_t *document_change(const struct vgpu_change *change)
{
    return json_pack("{s:I, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "change_id",
                     (json_int_t)change->change_id, "at", document_time(change->at_us), "uid",
                     (json_int_t)change->uid, "user_name", document_text(change->user_name), "action",
                     document_text(change->action), "subject", document_text(change->subject), "field",
                     document_text(change->field), "old_value", document_text(change->old_value), "new_value",
                     document_text(change->new_value));
}

/* ---- What the daemon tells ---- */

json_t *document_queue(const struct vgpu_snapshot *snapshot, const struct vgpu_live_gpu *gpu)
{
    json_t *holder = json_null();
    json_t *waiting = json_array();
    if (gpu->holder[0] != '\0') {
        const struct vgpu_vm *vm = snapshot_find_vm(snapshot, gpu->holder);
        holder = json_pack("{s:o, s:o, s:o, s:I}", "vm_uuid", document_text(gpu->holder), "vm_name",
                           document_text(vm != NULL ? vm->vm_name : NULL), "priority",
                           document_text(vm != NULL ? vgpu_priority_name(vm->priority) : NULL), "held_us",
                           (json_int_t)gpu->held_us);
    }
    for (size_t i = 0; i < gpu->waiting_count; i++) {
        const struct vgpu_live_waiting *waits = &gpu->waiting[i];
        const struct vgpu_vm *vm = snapshot_find_vm(snapshot, waits->vm_uuid);
        json_t *one =
            json_pack("{s:o, s:o, s:s, s:I}", "vm_uuid", document_text(waits->vm_uuid), "vm_name",
                      document_text(vm != NULL ? vm->vm_name : NULL), "priority",
                      vgpu_priority_name(waits->priority), "waiting_us", (json_int_t)waits->waiting_us);
        append(&waiting, one);
    }
    return json_pack("{s:I, s:o, s:I, s:o, s:o, s:o, s:o}", "gpu_id", (json_int_t)gpu->gpu_id, "gpu_uuid",
                     document_text(gpu->gpu_uuid), "grants", (json_int_t)gpu->generation, "holder", holder,
                     "waiting", waiting, "background", document_text(gpu->background), "preemption",
                     document_text(gpu->preemption));
}

json_t *document_activity(const struct vgpu_live_vm *vm)
{
    return json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "vm_uuid",
                     document_text(vm->vm_uuid), "processes", (json_int_t)vm->processes, "grants",
                     (json_int_t)vm->grants, "wait_us", (json_int_t)vm->wait_us, "hold_us",
                     (json_int_t)vm->hold_us, "calls", (json_int_t)vm->calls, "gpu_calls",
                     (json_int_t)vm->gpu_calls, "device_memory_bytes", (json_int_t)vm->device_memory_bytes,
                     "gpu_time_us", document_optional(vm->gpu_time_us), "preemptions",
                     document_optional(vm->preemptions), "timeouts", document_optional(vm->timeouts),
                     "limited_calls", document_optional(vm->limited_calls), "limited_us",
                     document_optional(vm->limited_us), "refused_allocations",
                     document_optional(vm->refused_allocations), "faults", document_optional(vm->faults));
}

json_t *document_daemon(const struct vgpu_live *live)
{
    return json_pack("{s:o, s:I, s:I, s:o}", "version", document_text(live->version), "pid",
                     (json_int_t)live->pid, "uptime_us", (json_int_t)live->uptime_us, "driver",
                     document_text(live->driver));
}

/* ---- Lists ---- */

json_t *document_gpus(const struct vgpu_snapshot *snapshot, const struct vgpu_gpu *gpus, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        append(&list, document_gpu(snapshot, &gpus[i]));
    return list;
}

json_t *document_vms(const struct vgpu_vm *vms, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        append(&list, document_vm(&vms[i]));
    return list;
}

json_t *document_changes(const struct vgpu_change *changes, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        append(&list, document_change(&changes[i]));
    return list;
}

json_t *document_vm_changes(const struct vgpu_vm *before, const struct vgpu_vm *after, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        append(&list,
               json_pack("{s:o, s:o}", "before", before != NULL ? document_vm(&before[i]) : json_null(),
                         "after", after != NULL ? document_vm(&after[i]) : json_null()));
    return list;
}

/* ---- The whole ---- */

enum vgpu_status document_print(const struct command_context *context, json_t *members,
                                struct vgpu_error *err)
{
    json_t *document = json_pack("{s:i, s:s}", "format", DOCUMENT_FORMAT, "command", context->name);
    size_t flags = context->watched ? 0 : JSON_INDENT(2);
    bool good = members != NULL && document != NULL && json_object_update(document, members) == 0 &&
                json_dumpf(document, context->out, flags) == 0;
    json_decref(members);
    json_decref(document);
    if (!good && !ferror(context->out))
        return error_set(err, VGPU_ERR_MEMORY, "out of memory while making JSON; print less of it");
    fputc('\n', context->out);
    return VGPU_OK;
}

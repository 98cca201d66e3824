/* list-vms, show-vm. */
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <vgpu/vgpu.h>

#include "admin/commands.h"
#include "admin/describe.h"
#include "admin/document.h"
#include "admin/format.h"
#include "admin/listing.h"
#include "admin/selection.h"
#include "admin/text.h"

static const struct table_column vm_columns[] = {
    {.heading = "VM ID", .align = TABLE_RIGHT},
    {.heading = "NAME", .narrowest = 8},
    {.heading = "UUID", .narrowest = 13},
    {.heading = "POOL"},
    {.heading = "PRIORITY"},
    {.heading = "GPU"},
    {.heading = "GPU NAME", .narrowest = 12, .optional = 1},
    {.heading = "GPU STATUS", .narrowest = 10},
    {.heading = "PAUSED", .wide = true},
    {.heading = "QUARANTINE", .narrowest = 12, .wide = true},
    {.heading = "WEIGHT", .align = TABLE_RIGHT, .wide = true},
    {.heading = "VSOCK CID", .align = TABLE_RIGHT, .wide = true},
    {.heading = "REGISTERED", .wide = true},
    {.heading = "CHANGED", .wide = true},
};
#define VM_COLUMNS           (sizeof vm_columns / sizeof vm_columns[0])
#define VM_COLUMN_QUARANTINE 9
const struct table_layout vm_table = {vm_columns, VM_COLUMNS};

/* With quarantine in sight where a VM is in it. */
static struct table_layout choose_layout(struct table_column columns[VM_COLUMNS], const struct vgpu_vm *vms,
                                         size_t count)
{
    memcpy(columns, vm_columns, sizeof vm_columns);
    for (size_t i = 0; i < count; i++)
        if (vms[i].quarantined)
            columns[VM_COLUMN_QUARANTINE].wide = false;
    return (struct table_layout){columns, VM_COLUMNS};
}

static void add_vm_gpu(struct table *table, const struct vgpu_gpu *gpu)
{
    char text[DESCRIBE_BYTES];
    if (gpu == NULL) {
        table_add(table, NULL);
        table_add(table, NULL);
        table_add_styled(table, TEXT_BAD, "no GPU in the pool");
        return;
    }
    table_addf(table, "GPU %" PRId32, gpu->gpu_id);
    table_add(table, gpu->gpu_name);
    table_add_styled(table, describe_gpu_style(gpu), describe_gpu_status(text, gpu));
}

static void add_vm_row(struct table *table, const struct vgpu_snapshot *snapshot, const struct vgpu_vm *vm)
{
    char weight[VGPU_LIMIT_TEXT_BYTES];
    table_addf(table, "%" PRId32, vm->vm_id);
    table_add(table, vm->vm_name);
    table_add(table, vm->vm_uuid);
    table_addf(table, "%c", vm->pool);
    table_add_styled(table, vm->priority == VGPU_PRIORITY_HIGH ? TEXT_NOTABLE : TEXT_PLAIN,
                     vgpu_priority_name(vm->priority));
    add_vm_gpu(table, snapshot_vm_gpu(snapshot, vm));
    table_add_styled(table, TEXT_NOTABLE, vm->paused ? "yes" : NULL);
    table_add_styled(table, TEXT_BAD, describe_quarantine(vm));
    table_add(table, (vm->limits.set >> VGPU_LIMIT_WEIGHT & 1u) != 0
                         ? vgpu_format_limit(VGPU_LIMIT_WEIGHT, vm->limits.values[VGPU_LIMIT_WEIGHT], weight)
                         : NULL);
    if (vm->vsock_cid != 0)
        table_addf(table, "%" PRIu32, vm->vsock_cid);
    else
        table_add(table, NULL);
    table_add(table, vm->created_at);
    table_add(table, vm->updated_at);
}

static void print_no_vm(FILE *out, const struct vgpu_snapshot *snapshot)
{
    if (snapshot->vm_count > 0)
        fputs("No VM is in this pool with this priority; 'vgpu-admin list-vms' shows all\n", out);
    else
        fputs("No VM is registered; register one as 'vgpu-admin register-vm --help' shows\n", out);
}

/* The VMs asked for come first in the list then; returns how many. */
static size_t keep_wanted(const struct arguments *arguments, struct vgpu_snapshot *snapshot)
{
    char pool = arguments_letter(arguments, OPTION_POOL);
    bool by_priority = arguments_has(arguments, OPTION_PRIORITY);
    size_t kept = 0;
    for (size_t i = 0; i < snapshot->vm_count; i++) {
        const struct vgpu_vm *vm = &snapshot->vms[i];
        if ((pool == 0 || vm->pool == pool) &&
            (!by_priority || vm->priority == arguments_number(arguments, OPTION_PRIORITY)))
            snapshot->vms[kept++] = *vm;
    }
    return kept;
}

enum vgpu_status run_list_vms(const struct command_context *context, struct vgpu_error *err)
{
    struct vgpu_snapshot snapshot = {0};
    enum vgpu_status status = vgpu_get_snapshot(context->vgpu, &snapshot, err);
    if (status == VGPU_OK)
        status = snapshot_require_pool(&snapshot, arguments_letter(context->arguments, OPTION_POOL), err);
    if (status == VGPU_OK) {
        size_t shown = keep_wanted(context->arguments, &snapshot);
        if (context->output == OUTPUT_JSON) {
            status =
                document_print(context, json_pack("{s:o}", "vms", document_vms(snapshot.vms, shown)), err);
        } else if (shown == 0) {
            print_no_vm(context->out, &snapshot);
        } else {
            struct table_column columns[VM_COLUMNS];
            const struct table_layout layout = choose_layout(columns, snapshot.vms, shown);
            struct table *table = table_create(&layout);
            for (size_t i = 0; i < shown; i++)
                add_vm_row(table, &snapshot, &snapshot.vms[i]);
            status = listing_print(context, table, err);
        }
    }
    vgpu_snapshot_fini(&snapshot);
    return status;
}

static const struct vgpu_live_vm *find_live(const struct vgpu_live *live, const char *vm_uuid)
{
    for (size_t i = 0; i < live->vm_count; i++)
        if (strcmp(live->vms[i].vm_uuid, vm_uuid) == 0)
            return &live->vms[i];
    return NULL;
}

/* "  Limited Calls: 12", ...: what is not 0. */
static void print_troubles(FILE *out, const struct vgpu_live_vm *vm)
{
    const struct {
        const char *label;
        struct vgpu_optional count;
    } troubles[] = {{"Limited Calls", vm->limited_calls},
                    {"Refused Allocations", vm->refused_allocations},
                    {"Timeouts", vm->timeouts},
                    {"Faults", vm->faults}};
    for (size_t i = 0; i < sizeof troubles / sizeof troubles[0]; i++)
        if (troubles[i].count.known && troubles[i].count.value > 0)
            fprintf(out, "  %s: %" PRId64 "\n", troubles[i].label, troubles[i].count.value);
}

/* What the VM has done since the daemon started, where there is a daemon; why says why there is none. */
static void print_activity(FILE *out, const struct vgpu_live *live, const struct vgpu_error *why,
                           const char *vm_uuid)
{
    const struct vgpu_live_vm *found = find_live(live, vm_uuid);
    if (why->message[0] != '\0') {
        fputs("  Activity: unknown; ", out);
        text_put(out, why->message, SIZE_MAX);
        fputc('\n', out);
    } else if (found == NULL) {
        fputs("  Activity: none since the daemon started\n", out);
    } else {
        char waited[FORMAT_BYTES];
        char held[FORMAT_BYTES];
        fprintf(out, "  Guest Processes: %" PRIu32 "\n", found->processes);
        fprintf(out, "  Grants: %" PRIu64 " (waited %s, held %s in all)\n", found->grants,
                format_duration(waited, found->wait_us), format_duration(held, found->hold_us));
        fprintf(out, "  Calls: %" PRIu64 " (%" PRIu64 " of them GPU work)\n", found->calls, found->gpu_calls);
        if (found->gpu_time_us.known)
            fprintf(out, "  GPU Time: %s\n", format_duration(waited, (uint64_t)found->gpu_time_us.value));
        print_troubles(out, found);
        fprintf(out, "  Device Memory: %s\n",
                format_memory(held, (found->device_memory_bytes + (1u << 20) - 1) >> 20));
    }
}

static void print_vm(const struct command_context *context, const struct vgpu_snapshot *snapshot,
                     const struct vgpu_vm *vm)
{
    char status[DESCRIBE_BYTES];
    const struct vgpu_gpu *gpu = snapshot_vm_gpu(snapshot, vm);
    FILE *out = context->out;
    text_put(out, vm->vm_name, SIZE_MAX);
    fprintf(out, "\n  UUID: %s\n  VM ID: %" PRId32 "\n  Pool: %c\n", vm->vm_uuid, vm->vm_id, vm->pool);
    if (gpu != NULL) {
        fprintf(out, "  GPU: %" PRId32 " (", gpu->gpu_id);
        text_put(out, describe_gpu_name(gpu), SIZE_MAX);
        fputs(")\n  GPU Status: ", out);
        text_style_begin(out, context->colour, describe_gpu_style(gpu));
        text_put(out, describe_gpu_status(status, gpu), SIZE_MAX);
        text_style_end(out, context->colour, describe_gpu_style(gpu));
        fputc('\n', out);
    } else {
        fprintf(out,
                "  GPU: none (pool %c has no GPU; assign one with 'vgpu-admin assign-gpu --gpu-id=<id> "
                "--pool=%c')\n",
                vm->pool, vm->pool);
    }
    fprintf(out, "  Priority: %s\n", vgpu_priority_name(vm->priority));
    if (vm->paused)
        fputs("  Paused: yes (it gets no GPU; let it go on with 'vgpu-admin resume')\n", out);
    if (vm->quarantined) {
        fputs("  Quarantine: ", out);
        text_style_begin(out, context->colour, TEXT_BAD);
        text_put(out, describe_quarantine(vm), SIZE_MAX);
        text_style_end(out, context->colour, TEXT_BAD);
        fprintf(out, " (since %s UTC; let it go on with 'vgpu-admin release')\n", vm->quarantined_at);
    }
    describe_limits(out, vm, snapshot_find_pool(snapshot, vm->pool));
    fprintf(out, "  Socket: %s/guests/%s.sock\n", vgpu_run_dir(context->vgpu), vm->vm_uuid);
    if (vm->vsock_cid != 0)
        fprintf(out, "  vsock CID: %" PRIu32 "\n", vm->vsock_cid);
    char window[PATH_MAX];
    uint64_t window_bytes = vgpu_window(context->vgpu, vm->vm_uuid, window, sizeof window);
    if (window_bytes != 0)
        fprintf(out, "  Window: %s, %" PRIu64 " MiB\n", window, window_bytes >> 20);
    fprintf(out, "  Registered: %s UTC\n  Changed: %s UTC\n", vm->created_at, vm->updated_at);
}

/* What is shown of VMs. */
struct shown_vms {
    struct vgpu_vm *vms;
    size_t count;
    struct vgpu_snapshot snapshot;
    struct vgpu_live live;
    struct vgpu_error live_note; /* why live is not known; empty where it is */
};

static json_t *document_window(const struct vgpu *vgpu, const char *vm_uuid)
{
    char path[PATH_MAX];
    uint64_t bytes = vgpu_window(vgpu, vm_uuid, path, sizeof path);
    if (bytes == 0)
        return json_null();
    return json_pack("{s:o, s:I}", "path", document_text(path), "bytes", (json_int_t)bytes);
}

static json_t *document_shown(const struct command_context *context, const struct shown_vms *shown)
{
    json_t *list = json_array();
    for (size_t i = 0; i < shown->count; i++) {
        char socket[4096];
        const struct vgpu_gpu *gpu = snapshot_vm_gpu(&shown->snapshot, &shown->vms[i]);
        const struct vgpu_live_vm *live = find_live(&shown->live, shown->vms[i].vm_uuid);
        json_t *vm = document_vm(&shown->vms[i]);
        snprintf(socket, sizeof socket, "%s/guests/%s.sock", vgpu_run_dir(context->vgpu),
                 shown->vms[i].vm_uuid);
        json_object_set_new(vm, "socket", document_text(socket));
        json_object_set_new(vm, "window", document_window(context->vgpu, shown->vms[i].vm_uuid));
        json_object_set_new(vm, "gpu", gpu != NULL ? document_gpu(&shown->snapshot, gpu) : json_null());
        json_object_set_new(vm, "activity", live != NULL ? document_activity(live) : json_null());
        json_array_append_new(list, vm);
    }
    return json_pack("{s:o, s:o}", "vms", list, "note", document_text(shown->live_note.message));
}

enum vgpu_status run_show_vm(const struct command_context *context, struct vgpu_error *err)
{
    struct shown_vms shown = {.count = 0};
    enum vgpu_status status = selection_find(context, &shown.vms, &shown.count, err);
    if (status == VGPU_OK)
        status = vgpu_get_snapshot(context->vgpu, &shown.snapshot, err);
    if (status == VGPU_OK) {
        snapshot_refresh(context->vgpu, &shown.snapshot, &(struct vgpu_error){0});
        if (vgpu_get_live(context->vgpu, &shown.live, &shown.live_note) == VGPU_OK)
            shown.live_note.message[0] = '\0';
    }
    if (status == VGPU_OK && context->output == OUTPUT_JSON)
        status = document_print(context, document_shown(context, &shown), err);
    for (size_t i = 0; status == VGPU_OK && context->output != OUTPUT_JSON && i < shown.count; i++) {
        fputs(i > 0 ? "\n" : "", context->out);
        print_vm(context, &shown.snapshot, &shown.vms[i]);
        print_activity(context->out, &shown.live, &shown.live_note, shown.vms[i].vm_uuid);
    }
    vgpu_live_fini(&shown.live);
    vgpu_snapshot_fini(&shown.snapshot);
    vgpu_free(shown.vms);
    return status;
}

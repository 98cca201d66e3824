/* list-vms, show-vm. */
#include <inttypes.h>
#include <string.h>
#include <vgpu/vgpu.h>

#include "admin/commands.h"
#include "admin/describe.h"
#include "admin/format.h"
#include "admin/table.h"
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
};

static void add_vm_row(struct table *table, const struct vgpu_snapshot *snapshot, const struct vgpu_vm *vm)
{
    char text[DESCRIBE_BYTES];
    const struct vgpu_gpu *gpu = snapshot_vm_gpu(snapshot, vm);
    table_addf(table, "%" PRId32, vm->vm_id);
    table_add(table, vm->vm_name);
    table_add(table, vm->vm_uuid);
    table_addf(table, "%c", vm->pool);
    table_add(table, vgpu_priority_name(vm->priority));
    if (gpu == NULL) {
        table_add(table, NULL);
        table_add(table, NULL);
        table_add(table, "no GPU in the pool");
        return;
    }
    table_addf(table, "GPU %" PRId32, gpu->gpu_id);
    table_add(table, gpu->gpu_name);
    table_add(table, describe_gpu_status(text, gpu));
}

static void print_no_vm(FILE *out, const struct vgpu_snapshot *snapshot)
{
    if (snapshot->vm_count > 0)
        fputs("No VM is in this pool with this priority; 'vgpu-admin list-vms' shows all\n", out);
    else
        fputs("No VM is registered; register one as 'vgpu-admin register-vm --help' shows\n", out);
}

enum vgpu_status run_list_vms(const struct command_context *context, struct vgpu_error *err)
{
    char pool = arguments_letter(context->arguments, OPTION_POOL);
    bool by_priority = arguments_has(context->arguments, OPTION_PRIORITY);
    struct vgpu_snapshot snapshot = {0};
    size_t shown = 0;
    enum vgpu_status status = vgpu_get_snapshot(context->vgpu, &snapshot, err);
    if (status == VGPU_OK)
        status = snapshot_require_pool(&snapshot, pool, err);
    if (status == VGPU_OK) {
        struct table *table = table_create(vm_columns, sizeof vm_columns / sizeof vm_columns[0]);
        for (size_t i = 0; i < snapshot.vm_count; i++) {
            const struct vgpu_vm *vm = &snapshot.vms[i];
            if ((pool != 0 && vm->pool != pool) ||
                (by_priority && vm->priority != arguments_number(context->arguments, OPTION_PRIORITY)))
                continue;
            add_vm_row(table, &snapshot, vm);
            shown++;
        }
        if (shown == 0)
            print_no_vm(context->out, &snapshot);
        else
            status = table_print(table, context->out, context->width, err);
        table_destroy(table);
    }
    vgpu_snapshot_fini(&snapshot);
    return status;
}

/* What the VM has done since the daemon started, where there is a daemon. */
static void print_activity(const struct command_context *context, const char *vm_uuid)
{
    struct vgpu_live live = {0};
    struct vgpu_error why = {0};
    const struct vgpu_live_vm *found = NULL;
    FILE *out = context->out;
    if (vgpu_get_live(context->vgpu, &live, &why) != VGPU_OK) {
        fputs("  Activity: unknown; ", out);
        text_put(out, why.message, SIZE_MAX);
        fputc('\n', out);
        return;
    }
    for (size_t i = 0; i < live.vm_count && found == NULL; i++)
        if (strcmp(live.vms[i].vm_uuid, vm_uuid) == 0)
            found = &live.vms[i];
    if (found == NULL) {
        fputs("  Activity: none since the daemon started\n", out);
    } else {
        char waited[FORMAT_BYTES];
        char held[FORMAT_BYTES];
        fprintf(out, "  Guest Processes: %" PRIu32 "\n", found->processes);
        fprintf(out, "  Grants: %" PRIu64 " (waited %s, held %s in all)\n", found->grants,
                format_duration(waited, found->wait_us), format_duration(held, found->hold_us));
        fprintf(out, "  Calls: %" PRIu64 " (%" PRIu64 " of them GPU work)\n", found->calls, found->gpu_calls);
        fprintf(out, "  Device Memory: %s\n",
                format_memory(held, (found->device_memory_bytes + (1u << 20) - 1) >> 20));
    }
    vgpu_live_fini(&live);
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
        text_put(out, describe_gpu_status(status, gpu), SIZE_MAX);
        fputc('\n', out);
    } else {
        fprintf(out,
                "  GPU: none (pool %c has no GPU; assign one with 'vgpu-admin assign-gpu --gpu-id=<id> "
                "--pool=%c')\n",
                vm->pool, vm->pool);
    }
    fprintf(out, "  Priority: %s\n", vgpu_priority_name(vm->priority));
    fprintf(out, "  Socket: %s/guests/%s.sock\n", vgpu_run_dir(context->vgpu), vm->vm_uuid);
    if (vm->vsock_cid != 0)
        fprintf(out, "  vsock CID: %" PRIu32 "\n", vm->vsock_cid);
    fprintf(out, "  Registered: %s UTC\n  Changed: %s UTC\n", vm->created_at, vm->updated_at);
}

enum vgpu_status run_show_vm(const struct command_context *context, struct vgpu_error *err)
{
    const char *vm_uuid = arguments_text(context->arguments, OPTION_VM_UUID);
    struct vgpu_vm vm;
    struct vgpu_snapshot snapshot = {0};
    enum vgpu_status status = vgpu_get_vm(context->vgpu, vm_uuid, &vm, err);
    if (status == VGPU_OK)
        status = vgpu_get_snapshot(context->vgpu, &snapshot, err);
    if (status == VGPU_OK) {
        snapshot_refresh(context->vgpu, &snapshot, &(struct vgpu_error){0});
        print_vm(context, &snapshot, &vm);
        print_activity(context, vm.vm_uuid);
    }
    vgpu_snapshot_fini(&snapshot);
    return status;
}

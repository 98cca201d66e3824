/* status, list-pools: the control panel. */
#include <inttypes.h>
#include <string.h>
#include <vgpu/vgpu.h>

#include "admin/commands.h"
#include "admin/describe.h"
#include "admin/queue_lines.h"
#include "admin/table.h"
#include "admin/text.h"

#define PANEL_WIDTH 80 /* as the requirement draws it */

static void print_rule(FILE *out, char of, size_t length)
{
    while (length-- > 0)
        fputc(of, out);
    fputc('\n', out);
}

static void print_heading(FILE *out, const char *heading)
{
    fprintf(out, "%s\n", heading);
    print_rule(out, '-', strlen(heading));
}

static void print_title(FILE *out, size_t width)
{
    print_rule(out, '=', width);
    fprintf(out, "%*sGPU Virtualization Control Panel\n", width < PANEL_WIDTH ? 0 : 20, "");
    print_rule(out, '=', width);
}

static void print_gpus(FILE *out, const struct vgpu_snapshot *snapshot, const struct vgpu_error *note)
{
    fputc('\n', out);
    print_heading(out, "Physical GPUs:");
    if (snapshot->gpu_count == 0)
        fputs("None known; look for GPUs with 'vgpu-admin scan-gpus'\n", out);
    describe_note(out, note);
    for (size_t i = 0; i < snapshot->gpu_count; i++) {
        if (i > 0)
            fputc('\n', out);
        describe_gpu_block(out, snapshot, &snapshot->gpus[i]);
    }
}

/* "  High Priority: 3 VMs (VM-1, VM-2, VM-3)", wrapped between names. */
static void print_class(FILE *out, size_t width, const struct vgpu_snapshot *snapshot, char pool,
                        enum vgpu_priority priority, size_t count)
{
    static const char *const labels[] = {
        [VGPU_PRIORITY_LOW] = "Low", [VGPU_PRIORITY_MEDIUM] = "Medium", [VGPU_PRIORITY_HIGH] = "High"};
    char number[DESCRIBE_BYTES];
    char piece[VGPU_VM_NAME_BYTES + 4];
    struct text_flow flow = {.out = out, .width = width, .indent = 4};
    snprintf(piece, sizeof piece, "  %s Priority: %s", labels[priority], describe_count(number, count, "VM"));
    text_flow_put(&flow, piece);
    size_t shown = 0;
    for (size_t i = 0; i < snapshot->vm_count; i++) {
        const struct vgpu_vm *vm = &snapshot->vms[i];
        if (vm->pool != pool || vm->priority != priority)
            continue;
        shown++;
        snprintf(piece, sizeof piece, "%s%s%s", shown == 1 ? " (" : " ", vm->vm_name,
                 shown == count ? ")" : ",");
        text_flow_put(&flow, piece);
    }
    fputc('\n', out);
}

static void print_pools(FILE *out, size_t width, const struct vgpu_snapshot *snapshot)
{
    fputc('\n', out);
    print_heading(out, "Pool Summary:");
    for (size_t i = 0; i < snapshot->pool_count; i++) {
        const struct vgpu_pool *pool = &snapshot->pools[i];
        char gpus[DESCRIBE_BYTES];
        char number[DESCRIBE_BYTES];
        fprintf(out, "%sPool %c (%s): %s\n", i > 0 ? "\n" : "", pool->pool,
                describe_pool_gpus(gpus, snapshot, pool->pool), describe_count(number, pool->vm_count, "VM"));
        for (int priority = VGPU_PRIORITY_HIGH; priority >= VGPU_PRIORITY_LOW; priority--)
            print_class(out, width, snapshot, pool->pool, (enum vgpu_priority)priority,
                        pool->vm_count_by_priority[priority]);
    }
}

static void print_queue(const struct command_context *context, size_t width,
                        const struct vgpu_snapshot *snapshot)
{
    struct vgpu_live live = {0};
    struct vgpu_error why = {0};
    FILE *out = context->out;
    enum vgpu_status status = vgpu_get_live(context->vgpu, &live, &why);
    fputc('\n', out);
    print_heading(out, "Queue:");
    if (status == VGPU_OK) {
        queue_print_lines(out, width, snapshot, &live);
        vgpu_live_fini(&live);
    } else {
        text_put(out, why.message, SIZE_MAX);
        fputc('\n', out);
    }
}

/* GPUs and configuration without the daemon; what the daemon or the driver cannot say is said to be unknown,
 * and the panel is printed all the same. */
enum vgpu_status run_status(const struct command_context *context, struct vgpu_error *err)
{
    size_t width = context->width > 0 ? context->width : PANEL_WIDTH;
    struct vgpu_snapshot snapshot = {0};
    struct vgpu_error note;
    FILE *out = context->out;
    enum vgpu_status status = vgpu_get_snapshot(context->vgpu, &snapshot, err);
    if (status != VGPU_OK)
        return status;
    snapshot_refresh(context->vgpu, &snapshot, &note);
    print_title(out, width < PANEL_WIDTH ? width : PANEL_WIDTH);
    print_gpus(out, &snapshot, &note);
    print_pools(out, width, &snapshot);
    fputs("\nUnregistered VMs: 0 known\n  (no hypervisor is asked for its VMs)\n", out);
    print_queue(context, width, &snapshot);
    vgpu_snapshot_fini(&snapshot);
    return VGPU_OK;
}

static const struct table_column pool_columns[] = {
    {.heading = "POOL"},
    {.heading = "GPUS", .narrowest = 10},
    {.heading = "VMS", .align = TABLE_RIGHT},
    {.heading = "HIGH", .align = TABLE_RIGHT},
    {.heading = "MEDIUM", .align = TABLE_RIGHT},
    {.heading = "LOW", .align = TABLE_RIGHT},
};

enum vgpu_status run_list_pools(const struct command_context *context, struct vgpu_error *err)
{
    struct vgpu_snapshot snapshot = {0};
    enum vgpu_status status = vgpu_get_snapshot(context->vgpu, &snapshot, err);
    if (status != VGPU_OK)
        return status;
    struct table *table = table_create(pool_columns, sizeof pool_columns / sizeof pool_columns[0]);
    for (size_t i = 0; i < snapshot.pool_count; i++) {
        char gpus[DESCRIBE_BYTES];
        const struct vgpu_pool *pool = &snapshot.pools[i];
        table_addf(table, "%c", pool->pool);
        table_add(table, describe_pool_gpus(gpus, &snapshot, pool->pool));
        table_addf(table, "%" PRIu32, pool->vm_count);
        for (int priority = VGPU_PRIORITY_HIGH; priority >= VGPU_PRIORITY_LOW; priority--)
            table_addf(table, "%" PRIu32, pool->vm_count_by_priority[priority]);
    }
    status = table_print(table, context->out, context->width, err);
    table_destroy(table);
    vgpu_snapshot_fini(&snapshot);
    return status;
}

/* status, list-pools: the control panel. */
#include <inttypes.h>
#include <string.h>
#include <vgpu/vgpu.h>

#include "admin/commands.h"
#include "admin/describe.h"
#include "admin/document.h"
#include "admin/listing.h"
#include "admin/queue_lines.h"
#include "admin/text.h"
#include "admin/vm_scan_document.h"
#include "admin/vm_scan_lines.h"

/* So long the panel waits for hypervisors. */
#define SCAN_TIME_LIMIT_MS 2000

#define PANEL_WIDTH 80 /* as the requirement draws it */

static void print_rule(FILE *out, char of, size_t length)
{
    while (length-- > 0)
        fputc(of, out);
    fputc('\n', out);
}

static void print_heading(FILE *out, bool colour, const char *heading)
{
    text_style_begin(out, colour, TEXT_HEADING);
    fputs(heading, out);
    text_style_end(out, colour, TEXT_HEADING);
    fputc('\n', out);
    print_rule(out, '-', strlen(heading));
}

static void print_title(FILE *out, bool colour, size_t width)
{
    print_rule(out, '=', width);
    fprintf(out, "%*s", width < PANEL_WIDTH ? 0 : 20, "");
    text_style_begin(out, colour, TEXT_HEADING);
    fputs("GPU Virtualization Control Panel", out);
    text_style_end(out, colour, TEXT_HEADING);
    fputc('\n', out);
    print_rule(out, '=', width);
}

static void print_gpus(FILE *out, bool colour, const struct vgpu_snapshot *snapshot,
                       const struct vgpu_error *note)
{
    fputc('\n', out);
    print_heading(out, colour, "Physical GPUs:");
    if (snapshot->gpu_count == 0)
        fputs("None known; look for GPUs with 'vgpu-admin scan-gpus'\n", out);
    describe_note(out, note);
    for (size_t i = 0; i < snapshot->gpu_count; i++) {
        if (i > 0)
            fputc('\n', out);
        describe_gpu_block(out, colour, snapshot, &snapshot->gpus[i]);
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

/* "  Quarantined: 2 VMs (VM-1: mines coins, VM-2: ...)"; nothing where none is. */
static void print_quarantined(FILE *out, size_t width, const struct vgpu_snapshot *snapshot, char pool)
{
    char piece[VGPU_VM_NAME_BYTES + VGPU_REASON_BYTES + 16];
    struct text_flow flow = {.out = out, .width = width, .indent = 4};
    size_t shown = 0;
    for (size_t i = 0; i < snapshot->vm_count; i++) {
        const struct vgpu_vm *vm = &snapshot->vms[i];
        if (vm->pool != pool || !vm->quarantined)
            continue;
        snprintf(piece, sizeof piece, "%s%s (%s)", shown > 0 ? ", " : "  Quarantined: ", vm->vm_name,
                 describe_quarantine(vm));
        text_flow_put(&flow, piece);
        shown++;
    }
    fputs(shown > 0 ? "\n" : "", out);
}

static void print_pools(FILE *out, bool colour, size_t width, const struct vgpu_snapshot *snapshot)
{
    fputc('\n', out);
    print_heading(out, colour, "Pool Summary:");
    for (size_t i = 0; i < snapshot->pool_count; i++) {
        const struct vgpu_pool *pool = &snapshot->pools[i];
        char gpus[DESCRIBE_BYTES];
        char number[DESCRIBE_BYTES];
        fprintf(out, "%sPool %c (%s): %s\n", i > 0 ? "\n" : "", pool->pool,
                describe_pool_gpus(gpus, snapshot, pool->pool), describe_count(number, pool->vm_count, "VM"));
        for (int priority = VGPU_PRIORITY_HIGH; priority >= VGPU_PRIORITY_LOW; priority--)
            print_class(out, width, snapshot, pool->pool, (enum vgpu_priority)priority,
                        pool->vm_count_by_priority[priority]);
        if ((pool->limits.set >> VGPU_LIMIT_MODE & 1u) != 0)
            fprintf(out, "  Mode: %s\n", describe_mode(number, pool));
        print_quarantined(out, width, snapshot, pool->pool);
    }
}

/* What the panel shows. Without the daemon or the driver the rest is there all the same. */
struct panel {
    struct vgpu_snapshot snapshot;
    struct vgpu_error driver_note; /* why values of GPUs are not known; empty where they are */
    struct vgpu_live live;
    struct vgpu_error daemon_note; /* why the queue is not known; empty where it is */
    struct vgpu_vm_scan scan;
    struct vgpu_error scan_note; /* why no hypervisor could be asked; empty where they were */
};

static void print_queue(FILE *out, bool colour, size_t width, const struct panel *panel)
{
    fputc('\n', out);
    print_heading(out, colour, "Queue:");
    if (panel->daemon_note.message[0] == '\0') {
        queue_print_lines(out, width, &panel->snapshot, &panel->live);
    } else {
        text_put(out, panel->daemon_note.message, SIZE_MAX);
        fputc('\n', out);
    }
}

static void print_panel(const struct command_context *context, const struct panel *panel)
{
    size_t width = context->width > 0 ? context->width : PANEL_WIDTH;
    FILE *out = context->out;
    print_title(out, context->colour, width < PANEL_WIDTH ? width : PANEL_WIDTH);
    print_gpus(out, context->colour, &panel->snapshot, &panel->driver_note);
    print_pools(out, context->colour, width, &panel->snapshot);
    fputc('\n', out);
    vm_scan_print_panel(out, width, &panel->scan);
    if (panel->scan_note.message[0] != '\0') {
        fputs("  ", out);
        text_put(out, panel->scan_note.message, SIZE_MAX);
        fputc('\n', out);
    }
    print_queue(out, context->colour, width, panel);
}

static enum vgpu_status print_panel_json(const struct command_context *context, const struct panel *panel,
                                         struct vgpu_error *err)
{
    const struct vgpu_snapshot *snapshot = &panel->snapshot;
    bool has_live = panel->daemon_note.message[0] == '\0';
    json_t *pools = json_array();
    json_t *queue = json_array();
    for (size_t i = 0; i < snapshot->pool_count; i++)
        json_array_append_new(pools, document_pool(snapshot, &snapshot->pools[i]));
    for (size_t i = 0; i < panel->live.gpu_count; i++)
        json_array_append_new(queue, document_queue(snapshot, &panel->live.gpus[i]));
    return document_print(context,
                          json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "gpus",
                                    document_gpus(snapshot, snapshot->gpus, snapshot->gpu_count), "pools",
                                    pools, "vms", document_vms(snapshot->vms, snapshot->vm_count), "daemon",
                                    has_live ? document_daemon(&panel->live) : json_null(), "queue", queue,
                                    "driver_note", document_text(panel->driver_note.message), "daemon_note",
                                    document_text(panel->daemon_note.message), "hypervisors",
                                    document_hypervisors(&panel->scan), "unregistered_vms",
                                    document_scanned_vms(&panel->scan, VGPU_VM_UNREGISTERED), "vanished_vms",
                                    document_scanned_vms(&panel->scan, VGPU_VM_VANISHED), "scan_note",
                                    document_text(panel->scan_note.message)),
                          err);
}

enum vgpu_status run_status(const struct command_context *context, struct vgpu_error *err)
{
    struct panel panel = {.live = {.pid = 0}};
    enum vgpu_status status = vgpu_get_snapshot(context->vgpu, &panel.snapshot, err);
    if (status != VGPU_OK)
        return status;
    snapshot_refresh(context->vgpu, &panel.snapshot, &panel.driver_note);
    if (vgpu_get_live(context->vgpu, &panel.live, &panel.daemon_note) == VGPU_OK)
        panel.daemon_note.message[0] = '\0';
    if (vgpu_scan_vms(context->vgpu, &panel.snapshot, SCAN_TIME_LIMIT_MS, &panel.scan, &panel.scan_note) ==
        VGPU_OK)
        panel.scan_note.message[0] = '\0';
    if (context->output == OUTPUT_JSON)
        status = print_panel_json(context, &panel, err);
    else
        print_panel(context, &panel);
    vgpu_vm_scan_fini(&panel.scan);
    vgpu_live_fini(&panel.live);
    vgpu_snapshot_fini(&panel.snapshot);
    return status;
}

/* queue, history: who uses the GPUs now, and who has used them. */
#include <inttypes.h>
#include <vgpu/vgpu.h>

#include "admin/commands.h"
#include "admin/format.h"
#include "admin/queue_lines.h"
#include "admin/snapshot.h"
#include "admin/table.h"
#include "base/clock.h"

#define HISTORY_DEFAULT_LIMIT 50

static const struct table_column queue_columns[] = {
    {.heading = "GPU", .align = TABLE_RIGHT},
    {.heading = "STATE"},
    {.heading = "VM", .narrowest = 8},
    {.heading = "UUID", .narrowest = 13, .optional = 1},
    {.heading = "PRIORITY"},
    {.heading = "SINCE"},
    {.heading = "FOR", .align = TABLE_RIGHT},
};

/* One row of the queue; vm_uuid and priority are NULL where nobody is. */
static void add_queue_row(struct table *table, const struct vgpu_snapshot *snapshot, int32_t gpu_id,
                          const char *state, const char *vm_uuid, const char *priority, uint64_t for_us)
{
    char text[FORMAT_BYTES];
    table_addf(table, "%" PRId32, gpu_id);
    table_add(table, state);
    table_add(table, vm_uuid != NULL ? queue_vm_name(snapshot, vm_uuid) : NULL);
    table_add(table, vm_uuid);
    table_add(table, priority);
    table_add(table, vm_uuid != NULL ? format_clock(text, clock_wall_us() - for_us) : NULL);
    table_add(table, vm_uuid != NULL ? format_duration(text, for_us) : NULL);
}

static void add_queue(struct table *table, const struct vgpu_snapshot *snapshot,
                      const struct vgpu_live_gpu *gpu)
{
    if (gpu->holder[0] == '\0') {
        add_queue_row(table, snapshot, gpu->gpu_id, "free", NULL, NULL, 0);
    } else {
        const struct vgpu_vm *vm = snapshot_find_vm(snapshot, gpu->holder);
        add_queue_row(table, snapshot, gpu->gpu_id, "holds", gpu->holder,
                      vm != NULL ? vgpu_priority_name(vm->priority) : NULL, gpu->held_us);
    }
    for (size_t i = 0; i < gpu->waiting_count; i++) {
        const struct vgpu_live_waiting *waiting = &gpu->waiting[i];
        add_queue_row(table, snapshot, gpu->gpu_id, "waits", waiting->vm_uuid,
                      vgpu_priority_name(waiting->priority), waiting->waiting_us);
    }
}

enum vgpu_status run_queue(const struct command_context *context, struct vgpu_error *err)
{
    struct vgpu_snapshot snapshot = {0};
    struct vgpu_live live = {0};
    enum vgpu_status status = vgpu_get_live(context->vgpu, &live, err);
    if (status != VGPU_OK)
        return status;
    status = vgpu_get_snapshot(context->vgpu, &snapshot, err);
    if (status == VGPU_OK && live.gpu_count == 0) {
        queue_print_lines(context->out, context->width, &snapshot, &live);
    } else if (status == VGPU_OK) {
        struct table *table = table_create(queue_columns, sizeof queue_columns / sizeof queue_columns[0]);
        for (size_t i = 0; i < live.gpu_count; i++)
            add_queue(table, &snapshot, &live.gpus[i]);
        status = table_print(table, context->out, context->width, err);
        table_destroy(table);
    }
    vgpu_snapshot_fini(&snapshot);
    vgpu_live_fini(&live);
    return status;
}

static const struct table_column history_columns[] = {
    {.heading = "VM", .narrowest = 8},
    {.heading = "UUID", .narrowest = 13, .optional = 4},
    {.heading = "GPU", .align = TABLE_RIGHT},
    {.heading = "PRIORITY", .optional = 1},
    {.heading = "ASKED"},
    {.heading = "GOT"},
    {.heading = "GAVE BACK"},
    {.heading = "WAITED", .align = TABLE_RIGHT, .optional = 2},
    {.heading = "HELD", .align = TABLE_RIGHT, .optional = 3},
    {.heading = "WHY"},
};

/* From one time to a later one; 0 where the clock was set back in between. */
static uint64_t elapsed_us(int64_t from_us, int64_t to_us)
{
    return to_us > from_us ? (uint64_t)(to_us - from_us) : 0;
}

static void add_grant_row(struct table *table, const struct vgpu_grant *grant)
{
    char text[FORMAT_BYTES];
    table_add(table, grant->vm_name[0] != '\0' ? grant->vm_name : grant->vm_uuid);
    table_add(table, grant->vm_uuid);
    table_addf(table, "%" PRId32, grant->gpu_id);
    table_add(table, vgpu_priority_name(grant->priority));
    table_add(table, format_time(text, (uint64_t)grant->asked_us));
    table_add(table, format_clock(text, (uint64_t)grant->got_us));
    table_add(table, format_clock(text, (uint64_t)grant->gave_back_us));
    table_add(table, format_duration(text, elapsed_us(grant->asked_us, grant->got_us)));
    table_add(table, format_duration(text, elapsed_us(grant->got_us, grant->gave_back_us)));
    table_add(table, grant->reason);
}

/* Nothing was found. A VM or GPU that is not known is a mistake; a removed VM may still have grants. */
static enum vgpu_status explain_empty(const struct command_context *context,
                                      const struct vgpu_history_filter *filter, struct vgpu_error *err)
{
    struct vgpu_vm vm;
    struct vgpu_gpu gpu;
    enum vgpu_status status = VGPU_OK;
    if (filter->vm_uuid != NULL)
        status = vgpu_get_vm(context->vgpu, filter->vm_uuid, &vm, err);
    if (status == VGPU_OK && filter->gpu_id >= 0)
        status = vgpu_get_gpu(context->vgpu, filter->gpu_id, &gpu, err);
    if (status == VGPU_OK)
        fputs("No grant is on record; grants are written while the daemon runs and VMs use a GPU\n",
              context->out);
    return status;
}

enum vgpu_status run_history(const struct command_context *context, struct vgpu_error *err)
{
    const struct arguments *arguments = context->arguments;
    struct vgpu_history_filter filter = {
        .vm_uuid = arguments_text(arguments, OPTION_VM_UUID),
        .gpu_id = arguments_has(arguments, OPTION_GPU_ID)
                      ? (int32_t)arguments_number(arguments, OPTION_GPU_ID)
                      : -1,
        .limit = arguments_has(arguments, OPTION_LIMIT) ? (size_t)arguments_number(arguments, OPTION_LIMIT)
                                                        : HISTORY_DEFAULT_LIMIT,
    };
    struct vgpu_grant *grants = NULL;
    size_t count = 0;
    enum vgpu_status status = vgpu_list_grants(context->vgpu, &filter, &grants, &count, err);
    if (status == VGPU_OK && count == 0) {
        status = explain_empty(context, &filter, err);
    } else if (status == VGPU_OK) {
        struct table *table =
            table_create(history_columns, sizeof history_columns / sizeof history_columns[0]);
        for (size_t i = 0; i < count; i++)
            add_grant_row(table, &grants[i]);
        status = table_print(table, context->out, context->width, err);
        table_destroy(table);
    }
    vgpu_free(grants);
    return status;
}

/* queue: who uses the GPUs now, and who waits. */
#include <inttypes.h>
#include <vgpu/vgpu.h>

#include "admin/commands.h"
#include "admin/document.h"
#include "admin/format.h"
#include "admin/listing.h"
#include "admin/queue_lines.h"
#include "admin/snapshot.h"
#include "base/clock.h"

static const struct table_column queue_columns[] = {
    {.heading = "GPU", .align = TABLE_RIGHT},
    {.heading = "STATE"},
    {.heading = "VM", .narrowest = 8},
    {.heading = "UUID", .narrowest = 13, .optional = 1},
    {.heading = "PRIORITY"},
    {.heading = "SINCE"},
    {.heading = "FOR", .align = TABLE_RIGHT},
};
const struct table_layout queue_table = {queue_columns, sizeof queue_columns / sizeof queue_columns[0]};

/* One row of the queue; vm_uuid and priority are NULL where nobody is. */
static void add_queue_row(struct table *table, const struct vgpu_snapshot *snapshot, int32_t gpu_id,
                          const char *state, const char *vm_uuid, const char *priority, uint64_t for_us)
{
    char text[FORMAT_BYTES];
    table_addf(table, "%" PRId32, gpu_id);
    table_add_styled(table, vm_uuid != NULL && state[0] == 'h' ? TEXT_GOOD : TEXT_PLAIN, state);
    table_add(table, vm_uuid != NULL ? queue_vm_name(snapshot, vm_uuid) : NULL);
    table_add(table, vm_uuid);
    table_add(table, priority);
    table_add(table, vm_uuid != NULL ? format_clock(text, clock_wall_us() - for_us) : NULL);
    table_add(table, vm_uuid != NULL ? format_duration(text, for_us) : NULL);
}

/* Who runs in the gaps that the holder leaves; since when is not told. */
static void add_background(struct table *table, const struct vgpu_snapshot *snapshot,
                           const struct vgpu_live_gpu *gpu)
{
    const struct vgpu_vm *vm = snapshot_find_vm(snapshot, gpu->background);
    table_addf(table, "%" PRId32, gpu->gpu_id);
    table_add(table, "beside");
    table_add(table, queue_vm_name(snapshot, gpu->background));
    table_add(table, gpu->background);
    table_add(table, vm != NULL ? vgpu_priority_name(vm->priority) : NULL);
    table_add(table, NULL);
    table_add(table, NULL);
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
    if (gpu->background[0] != '\0')
        add_background(table, snapshot, gpu);
    for (size_t i = 0; i < gpu->waiting_count; i++) {
        const struct vgpu_live_waiting *waiting = &gpu->waiting[i];
        add_queue_row(table, snapshot, gpu->gpu_id, "waits", waiting->vm_uuid,
                      vgpu_priority_name(waiting->priority), waiting->waiting_us);
    }
}

static enum vgpu_status print_queue_json(const struct command_context *context,
                                         const struct vgpu_snapshot *snapshot, const struct vgpu_live *live,
                                         struct vgpu_error *err)
{
    json_t *gpus = json_array();
    json_t *vms = json_array();
    for (size_t i = 0; i < live->gpu_count; i++)
        json_array_append_new(gpus, document_queue(snapshot, &live->gpus[i]));
    for (size_t i = 0; i < live->vm_count; i++)
        json_array_append_new(vms, document_activity(&live->vms[i]));
    return document_print(
        context,
        json_pack("{s:o, s:o, s:o}", "daemon", document_daemon(live), "queue", gpus, "activity", vms), err);
}

enum vgpu_status run_queue(const struct command_context *context, struct vgpu_error *err)
{
    struct vgpu_snapshot snapshot = {0};
    struct vgpu_live live = {0};
    enum vgpu_status status = vgpu_get_live(context->vgpu, &live, err);
    if (status != VGPU_OK)
        return status;
    status = vgpu_get_snapshot(context->vgpu, &snapshot, err);
    if (status == VGPU_OK && context->output == OUTPUT_JSON) {
        status = print_queue_json(context, &snapshot, &live, err);
    } else if (status == VGPU_OK && live.gpu_count == 0) {
        queue_print_lines(context->out, context->width, &snapshot, &live);
    } else if (status == VGPU_OK) {
        struct table *table = table_create(&queue_table);
        for (size_t i = 0; i < live.gpu_count; i++)
            add_queue(table, &snapshot, &live.gpus[i]);
        status = listing_print(context, table, err);
    }
    vgpu_snapshot_fini(&snapshot);
    vgpu_live_fini(&live);
    return status;
}

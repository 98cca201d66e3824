/* list-pools, add-pool, remove-pool. */
#include <inttypes.h>
#include <vgpu/vgpu.h>

#include "admin/commands.h"
#include "admin/describe.h"
#include "admin/document.h"
#include "admin/listing.h"

static const struct table_column pool_columns[] = {
    {.heading = "POOL"},
    {.heading = "GPUS", .narrowest = 10},
    {.heading = "VMS", .align = TABLE_RIGHT},
    {.heading = "HIGH", .align = TABLE_RIGHT},
    {.heading = "MEDIUM", .align = TABLE_RIGHT},
    {.heading = "LOW", .align = TABLE_RIGHT},
    {.heading = "MODE"},
};
const struct table_layout pool_table = {pool_columns, sizeof pool_columns / sizeof pool_columns[0]};

static enum vgpu_status print_json(const struct command_context *context,
                                   const struct vgpu_snapshot *snapshot, struct vgpu_error *err)
{
    json_t *pools = json_array();
    for (size_t i = 0; i < snapshot->pool_count; i++)
        json_array_append_new(pools, document_pool(snapshot, &snapshot->pools[i]));
    return document_print(context, json_pack("{s:o}", "pools", pools), err);
}

static enum vgpu_status print_table(const struct command_context *context,
                                    const struct vgpu_snapshot *snapshot, struct vgpu_error *err)
{
    struct table *table = table_create(&pool_table);
    for (size_t i = 0; i < snapshot->pool_count; i++) {
        char gpus[DESCRIBE_BYTES];
        char mode[DESCRIBE_BYTES];
        const struct vgpu_pool *pool = &snapshot->pools[i];
        table_addf(table, "%c", pool->pool);
        table_add(table, describe_pool_gpus(gpus, snapshot, pool->pool));
        table_addf(table, "%" PRIu32, pool->vm_count);
        for (int priority = VGPU_PRIORITY_HIGH; priority >= VGPU_PRIORITY_LOW; priority--)
            table_addf(table, "%" PRIu32, pool->vm_count_by_priority[priority]);
        table_add(table, describe_mode(mode, pool));
    }
    return listing_print(context, table, err);
}

enum vgpu_status run_list_pools(const struct command_context *context, struct vgpu_error *err)
{
    struct vgpu_snapshot snapshot = {0};
    enum vgpu_status status = vgpu_get_snapshot(context->vgpu, &snapshot, err);
    if (status != VGPU_OK)
        return status;
    status = context->output == OUTPUT_JSON ? print_json(context, &snapshot, err)
                                            : print_table(context, &snapshot, err);
    vgpu_snapshot_fini(&snapshot);
    return status;
}

/* Ends the command: the pools there are now as JSON, or a line that says what was done. */
static enum vgpu_status print_done(const struct command_context *context, const char *done, char pool,
                                   const char *next, struct vgpu_error *err)
{
    if (context->output == OUTPUT_JSON)
        return run_list_pools(context, err);
    fprintf(context->out, "%s pool %c%s", done, pool, next);
    return VGPU_OK;
}

enum vgpu_status run_add_pool(const struct command_context *context, struct vgpu_error *err)
{
    char pool = arguments_letter(context->arguments, OPTION_POOL);
    enum vgpu_status status = vgpu_add_pool(context->vgpu, pool, err);
    return status == VGPU_OK
               ? print_done(context, "Added", pool,
                            "; give it a GPU with 'vgpu-admin assign-gpu --gpu-id=<id> --pool=<letter>'\n",
                            err)
               : status;
}

enum vgpu_status run_remove_pool(const struct command_context *context, struct vgpu_error *err)
{
    char pool = arguments_letter(context->arguments, OPTION_POOL);
    enum vgpu_status status = vgpu_remove_pool(context->vgpu, pool, err);
    return status == VGPU_OK ? print_done(context, "Removed", pool, "\n", err) : status;
}

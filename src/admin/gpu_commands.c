/* scan-gpus, list-gpus, show-gpu, assign-gpu, unassign-gpu. */
#include <inttypes.h>
#include <string.h>
#include <vgpu/vgpu.h>

#include "admin/commands.h"
#include "admin/describe.h"
#include "admin/document.h"
#include "admin/format.h"
#include "admin/listing.h"
#include "admin/text.h"
#include "base/error.h"

static const struct vgpu_gpu *find_in_list(const struct vgpu_gpu *gpus, size_t count, int32_t gpu_id)
{
    for (size_t i = 0; i < count; i++)
        if (gpus[i].gpu_id == gpu_id)
            return &gpus[i];
    return NULL;
}

/* GPUs of earlier scans that this one did not find: silence about them would look like all is well. Moves
 * them to the front of known; returns how many. */
static size_t keep_missing(const struct vgpu_gpu *found, size_t found_count, struct vgpu_gpu *known,
                           size_t known_count)
{
    size_t missing = 0;
    for (size_t i = 0; i < known_count; i++)
        if (find_in_list(found, found_count, known[i].gpu_id) == NULL)
            known[missing++] = known[i];
    return missing;
}

static void print_found(const struct command_context *context, size_t count)
{
    char text[DESCRIBE_BYTES];
    if (count > 0)
        fprintf(context->out, "Found %s:\n", describe_count(text, count, "GPU"));
    else if (strcmp(vgpu_driver_name(context->vgpu), "simulated") == 0)
        fputs("Found 0 GPUs: the simulated machine has none; give it some with VGPU_SIM_GPUS\n",
              context->out);
    else
        fputs("Found 0 GPUs: neither a driver nor the PCI bus shows one; compare with nvidia-smi and lspci\n",
              context->out);
}

static void print_scan(const struct command_context *context, const struct vgpu_gpu *found,
                       size_t found_count, const struct vgpu_gpu *missing, size_t missing_count)
{
    print_found(context, found_count);
    for (size_t i = 0; i < found_count; i++)
        describe_gpu_line(context->out, &found[i]);
    if (missing_count > 0)
        fputs("\nKnown from before, not found now:\n", context->out);
    for (size_t i = 0; i < missing_count; i++)
        describe_gpu_line(context->out, &missing[i]);
}

enum vgpu_status run_scan_gpus(const struct command_context *context, struct vgpu_error *err)
{
    struct vgpu_gpu *found = NULL;
    size_t found_count = 0;
    size_t missing = 0;
    struct vgpu_snapshot snapshot = {0};
    enum vgpu_status status = vgpu_scan_gpus(context->vgpu, &found, &found_count, err);
    if (status == VGPU_OK)
        status = vgpu_get_snapshot(context->vgpu, &snapshot, err);
    if (status == VGPU_OK)
        missing = keep_missing(found, found_count, snapshot.gpus, snapshot.gpu_count);
    if (status == VGPU_OK && context->output == OUTPUT_JSON)
        status = document_print(context,
                                json_pack("{s:o, s:o}", "gpus", document_gpus(&snapshot, found, found_count),
                                          "missing", document_gpus(&snapshot, snapshot.gpus, missing)),
                                err);
    else if (status == VGPU_OK)
        print_scan(context, found, found_count, snapshot.gpus, missing);
    vgpu_snapshot_fini(&snapshot);
    vgpu_free(found);
    return status;
}

static const struct table_column gpu_columns[] = {
    {.heading = "GPU", .align = TABLE_RIGHT},
    {.heading = "NAME", .narrowest = 12},
    {.heading = "PCI"},
    {.heading = "POOL"},
    {.heading = "MEMORY", .align = TABLE_RIGHT},
    {.heading = "USED", .align = TABLE_RIGHT, .optional = 3},
    {.heading = "UTIL", .align = TABLE_RIGHT, .optional = 2},
    {.heading = "TEMP", .align = TABLE_RIGHT, .optional = 4},
    {.heading = "VMS", .align = TABLE_RIGHT, .optional = 1},
    {.heading = "STATUS", .narrowest = 10},
    {.heading = "POWER", .align = TABLE_RIGHT, .wide = true},
    {.heading = "UUID", .wide = true},
    {.heading = "LAST SEEN", .wide = true},
};
const struct table_layout gpu_table = {gpu_columns, sizeof gpu_columns / sizeof gpu_columns[0]};

static void add_memory(struct table *table, struct vgpu_optional mib)
{
    char text[FORMAT_BYTES];
    table_add(table, mib.known ? format_memory(text, (uint64_t)mib.value) : NULL);
}

static void add_number(struct table *table, struct vgpu_optional number, const char *unit)
{
    char text[DESCRIBE_BYTES];
    table_add(table, number.known ? describe_number(text, number, unit) : NULL);
}

static void add_gpu_row(struct table *table, const struct vgpu_snapshot *snapshot, const struct vgpu_gpu *gpu)
{
    char text[DESCRIBE_BYTES];
    table_addf(table, "%" PRId32, gpu->gpu_id);
    table_add(table, gpu->gpu_name);
    table_add(table, gpu->pci_address);
    table_add(table, gpu->pools);
    add_memory(table, gpu->memory_total_mib);
    add_memory(table, gpu->memory_used_mib);
    add_number(table, gpu->utilization_percent, "%");
    add_number(table, gpu->temperature_c, "°C");
    table_addf(table, "%zu", snapshot_count_gpu_vms(snapshot, gpu->gpu_id).total);
    table_add_styled(table, describe_gpu_style(gpu), describe_gpu_status(text, gpu));
    if (gpu->power_mw.known)
        table_addf(table, "%.1f W", (double)gpu->power_mw.value / 1000);
    else
        table_add(table, NULL);
    table_add(table, gpu->gpu_uuid);
    table_add(table, gpu->last_seen_at);
}

static void print_no_gpu(FILE *out, char pool)
{
    if (pool != 0)
        fprintf(out, "Pool %c has no GPU; assign one with 'vgpu-admin assign-gpu --gpu-id=<id> --pool=%c'\n",
                pool, pool);
    else
        fputs("No GPU is known; look for GPUs with 'vgpu-admin scan-gpus'\n", out);
}

static enum vgpu_status print_gpu_table(const struct command_context *context,
                                        const struct vgpu_snapshot *snapshot, const struct vgpu_gpu *gpus,
                                        size_t count, struct vgpu_error *err)
{
    struct table *table = table_create(&gpu_table);
    for (size_t i = 0; i < count; i++)
        add_gpu_row(table, snapshot, &gpus[i]);
    return listing_print(context, table, err);
}

enum vgpu_status run_list_gpus(const struct command_context *context, struct vgpu_error *err)
{
    char pool = arguments_letter(context->arguments, OPTION_POOL);
    struct vgpu_snapshot snapshot = {0};
    struct vgpu_error note = {0};
    enum vgpu_status status = vgpu_get_snapshot(context->vgpu, &snapshot, err);
    if (status == VGPU_OK)
        status = snapshot_require_pool(&snapshot, pool, err);
    if (status == VGPU_OK) {
        snapshot_refresh(context->vgpu, &snapshot, &note);
        size_t shown = 0;
        for (size_t i = 0; i < snapshot.gpu_count; i++)
            if (pool == 0 || strchr(snapshot.gpus[i].pools, pool) != NULL)
                snapshot.gpus[shown++] = snapshot.gpus[i];
        if (context->output == OUTPUT_JSON)
            status =
                document_print(context,
                               json_pack("{s:o, s:o}", "gpus", document_gpus(&snapshot, snapshot.gpus, shown),
                                         "note", document_text(note.message)),
                               err);
        else if (shown == 0)
            print_no_gpu(context->out, pool);
        else
            status = print_gpu_table(context, &snapshot, snapshot.gpus, shown, err);
    }
    if (status == VGPU_OK && context->output != OUTPUT_JSON)
        describe_note(context->out, &note);
    vgpu_snapshot_fini(&snapshot);
    return status;
}

static void print_gpu_vms(FILE *out, size_t width, const struct vgpu_snapshot *snapshot, int32_t gpu_id)
{
    struct text_flow flow = {.out = out, .width = width > 0 ? width : 80, .indent = 4};
    text_flow_put(&flow, "  VMs: ");
    bool any = false;
    for (size_t i = 0; i < snapshot->vm_count; i++) {
        const struct vgpu_vm *vm = &snapshot->vms[i];
        if (!vm->gpu_id.known || vm->gpu_id.value != gpu_id)
            continue;
        if (any)
            text_flow_put(&flow, ", ");
        any = true;
        text_flow_put(&flow, vm->vm_name);
    }
    fputs(any ? "\n" : "none\n", out);
}

static void print_memory_mib(FILE *out, const struct vgpu_gpu *gpu)
{
    char total[DESCRIBE_BYTES];
    char used[DESCRIBE_BYTES];
    fprintf(out, "  Memory (exact): %s total, %s used\n",
            describe_number(total, gpu->memory_total_mib, " MiB"),
            describe_number(used, gpu->memory_used_mib, " MiB"));
}

/* Of the GPU's primary pool; NULL: it has none. */
static void print_mode(FILE *out, const struct vgpu_pool *pool)
{
    char mode[DESCRIBE_BYTES];
    if (pool != NULL)
        fprintf(out, "  Mode: %s (of pool %c)\n", describe_mode(mode, pool), pool->pool);
}

static void print_gpu(const struct command_context *context, const struct vgpu_snapshot *snapshot,
                      const struct vgpu_gpu *gpu)
{
    FILE *out = context->out;
    describe_gpu_block(out, context->colour, snapshot, gpu);
    print_gpu_vms(out, context->width, snapshot, gpu->gpu_id);
    print_mode(out, snapshot_find_pool(snapshot, gpu->pools[0]));
    fprintf(out, "  UUID: %s\n", gpu->gpu_uuid);
    print_memory_mib(out, gpu);
    if (gpu->power_mw.known)
        fprintf(out, "  Power: %.1f W\n", (double)gpu->power_mw.value / 1000);
    else
        fputs("  Power: unknown\n", out);
    fprintf(out, "  First Seen: %s UTC\n", gpu->created_at);
    fprintf(out, "  Last Seen: %s UTC\n", gpu->last_seen_at);
}

/* The VMs that the GPU serves. */
static json_t *document_gpu_vms(const struct vgpu_snapshot *snapshot, int32_t gpu_id)
{
    json_t *list = json_array();
    for (size_t i = 0; i < snapshot->vm_count; i++)
        if (snapshot->vms[i].gpu_id.known && snapshot->vms[i].gpu_id.value == gpu_id)
            json_array_append_new(list, document_vm(&snapshot->vms[i]));
    return list;
}

enum vgpu_status run_show_gpu(const struct command_context *context, struct vgpu_error *err)
{
    int32_t gpu_id = (int32_t)arguments_number(context->arguments, OPTION_GPU_ID);
    struct vgpu_gpu gpu;
    struct vgpu_snapshot snapshot = {0};
    enum vgpu_status status = vgpu_get_gpu_status(context->vgpu, gpu_id, &gpu, err);
    if (status == VGPU_OK)
        status = vgpu_get_snapshot(context->vgpu, &snapshot, err);
    if (status == VGPU_OK && context->output == OUTPUT_JSON)
        status = document_print(context,
                                json_pack("{s:o, s:o}", "gpus", document_gpus(&snapshot, &gpu, 1), "vms",
                                          document_gpu_vms(&snapshot, gpu_id)),
                                err);
    else if (status == VGPU_OK)
        print_gpu(context, &snapshot, &gpu);
    vgpu_snapshot_fini(&snapshot);
    return status;
}

/* "pool A", "pools A and B". */
static void print_pool_letters(FILE *out, const char *pools)
{
    fputs(pools[1] == '\0' ? "pool " : "pools ", out);
    for (const char *pool = pools; *pool != '\0'; pool++)
        fprintf(out, "%s%c", pool == pools ? "" : pool[1] == '\0' ? " and " : ", ", *pool);
}

/* Pools that had this GPU and now have none: their VMs cannot run anything. */
static void print_orphaned_pools(const struct command_context *context, const char *pools_before)
{
    struct vgpu_pool *pools = NULL;
    size_t count = 0;
    /* The change is made and told; that this cannot be read is no failure of it. */
    if (*pools_before == '\0' || vgpu_list_pools(context->vgpu, &pools, &count, NULL) != VGPU_OK)
        return;
    for (size_t i = 0; i < count; i++) {
        char vms[DESCRIBE_BYTES];
        if (strchr(pools_before, pools[i].pool) == NULL || pools[i].gpu_count > 0 || pools[i].vm_count == 0)
            continue;
        fprintf(context->out,
                "Pool %c has no GPU now and its %s cannot run; give it one with 'vgpu-admin assign-gpu "
                "--gpu-id=<id> --pool=%c'\n",
                pools[i].pool, describe_count(vms, pools[i].vm_count, "VM"), pools[i].pool);
    }
    vgpu_free(pools);
}

/* pools: those it serves now, as they were asked for. */
static void print_assignment(const struct command_context *context, const struct vgpu_gpu *before,
                             const char *pools)
{
    FILE *out = context->out;
    fprintf(out, "GPU %" PRId32 " (", before->gpu_id);
    text_put(out, describe_gpu_name(before), SIZE_MAX);
    fputs(pools[0] != '\0' ? ") now serves " : ") now serves no pool", out);
    if (pools[0] != '\0')
        print_pool_letters(out, pools);
    if (before->pools[0] != '\0' && strcmp(before->pools, pools) != 0) {
        fputs("; before: ", out);
        print_pool_letters(out, before->pools);
    }
    fputc('\n', out);
    print_orphaned_pools(context, before->pools);
}

static enum vgpu_status print_assignment_json(const struct command_context *context,
                                              const struct vgpu_gpu *before, struct vgpu_error *err)
{
    struct vgpu_snapshot snapshot = {0};
    enum vgpu_status status = vgpu_get_snapshot(context->vgpu, &snapshot, err);
    if (status != VGPU_OK)
        return status;
    const struct vgpu_gpu *now = snapshot_find_gpu(&snapshot, before->gpu_id);
    status = document_print(context,
                            json_pack("{s:o, s:o}", "gpus", document_gpus(&snapshot, now, now != NULL),
                                      "pools_before", document_pools(before->pools)),
                            err);
    vgpu_snapshot_fini(&snapshot);
    return status;
}

static enum vgpu_status print_assigned(const struct command_context *context, const struct vgpu_gpu *before,
                                       const char *pools, struct vgpu_error *err)
{
    if (context->output == OUTPUT_JSON)
        return print_assignment_json(context, before, err);
    print_assignment(context, before, pools);
    return VGPU_OK;
}

enum vgpu_status run_assign_gpu(const struct command_context *context, struct vgpu_error *err)
{
    int32_t gpu_id = (int32_t)arguments_number(context->arguments, OPTION_GPU_ID);
    const char *pools = arguments_text(context->arguments, OPTION_POOLS);
    struct vgpu_gpu before;
    enum vgpu_status status = vgpu_begin(context->vgpu, err);
    if (status != VGPU_OK)
        return status;
    status = vgpu_get_gpu(context->vgpu, gpu_id, &before, err);
    if (status == VGPU_OK)
        status = vgpu_assign_gpu_to_pools(context->vgpu, gpu_id, pools, err);
    if (status == VGPU_OK)
        status = vgpu_commit(context->vgpu, err);
    else
        vgpu_rollback(context->vgpu);
    return status == VGPU_OK ? print_assigned(context, &before, pools, err) : status;
}

/* pools without those in less. VGPU_ERR_NOT_FOUND: the GPU does not serve one of these. */
static enum vgpu_status take_away(const struct vgpu_gpu *gpu, const char *less, char pools[VGPU_POOLS_BYTES],
                                  struct vgpu_error *err)
{
    size_t kept = 0;
    for (const char *pool = less; *pool != '\0'; pool++)
        if (strchr(gpu->pools, *pool) == NULL)
            return error_set(err, VGPU_ERR_NOT_FOUND,
                             "GPU %" PRId32 " does not serve pool %c; list-gpus shows which it serves",
                             gpu->gpu_id, *pool);
    for (const char *pool = gpu->pools; *pool != '\0'; pool++)
        if (strchr(less, *pool) == NULL)
            pools[kept++] = *pool;
    pools[kept] = '\0';
    return VGPU_OK;
}

enum vgpu_status run_unassign_gpu(const struct command_context *context, struct vgpu_error *err)
{
    int32_t gpu_id = (int32_t)arguments_number(context->arguments, OPTION_GPU_ID);
    const char *less = arguments_text(context->arguments, OPTION_POOLS);
    char pools[VGPU_POOLS_BYTES] = "";
    struct vgpu_gpu before;
    enum vgpu_status status = vgpu_begin(context->vgpu, err);
    if (status != VGPU_OK)
        return status;
    status = vgpu_get_gpu(context->vgpu, gpu_id, &before, err);
    if (status == VGPU_OK)
        status = take_away(&before, less != NULL ? less : before.pools, pools, err);
    if (status == VGPU_OK)
        status = vgpu_assign_gpu_to_pools(context->vgpu, gpu_id, pools, err);
    if (status == VGPU_OK)
        status = vgpu_commit(context->vgpu, err);
    else
        vgpu_rollback(context->vgpu);
    return status == VGPU_OK ? print_assigned(context, &before, pools, err) : status;
}

/* metrics: what the daemon has measured of VMs and GPUs since it started. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <vgpu/vgpu.h>

#include "admin/commands.h"
#include "admin/document.h"
#include "admin/format.h"
#include "admin/listing.h"
#include "admin/snapshot.h"

static const struct table_column vm_columns[] = {
    {.heading = "VM ID", .align = TABLE_RIGHT},
    {.heading = "NAME", .narrowest = 8},
    {.heading = "UUID", .narrowest = 13, .wide = true},
    {.heading = "GPU", .align = TABLE_RIGHT, .optional = 1},
    {.heading = "PROCESSES", .align = TABLE_RIGHT, .wide = true},
    {.heading = "WAITING", .align = TABLE_RIGHT, .wide = true},
    {.heading = "GRANTS", .align = TABLE_RIGHT},
    {.heading = "GPU TIME", .align = TABLE_RIGHT},
    {.heading = "WAIT AVG", .align = TABLE_RIGHT, .wide = true},
    {.heading = "WAIT P50", .align = TABLE_RIGHT},
    {.heading = "WAIT P95", .align = TABLE_RIGHT, .wide = true},
    {.heading = "WAIT P99", .align = TABLE_RIGHT},
    {.heading = "HOLD AVG", .align = TABLE_RIGHT, .wide = true},
    {.heading = "HOLD P50", .align = TABLE_RIGHT, .optional = 2},
    {.heading = "HOLD P95", .align = TABLE_RIGHT, .wide = true},
    {.heading = "HOLD P99", .align = TABLE_RIGHT, .optional = 2},
    {.heading = "CALLS", .align = TABLE_RIGHT, .wide = true},
    {.heading = "PREEMPTED", .align = TABLE_RIGHT, .optional = 3},
    {.heading = "LIMITED", .align = TABLE_RIGHT, .optional = 3},
    {.heading = "LIMITED FOR", .align = TABLE_RIGHT, .wide = true},
    {.heading = "REFUSED", .align = TABLE_RIGHT, .wide = true},
    {.heading = "TIMEOUTS", .align = TABLE_RIGHT, .optional = 3},
    {.heading = "FAULTS", .align = TABLE_RIGHT},
};
const struct table_layout vm_metrics_table = {vm_columns, sizeof vm_columns / sizeof vm_columns[0]};

static const struct table_column gpu_columns[] = {
    {.heading = "GPU", .align = TABLE_RIGHT},
    {.heading = "PREEMPTION", .narrowest = 10},
    {.heading = "MODE"},
    {.heading = "WAITING", .align = TABLE_RIGHT},
    {.heading = "GRANTS", .align = TABLE_RIGHT},
    {.heading = "HANDOVERS", .align = TABLE_RIGHT},
    {.heading = "PREEMPTIONS", .align = TABLE_RIGHT, .optional = 1},
    {.heading = "WAIT AVG", .align = TABLE_RIGHT, .wide = true},
    {.heading = "WAIT P50", .align = TABLE_RIGHT},
    {.heading = "WAIT P95", .align = TABLE_RIGHT, .wide = true},
    {.heading = "WAIT P99", .align = TABLE_RIGHT},
    {.heading = "HOLD AVG", .align = TABLE_RIGHT, .wide = true},
    {.heading = "HOLD P50", .align = TABLE_RIGHT, .optional = 2},
    {.heading = "HOLD P95", .align = TABLE_RIGHT, .wide = true},
    {.heading = "HOLD P99", .align = TABLE_RIGHT, .optional = 2},
};
const struct table_layout gpu_metrics_table = {gpu_columns, sizeof gpu_columns / sizeof gpu_columns[0]};

/* What is shown: the daemon's VMs, each with its row of the database, by vm_id. */
struct metrics {
    struct vgpu_snapshot snapshot;
    struct vgpu_live live;
    const struct vgpu_live_vm **sorted; /* by vm_uuid */
};

static int compare_live(const void *left, const void *right)
{
    const struct vgpu_live_vm *const *first = left;
    const struct vgpu_live_vm *const *second = right;
    return strcmp((*first)->vm_uuid, (*second)->vm_uuid);
}

static int compare_uuid(const void *key, const void *element)
{
    const struct vgpu_live_vm *const *live = element;
    return strcmp(key, (*live)->vm_uuid);
}

static enum vgpu_status metrics_read(struct vgpu *vgpu, struct metrics *metrics, struct vgpu_error *err)
{
    *metrics = (struct metrics){.sorted = NULL};
    enum vgpu_status status = vgpu_get_live(vgpu, &metrics->live, err);
    if (status == VGPU_OK)
        status = vgpu_get_snapshot(vgpu, &metrics->snapshot, err);
    if (status != VGPU_OK)
        return status;
    metrics->sorted = calloc(metrics->live.vm_count + 1, sizeof *metrics->sorted);
    for (size_t i = 0; metrics->sorted != NULL && i < metrics->live.vm_count; i++)
        metrics->sorted[i] = &metrics->live.vms[i];
    if (metrics->sorted != NULL)
        qsort(metrics->sorted, metrics->live.vm_count, sizeof *metrics->sorted, compare_live);
    return VGPU_OK;
}

static void metrics_fini(struct metrics *metrics)
{
    free(metrics->sorted);
    vgpu_snapshot_fini(&metrics->snapshot);
    vgpu_live_fini(&metrics->live);
}

/* NULL: it has had no guest process. */
static const struct vgpu_live_vm *find(const struct metrics *metrics, const char *vm_uuid)
{
    const struct vgpu_live_vm *const *found = metrics->sorted == NULL
                                                  ? NULL
                                                  : bsearch(vm_uuid, metrics->sorted, metrics->live.vm_count,
                                                            sizeof *metrics->sorted, compare_uuid);
    return found != NULL ? *found : NULL;
}

/* Not known where there is nothing to divide by. */
static struct vgpu_optional average(struct vgpu_optional sum, struct vgpu_optional count)
{
    struct vgpu_optional none = {.known = false};
    if (!sum.known || !count.known || count.value == 0)
        return none;
    return (struct vgpu_optional){.known = true, .value = sum.value / count.value};
}

static struct vgpu_optional known(uint64_t value)
{
    return (struct vgpu_optional){.known = true, .value = (int64_t)value};
}

/* ---- Tables ---- */

static void add_number(struct table *table, struct vgpu_optional number)
{
    if (number.known)
        table_addf(table, "%" PRId64, number.value);
    else
        table_add(table, NULL);
}

/* What should be 0 is seen at once where it is not. */
static void add_bad_number(struct table *table, struct vgpu_optional number)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, number.value);
    table_add_styled(table, number.known && number.value > 0 ? TEXT_BAD : TEXT_PLAIN,
                     number.known ? text : NULL);
}

static void add_duration(struct table *table, struct vgpu_optional us)
{
    char text[FORMAT_BYTES];
    table_add(table, us.known ? format_duration(text, (uint64_t)us.value) : NULL);
}

static void add_durations(struct table *table, struct vgpu_optional sum_us, struct vgpu_optional count,
                          const struct vgpu_percentiles *percentiles)
{
    add_duration(table, average(sum_us, count));
    add_duration(table, percentiles->p50_us);
    add_duration(table, percentiles->p95_us);
    add_duration(table, percentiles->p99_us);
}

static void add_vm_row(struct table *table, const struct vgpu_vm *vm, const struct vgpu_live_vm *live)
{
    table_addf(table, "%" PRId32, vm->vm_id);
    table_add(table, vm->vm_name);
    table_add(table, vm->vm_uuid);
    add_number(table, vm->gpu_id);
    table_addf(table, "%" PRIu32, live->processes);
    add_number(table, live->waiting);
    table_addf(table, "%" PRIu64, live->grants);
    add_duration(table, live->gpu_time_us);
    add_durations(table, known(live->wait_us), known(live->grants), &live->wait);
    add_durations(table, known(live->hold_us), known(live->grants), &live->hold);
    table_addf(table, "%" PRIu64, live->calls);
    add_number(table, live->preemptions);
    add_number(table, live->limited_calls);
    add_duration(table, live->limited_us);
    add_number(table, live->refused_allocations);
    add_bad_number(table, live->timeouts);
    add_bad_number(table, live->faults);
}

static void add_gpu_row(struct table *table, const struct vgpu_live_gpu *gpu)
{
    char mode[VGPU_LIMIT_TEXT_BYTES];
    table_addf(table, "%" PRId32, gpu->gpu_id);
    table_add(table, gpu->preemption);
    table_add(table, gpu->places.known ? vgpu_format_limit(VGPU_LIMIT_MODE, gpu->places.value, mode) : NULL);
    table_addf(table, "%zu", gpu->waiting_count);
    table_addf(table, "%" PRIu64, gpu->generation);
    add_number(table, gpu->handovers);
    add_number(table, gpu->preemptions);
    add_durations(table, gpu->wait_us, known(gpu->generation), &gpu->wait);
    add_durations(table, gpu->ended_hold_us, gpu->ended_grants, &gpu->hold);
}

static enum vgpu_status print_vms(const struct command_context *context, const struct metrics *metrics,
                                  struct vgpu_error *err)
{
    struct table *table = table_create(&vm_metrics_table);
    if (metrics->live.vm_count == 0 && !arguments_has(context->arguments, OPTION_NO_HEADER))
        fputs("No VM has had a guest process since the daemon started\n", context->out);
    for (size_t i = 0; i < metrics->snapshot.vm_count; i++) {
        const struct vgpu_live_vm *live = find(metrics, metrics->snapshot.vms[i].vm_uuid);
        if (live != NULL)
            add_vm_row(table, &metrics->snapshot.vms[i], live);
    }
    if (metrics->live.vm_count > 0)
        return listing_print(context, table, err);
    table_destroy(table);
    return VGPU_OK;
}

static enum vgpu_status print_gpus(const struct command_context *context, const struct metrics *metrics,
                                   struct vgpu_error *err)
{
    struct table *table = table_create(&gpu_metrics_table);
    for (size_t i = 0; i < metrics->live.gpu_count; i++)
        add_gpu_row(table, &metrics->live.gpus[i]);
    return listing_print(context, table, err);
}

/* ---- JSON ---- */

static void set_durations(json_t *object, const char *what, struct vgpu_optional average_us,
                          const struct vgpu_percentiles *percentiles)
{
    const struct {
        const char *name;
        struct vgpu_optional value;
    } members[] = {{"avg", average_us},
                   {"p50", percentiles->p50_us},
                   {"p95", percentiles->p95_us},
                   {"p99", percentiles->p99_us}};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s_%s_us", what, members[i].name);
        json_object_set_new(object, name, document_optional(members[i].value));
    }
}

static json_t *make_vm(const struct vgpu_vm *vm, const struct vgpu_live_vm *live)
{
    json_t *object = document_activity(live);
    json_object_set_new(object, "vm_id", json_integer(vm->vm_id));
    json_object_set_new(object, "vm_name", document_text(vm->vm_name));
    json_object_set_new(object, "gpu_id", document_optional(vm->gpu_id));
    json_object_set_new(object, "waiting", document_optional(live->waiting));
    set_durations(object, "wait", average(known(live->wait_us), known(live->grants)), &live->wait);
    set_durations(object, "hold", average(known(live->hold_us), known(live->grants)), &live->hold);
    return object;
}

static json_t *make_gpu(const struct vgpu_live_gpu *gpu)
{
    json_t *object =
        json_pack("{s:I, s:o, s:o, s:o, s:I, s:I, s:o, s:o}", "gpu_id", (json_int_t)gpu->gpu_id, "gpu_uuid",
                  document_text(gpu->gpu_uuid), "preemption", document_text(gpu->preemption), "shared_vms",
                  document_optional(gpu->places), "waiting", (json_int_t)gpu->waiting_count, "grants",
                  (json_int_t)gpu->generation, "handovers", document_optional(gpu->handovers), "preemptions",
                  document_optional(gpu->preemptions));
    set_durations(object, "wait", average(gpu->wait_us, known(gpu->generation)), &gpu->wait);
    set_durations(object, "hold", average(gpu->ended_hold_us, gpu->ended_grants), &gpu->hold);
    return object;
}

static enum vgpu_status print_json(const struct command_context *context, const struct metrics *metrics,
                                   struct vgpu_error *err)
{
    json_t *gpus = json_array();
    json_t *vms = json_array();
    for (size_t i = 0; i < metrics->live.gpu_count; i++)
        json_array_append_new(gpus, make_gpu(&metrics->live.gpus[i]));
    for (size_t i = 0; i < metrics->snapshot.vm_count; i++) {
        const struct vgpu_live_vm *live = find(metrics, metrics->snapshot.vms[i].vm_uuid);
        if (live != NULL)
            json_array_append_new(vms, make_vm(&metrics->snapshot.vms[i], live));
    }
    return document_print(
        context,
        json_pack("{s:o, s:o, s:o}", "daemon", document_daemon(&metrics->live), "gpus", gpus, "vms", vms),
        err);
}

enum vgpu_status run_metrics(const struct command_context *context, struct vgpu_error *err)
{
    struct metrics metrics;
    enum vgpu_status status = metrics_read(context->vgpu, &metrics, err);
    if (status == VGPU_OK && context->output == OUTPUT_JSON)
        status = print_json(context, &metrics, err);
    else if (status == VGPU_OK && arguments_has(context->arguments, OPTION_GPUS))
        status = print_gpus(context, &metrics, err);
    else if (status == VGPU_OK)
        status = print_vms(context, &metrics, err);
    metrics_fini(&metrics);
    return status;
}

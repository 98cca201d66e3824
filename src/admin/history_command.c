/* history: who had the GPUs, and who changed the configuration. */
#include <inttypes.h>
#include <vgpu/vgpu.h>

#include "admin/commands.h"
#include "admin/document.h"
#include "admin/format.h"
#include "admin/listing.h"
#include "admin/selection.h"

#define HISTORY_DEFAULT_LIMIT 50

/* ---- Grants ---- */

static const struct table_column grant_columns[] = {
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
const struct table_layout grant_table = {grant_columns, sizeof grant_columns / sizeof grant_columns[0]};

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

/* ---- Changes ---- */

static const struct table_column change_columns[] = {
    {.heading = "WHEN"},
    {.heading = "WHO", .narrowest = 6, .optional = 1},
    {.heading = "WHAT"},
    {.heading = "OF", .narrowest = 10},
    {.heading = "FIELD"},
    {.heading = "FROM", .narrowest = 8},
    {.heading = "TO", .narrowest = 8},
    {.heading = "UID", .align = TABLE_RIGHT, .wide = true},
};
const struct table_layout change_table = {change_columns, sizeof change_columns / sizeof change_columns[0]};

static void add_change_row(struct table *table, const struct vgpu_change *change)
{
    char text[FORMAT_BYTES];
    table_add(table, format_time(text, (uint64_t)change->at_us));
    if (change->user_name[0] != '\0')
        table_add(table, change->user_name);
    else
        table_addf(table, "uid %" PRId64, change->uid);
    table_add(table, change->action);
    table_add(table, change->subject);
    table_add(table, change->field);
    table_add(table, change->old_value);
    table_add(table, change->new_value);
    table_addf(table, "%" PRId64, change->uid);
}

/* ---- Which ---- */

struct history {
    bool with_grants;
    bool with_changes;
    struct vgpu_grant *grants;
    size_t grant_count;
    struct vgpu_change *changes;
    size_t change_count;
};

static void history_fini(struct history *history)
{
    vgpu_free(history->grants);
    vgpu_free(history->changes);
}

/* Whether anything is on record of a VM with exactly this identifier. */
static bool has_history(struct vgpu *vgpu, const char *vm_uuid)
{
    struct vgpu_history_filter filter = {.vm_uuid = vm_uuid, .gpu_id = -1, .limit = 1};
    struct vgpu_grant *grants = NULL;
    struct vgpu_change *changes = NULL;
    size_t grant_count = 0;
    size_t change_count = 0;
    /* Where this cannot be read, what is asked for cannot either, and that is reported. */
    (void)vgpu_list_grants(vgpu, &filter, &grants, &grant_count, NULL);
    (void)vgpu_list_changes(vgpu, &filter, &changes, &change_count, NULL);
    vgpu_free(grants);
    vgpu_free(changes);
    return grant_count + change_count > 0;
}

/* vm_uuid gets the identifier of the VM asked for. A VM that was removed has a history still: its whole
 * identifier counts before what begins with it. */
static enum vgpu_status choose_vm(const struct command_context *context, char vm_uuid[VGPU_VM_UUID_BYTES],
                                  struct vgpu_error *err)
{
    const struct arguments *arguments = context->arguments;
    struct vgpu_vm *vms = NULL;
    size_t count = 0;
    if (arguments->selector == OPTION_VM_UUID) {
        enum vgpu_status parsed = vgpu_parse_vm_uuid(arguments_text(arguments, OPTION_VM_UUID), vm_uuid, err);
        if (parsed != VGPU_OK || has_history(context->vgpu, vm_uuid))
            return parsed;
    }
    enum vgpu_status status = selection_find(context, &vms, &count, err);
    if (status == VGPU_OK)
        snprintf(vm_uuid, VGPU_VM_UUID_BYTES, "%s", vms[0].vm_uuid);
    vgpu_free(vms);
    return status;
}

static enum vgpu_status read_history(const struct command_context *context, struct history *history,
                                     struct vgpu_error *err)
{
    const struct arguments *arguments = context->arguments;
    char vm_uuid[VGPU_VM_UUID_BYTES];
    struct vgpu_history_filter filter = {
        .gpu_id = arguments_has(arguments, OPTION_GPU_ID)
                      ? (int32_t)arguments_number(arguments, OPTION_GPU_ID)
                      : -1,
        .limit = arguments_has(arguments, OPTION_LIMIT) ? (size_t)arguments_number(arguments, OPTION_LIMIT)
                                                        : HISTORY_DEFAULT_LIMIT,
        .since_us = arguments_number(arguments, OPTION_SINCE),
    };
    enum vgpu_status status = VGPU_OK;
    if (arguments->selector != OPTION_COUNT) {
        filter.vm_uuid = vm_uuid;
        status = choose_vm(context, vm_uuid, err);
    }
    if (status == VGPU_OK && filter.gpu_id >= 0)
        status = vgpu_get_gpu(context->vgpu, filter.gpu_id, &(struct vgpu_gpu){0}, err);
    if (status == VGPU_OK && history->with_grants)
        status = vgpu_list_grants(context->vgpu, &filter, &history->grants, &history->grant_count, err);
    if (status == VGPU_OK && history->with_changes)
        status = vgpu_list_changes(context->vgpu, &filter, &history->changes, &history->change_count, err);
    return status;
}

/* ---- Printing ---- */

static enum vgpu_status print_grants(const struct command_context *context, const struct history *history,
                                     struct vgpu_error *err)
{
    if (history->grant_count == 0) {
        fputs("No grant is on record; grants are written while the daemon runs and VMs use a GPU\n",
              context->out);
        return VGPU_OK;
    }
    struct table *table = table_create(&grant_table);
    for (size_t i = 0; i < history->grant_count; i++)
        add_grant_row(table, &history->grants[i]);
    return listing_print(context, table, err);
}

static enum vgpu_status print_changes(const struct command_context *context, const struct history *history,
                                      struct vgpu_error *err)
{
    if (history->change_count == 0) {
        fputs("No change of the configuration is on record\n", context->out);
        return VGPU_OK;
    }
    struct table *table = table_create(&change_table);
    for (size_t i = 0; i < history->change_count; i++)
        add_change_row(table, &history->changes[i]);
    return listing_print(context, table, err);
}

static enum vgpu_status print_history_json(const struct command_context *context,
                                           const struct history *history, struct vgpu_error *err)
{
    json_t *members = json_object();
    json_t *grants = json_array();
    for (size_t i = 0; i < history->grant_count; i++)
        json_array_append_new(grants, document_grant(&history->grants[i]));
    json_object_set_new(members, "grants", history->with_grants ? json_incref(grants) : json_null());
    json_decref(grants);
    json_object_set_new(members, "changes",
                        history->with_changes ? document_changes(history->changes, history->change_count)
                                              : json_null());
    return document_print(context, members, err);
}

static enum vgpu_status print_history(const struct command_context *context, const struct history *history,
                                      struct vgpu_error *err)
{
    bool both = history->with_grants && history->with_changes;
    enum vgpu_status status = VGPU_OK;
    if (both)
        fputs("Grants:\n", context->out);
    if (history->with_grants)
        status = print_grants(context, history, err);
    if (both)
        fputs("\nChanges of the configuration:\n", context->out);
    if (status == VGPU_OK && history->with_changes)
        status = print_changes(context, history, err);
    return status;
}

/* Tables of both kinds cannot have the same columns: so --columns must be right for the one that is printed.
 */
static enum vgpu_status check_columns(const struct command_context *context, const struct history *history,
                                      struct vgpu_error *err)
{
    const char *columns = arguments_text(context->arguments, OPTION_COLUMNS);
    enum vgpu_status status = VGPU_OK;
    if (columns != NULL && history->with_grants)
        status = table_check_columns(&grant_table, columns, err);
    if (columns != NULL && status == VGPU_OK && history->with_changes)
        status = table_check_columns(&change_table, columns, err);
    return status;
}

enum vgpu_status run_history(const struct command_context *context, struct vgpu_error *err)
{
    struct history history = {.with_changes = arguments_has(context->arguments, OPTION_CHANGES)};
    history.with_grants = !history.with_changes || arguments_has(context->arguments, OPTION_GRANTS);
    enum vgpu_status status = check_columns(context, &history, err);
    if (status == VGPU_OK)
        status = read_history(context, &history, err);
    if (status == VGPU_OK)
        status = context->output == OUTPUT_JSON ? print_history_json(context, &history, err)
                                                : print_history(context, &history, err);
    history_fini(&history);
    return status;
}

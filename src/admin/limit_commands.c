/* set-limits, show-limits. */
#include <string.h>
#include <vgpu/vgpu.h>

#include "admin/commands.h"
#include "admin/document.h"
#include "admin/listing.h"
#include "admin/selection.h"
#include "admin/snapshot.h"
#include "admin/vm_change.h"

/* ---- set-limits ---- */

/* The pool's limits; zeroed where there is no such pool. */
static struct vgpu_limits pool_limits(const struct vgpu_snapshot *snapshot, char pool)
{
    for (size_t i = 0; i < snapshot->pool_count; i++)
        if (snapshot->pools[i].pool == pool)
            return snapshot->pools[i].limits;
    return (struct vgpu_limits){.set = 0};
}

static enum vgpu_status set_pool_limits(const struct command_context *context,
                                        const struct vgpu_limits *change, struct vgpu_error *err)
{
    struct vgpu_snapshot snapshot = {0};
    struct vgpu_limits after;
    char pool = arguments_letter(context->arguments, OPTION_POOL);
    enum vgpu_status status = vgpu_begin(context->vgpu, err);
    if (status != VGPU_OK)
        return status;
    status = vgpu_get_snapshot(context->vgpu, &snapshot, err);
    if (status == VGPU_OK)
        status = vgpu_set_pool_limits(context->vgpu, pool, change, &after, err);
    if (status == VGPU_OK)
        status = vgpu_commit(context->vgpu, err);
    else
        vgpu_rollback(context->vgpu);
    if (status == VGPU_OK && context->output == OUTPUT_JSON) {
        status = run_list_pools(context, err);
    } else if (status == VGPU_OK) {
        struct vgpu_limits before = pool_limits(&snapshot, pool);
        bool any = false;
        fprintf(context->out, "Pool %c", pool);
        vm_change_print_limits(context->out, change, &before, &after, &any);
        fputc('\n', context->out);
    }
    vgpu_snapshot_fini(&snapshot);
    return status;
}

enum vgpu_status run_set_limits(const struct command_context *context, struct vgpu_error *err)
{
    struct vgpu_limits change = arguments_limits(context->arguments);
    if (context->arguments->selector == OPTION_POOL)
        return set_pool_limits(context, &change, err);
    return vm_change_run(context, (struct vgpu_vm_update){.fields = VGPU_VM_LIMITS, .limits = change}, err);
}

/* ---- show-limits ---- */

static const struct table_column limit_columns[] = {
    {.heading = "OF", .narrowest = 8},
    {.heading = "LIMIT"},
    {.heading = "VALUE", .align = TABLE_RIGHT},
    {.heading = "FROM"},
    {.heading = "UUID", .narrowest = 13, .wide = true},
};
const struct table_layout limit_table = {limit_columns, sizeof limit_columns / sizeof limit_columns[0]};

/* What is shown: of the host, of pools, of VMs. */
struct shown {
    struct vgpu_snapshot snapshot;
    struct vgpu_limits defaults;
    struct vgpu_vm *vms; /* that were asked for; NULL: all, but only what is set */
    size_t vm_count;
    char pool; /* that was asked for; 0: all */
};

static bool shows_all(const struct shown *shown)
{
    return shown->vms == NULL && shown->pool == '\0';
}

/* "VM", "pool A", "vgpu.conf". Returns text or a constant. */
static const char *source_text(enum vgpu_limit_source source, char pool, char text[8])
{
    if (source == VGPU_LIMIT_OF_VM)
        return "VM";
    if (source == VGPU_LIMIT_OF_HOST)
        return "host";
    snprintf(text, 8, "pool %c", pool);
    return text;
}

/* The rows of one VM (vm NULL: of the pool; pool 0: of the host). only_set: those that are set for it. */
static void add_rows(struct table *table, const struct shown *shown, const struct vgpu_vm *vm, char pool,
                     bool only_set)
{
    int64_t values[VGPU_LIMIT_COUNT];
    enum vgpu_limit_source sources[VGPU_LIMIT_COUNT];
    struct vgpu_limits of_pool = pool_limits(&shown->snapshot, pool);
    const struct vgpu_limits *own = vm != NULL ? &vm->limits : pool != '\0' ? &of_pool : &shown->defaults;
    char pool_text[8];
    char of[16] = "host";
    if (pool != '\0')
        snprintf(of, sizeof of, "pool %c", pool);
    vgpu_effective_limits(&shown->defaults, &of_pool, vm != NULL ? &vm->limits : NULL, values, sources);
    for (int number = 0; number < VGPU_LIMIT_COUNT; number++) {
        enum vgpu_limit limit = (enum vgpu_limit)number;
        char text[VGPU_LIMIT_TEXT_BYTES];
        if ((only_set && (own->set >> limit & 1u) == 0) || (vm != NULL && vgpu_limit_is_of_pools(limit)))
            continue;
        table_add(table, vm != NULL ? vm->vm_name : of);
        table_add(table, vgpu_limit_name(limit));
        table_add(table, vgpu_format_limit(limit, values[limit], text));
        table_add_styled(table, sources[limit] == VGPU_LIMIT_OF_HOST ? TEXT_PLAIN : TEXT_NOTABLE,
                         source_text(sources[limit], pool, pool_text));
        table_add(table, vm != NULL ? vm->vm_uuid : NULL);
    }
}

static enum vgpu_status print_table(const struct command_context *context, const struct shown *shown,
                                    struct vgpu_error *err)
{
    struct table *table = table_create(&limit_table);
    bool all = shows_all(shown);
    if (all)
        add_rows(table, shown, NULL, '\0', false);
    for (size_t i = 0; i < shown->snapshot.pool_count; i++)
        if (all || shown->pool == shown->snapshot.pools[i].pool)
            add_rows(table, shown, NULL, shown->snapshot.pools[i].pool, all);
    for (size_t i = 0; i < shown->vm_count; i++)
        add_rows(table, shown, &shown->vms[i], shown->vms[i].pool, false);
    for (size_t i = 0; all && i < shown->snapshot.vm_count; i++)
        if (shown->snapshot.vms[i].limits.set != 0)
            add_rows(table, shown, &shown->snapshot.vms[i], shown->snapshot.vms[i].pool, true);
    return listing_print(context, table, err);
}

/* {"set": {...}, "effective": {...}, "from": {...}} of a VM (vm NULL: of the pool). */
static json_t *make_limits(const struct shown *shown, const struct vgpu_vm *vm, char pool)
{
    static const char *const words[] = {
        [VGPU_LIMIT_OF_HOST] = "host", [VGPU_LIMIT_OF_POOL] = "pool", [VGPU_LIMIT_OF_VM] = "vm"};
    struct vgpu_limits effective = {.set = 0};
    enum vgpu_limit_source sources[VGPU_LIMIT_COUNT];
    struct vgpu_limits of_pool = pool_limits(&shown->snapshot, pool);
    json_t *from = json_object();
    vgpu_effective_limits(&shown->defaults, &of_pool, vm != NULL ? &vm->limits : NULL, effective.values,
                          sources);
    for (int number = 0; number < VGPU_LIMIT_COUNT; number++) {
        enum vgpu_limit limit = (enum vgpu_limit)number;
        if (vm != NULL && vgpu_limit_is_of_pools(limit))
            continue;
        effective.set |= 1u << limit;
        json_object_set_new(from, vgpu_limit_member(limit), json_string(words[sources[limit]]));
    }
    return json_pack("{s:o, s:o, s:o}", "set", document_limits(vm != NULL ? &vm->limits : &of_pool),
                     "effective", document_limits(&effective), "from", from);
}

static void append_vm(json_t *list, const struct shown *shown, const struct vgpu_vm *vm)
{
    json_t *object = make_limits(shown, vm, vm->pool);
    json_object_set_new(object, "vm_uuid", document_text(vm->vm_uuid));
    json_object_set_new(object, "vm_name", document_text(vm->vm_name));
    json_object_set_new(object, "pool", json_stringn(&vm->pool, 1));
    json_array_append_new(list, object);
}

static enum vgpu_status print_json(const struct command_context *context, const struct shown *shown,
                                   struct vgpu_error *err)
{
    json_t *pools = json_array();
    json_t *vms = json_array();
    bool all = shows_all(shown);
    for (size_t i = 0; i < shown->snapshot.pool_count; i++) {
        char pool = shown->snapshot.pools[i].pool;
        if (!all && shown->pool != pool)
            continue;
        json_t *object = make_limits(shown, NULL, pool);
        json_object_set_new(object, "pool", json_stringn(&pool, 1));
        json_array_append_new(pools, object);
    }
    for (size_t i = 0; i < shown->vm_count; i++)
        append_vm(vms, shown, &shown->vms[i]);
    for (size_t i = 0; all && i < shown->snapshot.vm_count; i++)
        if (shown->snapshot.vms[i].limits.set != 0)
            append_vm(vms, shown, &shown->snapshot.vms[i]);
    return document_print(
        context,
        json_pack("{s:o, s:o, s:o}", "host", document_limits(&shown->defaults), "pools", pools, "vms", vms),
        err);
}

enum vgpu_status run_show_limits(const struct command_context *context, struct vgpu_error *err)
{
    struct shown shown = {.pool = arguments_letter(context->arguments, OPTION_POOL)};
    enum option_id selector = context->arguments->selector;
    enum vgpu_status status = vgpu_get_snapshot(context->vgpu, &shown.snapshot, err);
    if (status == VGPU_OK)
        status = snapshot_require_pool(&shown.snapshot, shown.pool, err);
    if (status == VGPU_OK && selector != OPTION_COUNT && selector != OPTION_POOL)
        status = selection_find(context, &shown.vms, &shown.vm_count, err);
    if (status == VGPU_OK)
        status = vgpu_get_default_limits(context->vgpu, &shown.defaults, err);
    if (status == VGPU_OK)
        status = context->output == OUTPUT_JSON ? print_json(context, &shown, err)
                                                : print_table(context, &shown, err);
    vgpu_free(shown.vms);
    vgpu_snapshot_fini(&shown.snapshot);
    return status;
}

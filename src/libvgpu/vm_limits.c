/* Limits of VMs and pools. */
#include "base/limit.h"

#include "base/error.h"
#include "libvgpu/admin_client.h"
#include "libvgpu/admin_protocol.h"
#include "libvgpu/handle.h"
#include "libvgpu/vm_limits.h"

#include <string.h>

/* For what the daemon's settings say. */
#define ASK_TIMEOUT_MS 5000

_Static_assert(VGPU_LIMIT_TEXT_BYTES == LIMIT_TEXT_BYTES, "one size of text");

enum vgpu_status vgpu_parse_limit(enum vgpu_limit limit, const char *text, int64_t *value,
                                  struct vgpu_error *err)
{
    return limit_parse(limit, text, value, err);
}

const char *vgpu_format_limit(enum vgpu_limit limit, int64_t value, char text[VGPU_LIMIT_TEXT_BYTES])
{
    return limit_format(limit, value, text);
}

const char *vgpu_limit_name(enum vgpu_limit limit)
{
    return limit_describe(limit)->name;
}

const char *vgpu_limit_member(enum vgpu_limit limit)
{
    return limit_describe(limit)->member;
}

bool vgpu_limit_is_of_pools(enum vgpu_limit limit)
{
    return limit_describe(limit)->of_pools;
}

enum vgpu_status limits_check(const struct vgpu_limits *change, bool of_pool, struct vgpu_error *err)
{
    if (((change->set | change->cleared) >> VGPU_LIMIT_COUNT) != 0 || (change->set & change->cleared) != 0)
        return error_set(err, VGPU_ERR_USAGE, "the limits set and cleared are none that exist, or the same");
    for (int number = 0; number < VGPU_LIMIT_COUNT; number++) {
        enum vgpu_limit limit = (enum vgpu_limit)number;
        struct vgpu_error why;
        if (((change->set | change->cleared) >> limit & 1u) == 0)
            continue;
        if (limit_describe(limit)->of_pools && !of_pool)
            return error_set(err, VGPU_ERR_USAGE, "%s is of pools and cannot be set for one VM",
                             limit_describe(limit)->name);
        if (limits_has(change, limit) && limit_check(limit, change->values[limit], &why) != VGPU_OK)
            return error_set(err, why.status, "%s: %.300s", limit_describe(limit)->name, why.message);
    }
    return VGPU_OK;
}

json_t *limits_document(const struct vgpu_limits *limits)
{
    json_t *object = json_object();
    for (int limit = 0; limit < VGPU_LIMIT_COUNT; limit++)
        if (limits_has(limits, (enum vgpu_limit)limit))
            json_object_set_new(object, limit_describe((enum vgpu_limit)limit)->member,
                                json_integer(limits->values[limit]));
    return object;
}

/* VGPU_LIMIT_COUNT: there is none of that name. */
static enum vgpu_limit find_member(const char *member)
{
    int limit = 0;
    while (limit < VGPU_LIMIT_COUNT && strcmp(limit_describe((enum vgpu_limit)limit)->member, member) != 0)
        limit++;
    return (enum vgpu_limit)limit;
}

enum vgpu_status limits_from_document(const json_t *object, bool of_pool, struct vgpu_limits *limits,
                                      struct vgpu_error *err)
{
    struct vgpu_limits read = {.set = 0};
    struct vgpu_error why;
    const char *member;
    const json_t *value;
    if (!json_is_object(object))
        return error_set(err, VGPU_ERR_CORRUPT, "limits are no object: write them as {\"weight\": 4}");
    json_object_foreach((json_t *)object, member, value) /* which it does not change */
    {
        enum vgpu_limit limit = find_member(member);
        if (limit == VGPU_LIMIT_COUNT)
            return error_set(err, VGPU_ERR_CORRUPT, "there is no limit \"%.40s\": correct or remove it",
                             member);
        if (!json_is_integer(value))
            return error_set(err, VGPU_ERR_CORRUPT, "the limit \"%s\" is no whole number: write one", member);
        limits_set(&read, limit, json_integer_value(value));
    }
    if (limits_check(&read, of_pool, &why) != VGPU_OK)
        return error_set(err, VGPU_ERR_CORRUPT, "%.400s", why.message);
    *limits = read;
    return VGPU_OK;
}

enum vgpu_status vgpu_set_pool_limits(struct vgpu *handle, char pool, const struct vgpu_limits *change,
                                      struct vgpu_limits *updated, struct vgpu_error *err)
{
    enum vgpu_status status = limits_check(change, true, err);
    if (status != VGPU_OK)
        return status;
    return handle_changed(handle, store_set_pool_limits(handle->store, pool, change, updated, err));
}

/* False: no daemon, or one that does not tell all of them. */
static bool ask_daemon(struct vgpu *handle, struct vgpu_limits *defaults)
{
    static const uint32_t all = (1u << VGPU_LIMIT_COUNT) - 1;
    struct vgpu_limits told = {.set = 0};
    json_t *answer = NULL;
    if (admin_client_ask(vgpu_run_dir(handle), ADMIN_OP_LIMITS, ASK_TIMEOUT_MS, &answer, NULL) != VGPU_OK)
        return false;
    bool good = limits_from_document(json_object_get(answer, "limits"), true, &told, NULL) == VGPU_OK &&
                told.set == all;
    json_decref(answer);
    if (good)
        *defaults = told;
    return good;
}

enum vgpu_status vgpu_get_default_limits(struct vgpu *handle, struct vgpu_limits *defaults,
                                         struct vgpu_error *err)
{
    return ask_daemon(handle, defaults) ? VGPU_OK : limits_default(handle->settings, defaults, err);
}

void vgpu_effective_limits(const struct vgpu_limits *defaults, const struct vgpu_limits *pool,
                           const struct vgpu_limits *vm, int64_t values[VGPU_LIMIT_COUNT],
                           enum vgpu_limit_source sources[VGPU_LIMIT_COUNT])
{
    limits_effective(defaults, pool, vm, values, sources);
}

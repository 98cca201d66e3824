#include "store/limit_columns.h"

#include "base/limit.h"
#include "store/history.h"

void limits_read(const struct query *query, int first_column, int count, struct vgpu_limits *limits)
{
    *limits = (struct vgpu_limits){.set = 0};
    for (int limit = 0; limit < count; limit++) {
        struct vgpu_optional value = query_optional(query, first_column + limit);
        if (value.known)
            limits_set(limits, (enum vgpu_limit)limit, value.value);
    }
}

void limits_bind(struct query *query, int first_parameter, int count, const struct vgpu_limits *limits)
{
    for (int limit = 0; limit < count; limit++) {
        struct vgpu_optional value = {.known = limits_has(limits, (enum vgpu_limit)limit),
                                      .value = limits->values[limit]};
        query_bind_optional(query, first_parameter + limit, value);
    }
}

/* NULL where it is not set. */
static const char *describe(const struct vgpu_limits *limits, enum vgpu_limit limit,
                            char text[LIMIT_TEXT_BYTES])
{
    return limits_has(limits, limit) ? limit_format(limit, limits->values[limit], text) : NULL;
}

enum vgpu_status limits_record(struct store *store, const char *action, const char *subject,
                               const struct vgpu_limits *before, const struct vgpu_limits *after,
                               struct vgpu_error *err)
{
    enum vgpu_status status = VGPU_OK;
    for (int number = 0; status == VGPU_OK && number < VGPU_LIMIT_COUNT; number++) {
        enum vgpu_limit limit = (enum vgpu_limit)number;
        char old_text[LIMIT_TEXT_BYTES];
        char new_text[LIMIT_TEXT_BYTES];
        bool same = limits_has(before, limit) == limits_has(after, limit) &&
                    (!limits_has(after, limit) || before->values[limit] == after->values[limit]);
        if (!same)
            status = history_record(store, action, subject, limit_describe(limit)->name,
                                    describe(before, limit, old_text), describe(after, limit, new_text), err);
    }
    return status;
}

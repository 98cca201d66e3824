/* Whether the database is whole. */
#include "store/database.h"

#include "base/error.h"

#include <stdio.h>
#include <string.h>

static enum vgpu_status fail_damaged(struct store *store, const char *complaint, struct vgpu_error *err)
{
    return error_set(err, VGPU_ERR_CORRUPT,
                     "database %s is damaged (%s): restore it from a copy, or move it away to begin with an "
                     "empty one",
                     store->path, complaint);
}

enum vgpu_status store_check(struct store *store, struct vgpu_error *err)
{
    char complaint[256] = "";
    struct query query = query_start(store, "SELECT quick_check FROM pragma_quick_check(1)");
    while (query_row(&query))
        query_text(&query, 0, complaint, sizeof complaint);
    enum vgpu_status status = query_end(&query, err);
    if (status != VGPU_OK)
        return status;
    if (strcmp(complaint, "ok") != 0)
        return fail_damaged(store, complaint, err);
    complaint[0] = '\0';
    query = query_start(store, "SELECT \"table\", parent FROM pragma_foreign_key_check LIMIT 1");
    while (query_row(&query)) {
        char table[64];
        char parent[64];
        query_text(&query, 0, table, sizeof table);
        query_text(&query, 1, parent, sizeof parent);
        snprintf(complaint, sizeof complaint, "a row of %s refers to one of %s that is not there", table,
                 parent);
    }
    status = query_end(&query, err);
    if (status == VGPU_OK && complaint[0] != '\0')
        return fail_damaged(store, complaint, err);
    return status;
}

#include "store/pools.h"

#include "base/error.h"
#include "base/limit.h"
#include "store/history.h"
#include "store/limit_columns.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static enum vgpu_status pool_exists(struct store *store, char pool, bool *exists, struct vgpu_error *err)
{
    struct query query = query_start(store, "SELECT 1 FROM pools WHERE pool_id = ?1");
    query_bind_pool(&query, 1, pool);
    bool found = false;
    while (query_row(&query))
        found = true;
    enum vgpu_status status = query_end(&query, err);
    if (status == VGPU_OK)
        *exists = found;
    return status;
}

enum vgpu_status pool_check(struct store *store, char pool, struct vgpu_error *err)
{
    bool exists = false;
    enum vgpu_status status = pool_exists(store, pool, &exists, err);
    if (status != VGPU_OK || exists)
        return status;
    char letters[80] = "";
    size_t used = 0;
    struct query query = query_start(store, "SELECT pool_id FROM pools ORDER BY pool_id");
    while (query_row(&query) && used + 4 < sizeof letters)
        used += (size_t)snprintf(letters + used, sizeof letters - used, "%s%c", used > 0 ? ", " : "",
                                 query_pool(&query, 0));
    status = query_end(&query, err);
    if (status != VGPU_OK)
        return status;
    return error_set(err, VGPU_ERR_NOT_FOUND, "there is no pool %c: choose one of %s", pool, letters);
}

enum vgpu_status store_list_pools(struct store *store, struct vgpu_pool **pools, size_t *count,
                                  struct vgpu_error *err)
{
    void *list = NULL;
    size_t length = 0;
    struct query query = query_start(
        store,
        "SELECT p.pool_id, (SELECT count(*) FROM gpus g WHERE g.pool_id = p.pool_id)"
        " + (SELECT count(*) FROM gpu_pools q WHERE q.pool_id = p.pool_id),"
        " coalesce(low, 0), coalesce(medium, 0), coalesce(high, 0), " LIMIT_COLUMNS_OF_POOL
        " FROM pools p LEFT JOIN"
        " (SELECT coalesce(further_pool_id, pool_id) AS pool, sum(priority = 0) AS low,"
        " sum(priority = 1) AS medium, sum(priority = 2) AS high FROM vms GROUP BY 1) v ON v.pool = p.pool_id"
        " ORDER BY p.pool_id");
    while (query_row(&query)) {
        struct vgpu_pool *pool = list_add(&list, &length, sizeof *pool);
        if (pool == NULL) {
            query_set_result(&query, SQLITE_NOMEM);
            break;
        }
        pool->pool = query_pool(&query, 0);
        pool->gpu_count = (uint32_t)query_int(&query, 1);
        for (int class = 0; class < VGPU_PRIORITY_COUNT; class ++) {
            pool->vm_count_by_priority[class] = (uint32_t)query_int(&query, 2 + class);
            pool->vm_count += pool->vm_count_by_priority[class];
        }
        limits_read(&query, 5, LIMIT_COUNT_OF_POOL, &pool->limits);
    }
    enum vgpu_status status = query_end(&query, err);
    if (status != VGPU_OK) {
        free(list);
        return status;
    }
    *pools = list;
    *count = length;
    return VGPU_OK;
}

static enum vgpu_status write_pool(struct store *store, struct query query, char pool, const char *action,
                                   struct vgpu_error *err)
{
    query_bind_pool(&query, 1, pool);
    enum vgpu_status status = query_run(&query, err);
    if (status != VGPU_OK)
        return status;
    char subject[] = {'p', 'o', 'o', 'l', ' ', pool, '\0'};
    return history_record(store, action, subject, NULL, NULL, NULL, err);
}

enum vgpu_status store_add_pool(struct store *store, char pool, struct vgpu_error *err)
{
    enum vgpu_status status = change_begin(store, err);
    if (status != VGPU_OK)
        return status;
    bool exists = false;
    status = pool_exists(store, pool, &exists, err);
    if (status == VGPU_OK && exists)
        status = error_set(err, VGPU_ERR_EXISTS, "pool %c exists already: choose another letter", pool);
    if (status == VGPU_OK)
        status = write_pool(store, query_start(store, "INSERT INTO pools (pool_id) VALUES (?1)"), pool,
                            "add-pool", err);
    return change_end(store, status, err);
}

static enum vgpu_status pool_check_unused(struct store *store, char pool, struct vgpu_error *err)
{
    int64_t vms = 0;
    int64_t gpus = 0;
    struct query query =
        query_start(store, "SELECT (SELECT count(*) FROM vms WHERE coalesce(further_pool_id, pool_id) = ?1),"
                           " (SELECT count(*) FROM gpu_pools WHERE pool_id = ?1)");
    query_bind_pool(&query, 1, pool);
    while (query_row(&query)) {
        vms = query_int(&query, 0);
        gpus = query_int(&query, 1);
    }
    enum vgpu_status status = query_end(&query, err);
    if (status == VGPU_OK && vms + gpus > 0)
        return error_set(err, VGPU_ERR_BUSY,
                         "pool %c is in use by %" PRId64 " VMs and %" PRId64
                         " GPUs: move them to another pool first",
                         pool, vms, gpus);
    return status;
}

enum vgpu_status store_remove_pool(struct store *store, char pool, struct vgpu_error *err)
{
    if (pool_is_first_two(pool))
        return error_set(err, VGPU_ERR_USAGE, "pool %c cannot be removed: A and B always exist", pool);
    enum vgpu_status status = change_begin(store, err);
    if (status != VGPU_OK)
        return status;
    status = pool_check(store, pool, err);
    if (status == VGPU_OK)
        status = pool_check_unused(store, pool, err);
    if (status == VGPU_OK)
        status = write_pool(store, query_start(store, "DELETE FROM pools WHERE pool_id = ?1"), pool,
                            "remove-pool", err);
    return change_end(store, status, err);
}

/* ---- Limits ---- */

static enum vgpu_status read_pool_limits(struct store *store, char pool, struct vgpu_limits *limits,
                                         struct vgpu_error *err)
{
    struct query query = query_start(store, "SELECT " LIMIT_COLUMNS_OF_POOL " FROM pools WHERE pool_id = ?1");
    query_bind_pool(&query, 1, pool);
    while (query_row(&query))
        limits_read(&query, 0, LIMIT_COUNT_OF_POOL, limits);
    return query_end(&query, err);
}

static enum vgpu_status change_pool_limits(struct store *store, char pool, const struct vgpu_limits *change,
                                           struct vgpu_limits *after, struct vgpu_error *err)
{
    char subject[] = {'p', 'o', 'o', 'l', ' ', pool, '\0'};
    struct vgpu_limits before = {.set = 0};
    enum vgpu_status status = pool_check(store, pool, err);
    if (status == VGPU_OK)
        status = read_pool_limits(store, pool, &before, err);
    if (status != VGPU_OK)
        return status;
    *after = before;
    limits_apply(after, change);
    if (limits_equal(after, &before))
        return VGPU_OK;
    struct query query = query_start(store, "UPDATE pools SET (" LIMIT_COLUMNS_OF_POOL
                                            ") = (?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
                                            " WHERE pool_id = ?1");
    query_bind_pool(&query, 1, pool);
    limits_bind(&query, 2, LIMIT_COUNT_OF_POOL, after);
    status = query_run(&query, err);
    return status == VGPU_OK ? limits_record(store, "update-pool", subject, &before, after, err) : status;
}

enum vgpu_status store_set_pool_limits(struct store *store, char pool, const struct vgpu_limits *change,
                                       struct vgpu_limits *updated, struct vgpu_error *err)
{
    struct vgpu_limits after;
    enum vgpu_status status = change_begin(store, err);
    if (status != VGPU_OK)
        return status;
    status = change_end(store, change_pool_limits(store, pool, change, &after, err), err);
    if (status == VGPU_OK && updated != NULL)
        *updated = after;
    return status;
}

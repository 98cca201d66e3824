#include "store/history.h"

#include "base/clock.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- Changes ---- */

void store_set_actor(struct store *store, int64_t uid, const char *user_name)
{
    store->actor_uid = uid;
    snprintf(store->actor_name, sizeof store->actor_name, "%s", user_name == NULL ? "" : user_name);
    store->actor_known = true;
}

/* Looked up at the first change only: the user database may be slow. */
static void actor_default(struct store *store)
{
    char buffer[4096];
    struct passwd entry;
    struct passwd *found = NULL;
    uid_t uid = getuid();
    if (getpwuid_r(uid, &entry, buffer, sizeof buffer, &found) != 0 || found == NULL)
        store_set_actor(store, uid, NULL);
    else
        store_set_actor(store, uid, found->pw_name);
}

enum vgpu_status history_record(struct store *store, const char *action, const char *subject,
                                const char *field, const char *old_value, const char *new_value,
                                struct vgpu_error *err)
{
    if (!store->actor_known)
        actor_default(store);
    struct query query = query_start(
        store, "INSERT INTO changes (at_us, uid, user_name, action, subject, field, old_value, new_value)"
               " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
    query_bind_int(&query, 1, (int64_t)clock_wall_us());
    query_bind_int(&query, 2, store->actor_uid);
    query_bind_text(&query, 3, store->actor_name);
    query_bind_text(&query, 4, action);
    query_bind_text(&query, 5, subject);
    query_bind_text(&query, 6, field);
    query_bind_text(&query, 7, old_value);
    query_bind_text(&query, 8, new_value);
    return query_run(&query, err);
}

static void change_read(const struct query *query, struct vgpu_change *change)
{
    change->change_id = query_int(query, 0);
    change->at_us = query_int(query, 1);
    change->uid = query_int(query, 2);
    query_text(query, 3, change->user_name, sizeof change->user_name);
    query_text(query, 4, change->action, sizeof change->action);
    query_text(query, 5, change->subject, sizeof change->subject);
    query_text(query, 6, change->field, sizeof change->field);
    query_text(query, 7, change->old_value, sizeof change->old_value);
    query_text(query, 8, change->new_value, sizeof change->new_value);
}

/* SQLite takes a negative LIMIT as none. */
static int64_t limit_value(size_t limit)
{
    return limit == 0 || limit > INT64_MAX ? -1 : (int64_t)limit;
}

enum vgpu_status store_last_change_id(struct store *store, int64_t *change_id, struct vgpu_error *err)
{
    int64_t last = 0;
    struct query query = query_start(store, "SELECT coalesce(max(change_id), 0) FROM changes");
    while (query_row(&query))
        last = query_int(&query, 0);
    enum vgpu_status status = query_end(&query, err);
    if (status == VGPU_OK)
        *change_id = last;
    return status;
}

enum vgpu_status store_list_changes(struct store *store, const struct store_history_filter *filter,
                                    struct vgpu_change **changes, size_t *count, struct vgpu_error *err)
{
    void *list = NULL;
    size_t length = 0;
    struct query query = query_start(
        store, "SELECT * FROM (SELECT change_id, at_us, uid, user_name, action, subject, field, old_value,"
               " new_value FROM changes WHERE ((?1 IS NULL AND ?2 < 0) OR subject = 'vm ' || ?1"
               " OR (?2 >= 0 AND subject = 'gpu ' || ?2)) AND at_us >= ?3"
               " ORDER BY change_id DESC LIMIT ?4) ORDER BY change_id");
    query_bind_text(&query, 1, filter->vm_uuid);
    query_bind_int(&query, 2, filter->gpu_id);
    query_bind_int(&query, 3, filter->since_us);
    query_bind_int(&query, 4, limit_value(filter->limit));
    while (query_row(&query)) {
        struct vgpu_change *change = list_add(&list, &length, sizeof *change);
        if (change == NULL)
            query_set_result(&query, SQLITE_NOMEM);
        else
            change_read(&query, change);
    }
    enum vgpu_status status = query_end(&query, err);
    if (status != VGPU_OK) {
        free(list);
        return status;
    }
    *changes = list;
    *count = length;
    return VGPU_OK;
}

/* ---- Grants ---- */

static enum vgpu_status grant_append(struct store *store, const struct vgpu_grant *grant,
                                     struct vgpu_error *err)
{
    struct query query = query_start(
        store,
        "INSERT INTO grants (vm_uuid, vm_name, gpu_id, priority, asked_us, got_us, gave_back_us, reason)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
    query_bind_text(&query, 1, grant->vm_uuid);
    query_bind_text(&query, 2, grant->vm_name);
    query_bind_int(&query, 3, grant->gpu_id);
    query_bind_int(&query, 4, grant->priority);
    query_bind_int(&query, 5, grant->asked_us);
    query_bind_int(&query, 6, grant->got_us);
    query_bind_int(&query, 7, grant->gave_back_us);
    query_bind_text(&query, 8, grant->reason);
    return query_run(&query, err);
}

static enum vgpu_status grants_prune(struct store *store, size_t keep, struct vgpu_error *err)
{
    struct query query =
        query_start(store, "DELETE FROM grants WHERE grant_id <= (SELECT max(grant_id) FROM grants) - ?1");
    query_bind_int(&query, 1, keep > INT64_MAX ? INT64_MAX : (int64_t)keep);
    return query_run(&query, err);
}

static enum vgpu_status grants_append(struct store *store, const struct vgpu_grant *grants, size_t count,
                                      size_t keep, struct vgpu_error *err)
{
    enum vgpu_status status = change_begin(store, err);
    if (status != VGPU_OK)
        return status;
    for (size_t i = 0; status == VGPU_OK && i < count; i++)
        status = grant_append(store, &grants[i], err);
    if (status == VGPU_OK)
        status = grants_prune(store, keep, err);
    return change_end(store, status, err);
}

enum vgpu_status store_append_grants(struct store *store, const struct vgpu_grant *grants, size_t count,
                                     size_t keep, struct vgpu_error *err)
{
    if (store
            ->explicit_transaction) /* synchronous cannot be changed inside, and the commit is the caller's */
        return grants_append(store, grants, count, keep, err);
    enum vgpu_status status = store_execute(store, "PRAGMA synchronous = NORMAL", err);
    if (status != VGPU_OK)
        return status;
    status = grants_append(store, grants, count, keep, err);
    enum vgpu_status back = store_execute(store, "PRAGMA synchronous = FULL", status == VGPU_OK ? err : NULL);
    return status == VGPU_OK ? back : status;
}

static void grant_read(const struct query *query, struct vgpu_grant *grant)
{
    grant->grant_id = query_int(query, 0);
    query_text(query, 1, grant->vm_uuid, sizeof grant->vm_uuid);
    query_text(query, 2, grant->vm_name, sizeof grant->vm_name);
    grant->gpu_id = (int32_t)query_int(query, 3);
    grant->priority = (enum vgpu_priority)query_int(query, 4);
    grant->asked_us = query_int(query, 5);
    grant->got_us = query_int(query, 6);
    grant->gave_back_us = query_int(query, 7);
    query_text(query, 8, grant->reason, sizeof grant->reason);
}

enum vgpu_status store_list_grants(struct store *store, const struct store_history_filter *filter,
                                   struct vgpu_grant **grants, size_t *count, struct vgpu_error *err)
{
    void *list = NULL;
    size_t length = 0;
    struct query query = query_start(
        store, "SELECT * FROM (SELECT grant_id, vm_uuid, vm_name, gpu_id, priority, asked_us, got_us,"
               " gave_back_us, reason FROM grants WHERE (?1 IS NULL OR vm_uuid = ?1)"
               " AND (?2 < 0 OR gpu_id = ?2) AND gave_back_us >= ?3 ORDER BY grant_id DESC LIMIT ?4)"
               " ORDER BY grant_id");
    query_bind_text(&query, 1, filter->vm_uuid);
    query_bind_int(&query, 2, filter->gpu_id);
    query_bind_int(&query, 3, filter->since_us);
    query_bind_int(&query, 4, limit_value(filter->limit));
    while (query_row(&query)) {
        struct vgpu_grant *grant = list_add(&list, &length, sizeof *grant);
        if (grant == NULL)
            query_set_result(&query, SQLITE_NOMEM);
        else
            grant_read(&query, grant);
    }
    enum vgpu_status status = query_end(&query, err);
    if (status != VGPU_OK) {
        free(list);
        return status;
    }
    *grants = list;
    *count = length;
    return VGPU_OK;
}

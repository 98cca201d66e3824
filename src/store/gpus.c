#include "base/error.h"
#include "store/history.h"
#include "store/placement.h"
#include "store/pools.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the inventory calls a GPU whose UUID no driver has told yet. */
#define STAND_IN_PREFIX "PCI-"

#define VANISHED_REASON "not found by the last scan"

static const char *const status_words[] = {"online", "offline", "error"}; /* enum vgpu_gpu_status */

static enum vgpu_gpu_status status_of_word(const char *word)
{
    if (strcmp(word, status_words[VGPU_GPU_ONLINE]) == 0)
        return VGPU_GPU_ONLINE;
    return strcmp(word, status_words[VGPU_GPU_OFFLINE]) == 0 ? VGPU_GPU_OFFLINE : VGPU_GPU_ERROR;
}

/* ---- Reading ---- */

/* One row for each further pool of a GPU, at least one for each GPU. */
static const char list_sql[] =
    "SELECT g.gpu_id, gpu_uuid, gpu_name, pci_address, g.pool_id, memory_total, memory_used, utilization,"
    " temperature, power_mw, status, status_reason, created_at, updated_at, last_seen_at, p.pool_id"
    " FROM gpus g LEFT JOIN gpu_pools p ON p.gpu_id = g.gpu_id"
    " ORDER BY g.gpu_id, p.is_primary DESC, p.pool_id";

static void gpu_read(const struct query *query, struct vgpu_gpu *gpu)
{
    char status[16];
    gpu->gpu_id = (int32_t)query_int(query, 0);
    query_text(query, 1, gpu->gpu_uuid, sizeof gpu->gpu_uuid);
    query_text(query, 2, gpu->gpu_name, sizeof gpu->gpu_name);
    query_text(query, 3, gpu->pci_address, sizeof gpu->pci_address);
    gpu->pools[0] = query_pool(query, 4);
    gpu->memory_total_mib = query_optional(query, 5);
    gpu->memory_used_mib = query_optional(query, 6);
    gpu->utilization_percent = query_optional(query, 7);
    gpu->temperature_c = query_optional(query, 8);
    gpu->power_mw = query_optional(query, 9);
    query_text(query, 10, status, sizeof status);
    gpu->status = status_of_word(status);
    query_text(query, 11, gpu->reason, sizeof gpu->reason);
    query_text(query, 12, gpu->created_at, sizeof gpu->created_at);
    query_text(query, 13, gpu->updated_at, sizeof gpu->updated_at);
    query_text(query, 14, gpu->last_seen_at, sizeof gpu->last_seen_at);
}

static void pools_append(struct vgpu_gpu *gpu, char pool)
{
    size_t length = strlen(gpu->pools);
    if (pool != '\0' && length + 1 < sizeof gpu->pools)
        gpu->pools[length] = pool; /* the rest is zeroed */
}

/* Drops those that do not serve the pool. */
static size_t keep_pool(struct vgpu_gpu *gpus, size_t count, char pool)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (strchr(gpus[i].pools, pool) != NULL)
            gpus[kept++] = gpus[i];
    return kept;
}

enum vgpu_status store_list_gpus(struct store *store, char pool, struct vgpu_gpu **gpus, size_t *count,
                                 struct vgpu_error *err)
{
    void *list = NULL;
    size_t length = 0;
    struct vgpu_gpu *last = NULL;
    struct query query = query_start(store, list_sql);
    while (query_row(&query)) {
        if (last == NULL || last->gpu_id != query_int(&query, 0)) {
            last = list_add(&list, &length, sizeof *last);
            if (last == NULL) {
                query_set_result(&query, SQLITE_NOMEM);
                break;
            }
            gpu_read(&query, last);
        }
        pools_append(last, query_pool(&query, 15));
    }
    enum vgpu_status status = query_end(&query, err);
    if (status == VGPU_OK && pool != '\0' && list != NULL)
        length = keep_pool(list, length, pool);
    if (status != VGPU_OK || length == 0) {
        free(list);
        list = NULL;
    }
    if (status == VGPU_OK) {
        *gpus = list;
        *count = length;
    }
    return status;
}

enum vgpu_status store_get_gpu(struct store *store, int32_t gpu_id, struct vgpu_gpu *gpu,
                               struct vgpu_error *err)
{
    struct vgpu_gpu *gpus = NULL;
    size_t count = 0;
    enum vgpu_status status = store_list_gpus(store, 0, &gpus, &count, err);
    if (status != VGPU_OK)
        return status;
    const struct vgpu_gpu *found = NULL;
    for (size_t i = 0; i < count; i++)
        if (gpus[i].gpu_id == gpu_id)
            found = &gpus[i];
    if (found != NULL)
        *gpu = *found;
    else
        status =
            error_set(err, VGPU_ERR_NOT_FOUND,
                      "there is no GPU %" PRId32 ": list-gpus shows those that are known, scan-gpus looks "
                      "for new ones",
                      gpu_id);
    free(gpus);
    return status;
}

/* ---- Writing ---- */

static void bind_gpu(struct query *query, const struct vgpu_gpu *gpu)
{
    query_bind_int(query, 1, gpu->gpu_id);
    query_bind_text(query, 2, gpu->gpu_uuid);
    query_bind_text(query, 3, gpu->gpu_name);
    query_bind_text(query, 4, gpu->pci_address);
    query_bind_optional(query, 5, gpu->memory_total_mib);
    query_bind_optional(query, 6, gpu->memory_used_mib);
    query_bind_optional(query, 7, gpu->utilization_percent);
    query_bind_optional(query, 8, gpu->temperature_c);
    query_bind_optional(query, 9, gpu->power_mw);
    query_bind_text(query, 10, status_words[gpu->status]);
    query_bind_text(query, 11, gpu->reason);
}

static enum vgpu_status gpu_insert(struct store *store, const struct vgpu_gpu *gpu, struct vgpu_error *err)
{
    struct query query = query_start(
        store, "INSERT INTO gpus (gpu_id, gpu_uuid, gpu_name, pci_address, memory_total, memory_used,"
               " utilization, temperature, power_mw, status, status_reason, last_seen_at)"
               " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, CURRENT_TIMESTAMP)");
    bind_gpu(&query, gpu);
    return query_run(&query, err);
}

/* seen: a scan has found it now. */
static enum vgpu_status gpu_update(struct store *store, const struct vgpu_gpu *gpu, bool seen,
                                   struct vgpu_error *err)
{
    struct query query = query_start(
        store,
        "UPDATE gpus SET gpu_uuid = ?2, gpu_name = ?3, pci_address = ?4, memory_total = ?5,"
        " memory_used = ?6, utilization = ?7, temperature = ?8, power_mw = ?9, status = ?10,"
        " status_reason = ?11, updated_at = CURRENT_TIMESTAMP,"
        " last_seen_at = CASE WHEN ?12 THEN CURRENT_TIMESTAMP ELSE last_seen_at END WHERE gpu_id = ?1");
    bind_gpu(&query, gpu);
    query_bind_int(&query, 12, seen);
    return query_run(&query, err);
}

/* ---- What a scan found ---- */

static bool is_stand_in(const struct vgpu_gpu *gpu)
{
    return strncmp(gpu->gpu_uuid, STAND_IN_PREFIX, strlen(STAND_IN_PREFIX)) == 0;
}

/* The stored row of the same GPU: by UUID; or by address where one of the two has no UUID of its own. NULL:
 * it is new. */
static struct vgpu_gpu *find_same(struct vgpu_gpu *stored, size_t count, const struct vgpu_gpu *found)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(stored[i].gpu_uuid, found->gpu_uuid) == 0)
            return &stored[i];
    for (size_t i = 0; i < count; i++)
        if (found->pci_address[0] != '\0' && strcmp(stored[i].pci_address, found->pci_address) == 0 &&
            is_stand_in(&stored[i]) != is_stand_in(found))
            return &stored[i];
    return NULL;
}

/* What is found now over what was known: a GPU that lost its driver keeps its UUID, name and memory size. */
static void merge(struct vgpu_gpu *stored, const struct vgpu_gpu *found)
{
    bool only_bus = is_stand_in(found) && !is_stand_in(stored);
    if (!only_bus)
        memcpy(stored->gpu_uuid, found->gpu_uuid, sizeof stored->gpu_uuid);
    if (found->gpu_name[0] != '\0' && !(only_bus && stored->gpu_name[0] != '\0'))
        memcpy(stored->gpu_name, found->gpu_name, sizeof stored->gpu_name);
    if (found->pci_address[0] != '\0')
        memcpy(stored->pci_address, found->pci_address, sizeof stored->pci_address);
    if (found->memory_total_mib.known)
        stored->memory_total_mib = found->memory_total_mib;
    stored->memory_used_mib = found->memory_used_mib;
    stored->utilization_percent = found->utilization_percent;
    stored->temperature_c = found->temperature_c;
    stored->power_mw = found->power_mw;
    stored->status = found->status;
    memcpy(stored->reason, found->reason, sizeof stored->reason);
}

static bool id_is_taken(const struct vgpu_gpu *stored, size_t count, int32_t gpu_id)
{
    for (size_t i = 0; i < count; i++)
        if (stored[i].gpu_id == gpu_id)
            return true;
    return false;
}

static int32_t choose_id(const struct vgpu_gpu *stored, size_t count, int32_t wish)
{
    if (wish >= 0 && !id_is_taken(stored, count, wish))
        return wish;
    int32_t id = 0;
    while (id_is_taken(stored, count, id))
        id++;
    return id;
}

static enum vgpu_status gpu_add(struct store *store, const struct vgpu_gpu *gpu, struct vgpu_error *err)
{
    enum vgpu_status status = gpu_insert(store, gpu, err);
    if (status != VGPU_OK)
        return status;
    char subject[24];
    char what[VGPU_GPU_NAME_BYTES + VGPU_GPU_UUID_BYTES + 4];
    snprintf(subject, sizeof subject, "gpu %" PRId32, gpu->gpu_id);
    snprintf(what, sizeof what, "%s (%s)", gpu->gpu_name[0] != '\0' ? gpu->gpu_name : "GPU", gpu->gpu_uuid);
    return history_record(store, "register-gpu", subject, NULL, NULL, what, err);
}

/* Stores one GPU found. *stored is the list of all rows, kept in step with the table. *gpu_id gets the row's
 * number. */
static enum vgpu_status apply_one(struct store *store, struct vgpu_gpu **stored, size_t *count,
                                  const struct vgpu_gpu *found, int32_t *gpu_id, struct vgpu_error *err)
{
    struct vgpu_gpu *same = find_same(*stored, *count, found);
    if (same != NULL) {
        merge(same, found);
        *gpu_id = same->gpu_id;
        return gpu_update(store, same, true, err);
    }
    struct vgpu_gpu added = *found;
    added.gpu_id = choose_id(*stored, *count, found->gpu_id);
    void *list = *stored;
    struct vgpu_gpu *row = list_add(&list, count, sizeof *row);
    if (row == NULL)
        return store_fail(store, SQLITE_NOMEM, err);
    *stored = list;
    *row = added;
    *gpu_id = added.gpu_id;
    return gpu_add(store, &added, err);
}

static bool id_is_among(const int32_t *ids, size_t count, int32_t id)
{
    for (size_t i = 0; i < count; i++)
        if (ids[i] == id)
            return true;
    return false;
}

static enum vgpu_status mark_vanished(struct store *store, struct vgpu_gpu *gpu, struct vgpu_error *err)
{
    static const struct vgpu_optional unknown = {.known = false};
    gpu->memory_used_mib = unknown;
    gpu->utilization_percent = unknown;
    gpu->temperature_c = unknown;
    gpu->power_mw = unknown;
    gpu->status = VGPU_GPU_OFFLINE;
    snprintf(gpu->reason, sizeof gpu->reason, "%s", VANISHED_REASON);
    return gpu_update(store, gpu, false, err);
}

/* all: the GPUs found are all there are. ids[i] gets the number of found[i]. */
static enum vgpu_status apply(struct store *store, const struct vgpu_gpu *found, size_t count, bool all,
                              int32_t *ids, struct vgpu_error *err)
{
    struct vgpu_gpu *stored = NULL;
    size_t stored_count = 0;
    enum vgpu_status status = store_list_gpus(store, 0, &stored, &stored_count, err);
    for (size_t i = 0; status == VGPU_OK && i < count; i++)
        status = apply_one(store, &stored, &stored_count, &found[i], &ids[i], err);
    for (size_t i = 0; all && status == VGPU_OK && i < stored_count; i++) {
        bool was_known_gone = strcmp(stored[i].reason, VANISHED_REASON) == 0;
        if (!id_is_among(ids, count, stored[i].gpu_id) && !was_known_gone)
            status = mark_vanished(store, &stored[i], err);
    }
    free(stored);
    return status == VGPU_OK ? placement_renew(store, err) : status;
}

enum vgpu_status store_apply_scan(struct store *store, const struct vgpu_gpu *found, size_t count,
                                  int32_t *gpu_ids, struct vgpu_error *err)
{
    int32_t *ids = calloc(count + 1, sizeof *ids);
    if (ids == NULL)
        return store_fail(store, SQLITE_NOMEM, err);
    enum vgpu_status status = change_begin(store, err);
    if (status == VGPU_OK)
        status = change_end(store, apply(store, found, count, true, ids, err), err);
    if (status == VGPU_OK && gpu_ids != NULL)
        memcpy(gpu_ids, ids, count * sizeof *ids);
    free(ids);
    return status;
}

enum vgpu_status store_register_gpu(struct store *store, const struct vgpu_gpu *gpu,
                                    struct vgpu_gpu *registered, struct vgpu_error *err)
{
    enum vgpu_status status = change_begin(store, err);
    if (status != VGPU_OK)
        return status;
    int32_t gpu_id = -1;
    struct vgpu_gpu row;
    status = apply(store, gpu, 1, false, &gpu_id, err);
    if (status == VGPU_OK)
        status = store_get_gpu(store, gpu_id, &row, err);
    status = change_end(store, status, err);
    if (status == VGPU_OK && registered != NULL)
        *registered = row;
    return status;
}

/* ---- Pools of a GPU ---- */

static int compare_letters(const void *left, const void *right)
{
    return *(const char *)left - *(const char *)right;
}

/* The primary one first, the others in order, each once. */
static enum vgpu_status pools_canonical(struct store *store, const char *pools,
                                        char canonical[VGPU_POOLS_BYTES], struct vgpu_error *err)
{
    memset(canonical, 0, VGPU_POOLS_BYTES);
    size_t length = 0;
    for (const char *pool = pools; *pool != '\0'; pool++) {
        if (strchr(canonical, *pool) != NULL)
            continue;
        enum vgpu_status status = pool_check(store, *pool, err);
        if (status != VGPU_OK)
            return status;
        canonical[length++] = *pool;
    }
    if (length > 1)
        qsort(canonical + 1, length - 1, 1, compare_letters);
    return VGPU_OK;
}

static enum vgpu_status write_primary(struct store *store, int32_t gpu_id, char pool, struct vgpu_error *err)
{
    struct query query =
        query_start(store, "UPDATE gpus SET pool_id = ?2, updated_at = CURRENT_TIMESTAMP WHERE gpu_id = ?1");
    query_bind_int(&query, 1, gpu_id);
    query_bind_pool(&query, 2, pool_is_first_two(pool) ? pool : '\0');
    return query_run(&query, err);
}

static enum vgpu_status write_further(struct store *store, int32_t gpu_id, char pool, bool primary,
                                      struct vgpu_error *err)
{
    struct query query =
        query_start(store, "INSERT INTO gpu_pools (gpu_id, pool_id, is_primary) VALUES (?1, ?2, ?3)");
    query_bind_int(&query, 1, gpu_id);
    query_bind_pool(&query, 2, pool);
    query_bind_int(&query, 3, primary);
    return query_run(&query, err);
}

static enum vgpu_status write_pools(struct store *store, int32_t gpu_id, const char *pools,
                                    struct vgpu_error *err)
{
    struct query clear = query_start(store, "DELETE FROM gpu_pools WHERE gpu_id = ?1");
    query_bind_int(&clear, 1, gpu_id);
    enum vgpu_status status = query_run(&clear, err);
    if (status == VGPU_OK)
        status = write_primary(store, gpu_id, pools[0], err);
    for (size_t i = 0; status == VGPU_OK && pools[i] != '\0'; i++)
        if (i > 0 || !pool_is_first_two(pools[i]))
            status = write_further(store, gpu_id, pools[i], i == 0, err);
    return status;
}

static enum vgpu_status set_pools(struct store *store, int32_t gpu_id, const char *pools,
                                  struct vgpu_error *err)
{
    struct vgpu_gpu gpu;
    char canonical[VGPU_POOLS_BYTES];
    enum vgpu_status status = store_get_gpu(store, gpu_id, &gpu, err);
    if (status == VGPU_OK)
        status = pools_canonical(store, pools, canonical, err);
    if (status != VGPU_OK || strcmp(gpu.pools, canonical) == 0)
        return status;
    status = write_pools(store, gpu_id, canonical, err);
    if (status == VGPU_OK)
        status = placement_renew(store, err);
    if (status != VGPU_OK)
        return status;
    char subject[24];
    snprintf(subject, sizeof subject, "gpu %" PRId32, gpu_id);
    return history_record(store, canonical[0] != '\0' ? "assign-gpu" : "unassign-gpu", subject, "pools",
                          gpu.pools, canonical, err);
}

enum vgpu_status store_set_gpu_pools(struct store *store, int32_t gpu_id, const char *pools,
                                     struct vgpu_error *err)
{
    enum vgpu_status status = change_begin(store, err);
    return status == VGPU_OK ? change_end(store, set_pools(store, gpu_id, pools, err), err) : status;
}

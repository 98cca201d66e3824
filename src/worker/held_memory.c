#include "worker/held_memory.h"

#include <pthread.h>
#include <stdlib.h>

#include "driver_api.h"
#include "worker/handle_map.h"
#include "worker/vm.h"

#define BUCKETS 8192u

struct entry {
    struct held_memory held;
    struct entry *next;
};

struct pool {
    CUmemoryPool pool;
    uint64_t live;  /* bytes of entries out of it */
    uint64_t slack; /* counted on top: what it has reserved beyond them. Only under a quota */
    struct pool *next;
};

static struct {
    pthread_mutex_t lock;
    struct entry *buckets[BUCKETS];
    struct pool *pools;
    _Atomic uint64_t graphs; /* bytes counted of what the driver keeps for graphs. Only under a quota */
} list = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct entry **bucket_of(enum held_kind kind, uint64_t object)
{
    uint64_t key = object >> 8 ^ object >> 21 ^ (uint64_t)kind;
    return &list.buckets[key % BUCKETS];
}

static bool has_quota(void)
{
    return vm_page_read(&vm_page->memory_quota_bytes) != 0;
}

/* --- pools. Under the lock --- */

static struct pool *pool_find(const void *pool)
{
    struct pool *found = list.pools;
    while (found != NULL && found->pool != pool)
        found = found->next;
    return found;
}

static struct pool *pool_of(CUmemoryPool pool)
{
    struct pool *found = pool_find(pool);
    if (found == NULL && (found = calloc(1, sizeof *found)) != NULL) {
        found->pool = pool;
        found->next = list.pools;
        list.pools = found;
    }
    return found;
}

static uint64_t pool_reserved(CUmemoryPool pool)
{
    cuuint64_t bytes = 0;
    if (driver.cuMemPoolGetAttribute == NULL ||
        driver.cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT, &bytes) != CUDA_SUCCESS)
        return 0;
    return bytes;
}

/* Counts what the pool keeps beyond what lives. False: more than the quota leaves. */
static bool pool_refresh(struct pool *pool)
{
    uint64_t reserved = has_quota() ? pool_reserved(pool->pool) : 0;
    uint64_t slack = reserved > pool->live ? reserved - pool->live : 0;
    if (slack > pool->slack && !vm_reserve_memory(slack - pool->slack))
        return false;
    if (slack < pool->slack)
        vm_release_memory(pool->slack - slack);
    pool->slack = slack;
    return true;
}

static void refresh_graphs(void)
{
    cuuint64_t reserved = 0;
    if (!has_quota() || driver.cuDeviceGetGraphMemAttribute == NULL ||
        driver.cuDeviceGetGraphMemAttribute(0, CU_GRAPH_MEM_ATTR_RESERVED_MEM_CURRENT, &reserved) !=
            CUDA_SUCCESS)
        reserved = 0;
    vm_settle_memory(list.graphs, reserved); /* it is there, whatever the quota says */
    list.graphs = reserved;
}

static void refresh_pools(bool trim)
{
    if (trim && list.graphs > 0 && driver.cuDeviceGraphMemTrim != NULL)
        driver.cuDeviceGraphMemTrim(0);
    refresh_graphs();
    for (struct pool *pool = list.pools; pool != NULL; pool = pool->next) {
        if (trim && pool->slack > 0)
            driver.cuMemPoolTrimTo(pool->pool, 0);
        pool_refresh(pool);
    }
}

void held_memory_refresh(void)
{
    pthread_mutex_lock(&list.lock);
    refresh_pools(false);
    pthread_mutex_unlock(&list.lock);
}

void held_memory_waited(void)
{
    if (!has_quota())
        return;
    pthread_mutex_lock(&list.lock);
    for (struct pool *pool = list.pools; pool != NULL; pool = pool->next)
        if (pool->slack > 0)
            pool_refresh(pool);
    pthread_mutex_unlock(&list.lock);
}

static bool is_over_quota(void)
{
    uint64_t quota = vm_page_read(&vm_page->memory_quota_bytes);
    return quota != 0 && vm_page_read(&vm_page->memory_used_bytes) > quota;
}

/* What the guest asked for is more than its VM may have. */
static CUresult refuse(void)
{
    vm_page_count(&vm_page->refused_allocations, 1);
    return CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult held_memory_before_graph(void)
{
    if (!is_over_quota())
        return CUDA_SUCCESS;
    pthread_mutex_lock(&list.lock);
    refresh_pools(true);
    pthread_mutex_unlock(&list.lock);
    return is_over_quota() ? refuse() : CUDA_SUCCESS;
}

void held_memory_after_graph(void)
{
    if (!has_quota() && list.graphs == 0)
        return;
    pthread_mutex_lock(&list.lock);
    refresh_graphs();
    pthread_mutex_unlock(&list.lock);
}

/* --- entries --- */

static bool claim_locked(uint64_t bytes)
{
    if (vm_reserve_memory(bytes))
        return true;
    refresh_pools(true);
    return vm_reserve_memory(bytes);
}

CUresult held_memory_claim(uint64_t bytes)
{
    pthread_mutex_lock(&list.lock);
    bool taken = claim_locked(bytes);
    pthread_mutex_unlock(&list.lock);
    return taken ? CUDA_SUCCESS : refuse();
}

/* Under the lock. What there is no memory to note counts until the process ends. */
static void put(const struct held_memory *held)
{
    struct entry *entry = malloc(sizeof *entry);
    if (entry == NULL)
        return;
    struct entry **bucket = bucket_of(held->kind, held->object);
    entry->held = *held;
    entry->next = *bucket;
    *bucket = entry;
    struct pool *pool = held->kind == HELD_POOLED ? pool_find(held->owner) : NULL;
    if (pool != NULL)
        pool->live += held->bytes;
}

/* Under the lock. */
static struct held_memory take_out(struct entry **link)
{
    struct entry *entry = *link;
    struct held_memory held = entry->held;
    *link = entry->next;
    free(entry);
    struct pool *pool = held.kind == HELD_POOLED ? pool_find(held.owner) : NULL;
    if (pool != NULL)
        pool->live -= held.bytes;
    return held;
}

static struct entry **find(enum held_kind kind, uint64_t object)
{
    struct entry **link = bucket_of(kind, object);
    while (*link != NULL && ((*link)->held.kind != kind || (*link)->held.object != object))
        link = &(*link)->next;
    return link;
}

void held_memory_settle(uint64_t claimed_bytes, enum held_kind kind, uint64_t object, uint64_t given_bytes)
{
    vm_settle_memory(claimed_bytes, given_bytes);
    if (given_bytes == 0)
        return;
    CUcontext context = NULL;
    if (kind == HELD_LINEAR || kind == HELD_ARRAY || kind == HELD_IMPORTED)
        driver.cuCtxGetCurrent(&context);
    struct held_memory held = {.kind = kind, .object = object, .bytes = given_bytes, .owner = context};
    pthread_mutex_lock(&list.lock);
    put(&held);
    pthread_mutex_unlock(&list.lock);
}

bool held_memory_withdraw(enum held_kind kind, uint64_t object, struct held_memory *held)
{
    pthread_mutex_lock(&list.lock);
    struct entry **link = find(kind, object);
    bool found = *link != NULL;
    if (found)
        *held = take_out(link);
    pthread_mutex_unlock(&list.lock);
    return found;
}

uint64_t held_memory_bytes(enum held_kind kind, uint64_t object)
{
    pthread_mutex_lock(&list.lock);
    const struct entry *found = *find(kind, object);
    uint64_t bytes = found != NULL ? found->held.bytes : 0;
    pthread_mutex_unlock(&list.lock);
    return bytes;
}

/* Memory that goes back to a pool which is counted by what it keeps is still the pool's. */
void held_memory_end(const struct held_memory *held, bool gone)
{
    pthread_mutex_lock(&list.lock);
    struct pool *pool = held->kind == HELD_POOLED ? pool_find(held->owner) : NULL;
    if (!gone)
        put(held);
    else if (pool != NULL && has_quota())
        pool->slack += held->bytes;
    else
        vm_release_memory(held->bytes);
    pthread_mutex_unlock(&list.lock);
}

/* --- in stream order --- */

CUresult held_memory_claim_pooled(CUmemoryPool pool, uint64_t bytes)
{
    pthread_mutex_lock(&list.lock);
    struct pool *found = pool_of(pool);
    uint64_t kept = found != NULL && found->slack < bytes ? found->slack : bytes;
    bool taken = found != NULL;
    if (taken) {
        found->slack -= kept;
        taken = kept == bytes || claim_locked(bytes - kept);
        if (!taken)
            found->slack += kept;
    }
    pthread_mutex_unlock(&list.lock);
    return taken ? CUDA_SUCCESS : refuse();
}

CUresult held_memory_settle_pooled(CUmemoryPool pool, uint64_t claimed_bytes, uint64_t address,
                                   uint64_t given_bytes)
{
    struct held_memory held = {.kind = HELD_POOLED, .object = address, .bytes = given_bytes, .owner = pool};
    CUresult result = CUDA_SUCCESS;
    vm_settle_memory(claimed_bytes, given_bytes);
    pthread_mutex_lock(&list.lock);
    if (given_bytes != 0)
        put(&held);
    struct pool *found = pool_find(pool);
    if (found != NULL && (found->slack != 0 || has_quota()) && !pool_refresh(found)) {
        driver.cuMemPoolTrimTo(pool, 0);
        if (!pool_refresh(found))
            result = CUDA_ERROR_OUT_OF_MEMORY;
    }
    pthread_mutex_unlock(&list.lock);
    return result;
}

void held_memory_pool_gone(CUmemoryPool pool)
{
    pthread_mutex_lock(&list.lock);
    for (struct pool **link = &list.pools; *link != NULL; link = &(*link)->next) {
        struct pool *found = *link;
        if (found->pool != pool)
            continue;
        vm_release_memory(found->slack);
        *link = found->next;
        free(found);
        break;
    }
    pthread_mutex_unlock(&list.lock);
}

/* --- contexts --- */

static bool belongs_to_ended(const struct held_memory *held, const void *emptied)
{
    if (held->owner == NULL || held->kind == HELD_POOLED || held->kind == HELD_ALLOCATION)
        return false;
    return emptied != NULL ? held->owner == emptied : handle_known(HANDLE_CONTEXT, held->owner) == 0;
}

static void drop_of_contexts(const void *emptied)
{
    pthread_mutex_lock(&list.lock);
    for (uint32_t i = 0; i < BUCKETS; i++) {
        for (struct entry **link = &list.buckets[i]; *link != NULL;) {
            if (belongs_to_ended(&(*link)->held, emptied))
                vm_release_memory(take_out(link).bytes);
            else
                link = &(*link)->next;
        }
    }
    pthread_mutex_unlock(&list.lock);
}

void held_memory_contexts_ended(void)
{
    drop_of_contexts(NULL);
}

void held_memory_context_emptied(const void *context)
{
    drop_of_contexts(context);
}

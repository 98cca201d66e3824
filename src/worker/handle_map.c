#include "worker/handle_map.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define CHUNK_ENTRIES 4096u
#define CHUNKS        ((HANDLE_MAX_INDEX + 1) / CHUNK_ENTRIES)
#define BUCKETS       4096u

struct entry {
    _Atomic uint64_t handle; /* the name in use, 0 when none; release after object is set */
    void *object;
    uint64_t parent;
    enum handle_kind kind;
    struct entry *next_in_bucket;  /* by object, to find a name again */
    struct entry *previous, *next; /* of all in use of this kind */
};

/* Entries never move, so that finding needs no lock; all changes are under the lock. */
static pthread_mutex_t map_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(struct entry *) chunks[HANDLE_KINDS][CHUNKS];
static struct entry *buckets[BUCKETS];
static struct entry *first_of_kind[HANDLE_KINDS];

static struct entry **bucket_of(const void *object)
{
    uint64_t key = (uintptr_t)object >> 4;
    return &buckets[(key ^ key >> 12 ^ key >> 24) % BUCKETS];
}

static struct entry *entry_at(uint64_t handle)
{
    if (!handle_value_plausible(handle))
        return NULL;
    uint32_t index = handle_value_index(handle);
    struct entry *chunk =
        atomic_load_explicit(&chunks[handle_value_kind(handle)][index / CHUNK_ENTRIES], memory_order_acquire);
    return chunk != NULL ? &chunk[index % CHUNK_ENTRIES] : NULL;
}

static struct entry *entry_in_use(uint64_t handle)
{
    struct entry *entry = entry_at(handle);
    return entry != NULL && atomic_load_explicit(&entry->handle, memory_order_acquire) == handle ? entry
                                                                                                 : NULL;
}

bool handle_find(enum handle_kind kind, uint64_t handle, void **object)
{
    *object = NULL;
    if (handle == 0)
        return true;
    if (kind == HANDLE_STREAM && handle <= (uintptr_t)CU_STREAM_PER_THREAD) {
        *object = (void *)(uintptr_t)handle;
        return true;
    }
    enum handle_kind found = handle_value_kind(handle);
    if (found != kind && !(kind == HANDLE_FUNCTION && found == HANDLE_KERNEL))
        return false;
    struct entry *entry = entry_in_use(handle);
    if (entry == NULL)
        return false;
    *object = entry->object;
    return true;
}

CUresult handle_error(enum handle_kind kind)
{
    return kind == HANDLE_CONTEXT ? CUDA_ERROR_INVALID_CONTEXT : CUDA_ERROR_INVALID_HANDLE;
}

/* Under the lock: the entry for a new name, its chunk made if need be. */
static struct entry *make_room(enum handle_kind kind, uint64_t wanted)
{
    if (!handle_value_plausible(wanted) || handle_value_kind(wanted) != kind)
        return NULL;
    _Atomic(struct entry *) *chunk = &chunks[kind][handle_value_index(wanted) / CHUNK_ENTRIES];
    if (atomic_load(chunk) == NULL) {
        struct entry *made = calloc(CHUNK_ENTRIES, sizeof *made);
        if (made == NULL)
            return NULL;
        atomic_store_explicit(chunk, made, memory_order_release);
    }
    struct entry *entry = entry_at(wanted);
    return atomic_load(&entry->handle) == 0 ? entry : NULL;
}

/* Under the lock. */
static struct entry *entry_of_object(enum handle_kind kind, const void *object)
{
    struct entry *entry = *bucket_of(object);
    while (entry != NULL && (entry->object != object || entry->kind != kind))
        entry = entry->next_in_bucket;
    return entry;
}

uint64_t handle_known(enum handle_kind kind, const void *object)
{
    pthread_mutex_lock(&map_lock);
    const struct entry *entry = entry_of_object(kind, object);
    uint64_t name = entry != NULL ? atomic_load(&entry->handle) : 0;
    pthread_mutex_unlock(&map_lock);
    return name;
}

uint64_t handle_name(enum handle_kind kind, uint64_t wanted, void *object, uint64_t parent)
{
    if (object == NULL)
        return 0;
    if (kind == HANDLE_STREAM && (uintptr_t)object <= (uintptr_t)CU_STREAM_PER_THREAD)
        return (uintptr_t)object;
    pthread_mutex_lock(&map_lock);
    struct entry **bucket = bucket_of(object);
    struct entry *entry = entry_of_object(kind, object);
    uint64_t name = 0;
    if (entry != NULL) {
        name = atomic_load(&entry->handle);
    } else if ((entry = make_room(kind, wanted)) != NULL) {
        entry->object = object;
        entry->parent = parent;
        entry->kind = kind;
        entry->next_in_bucket = *bucket;
        *bucket = entry;
        entry->previous = NULL;
        entry->next = first_of_kind[kind];
        if (entry->next != NULL)
            entry->next->previous = entry;
        first_of_kind[kind] = entry;
        atomic_store_explicit(&entry->handle, wanted, memory_order_release);
        name = wanted;
    }
    pthread_mutex_unlock(&map_lock);
    return name;
}

/* Under the lock. */
static void drop(struct entry *entry)
{
    struct entry **link = bucket_of(entry->object);
    while (*link != entry)
        link = &(*link)->next_in_bucket;
    *link = entry->next_in_bucket;
    if (entry->previous != NULL)
        entry->previous->next = entry->next;
    else
        first_of_kind[entry->kind] = entry->next;
    if (entry->next != NULL)
        entry->next->previous = entry->previous;
    atomic_store_explicit(&entry->handle, 0, memory_order_release);
}

/* Under the lock: what a module or library takes with it. Modules come before functions in the kinds, and a
 * library may have handed out a module. */
static void drop_children(uint64_t parent)
{
    static const enum handle_kind with_parents[] = {HANDLE_FUNCTION, HANDLE_KERNEL, HANDLE_MODULE};
    for (size_t i = 0; i < sizeof with_parents / sizeof with_parents[0]; i++) {
        struct entry *next;
        for (struct entry *entry = first_of_kind[with_parents[i]]; entry != NULL; entry = next) {
            next = entry->next;
            if (entry->parent == parent)
                drop(entry);
        }
    }
}

void handle_remove(uint64_t handle)
{
    pthread_mutex_lock(&map_lock);
    struct entry *entry = entry_in_use(handle);
    if (entry != NULL) {
        drop(entry);
        if (entry->kind == HANDLE_MODULE || entry->kind == HANDLE_LIBRARY)
            drop_children(handle);
    }
    pthread_mutex_unlock(&map_lock);
}

void handle_each(enum handle_kind kind, void (*visit)(void *object, void *user), void *user)
{
    pthread_mutex_lock(&map_lock);
    for (struct entry *entry = first_of_kind[kind]; entry != NULL; entry = entry->next)
        visit(entry->object, user);
    pthread_mutex_unlock(&map_lock);
}

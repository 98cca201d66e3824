#include "worker/handle_map.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "worker/meeting.h"

#define CHUNK_ENTRIES 4096u
#define CHUNKS        ((HANDLE_MAX_INDEX + 1) / CHUNK_ENTRIES)
#define BUCKETS       4096u

/* A guest that numbers its objects from 0 on never has more chunks unused than this, and twice those it uses.
 */
#define CHUNKS_AHEAD 8u

struct entry {
    _Atomic uint64_t handle; /* as it can be found: the name, or 0. Release after object is set */
    uint64_t name;           /* 0: free */
    uint64_t withdrawn_with; /* the name whose withdrawal took this one along; 0: none */
    _Atomic(void *) object;
    struct handle_owners owners;
    enum handle_kind kind;
    struct entry *next_in_bucket;  /* by object, to find a name again */
    struct entry *previous, *next; /* of all in use of this kind */
};

/* Entries never move, so that finding needs no lock; all changes are under the lock. */
static pthread_mutex_t map_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(struct entry *) chunks[HANDLE_KINDS][CHUNKS];
static unsigned chunk_count[HANDLE_KINDS];
static unsigned named_count[HANDLE_KINDS];
static unsigned named_total;
static struct entry *buckets[BUCKETS];
static struct entry *first_of_kind[HANDLE_KINDS];

/* What the call of a thread has found. Writer: the thread, plain stores; whoever withdraws a name reads,
 * after meeting_lanes() has made the stores visible, and the withdrawal visible to every later search. */
#define FOUND_MAX 48u
static __thread struct found {
    _Atomic uint32_t count;
    _Atomic uint64_t handles[FOUND_MAX];
    struct found *next;
    bool listed;

    /* The thread's alone. */
    void *stream; /* the last one */
    bool has_stream;
} found;
static struct found *all_found; /* under map_lock */

__thread bool handle_own_stream_used;

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

void handle_thread_begin(void)
{
    pthread_mutex_lock(&map_lock);
    found.next = all_found;
    found.listed = true;
    all_found = &found;
    pthread_mutex_unlock(&map_lock);
}

void handle_thread_end(void)
{
    pthread_mutex_lock(&map_lock);
    for (struct found **link = &all_found; *link != NULL; link = &(*link)->next) {
        if (*link == &found) {
            *link = found.next;
            break;
        }
    }
    found.listed = false;
    pthread_mutex_unlock(&map_lock);
}

void handle_found_end(void)
{
    atomic_store_explicit(&found.count, 0, memory_order_release);
    found.has_stream = false;
}

bool handle_found_stream(void **object)
{
    *object = found.stream;
    return found.has_stream;
}

static bool note_found(enum handle_kind kind, void *object)
{
    if (kind == HANDLE_STREAM) {
        found.stream = object;
        found.has_stream = true;
    }
    return true;
}

/* Says that this thread is about to use a name. False when its call has named too many already. */
static bool announce(uint64_t handle)
{
    uint32_t count = atomic_load_explicit(&found.count, memory_order_relaxed);
    if (count >= FOUND_MAX)
        return false;
    atomic_store_explicit(&found.handles[count], handle, memory_order_relaxed);
    atomic_store_explicit(&found.count, count + 1, memory_order_release);
    meeting_point();
    return true;
}

/* Names that stand for themselves. */
static bool stands_for_itself(enum handle_kind kind, uint64_t handle)
{
    return handle == 0 || (kind == HANDLE_STREAM && handle <= (uintptr_t)CU_STREAM_PER_THREAD);
}

bool handle_find(enum handle_kind kind, uint64_t handle, void **object)
{
    *object = NULL;
    if (stands_for_itself(kind, handle)) {
        if (handle == (uintptr_t)CU_STREAM_PER_THREAD)
            handle_own_stream_used = true;
        *object = (void *)(uintptr_t)handle;
        return note_found(kind, *object);
    }
    enum handle_kind of = handle_value_kind(handle);
    if ((of != kind && !(kind == HANDLE_FUNCTION && of == HANDLE_KERNEL)) || !announce(handle))
        return false;
    const struct entry *entry = entry_in_use(handle);
    if (entry == NULL)
        return false;
    *object = atomic_load_explicit(&entry->object, memory_order_relaxed);
    return note_found(kind, *object);
}

bool handle_look(enum handle_kind kind, uint64_t handle, void **object)
{
    const struct entry *entry = handle_value_kind(handle) == kind ? entry_in_use(handle) : NULL;
    *object = entry != NULL ? atomic_load_explicit(&entry->object, memory_order_relaxed) : NULL;
    return handle == 0 || entry != NULL;
}

uint64_t handle_parent(uint64_t handle)
{
    pthread_mutex_lock(&map_lock);
    const struct entry *entry = entry_in_use(handle);
    uint64_t parent = entry != NULL ? entry->owners.parent : 0;
    pthread_mutex_unlock(&map_lock);
    return parent;
}

CUresult handle_error(enum handle_kind kind)
{
    switch (kind) {
    case HANDLE_CONTEXT:
        return CUDA_ERROR_INVALID_CONTEXT;
    case HANDLE_POOL:
    case HANDLE_ALLOCATION:
    case HANDLE_GRAPH:
    case HANDLE_GRAPH_NODE:
    case HANDLE_GRAPH_EXEC:
    case HANDLE_USER_OBJECT:
        return CUDA_ERROR_INVALID_VALUE;
    default:
        return CUDA_ERROR_INVALID_HANDLE;
    }
}

/* Under the lock: the chunk of a name, made if need be. */
static bool make_chunk(enum handle_kind kind, uint64_t wanted)
{
    _Atomic(struct entry *) *chunk = &chunks[kind][handle_value_index(wanted) / CHUNK_ENTRIES];
    if (atomic_load(chunk) != NULL)
        return true;
    if (chunk_count[kind] >= CHUNKS_AHEAD + 2 * (named_count[kind] / CHUNK_ENTRIES))
        return false;
    struct entry *made = calloc(CHUNK_ENTRIES, sizeof *made);
    if (made == NULL)
        return false;
    chunk_count[kind]++;
    atomic_store_explicit(chunk, made, memory_order_release);
    return true;
}

/* Under the lock. */
static CUresult check_name(enum handle_kind kind, uint64_t wanted)
{
    if (!handle_value_plausible(wanted) || handle_value_kind(wanted) != kind)
        return CUDA_ERROR_INVALID_VALUE;
    if (named_total >= HANDLES_MAX || !make_chunk(kind, wanted))
        return CUDA_ERROR_OUT_OF_MEMORY;
    return entry_at(wanted)->name == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult handle_check_name(enum handle_kind kind, uint64_t wanted)
{
    pthread_mutex_lock(&map_lock);
    CUresult result = check_name(kind, wanted);
    pthread_mutex_unlock(&map_lock);
    return result;
}

/* Under the lock. */
static struct entry *entry_of_object(enum handle_kind kind, const void *object)
{
    struct entry *entry = *bucket_of(object);
    while (entry != NULL && (entry->object != object || entry->kind != kind || entry->withdrawn_with != 0))
        entry = entry->next_in_bucket;
    return entry;
}

uint64_t handle_known(enum handle_kind kind, const void *object)
{
    pthread_mutex_lock(&map_lock);
    const struct entry *entry = entry_of_object(kind, object);
    uint64_t name = entry != NULL ? entry->name : 0;
    pthread_mutex_unlock(&map_lock);
    return name;
}

/* Under the lock. */
static void put(struct entry *entry, enum handle_kind kind, uint64_t name, void *object,
                struct handle_owners owners)
{
    struct entry **bucket = bucket_of(object);
    atomic_store_explicit(&entry->object, object, memory_order_relaxed);
    entry->name = name;
    entry->withdrawn_with = 0;
    entry->owners = owners;
    entry->kind = kind;
    entry->next_in_bucket = *bucket;
    *bucket = entry;
    entry->previous = NULL;
    entry->next = first_of_kind[kind];
    if (entry->next != NULL)
        entry->next->previous = entry;
    first_of_kind[kind] = entry;
    named_count[kind]++;
    named_total++;
    atomic_store_explicit(&entry->handle, name, memory_order_release);
}

uint64_t handle_name(enum handle_kind kind, uint64_t wanted, void *object, struct handle_owners owners)
{
    if (object == NULL)
        return 0;
    if (stands_for_itself(kind, (uintptr_t)object))
        return (uintptr_t)object;
    pthread_mutex_lock(&map_lock);
    const struct entry *entry = entry_of_object(kind, object);
    uint64_t name = 0;
    if (entry != NULL) {
        name = entry->name;
    } else if (check_name(kind, wanted) == CUDA_SUCCESS) {
        put(entry_at(wanted), kind, wanted, object, owners);
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
    named_count[entry->kind]--;
    named_total--;
    atomic_store_explicit(&entry->handle, 0, memory_order_release);
    entry->name = entry->withdrawn_with = 0;
}

/* Under the lock. */
static void hide(struct entry *entry, uint64_t with)
{
    entry->withdrawn_with = with;
    atomic_store_explicit(&entry->handle, 0, memory_order_relaxed);
}

static bool withdrawn_with(uint64_t owner, uint64_t with)
{
    const struct entry *entry = owner != 0 ? entry_at(owner) : NULL;
    return entry != NULL && entry->name == owner && entry->withdrawn_with == with;
}

/* Under the lock: hides all that goes with what is hidden already, until there is no more. */
static void hide_owned(uint64_t with)
{
    bool more = true;
    while (more) {
        more = false;
        for (int kind = HANDLE_NONE + 1; kind < HANDLE_KINDS; kind++) {
            for (struct entry *entry = first_of_kind[kind]; entry != NULL; entry = entry->next) {
                if (entry->withdrawn_with == 0 && (withdrawn_with(entry->owners.parent, with) ||
                                                   withdrawn_with(entry->owners.context, with))) {
                    hide(entry, with);
                    more = true;
                }
            }
        }
    }
}

/* Another thread's call has found something that is withdrawn now. */
static bool is_used(uint64_t with)
{
    bool used = false;
    pthread_mutex_lock(&map_lock);
    for (const struct found *other = all_found; other != NULL && !used; other = other->next) {
        uint32_t count = atomic_load_explicit(&other->count, memory_order_acquire);
        for (uint32_t i = 0; other != &found && i < count && !used; i++)
            used = withdrawn_with(atomic_load_explicit(&other->handles[i], memory_order_relaxed), with);
    }
    pthread_mutex_unlock(&map_lock);
    return used;
}

static bool owns_others(enum handle_kind kind)
{
    return kind != HANDLE_STREAM && kind != HANDLE_EVENT && kind != HANDLE_LINK && kind != HANDLE_STAGING &&
           kind != HANDLE_POOL && kind != HANDLE_ALLOCATION && kind != HANDLE_GRAPH_EXEC &&
           kind != HANDLE_USER_OBJECT;
}

/* Under the lock. */
static bool is_alone(void)
{
    return all_found == NULL || (all_found == &found && found.next == NULL);
}

bool handle_withdraw(enum handle_kind kind, uint64_t handle, void **object)
{
    *object = NULL;
    if (stands_for_itself(kind, handle)) {
        *object = (void *)(uintptr_t)handle;
        return true;
    }
    pthread_mutex_lock(&map_lock);
    struct entry *entry = handle_value_kind(handle) == kind ? entry_in_use(handle) : NULL;
    bool alone = is_alone();
    if (entry != NULL) {
        *object = entry->object;
        hide(entry, handle);
        if (owns_others(kind))
            hide_owned(handle);
    }
    pthread_mutex_unlock(&map_lock);
    if (entry == NULL)
        return false;
    if (alone)
        return true;
    meeting_lanes();
    while (is_used(handle))
        usleep(20);
    return true;
}

/* Under the lock: what owns an entry is still there. */
static bool owner_stays(uint64_t owner)
{
    const struct entry *entry = owner != 0 ? entry_at(owner) : NULL;
    return owner == 0 || (entry != NULL && entry->name == owner);
}

/* Under the lock. */
static void settle(struct entry *entry, bool gone)
{
    if (gone || !owner_stays(entry->owners.parent) || !owner_stays(entry->owners.context)) {
        drop(entry);
        return;
    }
    entry->withdrawn_with = 0;
    atomic_store_explicit(&entry->handle, entry->name, memory_order_release);
}

void handle_withdrawn_end(uint64_t handle, enum handle_fate fate)
{
    if (!handle_value_plausible(handle))
        return;
    pthread_mutex_lock(&map_lock);
    if (!owns_others(handle_value_kind(handle))) {
        if (withdrawn_with(handle, handle))
            settle(entry_at(handle), fate == HANDLE_GONE);
    } else {
        for (int kind = HANDLE_NONE + 1; kind < HANDLE_KINDS; kind++) {
            struct entry *next;
            for (struct entry *entry = first_of_kind[kind]; entry != NULL; entry = next) {
                next = entry->next;
                if (entry->withdrawn_with == handle)
                    settle(entry, fate == HANDLE_GONE || (fate == HANDLE_EMPTIED && entry->name != handle));
            }
        }
    }
    pthread_mutex_unlock(&map_lock);
}

void handle_each(enum handle_kind kind, void (*visit)(void *object, void *user), void *user)
{
    pthread_mutex_lock(&map_lock);
    for (struct entry *entry = first_of_kind[kind]; entry != NULL; entry = entry->next)
        if (entry->withdrawn_with == 0)
            visit(entry->object, user);
    pthread_mutex_unlock(&map_lock);
}

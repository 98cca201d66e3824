#include "guest/handle_table.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "guest/lock.h"

#define CHUNK_ENTRIES 1024u
#define CHUNKS        ((HANDLE_MAX_INDEX + 1) / CHUNK_ENTRIES)

struct entry {
    _Atomic uint64_t value; /* the name in use, or 0; release after data is reset */
    _Atomic(void *) data;
    uint16_t generation; /* of the next name; under the table's lock */
    uint32_t next_free;  /* index + 1 of the next free entry; under the table's lock */
    uint64_t parent;     /* what it goes with; 0: nothing. Under the table's lock */
};

/* Entries never move: readers need no lock. */
static struct table {
    struct lock lock;
    _Atomic(struct entry *) chunks[CHUNKS];
    uint32_t used;       /* entries ever handed out */
    uint32_t first_free; /* index + 1, or 0 */
} tables[HANDLE_KINDS];

static struct entry *entry_at(struct table *table, uint32_t index)
{
    struct entry *chunk = atomic_load_explicit(&table->chunks[index / CHUNK_ENTRIES], memory_order_acquire);
    return chunk != NULL ? &chunk[index % CHUNK_ENTRIES] : NULL;
}

/* The entry of a name in use, else NULL. */
static struct entry *entry_of(uint64_t handle)
{
    if (!handle_value_plausible(handle))
        return NULL;
    struct entry *entry = entry_at(&tables[handle_value_kind(handle)], handle_value_index(handle));
    if (entry == NULL || atomic_load_explicit(&entry->value, memory_order_acquire) != handle)
        return NULL;
    return entry;
}

/* Under the table's lock: an entry not in use. */
static struct entry *take_entry(struct table *table, uint32_t *index)
{
    if (table->first_free != 0) {
        *index = table->first_free - 1;
        struct entry *entry = entry_at(table, *index);
        table->first_free = entry->next_free;
        return entry;
    }
    if (table->used > HANDLE_MAX_INDEX)
        return NULL;
    *index = table->used;
    if (entry_at(table, *index) == NULL) {
        struct entry *chunk = calloc(CHUNK_ENTRIES, sizeof *chunk);
        if (chunk == NULL)
            return NULL;
        atomic_store_explicit(&table->chunks[*index / CHUNK_ENTRIES], chunk, memory_order_release);
    }
    table->used++;
    return entry_at(table, *index);
}

uint64_t handle_reserve(enum handle_kind kind)
{
    struct table *table = &tables[kind];
    uint32_t index;
    lock_take(&table->lock);
    struct entry *entry = take_entry(table, &index);
    uint64_t value = 0;
    if (entry != NULL) {
        value = handle_value(kind, index, entry->generation++);
        entry->parent = 0;
        atomic_store_explicit(&entry->data, NULL, memory_order_relaxed);
        atomic_store_explicit(&entry->value, value, memory_order_release);
    }
    lock_give(&table->lock);
    return value;
}

/* The next child of the parent in the table from index *at on, which it is moved beyond; 0: no more. */
static uint64_t next_child(struct table *table, uint64_t parent, uint32_t *at)
{
    uint64_t child = 0;
    lock_take(&table->lock);
    for (; child == 0 && *at < table->used; ++*at) {
        const struct entry *entry = entry_at(table, *at);
        if (entry->parent == parent)
            child = atomic_load_explicit(&entry->value, memory_order_relaxed);
    }
    lock_give(&table->lock);
    return child;
}

/* Of code that is gone. Children have children of their own: a function of a kernel of a library. */
static void release_children(uint64_t parent)
{
    static const enum handle_kind kinds[] = {HANDLE_MODULE, HANDLE_KERNEL, HANDLE_FUNCTION};
    enum handle_kind of = handle_value_kind(parent);
    if (of != HANDLE_MODULE && of != HANDLE_LIBRARY && of != HANDLE_KERNEL)
        return;
    for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        uint32_t at = 0;
        for (uint64_t child; (child = next_child(&tables[kinds[i]], parent, &at)) != 0;)
            handle_release(child);
    }
}

void handle_release(uint64_t handle)
{
    if (!handle_value_plausible(handle))
        return;
    struct table *table = &tables[handle_value_kind(handle)];
    lock_take(&table->lock);
    struct entry *entry = entry_of(handle);
    bool was_alive = entry != NULL;
    if (was_alive) {
        entry->parent = 0;
        atomic_store_explicit(&entry->value, 0, memory_order_release);
        free(atomic_exchange(&entry->data, NULL));
        entry->next_free = table->first_free;
        table->first_free = handle_value_index(handle) + 1;
    }
    lock_give(&table->lock);
    if (was_alive)
        release_children(handle);
}

void handle_settle(uint64_t reserved, uint64_t given)
{
    if (given != reserved)
        handle_release(reserved);
}

void handle_settle_child(uint64_t reserved, uint64_t given, uint64_t parent)
{
    handle_settle(reserved, given);
    if (given == 0 || given != reserved)
        return;
    struct table *table = &tables[handle_value_kind(given)];
    lock_take(&table->lock);
    struct entry *entry = entry_of(given);
    if (entry != NULL)
        entry->parent = parent;
    lock_give(&table->lock);
}

bool handle_alive(enum handle_kind kind, uint64_t handle)
{
    return handle_value_kind(handle) == kind && entry_of(handle) != NULL;
}

void *handle_data(uint64_t handle)
{
    struct entry *entry = entry_of(handle);
    return entry != NULL ? atomic_load_explicit(&entry->data, memory_order_acquire) : NULL;
}

void *handle_attach(uint64_t handle, void *data)
{
    struct entry *entry = entry_of(handle);
    void *none = NULL;
    if (entry == NULL) {
        free(data);
        return NULL;
    }
    if (atomic_compare_exchange_strong_explicit(&entry->data, &none, data, memory_order_acq_rel,
                                                memory_order_acquire))
        return data;
    free(data);
    return none;
}

void handle_replace(uint64_t handle, void *data)
{
    struct entry *entry = entry_of(handle);
    free(entry != NULL ? atomic_exchange(&entry->data, data) : data);
}

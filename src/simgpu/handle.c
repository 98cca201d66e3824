#include "simgpu/handle.h"

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* Open addressing, linear probing. A removed entry stays as a tombstone (object kept, kind HANDLE_NONE) until
 * the table is rebuilt. */
struct entry {
    const void *object;
    enum handle_kind kind;
};

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static struct entry *entries;
static size_t capacity; /* a power of two, or 0 */
static size_t taken;    /* living and tombstones */
static size_t living;

static size_t home(const void *object, size_t size)
{
    return (size_t)(((uintptr_t)object >> 4) * 0x9e3779b97f4a7c15ull >> 20) & (size - 1);
}

/* The object's entry, or the free one where it would go. */
static struct entry *find(struct entry *table, size_t size, const void *object)
{
    size_t i = home(object, size);
    while (table[i].object && table[i].object != object)
        i = (i + 1) & (size - 1);
    return &table[i];
}

static bool rebuild(void)
{
    size_t size = 256;
    while (size < living * 4)
        size *= 2;
    struct entry *table = calloc(size, sizeof *table);
    if (!table)
        return false;
    for (size_t i = 0; i < capacity; i++)
        if (entries[i].kind != HANDLE_NONE)
            *find(table, size, entries[i].object) = entries[i];
    free(entries);
    entries = table;
    capacity = size;
    taken = living;
    return true;
}

bool handle_add(const void *object, enum handle_kind kind)
{
    bool added = false;
    pthread_rwlock_wrlock(&lock);
    if (taken * 2 < capacity || rebuild()) {
        struct entry *entry = find(entries, capacity, object);
        if (!entry->object)
            taken++;
        *entry = (struct entry){object, kind};
        living++;
        added = true;
    }
    pthread_rwlock_unlock(&lock);
    return added;
}

void handle_remove(const void *object)
{
    pthread_rwlock_wrlock(&lock);
    if (capacity) {
        struct entry *entry = find(entries, capacity, object);
        if (entry->object && entry->kind != HANDLE_NONE) {
            entry->kind = HANDLE_NONE;
            living--;
        }
    }
    pthread_rwlock_unlock(&lock);
}

bool handle_is(const void *object, enum handle_kind kind)
{
    if (!object)
        return false;
    pthread_rwlock_rdlock(&lock);
    bool is = capacity && find(entries, capacity, object)->kind == kind;
    pthread_rwlock_unlock(&lock);
    return is;
}

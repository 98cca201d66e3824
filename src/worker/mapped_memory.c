#include "worker/mapped_memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "driver_api.h"
#include "worker/exports.h"
#include "worker/held_memory.h"

struct span {
    uint64_t address, bytes;
    struct allocation *allocation; /* of a mapping */
};

/* Sorted by address, disjoint. */
struct spans {
    struct span *items;
    size_t count, room;
};

struct allocation {
    CUmemGenericAllocationHandle handle; /* while uses != 0: the driver may give it again afterwards */
    uint64_t number;                     /* never used twice: its name among what is held */
    uint32_t uses;
    uint32_t mappings;     /* and further handles of the same memory */
    struct allocation *of; /* a further handle: of which memory; else NULL */
    struct allocation *previous, *next;
};

#define BUCKETS 1024u

static struct {
    pthread_mutex_t lock;
    struct spans reserved, mapped;
    struct allocation *buckets[BUCKETS];
    uint64_t last_number;
    uint32_t allocation_count;
} memory = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* --- spans. Under the lock --- */

/* Index of the first span that ends beyond address. */
static size_t span_at(const struct spans *spans, uint64_t address)
{
    size_t low = 0, high = spans->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (spans->items[middle].address + spans->items[middle].bytes <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool span_insert(struct spans *spans, struct span span)
{
    if (spans->count == spans->room) {
        size_t room = spans->room ? spans->room * 2 : 64;
        struct span *items = room <= MAPPED_MEMORY_MAX ? realloc(spans->items, room * sizeof *items) : NULL;
        if (items == NULL)
            return false;
        spans->items = items;
        spans->room = room;
    }
    size_t at = span_at(spans, span.address);
    memmove(&spans->items[at + 1], &spans->items[at], (spans->count - at) * sizeof span);
    spans->items[at] = span;
    spans->count++;
    return true;
}

static void span_remove(struct spans *spans, size_t at)
{
    memmove(&spans->items[at], &spans->items[at + 1], (spans->count - at - 1) * sizeof *spans->items);
    spans->count--;
}

/* --- addresses --- */

bool reserved_add(uint64_t address, uint64_t bytes)
{
    pthread_mutex_lock(&memory.lock);
    bool added = span_insert(&memory.reserved, (struct span){.address = address, .bytes = bytes});
    pthread_mutex_unlock(&memory.lock);
    return added;
}

bool reserved_remove(uint64_t address, uint64_t bytes)
{
    pthread_mutex_lock(&memory.lock);
    size_t at = span_at(&memory.reserved, address);
    bool found = at < memory.reserved.count && memory.reserved.items[at].address == address &&
                 memory.reserved.items[at].bytes == bytes;
    if (found)
        span_remove(&memory.reserved, at);
    pthread_mutex_unlock(&memory.lock);
    return found;
}

/* Under the lock. */
static bool is_reserved(uint64_t address, uint64_t bytes)
{
    size_t at = span_at(&memory.reserved, address);
    while (at < memory.reserved.count && memory.reserved.items[at].address <= address) {
        uint64_t left = memory.reserved.items[at].bytes - (address - memory.reserved.items[at].address);
        if (bytes <= left)
            return true;
        address += left;
        bytes -= left;
        at++;
    }
    return false;
}

bool reserved_holds(uint64_t address, uint64_t bytes)
{
    pthread_mutex_lock(&memory.lock);
    bool held = is_reserved(address, bytes);
    pthread_mutex_unlock(&memory.lock);
    return held;
}

/* --- memory --- */

static struct allocation **bucket_of(CUmemGenericAllocationHandle handle)
{
    return &memory.buckets[(handle ^ handle >> 6 ^ handle >> 14) % BUCKETS];
}

/* Under the lock. */
static struct allocation *find(CUmemGenericAllocationHandle handle)
{
    struct allocation *found = *bucket_of(handle);
    while (found != NULL && found->handle != handle)
        found = found->next;
    return found;
}

static void list(struct allocation *allocation)
{
    struct allocation **bucket = bucket_of(allocation->handle);
    allocation->previous = NULL;
    allocation->next = *bucket;
    if (*bucket != NULL)
        (*bucket)->previous = allocation;
    *bucket = allocation;
    memory.allocation_count++;
}

/* Under the lock: the handle names it no more. */
static void unlist(struct allocation *allocation)
{
    if (allocation->previous != NULL)
        allocation->previous->next = allocation->next;
    else
        *bucket_of(allocation->handle) = allocation->next;
    if (allocation->next != NULL)
        allocation->next->previous = allocation->previous;
    memory.allocation_count--;
}

/* Under the lock. NULL: too many, or without memory. */
static struct allocation *make(CUmemGenericAllocationHandle handle)
{
    struct allocation *made = memory.allocation_count < MAPPED_MEMORY_MAX ? calloc(1, sizeof *made) : NULL;
    if (made == NULL)
        return NULL;
    made->handle = handle;
    made->number = ++memory.last_number;
    made->uses = 1;
    list(made);
    return made;
}

bool allocation_add(CUmemGenericAllocationHandle handle, uint64_t bytes)
{
    pthread_mutex_lock(&memory.lock);
    const struct allocation *made = make(handle);
    if (made != NULL)
        held_memory_settle(bytes, HELD_ALLOCATION, made->number, bytes);
    pthread_mutex_unlock(&memory.lock);
    return made != NULL;
}

/* Under the lock. */
static void free_if_unused(struct allocation *allocation)
{
    struct held_memory held;
    if (allocation->uses != 0 || allocation->mappings != 0)
        return;
    if (held_memory_withdraw(HELD_ALLOCATION, allocation->number, &held))
        held_memory_end(&held, true);
    export_remove(EXPORT_ALLOCATION, allocation->number, 1);
    struct allocation *of = allocation->of;
    free(allocation);
    if (of != NULL) {
        of->mappings--;
        free_if_unused(of);
    }
}

uint64_t allocation_number(CUmemGenericAllocationHandle handle, uint64_t *bytes)
{
    pthread_mutex_lock(&memory.lock);
    const struct allocation *found = find(handle);
    while (found != NULL && found->of != NULL)
        found = found->of;
    uint64_t number = found != NULL ? found->number : 0;
    pthread_mutex_unlock(&memory.lock);
    *bytes = number != 0 ? held_memory_bytes(HELD_ALLOCATION, number) : 0;
    return number;
}

CUresult allocation_release(CUmemGenericAllocationHandle handle, bool unless_last, bool *last)
{
    CUresult result = CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&memory.lock);
    struct allocation *found = find(handle);
    *last = found != NULL && found->uses == 1;
    if (*last && unless_last)
        result = CUDA_SUCCESS;
    else if (found != NULL)
        result = driver.cuMemRelease(handle);
    if (found != NULL && result == CUDA_SUCCESS && !(*last && unless_last)) {
        found->uses--;
        if (*last) {
            unlist(found);
            free_if_unused(found);
        }
    }
    *last = *last && result == CUDA_SUCCESS;
    pthread_mutex_unlock(&memory.lock);
    return result;
}

/* --- mappings --- */

CUresult mapping_make(uint64_t address, uint64_t bytes, uint64_t offset, CUmemGenericAllocationHandle handle,
                      unsigned long long flags)
{
    pthread_mutex_lock(&memory.lock);
    struct allocation *found = find(handle);
    struct span span = {.address = address, .bytes = bytes, .allocation = found};
    CUresult result =
        found != NULL && bytes > 0 && is_reserved(address, bytes) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        result = driver.cuMemMap(address, bytes, offset, handle, flags);
    if (result == CUDA_SUCCESS && !span_insert(&memory.mapped, span)) {
        driver.cuMemUnmap(address, bytes);
        result = CUDA_ERROR_OUT_OF_MEMORY;
    }
    if (result == CUDA_SUCCESS)
        found->mappings++;
    pthread_mutex_unlock(&memory.lock);
    return result;
}

CUresult mapping_remove(uint64_t address, uint64_t bytes)
{
    pthread_mutex_lock(&memory.lock);
    CUresult result = bytes > 0 && is_reserved(address, bytes) ? driver.cuMemUnmap(address, bytes)
                                                               : CUDA_ERROR_INVALID_VALUE;
    size_t at = span_at(&memory.mapped, address);
    while (result == CUDA_SUCCESS && at < memory.mapped.count &&
           memory.mapped.items[at].address - address < bytes) {
        struct allocation *allocation = memory.mapped.items[at].allocation;
        span_remove(&memory.mapped, at);
        allocation->mappings--;
        free_if_unused(allocation);
    }
    pthread_mutex_unlock(&memory.lock);
    return result;
}

/* Under the lock. False: without memory to note it. */
static bool note_use(struct allocation *allocation, CUmemGenericAllocationHandle handle)
{
    struct allocation *known = find(handle);
    if (known != NULL) {
        known->uses++;
    } else if (allocation->uses == 0) { /* released while it was mapped */
        allocation->handle = handle;
        allocation->uses = 1;
        list(allocation);
    } else {
        struct allocation *further = make(handle);
        if (further == NULL)
            return false;
        further->of = allocation;
        allocation->mappings++;
    }
    return true;
}

CUresult mapping_retain(uint64_t address, CUmemGenericAllocationHandle *handle)
{
    pthread_mutex_lock(&memory.lock);
    size_t at = span_at(&memory.mapped, address);
    bool found = at < memory.mapped.count && memory.mapped.items[at].address <= address;
    CUresult result = found ? driver.cuMemRetainAllocationHandle(handle, (void *)(uintptr_t)address)
                            : CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS && !note_use(memory.mapped.items[at].allocation, *handle)) {
        driver.cuMemRelease(*handle);
        result = CUDA_ERROR_OUT_OF_MEMORY;
    }
    pthread_mutex_unlock(&memory.lock);
    return result;
}

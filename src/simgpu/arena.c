#include "simgpu/arena.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "simgpu/shared_memory.h"

#define PAGE_BYTES 4096ull

#if defined(__SANITIZE_THREAD__)
#define ARENA_BYTES (1ull << 36) /* its shadow memory must fit beside it, anywhere */
#define ARENA_HINT  NULL
#else
#define ARENA_BYTES (1ull << 43) /* 8 TiB: more than the memory of all GPUs of a machine */
#define ARENA_HINT  ((void *)ARENA_BASE)
#endif

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static uint64_t arena_base;
static struct region *regions; /* by address, none overlapping */
static size_t region_count;
static size_t region_room;
static uint64_t cursor; /* where the search for free addresses goes on */
static uint64_t next_id = 1;

static uint64_t round_up(uint64_t value, uint64_t step)
{
    return (value + step - 1) / step * step;
}

bool arena_init(void)
{
    void *base = mmap(ARENA_HINT, ARENA_BYTES, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return false;
    madvise(base, ARENA_BYTES, MADV_DONTDUMP);
    arena_base = (uint64_t)(uintptr_t)base;
    cursor = arena_base;
    return true;
}

/* Index of the first region that ends after address. */
static size_t index_after(uint64_t address)
{
    size_t low = 0, high = region_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (regions[middle].base + regions[middle].bytes > address)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static bool is_in_arena(const struct region *region)
{
    return (region->kind == REGION_DEVICE || region->kind == REGION_MANAGED) && !region->is_mapped;
}

/* Under the write lock. */
static bool insert(size_t index, const struct region *region)
{
    if (region_count == region_room) {
        size_t room = region_room ? region_room * 2 : 64;
        struct region *grown = realloc(regions, room * sizeof *grown);
        if (!grown)
            return false;
        regions = grown;
        region_room = room;
    }
    memmove(&regions[index + 1], &regions[index], (region_count - index) * sizeof *regions);
    regions[index] = *region;
    region_count++;
    return true;
}

/* Addresses for so many bytes with the gap behind them, from `from` on; 0: none before the arena's end. */
static uint64_t free_addresses(uint64_t from, uint64_t bytes)
{
    uint64_t need = round_up(bytes, PAGE_BYTES) + ARENA_GAP_BYTES;
    for (size_t i = index_after(from); i < region_count; i++) {
        if (!is_in_arena(&regions[i]))
            continue;
        if (regions[i].base >= from && regions[i].base - from >= need)
            return from;
        uint64_t end = round_up(regions[i].base + regions[i].bytes, PAGE_BYTES) + ARENA_GAP_BYTES;
        from = end > from ? end : from;
    }
    return arena_base + ARENA_BYTES - from >= need && from < arena_base + ARENA_BYTES ? from : 0;
}

static uint64_t charged_bytes(const struct region *region)
{
    return region->is_imported ? 0 : round_up(region->bytes, PAGE_BYTES);
}

/* In place of what is there, which cannot fail but for want of the kernel's own memory. */
static void place_over(void *at, uint64_t bytes, int access)
{
    if (mmap(at, bytes, access, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
        abort();
}

/* Fresh private pages, zeros once touched. */
static void clear_pages(const struct region *region)
{
    void *at = (void *)(uintptr_t)region->base;
    uint64_t bytes = round_up(region->bytes, PAGE_BYTES);
    if (region->is_shared || region->is_imported)
        place_over(at, bytes, PROT_READ | PROT_WRITE);
    else
        madvise(at, bytes, MADV_DONTNEED);
}

CUresult arena_allocate(struct region *region)
{
    if (region->bytes > ARENA_BYTES / 2)
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult result = driver_device_reserve(region->device, charged_bytes(region));
    if (result)
        return result;
    pthread_rwlock_wrlock(&lock);
    region->base = free_addresses(cursor, region->bytes);
    if (!region->base)
        region->base = free_addresses(arena_base, region->bytes);
    region->id = next_id++;
    if (!region->base || !insert(index_after(region->base), region))
        result = CUDA_ERROR_OUT_OF_MEMORY;
    else
        cursor = region->base + round_up(region->bytes, PAGE_BYTES) + ARENA_GAP_BYTES;
    pthread_rwlock_unlock(&lock);
    if (result)
        driver_device_release(region->device, charged_bytes(region));
    return result;
}

/* Under the write lock. */
static bool move_to_shared(struct region *region)
{
    uint64_t bytes = round_up(region->bytes, PAGE_BYTES);
    int descriptor = shared_memory_create(region->device, bytes);
    void *window =
        descriptor >= 0 ? mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0) : MAP_FAILED;
    bool moved = false;
    if (window != MAP_FAILED) {
        memcpy(window, (void *)(uintptr_t)region->base, region->bytes);
        munmap(window, bytes);
        moved = shared_memory_map(descriptor, region->base, bytes, 0);
    }
    if (moved) {
        region->descriptor = descriptor;
        region->is_shared = true;
    } else if (descriptor >= 0) {
        close(descriptor);
    }
    return moved;
}

int arena_share(uint64_t address)
{
    int descriptor = -1;
    pthread_rwlock_wrlock(&lock);
    size_t index = index_after(address);
    bool found = index < region_count && regions[index].base <= address && is_in_arena(&regions[index]) &&
                 !regions[index].is_imported;
    if (found && (regions[index].is_shared || move_to_shared(&regions[index])))
        descriptor = regions[index].descriptor;
    pthread_rwlock_unlock(&lock);
    return descriptor;
}

bool arena_add_host(struct region *region)
{
    pthread_rwlock_wrlock(&lock);
    size_t index = index_after(region->base);
    bool added = index == region_count || regions[index].base >= region->base + region->bytes;
    region->id = next_id++;
    added = added && insert(index, region);
    pthread_rwlock_unlock(&lock);
    return added;
}

bool arena_add_mapped(struct region *region)
{
    pthread_rwlock_wrlock(&lock);
    region->id = next_id++;
    bool added = insert(index_after(region->base), region);
    pthread_rwlock_unlock(&lock);
    return added;
}

uint64_t arena_each_mapped(uint64_t address, uint64_t bytes, void (*visit)(struct region *region, void *user),
                           void *user)
{
    uint64_t sum = 0;
    pthread_rwlock_wrlock(&lock);
    for (size_t i = index_after(address); i < region_count && regions[i].base < address + bytes; i++) {
        bool inside = regions[i].is_mapped && regions[i].base >= address &&
                      regions[i].base + regions[i].bytes <= address + bytes;
        if (!inside)
            continue;
        sum += regions[i].bytes;
        visit(&regions[i], user);
    }
    pthread_rwlock_unlock(&lock);
    return sum;
}

/* Under the write lock: forgets the region and gives back what it held. */
static void remove_at(size_t index)
{
    struct region region = regions[index];
    memmove(&regions[index], &regions[index + 1], (region_count - index - 1) * sizeof *regions);
    region_count--;
    if (is_in_arena(&region)) {
        clear_pages(&region);
        if (region.is_shared)
            close(region.descriptor);
        driver_device_release(region.device, charged_bytes(&region));
    } else if (region.is_mapped) {
        place_over((void *)(uintptr_t)region.base, region.bytes, PROT_NONE);
    } else if (region.kind == REGION_HOST) {
        munmap((void *)(uintptr_t)region.base, round_up(region.bytes, PAGE_BYTES));
    }
}

bool arena_remove(uint64_t base, struct region *removed)
{
    pthread_rwlock_wrlock(&lock);
    size_t index = index_after(base);
    bool found = index < region_count && regions[index].base == base;
    if (found) {
        *removed = regions[index];
        remove_at(index);
    }
    pthread_rwlock_unlock(&lock);
    return found;
}

/* Under the lock: how far from its base memory goes without a hole. */
static uint64_t bytes_together(size_t index, uint64_t wanted)
{
    uint64_t bytes = regions[index].bytes;
    while (bytes < wanted && regions[index].is_mapped && index + 1 < region_count &&
           regions[index + 1].is_mapped &&
           regions[index + 1].base == regions[index].base + regions[index].bytes)
        bytes += regions[++index].bytes;
    return bytes;
}

bool arena_find(uint64_t address, uint64_t bytes, struct region *found)
{
    pthread_rwlock_rdlock(&lock);
    size_t index = index_after(address);
    bool is_known = index < region_count && regions[index].base <= address;
    if (is_known) {
        *found = regions[index];
        uint64_t into = address - found->base, wanted = bytes ? bytes : 1;
        is_known = wanted <= UINT64_MAX - into;
        if (is_known && wanted > found->bytes - into)
            found->bytes = bytes_together(index, into + wanted);
        is_known = is_known && wanted <= found->bytes - into;
    }
    pthread_rwlock_unlock(&lock);
    return is_known;
}

void arena_set_sync_memops(uint64_t address, bool value)
{
    pthread_rwlock_wrlock(&lock);
    size_t index = index_after(address);
    if (index < region_count && regions[index].base <= address)
        regions[index].sync_memops = value;
    pthread_rwlock_unlock(&lock);
}

uint64_t arena_pool_bytes(const struct CUmemPoolHandle_st *pool)
{
    uint64_t bytes = 0;
    pthread_rwlock_rdlock(&lock);
    for (size_t i = 0; i < region_count; i++)
        if (regions[i].pool == pool)
            bytes += regions[i].bytes;
    pthread_rwlock_unlock(&lock);
    return bytes;
}

void arena_remove_context(struct CUctx_st *context)
{
    pthread_rwlock_wrlock(&lock);
    for (size_t i = region_count; i-- > 0;)
        if (regions[i].context == context && !regions[i].is_mapped)
            remove_at(i);
    pthread_rwlock_unlock(&lock);
}

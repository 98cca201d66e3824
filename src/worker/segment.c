#include "worker/segment.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/reservation.h"
#include "driver_api.h"
#include "wire/own_calls.h"
#include "worker/host_memory.h"
#include "worker/shared_memory.h"

#define PAGE_BYTES        4096ull
#define SEGMENT_MAX_BYTES (1ull << 39)
#define HUGE_PAGE_BYTES   (2ull << 20)

/* Where shared memory may lie: beyond the pages that a NULL pointer of ours may lead to. */
#define ADDRESS_FIRST (1ull << 20)
#define ADDRESS_END   (1ull << 47)

struct segment {
    uint64_t address;
    struct shared_memory memory;
};

/* Sorted by address. */
static struct {
    pthread_mutex_t lock;
    uint64_t arena_base, arena_bytes;
    /* Wherever a segment has ever been. No memory of the worker's own comes to lie there: a copy that was
     * checked and is under way while another lane frees its segment finds nothing, not something else. */
    struct reservations places;
    struct segment *items;
    size_t count, room;
} segments = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool range_good(uint64_t address, uint64_t bytes)
{
    return address >= ADDRESS_FIRST && address < ADDRESS_END && bytes <= ADDRESS_END - address;
}

bool arena_claim(uint64_t base, uint64_t bytes)
{
    if (base % PAGE_BYTES != 0 || bytes % PAGE_BYTES != 0 || bytes == 0 || !range_good(base, bytes) ||
        !reservations_take(&segments.places, base, bytes))
        return false;
    segments.arena_base = base;
    segments.arena_bytes = bytes;
    return true;
}

static bool in_arena(uint64_t address)
{
    return address - segments.arena_base < segments.arena_bytes;
}

/* Index of the first segment that starts beyond address. Under the lock. */
static size_t first_beyond(uint64_t address)
{
    size_t low = 0, high = segments.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (segments.items[middle].address <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The first place at or behind `address` where a segment may begin: a large one where huge pages can be
 * mapped. */
static uint64_t aligned_for(uint64_t address, uint64_t bytes)
{
    uint64_t step = bytes >= HUGE_PAGE_BYTES ? HUGE_PAGE_BYTES : PAGE_BYTES;
    return (address + step - 1) & ~(step - 1);
}

/* A hole of `bytes` in the arena, or 0. Under the lock. */
static uint64_t find_hole(uint64_t bytes)
{
    uint64_t at = aligned_for(segments.arena_base, bytes);
    uint64_t end = segments.arena_base + segments.arena_bytes;
    for (size_t i = 0; i < segments.count; i++) {
        const struct segment *held = &segments.items[i];
        if (!in_arena(held->address))
            continue;
        if (held->address >= at && held->address - at >= bytes)
            return at;
        at = aligned_for(held->address + held->memory.bytes, bytes);
    }
    return at < end && end - at >= bytes ? at : 0;
}

/* Keeps the place for a segment in the list. Under the lock. */
static bool note(uint64_t address, const struct shared_memory *memory)
{
    if (segments.count == segments.room) {
        size_t room = segments.room ? segments.room * 2 : 64;
        struct segment *items = realloc(segments.items, room * sizeof *items);
        if (items == NULL)
            return false;
        segments.items = items;
        segments.room = room;
    }
    size_t at = first_beyond(address);
    memmove(&segments.items[at + 1], &segments.items[at], (segments.count - at) * sizeof *segments.items);
    segments.items[at] = (struct segment){address, *memory};
    segments.count++;
    return true;
}

/* Under the lock. */
static bool forget(uint64_t address, struct shared_memory *memory)
{
    size_t at = first_beyond(address);
    if (at == 0 || segments.items[at - 1].address != address)
        return false;
    *memory = segments.items[at - 1].memory;
    memmove(&segments.items[at - 1], &segments.items[at], (segments.count - at) * sizeof *segments.items);
    segments.count--;
    return true;
}

static void unmap(uint64_t address, uint64_t bytes)
{
    reservation_place(address, bytes, true);
}

/* The place that a guest has chosen is free of segments and of the worker's own memory. Under the lock. */
static bool take_place(uint64_t address, uint64_t bytes)
{
    size_t at = first_beyond(address);
    if (at > 0 && address - segments.items[at - 1].address < segments.items[at - 1].memory.bytes)
        return false;
    if (at < segments.count && segments.items[at].address - address < bytes)
        return false;
    return reservations_take(&segments.places, address, bytes);
}

/* Maps the memory where the guest has it, or where it will have it, and notes it. */
static CUresult place(const struct shared_memory *memory, uint64_t *address)
{
    CUresult result = CUDA_SUCCESS;
    uint64_t bytes = memory->bytes;
    bool chosen = *address != 0;
    pthread_mutex_lock(&segments.lock);
    uint64_t at = chosen ? *address : find_hole(bytes);
    if (at == 0 || (chosen && !take_place(at, bytes))) {
        result = chosen ? CUDA_ERROR_ALREADY_MAPPED : CUDA_ERROR_OUT_OF_MEMORY;
    } else if (mmap((void *)(uintptr_t)at, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, memory->fd,
                    (off_t)memory->offset) == MAP_FAILED) {
        result = CUDA_ERROR_OUT_OF_MEMORY;
    } else if (!note(at, memory)) {
        unmap(at, bytes);
        result = CUDA_ERROR_OUT_OF_MEMORY;
    } else if (bytes >= HUGE_PAGE_BYTES) {
        madvise((void *)(uintptr_t)at, bytes, MADV_HUGEPAGE); /* where the host gives any to shared memory */
    }
    pthread_mutex_unlock(&segments.lock);
    *address = at;
    return result;
}

/* Takes back what place() has done. */
static bool displace(uint64_t address, struct shared_memory *memory)
{
    pthread_mutex_lock(&segments.lock);
    bool found = forget(address, memory);
    if (found)
        unmap(address, memory->bytes);
    pthread_mutex_unlock(&segments.lock);
    return found;
}

CUresult segment_make(uint64_t *address, uint64_t bytes, unsigned register_flags,
                      struct shared_memory *memory)
{
    if (bytes == 0 || bytes > SEGMENT_MAX_BYTES || *address % PAGE_BYTES != 0 ||
        (*address != 0 && (in_arena(*address) || !range_good(*address, bytes))))
        return CUDA_ERROR_INVALID_VALUE;
    if (!host_memory_spares(bytes))
        return CUDA_ERROR_OUT_OF_MEMORY;
    bytes = (bytes + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    if (!shared_memory_make(SEGMENT_NAME, bytes, memory))
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult result = place(memory, address);
    if (result == CUDA_SUCCESS) {
        result = driver.cuMemHostRegister_v2((void *)(uintptr_t)*address, bytes, register_flags);
        struct shared_memory same;
        if (result != CUDA_SUCCESS)
            displace(*address, &same);
    }
    if (result != CUDA_SUCCESS) {
        shared_memory_passed(memory);
        shared_memory_free(memory);
    }
    return result;
}

CUresult segment_drop(uint64_t address)
{
    pthread_mutex_lock(&segments.lock);
    size_t at = first_beyond(address);
    bool starts_there = at > 0 && segments.items[at - 1].address == address;
    pthread_mutex_unlock(&segments.lock);
    if (!starts_there)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = driver.cuMemHostUnregister((void *)(uintptr_t)address);
    if (result != CUDA_SUCCESS)
        return result;
    struct shared_memory memory;
    if (displace(address, &memory))
        shared_memory_free(&memory);
    return CUDA_SUCCESS;
}

uint64_t segment_part(uint64_t address, uint64_t bytes)
{
    pthread_mutex_lock(&segments.lock);
    size_t at = first_beyond(address);
    uint64_t part = 0;
    if (at > 0) {
        const struct segment *segment = &segments.items[at - 1];
        uint64_t into = address - segment->address;
        uint64_t left = into < segment->memory.bytes ? segment->memory.bytes - into : 0;
        part = bytes < left ? bytes : left;
    }
    pthread_mutex_unlock(&segments.lock);
    return part;
}

bool segment_holds(uint64_t address, uint64_t bytes)
{
    uint64_t part = segment_part(address, bytes > 0 ? bytes : 1);
    bool held = part > 0;
    while (held && part < bytes) {
        address += part;
        bytes -= part;
        part = segment_part(address, bytes);
        held = part > 0;
    }
    return held;
}

#include "guest/arena.h"

#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

/* Low in the 47-bit user range, far from where Linux puts programs, libraries and stacks, and from the ranges
 * that libcuda takes. */
#define ARENA_FIRST_BASE 0x200000000000ull
#define ARENA_STEP       0x040000000000ull
#define ARENA_BYTES      (1ull << 40)

static uint64_t arena_base, arena_bytes;

static void *reserve_at(uint64_t address, uint64_t bytes, int placement)
{
    return mmap((void *)(uintptr_t)address, bytes, PROT_NONE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | placement, -1, 0);
}

bool arena_reserve(unsigned attempt, uint64_t *base, uint64_t *bytes)
{
    uint64_t address = ARENA_FIRST_BASE + attempt * ARENA_STEP;
    for (uint64_t size = ARENA_BYTES; size >= ARENA_BYTES >> 6; size >>= 2) {
        void *got = reserve_at(address, size, MAP_FIXED_NOREPLACE);
        if (got == (void *)(uintptr_t)address) {
            *base = arena_base = address;
            *bytes = arena_bytes = size;
            return true;
        }
        if (got != MAP_FAILED)
            munmap(got, size);
    }
    return false;
}

void arena_release(void)
{
    munmap((void *)(uintptr_t)arena_base, arena_bytes);
    arena_base = arena_bytes = 0;
}

bool arena_contains(uint64_t address)
{
    return address - arena_base < arena_bytes;
}

void arena_bounds(uint64_t *start, uint64_t *end)
{
    *start = arena_base;
    *end = arena_base + arena_bytes;
}

bool arena_map(int fd, uint64_t offset, uint64_t address, uint64_t bytes)
{
    void *got = mmap((void *)(uintptr_t)address, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
                     (off_t)offset);
    close(fd);
    return got != MAP_FAILED;
}

void arena_unmap(uint64_t address, uint64_t bytes)
{
    reserve_at(address, bytes, MAP_FIXED);
}

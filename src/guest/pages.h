/* Pages of the program exchanged for others at the same address that hold the same: what registering its
 * memory comes to. */
#ifndef VGPU_GUEST_PAGES_H
#define VGPU_GUEST_PAGES_H

#include <stdbool.h>
#include <stdint.h>

#define PAGE_BYTES 4096ull

static inline uint64_t page_floor(uint64_t address)
{
    return address & ~(PAGE_BYTES - 1);
}
static inline uint64_t page_ceiling(uint64_t address)
{
    return (address + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
}

/* Nobody would notice, all over [start, end): not where the pages are a file's, shared with other processes,
 * or the stack in use. */
bool pages_can_move(uint64_t start, uint64_t end);

/* Puts [offset, offset + bytes) of fd in the place of the pages at `start`. A page is away for microseconds;
 * what another thread writes to it then may be lost. */
bool pages_move_into(int fd, uint64_t offset, uint64_t start, uint64_t bytes);

/* The reverse, where the window is to have its memory back: pages of [start, end) that lie in it become the
 * program's own. Other pages, that the program has put there since, stay. */
bool pages_leave_window(uint64_t start, uint64_t end);

#endif

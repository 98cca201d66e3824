/* The address range that this process and its worker keep free for memory both see at one address. */
#ifndef VGPU_GUEST_ARENA_H
#define VGPU_GUEST_ARENA_H

#include <stdbool.h>
#include <stdint.h>

#define ARENA_CANDIDATES 8u

/* Reserves candidate number `attempt`. False when it is taken or too large for this process's limits. */
bool arena_reserve(unsigned attempt, uint64_t *base, uint64_t *bytes);

/* Gives the range reserved last back. */
void arena_release(void);

bool arena_contains(uint64_t address);

/* The range itself; *end is the first address behind it. */
void arena_bounds(uint64_t *start, uint64_t *end);

/* Maps a segment, which begins at offset in fd, over the reserved range at address; closes fd. False when the
 * kernel refuses. */
bool arena_map(int fd, uint64_t offset, uint64_t address, uint64_t bytes);

/* Puts the reservation back where a segment was. */
void arena_unmap(uint64_t address, uint64_t bytes);

#endif

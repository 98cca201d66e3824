/* Address ranges of this process that are kept free of its own mappings, so that what is placed there later
 * displaces nothing. */
#ifndef VGPU_BASE_RESERVATION_H
#define VGPU_BASE_RESERVATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reserved_span {
    uint64_t start, end;
};

/* Reserved so far: disjoint, sorted, neighbours merged. Zero to begin with; the caller locks. */
struct reservations {
    struct reserved_span *items;
    size_t count, room;
};

/* Reserves the pages of [address, address + bytes) that are not reserved yet. False when something of this
 * process lies there, or without memory. Reservations stay for the life of the process: whoever maps
 * something over one puts inaccessible memory back, never nothing. */
bool reservations_take(struct reservations *reserved, uint64_t address, uint64_t bytes);

/* Reserves exactly there; with `over`, in place of what is there. */
bool reservation_place(uint64_t address, uint64_t bytes, bool over);

#endif

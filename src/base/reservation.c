#include "base/reservation.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

bool reservation_place(uint64_t address, uint64_t bytes, bool over)
{
    void *want = (void *)(uintptr_t)address;
    void *got =
        mmap(want, bytes, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (over ? MAP_FIXED : MAP_FIXED_NOREPLACE), -1, 0);
    if (got == want)
        return true;
    if (got != MAP_FAILED) /* a kernel that does not know MAP_FIXED_NOREPLACE */
        munmap(got, bytes);
    return false;
}

/* Replaces items [first, last) by one span; there is room for one more. */
static void merge_spans(struct reservations *reserved, size_t first, size_t last, struct reserved_span span)
{
    memmove(&reserved->items[first + 1], &reserved->items[last],
            (reserved->count - last) * sizeof *reserved->items);
    reserved->count = reserved->count - (last - first) + 1;
    reserved->items[first] = span;
}

static bool make_room(struct reservations *reserved)
{
    if (reserved->count < reserved->room)
        return true;
    size_t room = reserved->room ? reserved->room * 2 : 32;
    struct reserved_span *items = realloc(reserved->items, room * sizeof *items);
    if (items == NULL)
        return false;
    reserved->items = items;
    reserved->room = room;
    return true;
}

bool reservations_take(struct reservations *reserved, uint64_t address, uint64_t bytes)
{
    const uint64_t page = 4096;
    struct reserved_span want = {address & ~(page - 1), (address + bytes + page - 1) & ~(page - 1)};
    if (!make_room(reserved))
        return false;
    size_t first = 0;
    while (first < reserved->count && reserved->items[first].end < want.start)
        first++;
    struct reserved_span whole = want;
    uint64_t at = want.start;
    size_t last = first;
    for (; last < reserved->count && reserved->items[last].start <= want.end; last++) {
        struct reserved_span held = reserved->items[last];
        if (at < held.start && !reservation_place(at, held.start - at, false))
            return false;
        if (held.start < whole.start)
            whole.start = held.start;
        if (held.end > at)
            at = held.end;
    }
    if (at < want.end && !reservation_place(at, want.end - at, false))
        return false;
    whole.end = at > want.end ? at : want.end;
    merge_spans(reserved, first, last, whole);
    return true;
}

#include "guest/ranges.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "guest/lock.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

/* Sorted by address. Programs have hundreds to some thousands of allocations, and allocate far more seldom
 * than they look up. */
static struct {
    struct lock lock;
    struct range *items;
    size_t count, room;
} known;

/* Index of the first range that starts beyond address. Under the lock. */
static size_t first_beyond(uint64_t address)
{
    size_t low = 0, high = known.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (known.items[middle].address <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool ranges_add(const struct range *range)
{
    bool done = true;
    lock_take(&known.lock);
    size_t at = first_beyond(range->address);
    if (at > 0 && known.items[at - 1].address == range->address) {
        known.items[at - 1] = *range;
    } else {
        if (known.count == known.room) {
            size_t room = known.room ? known.room * 2 : 64;
            struct range *items = realloc(known.items, room * sizeof *items);
            if (items != NULL) {
                known.items = items;
                known.room = room;
            }
        }
        done = known.count < known.room;
        if (done) {
            memmove(&known.items[at + 1], &known.items[at], (known.count - at) * sizeof *known.items);
            known.items[at] = *range;
            known.count++;
        }
    }
    lock_give(&known.lock);
    return done;
}

bool ranges_remove(enum range_kind kind, uint64_t address, struct range *removed)
{
    lock_take(&known.lock);
    size_t at = first_beyond(address);
    bool found =
        at > 0 && known.items[at - 1].address == address && known.items[at - 1].kind == (uint32_t)kind;
    if (found) {
        at--;
        if (removed != NULL)
            *removed = known.items[at];
        memmove(&known.items[at], &known.items[at + 1], (known.count - at - 1) * sizeof *known.items);
        known.count--;
    }
    lock_give(&known.lock);
    return found;
}

bool ranges_find(uint64_t address, uint64_t bytes, struct range *found)
{
    lock_take(&known.lock);
    size_t at = first_beyond(address);
    bool held = at > 0;
    if (held) {
        *found = known.items[at - 1];
        uint64_t into = address - found->address;
        held = into <= found->bytes && bytes <= found->bytes - into && (bytes > 0 || into < found->bytes);
    }
    lock_give(&known.lock);
    return held;
}

bool ranges_is_device(uint64_t address, uint64_t bytes)
{
    struct range range;
    return ranges_find(address, bytes, &range) && (range.kind == RANGE_DEVICE || range.kind == RANGE_GLOBAL);
}

bool ranges_is_shared(uint64_t address, uint64_t bytes)
{
    struct range range;
    return ranges_find(address, bytes, &range) && range.shared;
}

/* Reserved so far: disjoint, sorted, neighbours merged. */
struct span {
    uint64_t start, end;
};
static struct {
    struct lock lock;
    struct span *items;
    size_t count, room;
} reserved;

static bool reserve_gap(uint64_t start, uint64_t end)
{
    void *got = mmap((void *)(uintptr_t)start, end - start, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (got == (void *)(uintptr_t)start)
        return true;
    if (got != MAP_FAILED)
        munmap(got, end - start);
    return false;
}

/* Replaces items [first, last) by one span. Under the lock; there is room for one more. */
static void merge_spans(size_t first, size_t last, struct span span)
{
    memmove(&reserved.items[first + 1], &reserved.items[last],
            (reserved.count - last) * sizeof *reserved.items);
    reserved.count = reserved.count - (last - first) + 1;
    reserved.items[first] = span;
}

/* Under the lock. */
static bool reserve_missing(struct span want)
{
    if (reserved.count == reserved.room) {
        size_t room = reserved.room ? reserved.room * 2 : 32;
        struct span *items = realloc(reserved.items, room * sizeof *items);
        if (items == NULL)
            return false;
        reserved.items = items;
        reserved.room = room;
    }
    size_t first = 0;
    while (first < reserved.count && reserved.items[first].end < want.start)
        first++;
    struct span whole = want;
    uint64_t at = want.start;
    size_t last = first;
    for (; last < reserved.count && reserved.items[last].start <= want.end; last++) {
        struct span held = reserved.items[last];
        if (at < held.start && !reserve_gap(at, held.start))
            return false;
        if (held.start < whole.start)
            whole.start = held.start;
        if (held.end > at)
            at = held.end;
    }
    if (at < want.end && !reserve_gap(at, want.end))
        return false;
    whole.end = at > want.end ? at : want.end;
    merge_spans(first, last, whole);
    return true;
}

bool reservation_take(uint64_t address, uint64_t bytes)
{
    const uint64_t page = 4096;
    struct span want = {address & ~(page - 1), (address + bytes + page - 1) & ~(page - 1)};
    lock_take(&reserved.lock);
    bool done = reserve_missing(want);
    lock_give(&reserved.lock);
    return done;
}

#include "guest/ranges.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/reservation.h"
#include "guest/lock.h"

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

void ranges_remove_all(enum range_kind kind, uint64_t address, uint64_t bytes)
{
    lock_take(&known.lock);
    size_t kept = 0;
    for (size_t i = 0; i < known.count; i++) {
        const struct range *range = &known.items[i];
        bool inside = range->kind == (uint32_t)kind && range->address >= address && range->bytes <= bytes &&
                      range->address - address <= bytes - range->bytes;
        if (!inside)
            known.items[kept++] = *range;
    }
    known.count = kept;
    lock_give(&known.lock);
}

static bool is_of_device(const struct range *range)
{
    return range->kind == RANGE_DEVICE || range->kind == RANGE_GLOBAL || range->kind == RANGE_IMPORTED ||
           range->kind == RANGE_MAPPED || range->kind == RANGE_MANAGED;
}

bool ranges_is_device(uint64_t address, uint64_t bytes)
{
    lock_take(&known.lock);
    size_t at = first_beyond(address);
    bool held = at-- > 0;
    while (held) {
        const struct range *range = &known.items[at];
        uint64_t into = address - range->address;
        held = is_of_device(range) && into <= range->bytes && (bytes > 0 || into < range->bytes);
        if (!held || bytes <= range->bytes - into)
            break;
        bytes -= range->bytes - into;
        address = range->address + range->bytes;
        held = ++at < known.count && known.items[at].address == address;
    }
    lock_give(&known.lock);
    return held;
}

bool ranges_is_shared(uint64_t address, uint64_t bytes)
{
    struct range range;
    return ranges_find(address, bytes, &range) && range.shared;
}

static _Atomic bool context_ended;

void ranges_context_ended(void)
{
    atomic_store_explicit(&context_ended, true, memory_order_release);
}

bool ranges_may_be_stale(void)
{
    return atomic_load_explicit(&context_ended, memory_order_acquire);
}

static struct {
    struct lock lock;
    struct reservations spans;
} reserved;

/* The driver gives out addresses in blocks: whole ones become one reservation each with their neighbours,
 * however small the pieces of memory in them are and whatever gaps they leave. A process may have 65,530 of
 * the kernel's mappings. */
#define BLOCK_BYTES (UINT64_C(2) << 20)

bool reservation_take(uint64_t address, uint64_t bytes)
{
    uint64_t first = address & ~(BLOCK_BYTES - 1);
    uint64_t end = (address + bytes + BLOCK_BYTES - 1) & ~(BLOCK_BYTES - 1);
    lock_take(&reserved.lock);
    bool done = (end > first && reservations_take(&reserved.spans, first, end - first)) ||
                reservations_take(&reserved.spans, address, bytes);
    lock_give(&reserved.lock);
    return done;
}

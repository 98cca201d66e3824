#include "wire/window.h"

#define HUGE_PAGE_BLOCKS ((2ull << 20) / WINDOW_BLOCK_BYTES)

static uint64_t blocks_for(uint64_t bytes)
{
    return bytes / WINDOW_BLOCK_BYTES + (bytes % WINDOW_BLOCK_BYTES != 0);
}

/* The last block of [first, first + count) that is taken; `first + count` when none is. */
static uint64_t last_taken(const struct window_table *table, uint64_t first, uint64_t count)
{
    for (uint64_t block = first + count; block-- > first;)
        if (atomic_load_explicit(&table->owners[block], memory_order_relaxed) != WINDOW_FREE)
            return block;
    return first + count;
}

/* Takes them all or none. Acquire: what the last owner has done to the memory comes before. */
static bool claim(struct window_table *table, uint32_t owner, uint64_t first, uint64_t count)
{
    for (uint64_t block = first; block < first + count; block++) {
        uint32_t free_word = WINDOW_FREE;
        if (atomic_compare_exchange_strong_explicit(&table->owners[block], &free_word, owner,
                                                    memory_order_acquire, memory_order_relaxed))
            continue;
        while (block-- > first)
            atomic_store_explicit(&table->owners[block], WINDOW_FREE, memory_order_release);
        return false;
    }
    return true;
}

void window_table_begin(struct window_table *table, uint64_t window_bytes)
{
    table->bytes = window_bytes;
    table->block_count = window_bytes / WINDOW_BLOCK_BYTES;
    for (uint64_t block = 0; block < WINDOW_FIRST_PART / WINDOW_BLOCK_BYTES; block++)
        atomic_store_explicit(&table->owners[block], WINDOW_RESERVED, memory_order_relaxed);
}

bool window_take(struct window_table *table, uint32_t owner, uint64_t bytes, uint64_t *offset)
{
    uint64_t count = blocks_for(bytes);
    uint64_t step = count >= HUGE_PAGE_BLOCKS ? HUGE_PAGE_BLOCKS : 1;
    if (count == 0 || count > table->block_count)
        return false;
    uint64_t first = WINDOW_FIRST_PART / WINDOW_BLOCK_BYTES / step * step;
    while (first <= table->block_count - count) {
        uint64_t taken = last_taken(table, first, count);
        if (taken == first + count && claim(table, owner, first, count)) {
            *offset = first * WINDOW_BLOCK_BYTES;
            return true;
        }
        if (taken < first + count) /* else another worker was faster: looks again */
            first = (taken + step) / step * step;
    }
    return false;
}

void window_give(struct window_table *table, uint32_t owner, uint64_t offset, uint64_t bytes)
{
    uint64_t first = offset / WINDOW_BLOCK_BYTES, count = blocks_for(bytes);
    for (uint64_t block = first; block < first + count && block < table->block_count; block++)
        if (atomic_load_explicit(&table->owners[block], memory_order_relaxed) == owner)
            atomic_store_explicit(&table->owners[block], WINDOW_FREE, memory_order_release);
}

bool window_find(const struct window_table *table, uint32_t owner, uint64_t *offset, uint64_t *bytes)
{
    uint64_t block = blocks_for(*offset), first;
    while (block < table->block_count && atomic_load(&table->owners[block]) != owner)
        block++;
    first = block;
    while (block < table->block_count && atomic_load(&table->owners[block]) == owner)
        block++;
    *offset = first * WINDOW_BLOCK_BYTES;
    *bytes = (block - first) * WINDOW_BLOCK_BYTES;
    return block > first;
}

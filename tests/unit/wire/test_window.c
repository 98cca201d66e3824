/* Who has which part of a window: nobody gets what another one has, and what is given back can be had again.
 */
#include "wire/window.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>

#define WINDOW_BYTES (64ull << 20)
#define HUGE_PAGE    (2ull << 20)

static struct window_table *table_create(void)
{
    struct window_table *table = calloc(1, window_table_bytes(WINDOW_BYTES));
    assert_non_null(table);
    window_table_begin(table, WINDOW_BYTES);
    return table;
}

static uint64_t take(struct window_table *table, uint32_t owner, uint64_t bytes)
{
    uint64_t offset = 0;
    assert_true(window_take(table, owner, bytes, &offset));
    assert_true(offset >= WINDOW_FIRST_PART); /* never the heads */
    assert_true(offset + bytes <= WINDOW_BYTES);
    assert_int_equal(offset % (bytes >= HUGE_PAGE ? HUGE_PAGE : WINDOW_BLOCK_BYTES), 0);
    return offset;
}

static void parts_do_not_overlap(void **state)
{
    struct window_table *table = table_create();
    uint64_t first = take(table, 1, 1);
    uint64_t second = take(table, 2, WINDOW_BLOCK_BYTES + 1);
    uint64_t third = take(table, 1, HUGE_PAGE);
    assert_int_equal(second, first + WINDOW_BLOCK_BYTES);
    assert_true(third >= second + 2 * WINDOW_BLOCK_BYTES);
    free(table);
}

static void a_full_window_refuses_and_is_as_before(void **state)
{
    struct window_table *table = table_create();
    uint64_t offset;
    assert_false(window_take(table, 1, WINDOW_BYTES, &offset)); /* the heads are in the way */
    assert_false(window_take(table, 1, UINT64_MAX, &offset));
    assert_false(window_take(table, 1, 0, &offset));
    take(table, 1, WINDOW_BYTES - 2 * HUGE_PAGE);
    assert_false(window_take(table, 2, HUGE_PAGE, &offset));
    take(table, 2, HUGE_PAGE - WINDOW_BLOCK_BYTES); /* too short for a huge page: right behind the heads */
    assert_false(window_take(table, 2, 1, &offset));
    free(table);
}

static void what_is_given_back_can_be_had_again(void **state)
{
    struct window_table *table = table_create();
    uint64_t first = take(table, 1, 3 * WINDOW_BLOCK_BYTES);
    uint64_t second = take(table, 1, WINDOW_BLOCK_BYTES);
    window_give(table, 1, first, 3 * WINDOW_BLOCK_BYTES);
    assert_int_equal(take(table, 2, 2 * WINDOW_BLOCK_BYTES), first);
    assert_int_equal(take(table, 2, 2 * WINDOW_BLOCK_BYTES), second + WINDOW_BLOCK_BYTES);
    free(table);
}

static void nobody_gives_back_what_is_another_ones(void **state)
{
    struct window_table *table = table_create();
    uint64_t offset = take(table, 1, WINDOW_BLOCK_BYTES), bytes, found = 0;
    window_give(table, 2, 0, WINDOW_BYTES);
    window_give(table, 2, WINDOW_BYTES, WINDOW_BYTES); /* beyond the end */
    assert_true(window_find(table, 1, &found, &bytes));
    assert_int_equal(found, offset);
    assert_int_equal(table->owners[0], WINDOW_RESERVED);
    free(table);
}

static void an_owners_parts_are_found_in_turn(void **state)
{
    struct window_table *table = table_create();
    uint64_t first = take(table, 7, 2 * WINDOW_BLOCK_BYTES);
    take(table, 8, WINDOW_BLOCK_BYTES);
    uint64_t second = take(table, 7, WINDOW_BLOCK_BYTES), offset = 0, bytes;
    assert_true(window_find(table, 7, &offset, &bytes));
    assert_int_equal(offset, first);
    assert_int_equal(bytes, 2 * WINDOW_BLOCK_BYTES);
    offset += bytes;
    assert_true(window_find(table, 7, &offset, &bytes));
    assert_int_equal(offset, second);
    assert_int_equal(bytes, WINDOW_BLOCK_BYTES);
    offset += bytes;
    assert_false(window_find(table, 7, &offset, &bytes));
    free(table);
}

/* Several workers of a VM at once: each marks what it has, and finds it unmarked. */
struct contender {
    struct window_table *table;
    _Atomic uint32_t *marks;
    uint32_t owner;
    bool good;
};

static void *contend(void *argument)
{
    enum { ROUNDS = 20000, HELD = 16 };
    struct contender *self = argument;
    struct {
        uint64_t offset, bytes;
    } held[HELD] = {0};
    unsigned seed = self->owner;
    self->good = true;
    for (int round = 0; round < ROUNDS; round++) {
        int slot = rand_r(&seed) % HELD;
        uint64_t first = held[slot].offset / WINDOW_BLOCK_BYTES,
                 count = held[slot].bytes / WINDOW_BLOCK_BYTES;
        for (uint64_t block = first; block < first + count; block++)
            self->good &= atomic_exchange(&self->marks[block], 0) == self->owner;
        if (count > 0)
            window_give(self->table, self->owner, held[slot].offset, held[slot].bytes);
        held[slot].bytes = (1 + (uint64_t)rand_r(&seed) % 40) * WINDOW_BLOCK_BYTES;
        if (!window_take(self->table, self->owner, held[slot].bytes, &held[slot].offset))
            held[slot].bytes = 0;
        first = held[slot].offset / WINDOW_BLOCK_BYTES;
        count = held[slot].bytes / WINDOW_BLOCK_BYTES;
        for (uint64_t block = first; block < first + count; block++)
            self->good &= atomic_exchange(&self->marks[block], self->owner) == 0;
    }
    return NULL;
}

static void many_at_once_share_nothing(void **state)
{
    enum { CONTENDERS = 4 };
    struct window_table *table = table_create();
    _Atomic uint32_t *marks = calloc(table->block_count, sizeof *marks);
    struct contender contenders[CONTENDERS];
    pthread_t threads[CONTENDERS];
    assert_non_null(marks);
    for (uint32_t i = 0; i < CONTENDERS; i++) {
        contenders[i] = (struct contender){.table = table, .marks = marks, .owner = i + 1};
        assert_int_equal(pthread_create(&threads[i], NULL, contend, &contenders[i]), 0);
    }
    for (int i = 0; i < CONTENDERS; i++) {
        pthread_join(threads[i], NULL);
        assert_true(contenders[i].good);
    }
    free(marks);
    free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_do_not_overlap),
        cmocka_unit_test(a_full_window_refuses_and_is_as_before),
        cmocka_unit_test(what_is_given_back_can_be_had_again),
        cmocka_unit_test(nobody_gives_back_what_is_another_ones),
        cmocka_unit_test(an_owners_parts_are_found_in_turn),
        cmocka_unit_test(many_at_once_share_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

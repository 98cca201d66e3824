/* What the guest library knows of addresses. */
#include "guest/ranges.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>

#include <cmocka.h>

static void add(uint64_t address, uint64_t bytes, enum range_kind kind, bool shared)
{
    struct range range = {.address = address, .bytes = bytes, .kind = kind, .shared = shared};
    assert_true(ranges_add(&range));
}

static void finds_what_holds_all_of_it(void **state)
{
    struct range found;
    add(0x10000, 0x1000, RANGE_DEVICE, false);
    add(0x20000, 0x2000, RANGE_HOST, true);
    assert_true(ranges_find(0x10000, 0x1000, &found));
    assert_int_equal(found.kind, RANGE_DEVICE);
    assert_false(ranges_find(0x10000, 0x1001, &found));
    assert_false(ranges_find(0xffff, 1, &found));
    assert_false(ranges_find(0x11000, 1, &found));
    assert_false(ranges_find(0x10fff, UINT64_MAX, &found));
    assert_true(ranges_is_device(0x10fff, 1));
    assert_false(ranges_is_device(0x20000, 1));
    assert_true(ranges_is_shared(0x21fff, 1));
    assert_false(ranges_is_shared(0x21fff, 2));
}

static void forgets_by_kind_and_start(void **state)
{
    struct range removed, found;
    add(0x50000, 0x1000, RANGE_REGISTERED, true);
    assert_false(ranges_remove(RANGE_HOST, 0x50000, &removed));
    assert_false(ranges_remove(RANGE_REGISTERED, 0x50008, &removed));
    assert_true(ranges_remove(RANGE_REGISTERED, 0x50000, &removed));
    assert_int_equal(removed.bytes, 0x1000);
    assert_false(ranges_find(0x50000, 1, &found));
    assert_false(ranges_remove(RANGE_REGISTERED, 0x50000, NULL));
}

static void keeps_many_in_order(void **state)
{
    struct range found;
    for (uint64_t i = 0; i < 3000; i++) /* not in the order of their addresses */
        add(0x1000000 + (i * 7919 % 3000) * 0x1000, 0x800, RANGE_DEVICE, false);
    for (uint64_t i = 0; i < 3000; i++) {
        assert_true(ranges_find(0x1000000 + i * 0x1000 + 0x7ff, 1, &found));
        assert_int_equal(found.address, 0x1000000 + i * 0x1000);
        assert_false(ranges_find(0x1000000 + i * 0x1000 + 0x800, 1, &found));
    }
}

/* Over any of it the program's own mappings cannot come to lie. */
static bool is_reserved(uint64_t address)
{
    void *want = (void *)(uintptr_t)address;
    void *got = mmap(want, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (got != MAP_FAILED)
        munmap(got, 4096);
    return got != want;
}

/* Blocks of 2 MiB are reserved whole, and with their neighbours. */
/* Blocks of 2 MiB, whole where the program has nothing in them. */
static void reservations_grow_together(void **state)
{
    const uint64_t base = 0x330000000000, block = 2u << 20;
    assert_true(reservation_take(base + block + 0x10000, 0x1000));
    assert_true(reservation_take(base + block + 0x10000, 0x1000)); /* again: it is ours already */
    assert_true(reservation_take(base + 3 * block + 1, 1));
    assert_false(is_reserved(base + block - 0x1000));
    assert_false(is_reserved(base + 2 * block));
    assert_true(reservation_take(base + 2 * block - 0x1000, block + 0x2000)); /* between both */
    for (uint64_t at = block; at < 4 * block; at += 0x1000)
        assert_true(is_reserved(base + at));
    assert_false(is_reserved(base + 4 * block));
}

static void what_the_program_has_is_not_taken(void **state)
{
    const uint64_t base = 0x340000000000;
    void *mine = mmap((void *)(uintptr_t)(base + 0x4000), 4096, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    assert_ptr_not_equal(mine, MAP_FAILED);
    *(int *)mine = 7;
    assert_false(reservation_take(base, 0x10000));
    assert_int_equal(*(int *)mine, 7);
    assert_true(reservation_take(base + 0x8001, 1)); /* beside it, whole pages */
    assert_true(is_reserved(base + 0x8000));
    assert_false(is_reserved(base + 0x9000));
    assert_int_equal(*(int *)mine, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_holds_all_of_it),
        cmocka_unit_test(forgets_by_kind_and_start),
        cmocka_unit_test(keeps_many_in_order),
        cmocka_unit_test(reservations_grow_together),
        cmocka_unit_test(what_the_program_has_is_not_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

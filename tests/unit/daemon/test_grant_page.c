/* The daemon's moves on a grant page: each arrow of the picture in wire/grant.h, and nothing but the arrows.
 */
#include "daemon/grant_page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

static struct grant_page page;

static void say(uint32_t generation, enum grant_state state)
{
    atomic_store(&page.word, grant_word(generation, state));
}

static void expect_word(uint32_t generation, enum grant_state state)
{
    assert_int_equal(atomic_load(&page.word), grant_word(generation, state));
}

static void a_grant_raises_the_generation(void **state)
{
    uint32_t generation = 7;
    say(7, GRANT_NONE);
    assert_int_equal(grant_page_grant(&page, &generation, false, GRANT_SLICE_EQUAL), GRANT_MOVED);
    assert_int_equal(generation, 8);
    expect_word(8, GRANT_HELD);
    say(8, GRANT_NONE);
    assert_int_equal(grant_page_grant(&page, &generation, true, GRANT_SLICE_EQUAL), GRANT_MOVED);
    expect_word(9, GRANT_CONTENDED);
}

static void generations_wrap_around(void **state)
{
    uint32_t generation = GRANT_GENERATION_MASK;
    say(generation, GRANT_NONE);
    assert_int_equal(grant_page_grant(&page, &generation, false, GRANT_SLICE_EQUAL), GRANT_MOVED);
    assert_int_equal(generation, 0);
    expect_word(0, GRANT_HELD);
}

static void nothing_is_granted_on_a_page_in_use(void **state)
{
    uint32_t generation = 7;
    for (int in_use = GRANT_HELD; in_use <= GRANT_REVOKED; in_use++) {
        say(7, (enum grant_state)in_use);
        assert_int_equal(grant_page_grant(&page, &generation, false, GRANT_SLICE_EQUAL), GRANT_BROKEN);
        assert_int_equal(generation, 7);
        expect_word(7, (enum grant_state)in_use);
    }
}

static void a_holder_is_told_who_waits(void **state)
{
    say(3, GRANT_HELD);
    assert_int_equal(grant_page_tell(&page, 3, true, GRANT_SLICE_EQUAL), GRANT_MOVED);
    expect_word(3, GRANT_CONTENDED);
    assert_int_equal(grant_page_tell(&page, 3, false, GRANT_SLICE_EQUAL), GRANT_MOVED);
    expect_word(3, GRANT_HELD);
}

static void expect_slice(enum grant_slice slice, enum grant_state state)
{
    assert_int_equal(atomic_load(&page.word), grant_word_sliced(3, slice, state));
}

static void a_slice_comes_with_the_grant_and_stays_until_it_ends(void **state)
{
    uint32_t generation = 2;
    say(2, GRANT_NONE);
    assert_int_equal(grant_page_grant(&page, &generation, true, GRANT_SLICE_SHORT), GRANT_MOVED);
    expect_slice(GRANT_SLICE_SHORT, GRANT_CONTENDED);
    assert_int_equal(grant_page_tell(&page, 3, false, GRANT_SLICE_LONG), GRANT_MOVED);
    expect_slice(GRANT_SLICE_LONG, GRANT_HELD);
    assert_int_equal(grant_page_revoke(&page, 3), GRANT_MOVED);
    expect_slice(GRANT_SLICE_LONG, GRANT_REVOKED);
    assert_int_equal(grant_page_tell(&page, 3, true, GRANT_SLICE_SHORT), GRANT_GIVEN_BACK);
    expect_slice(GRANT_SLICE_SHORT, GRANT_REVOKED); /* while it drains */
    say(3, GRANT_NONE);
    assert_int_equal(grant_page_tell(&page, 3, true, GRANT_SLICE_LONG), GRANT_GIVEN_BACK);
    expect_word(3, GRANT_NONE);
    assert_true(grant_page_is_given_back(&page, 3));
}

static void a_near_grant_is_announced_to_who_waits(void **state)
{
    uint32_t generation = 3;
    say(3, GRANT_NONE);
    grant_page_announce(&page, 3);
    assert_true(grant_word_is_near(atomic_load(&page.word)));
    assert_int_equal(grant_word_generation(atomic_load(&page.word)), 3);
    assert_int_equal(grant_page_grant(&page, &generation, false, GRANT_SLICE_SHORT), GRANT_MOVED);
    assert_false(grant_word_is_near(atomic_load(&page.word)));
    uint32_t held = atomic_load(&page.word);
    grant_page_announce(&page, 4); /* too late: it has come */
    assert_int_equal(atomic_load(&page.word), held);
}

static void a_grant_can_be_revoked(void **state)
{
    say(3, GRANT_HELD);
    assert_int_equal(grant_page_revoke(&page, 3), GRANT_MOVED);
    expect_word(3, GRANT_REVOKED);
    say(3, GRANT_CONTENDED);
    assert_int_equal(grant_page_revoke(&page, 3), GRANT_MOVED);
    expect_word(3, GRANT_REVOKED);
}

static void what_was_given_back_stays_given_back(void **state)
{
    say(3, GRANT_NONE);
    assert_true(grant_page_is_given_back(&page, 3));
    assert_int_equal(grant_page_revoke(&page, 3), GRANT_GIVEN_BACK);
    assert_int_equal(grant_page_tell(&page, 3, true, GRANT_SLICE_EQUAL), GRANT_GIVEN_BACK);
    assert_int_equal(grant_page_tell(&page, 3, false, GRANT_SLICE_EQUAL), GRANT_GIVEN_BACK);
    expect_word(3, GRANT_NONE);
}

static void a_worker_may_close_its_own_gate(void **state)
{
    say(3, GRANT_REVOKED);
    assert_false(grant_page_is_given_back(&page, 3));
    assert_int_equal(grant_page_revoke(&page, 3), GRANT_GIVEN_BACK);
    assert_int_equal(grant_page_tell(&page, 3, true, GRANT_SLICE_EQUAL), GRANT_GIVEN_BACK);
    assert_int_equal(grant_page_tell(&page, 3, false, GRANT_SLICE_EQUAL), GRANT_GIVEN_BACK);
    expect_word(3, GRANT_REVOKED);
}

static void another_generation_is_a_broken_page(void **state)
{
    uint32_t generation = 3;
    say(4, GRANT_NONE);
    assert_int_equal(grant_page_grant(&page, &generation, false, GRANT_SLICE_EQUAL), GRANT_BROKEN);
    assert_false(grant_page_is_given_back(&page, 3));
    say(4, GRANT_HELD);
    assert_int_equal(grant_page_revoke(&page, 3), GRANT_BROKEN);
    assert_int_equal(grant_page_tell(&page, 3, true, GRANT_SLICE_EQUAL), GRANT_BROKEN);
    expect_word(4, GRANT_HELD);
}

/* A worker that could shrink the page would end the daemon with SIGBUS. */
static void the_page_cannot_be_taken_away(void **state)
{
    struct grant_page *made;
    struct vgpu_error err;
    int memfd;
    assert_int_equal(grant_page_create(&made, &memfd, &err), VGPU_OK);
    assert_int_equal(atomic_load(&made->word), grant_word(0, GRANT_NONE));
    assert_int_equal(ftruncate(memfd, 0), -1);
    assert_int_equal(ftruncate(memfd, 2 * GRANT_PAGE_BYTES), -1);
    close(memfd);
    grant_page_destroy(made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_grant_raises_the_generation),
        cmocka_unit_test(generations_wrap_around),
        cmocka_unit_test(nothing_is_granted_on_a_page_in_use),
        cmocka_unit_test(a_holder_is_told_who_waits),
        cmocka_unit_test(a_slice_comes_with_the_grant_and_stays_until_it_ends),
        cmocka_unit_test(a_near_grant_is_announced_to_who_waits),
        cmocka_unit_test(a_grant_can_be_revoked),
        cmocka_unit_test(what_was_given_back_stays_given_back),
        cmocka_unit_test(a_worker_may_close_its_own_gate),
        cmocka_unit_test(another_generation_is_a_broken_page),
        cmocka_unit_test(the_page_cannot_be_taken_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

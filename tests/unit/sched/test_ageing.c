/* The rules of docs/scheduling.md on ageing, at one place. One test each. */
#include "decisions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void ageing_lifts_low_over_a_stream_of_high(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.high, 0);
    sched_vm_want(&f.sched, &f.low, 1);
    f.seen = f.made;
    /* high gives back and asks again at once, and is preferred ... */
    for (uint64_t now = 100; now < 2 * AGEING; now += 100) {
        sched_vm_released(&f.sched, &f.high, now);
        expect(&f, GRANT, &f.low);
        sched_vm_want(&f.sched, &f.high, now);
        expect(&f, REVOKE, &f.low);
        sched_vm_want(&f.sched, &f.low, now);
        sched_vm_released(&f.sched, &f.low, now);
        expect(&f, GRANT_CONTENDED, &f.high);
        expect_no_more(&f);
    }
    /* ... until low has waited for two steps: then it gets a turn that high does not cut short. */
    sched_vm_released(&f.sched, &f.high, 2 * AGEING + 1);
    expect(&f, GRANT, &f.low);
    sched_vm_want(&f.sched, &f.high, 2 * AGEING + 1);
    sched_advance(&f.sched, 2 * AGEING + QUANTUM);
    expect_no_more(&f);
    sched_advance(&f.sched, 2 * AGEING + 1 + QUANTUM);
    expect(&f, REVOKE, &f.low);
    sched_vm_released(&f.sched, &f.low, 2 * AGEING + 2 + QUANTUM);
    expect(&f, GRANT, &f.high);
    expect_no_more(&f);
}

static void an_aged_vm_ends_the_turn_of_a_busy_high_one(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.high, 0);
    expect(&f, GRANT, &f.high);
    sched_vm_want(&f.sched, &f.low, 10);
    expect(&f, CONTEND, &f.high);
    assert_int_equal(sched_next_deadline_us(&f.sched), 10 + 2 * AGEING);
    sched_advance(&f.sched, 9 + 2 * AGEING);
    expect_no_more(&f);
    assert_int_equal(sched_vm_effective_class(&f.sched, &f.low, 9 + 2 * AGEING), SCHED_LOW);
    sched_advance(&f.sched, 10 + 2 * AGEING);
    assert_int_equal(sched_vm_effective_class(&f.sched, &f.low, 10 + 2 * AGEING), SCHED_HIGH);
    expect(&f, REVOKE, &f.high);
    sched_vm_want(&f.sched, &f.high, 11 + 2 * AGEING);
    sched_vm_released(&f.sched, &f.high, 12 + 2 * AGEING);
    expect(&f, GRANT, &f.low); /* it is not told that high waits: its first pause does not end its turn */
    sched_advance(&f.sched, 11 + QUANTUM + 2 * AGEING);
    expect_no_more(&f);
    sched_advance(&f.sched, 12 + QUANTUM + 2 * AGEING);
    expect(&f, REVOKE, &f.low);
    expect_no_more(&f);
}

static void without_ageing_classes_are_strict(void **state)
{
    struct fixture f;
    start_with(&f, (struct sched_config){.quantum_us = QUANTUM});
    sched_vm_want(&f.sched, &f.high, 0);
    sched_vm_want(&f.sched, &f.low, 1);
    assert_true(sched_next_deadline_us(&f.sched) == SCHED_NEVER);
    f.seen = f.made;
    sched_advance(&f.sched, 1000 * AGEING);
    expect_no_more(&f);
}

static void a_vm_rises_to_classes_that_have_work(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.high, 0);
    sched_vm_want(&f.sched, &f.low, 0);
    sched_vm_want(&f.sched, &f.medium, AGEING / 2);
    assert_int_equal(sched_vm_effective_class(&f.sched, &f.low, AGEING - 1), SCHED_LOW);
    assert_int_equal(sched_vm_effective_class(&f.sched, &f.low, AGEING), SCHED_MEDIUM);
    assert_true(sched_vm_comes_first(&f.sched, &f.medium, &f.low, AGEING - 1));
    assert_true(sched_vm_comes_first(&f.sched, &f.low, &f.medium, AGEING));
    sched_vm_withdraw(&f.sched, &f.medium, AGEING);
    sched_advance(&f.sched, AGEING + QUANTUM + 1); /* medium is idle for real */
    assert_int_equal(sched_vm_effective_class(&f.sched, &f.low, AGEING + QUANTUM + 1), SCHED_LOW);
    f.seen = f.made;
    sched_vm_released(&f.sched, &f.high, AGEING + QUANTUM + 2);
    expect(&f, GRANT, &f.low);
    expect_no_more(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ageing_lifts_low_over_a_stream_of_high),
        cmocka_unit_test(an_aged_vm_ends_the_turn_of_a_busy_high_one),
        cmocka_unit_test(without_ageing_classes_are_strict),
        cmocka_unit_test(a_vm_rises_to_classes_that_have_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The rules of docs/scheduling.md on turns at one place. One test each. */
#include "decisions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void a_lone_vm_is_granted_at_once_and_left_alone(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.low, 5);
    expect(&f, GRANT, &f.low);
    assert_true(sched_next_deadline_us(&f.sched) == SCHED_NEVER);
    sched_advance(&f.sched, 1000000000);
    expect_no_more(&f);
}

static void one_grant_per_gpu_at_a_time(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.medium, 0);
    expect(&f, GRANT, &f.medium);
    sched_vm_want(&f.sched, &f.medium2, 1);
    expect(&f, CONTEND, &f.medium);
    sched_advance(&f.sched, QUANTUM);
    expect(&f, REVOKE, &f.medium);
    sched_advance(&f.sched, 100 * QUANTUM);
    expect_no_more(&f); /* not before the holder has drained */
    sched_vm_released(&f.sched, &f.medium, 101 * QUANTUM);
    expect(&f, GRANT, &f.medium2);
    expect_no_more(&f);
}

static void gpus_are_independent(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.low, 0);
    expect(&f, GRANT, &f.low);
    sched_vm_want(&f.sched, &f.elsewhere, 0);
    expect(&f, GRANT, &f.elsewhere);
    expect_no_more(&f);
}

static void first_come_first_served_within_a_class(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.high, 0);
    expect(&f, GRANT, &f.high);
    sched_vm_want(&f.sched, &f.low2, 1);
    sched_vm_want(&f.sched, &f.low, 1);
    expect(&f, CONTEND, &f.high);
    sched_vm_released(&f.sched, &f.high, 2);
    expect(&f, GRANT_CONTENDED, &f.low2);
    sched_vm_released(&f.sched, &f.low2, 3);
    expect(&f, GRANT, &f.low);
    expect_no_more(&f);
}

static void who_gave_back_queues_at_the_tail(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.low, 0);
    expect(&f, GRANT, &f.low);
    sched_vm_want(&f.sched, &f.low2, 1);
    expect(&f, CONTEND, &f.low);
    sched_vm_released(&f.sched, &f.low, 2);
    expect(&f, GRANT, &f.low2);
    sched_vm_want(&f.sched, &f.low, 2);
    expect(&f, CONTEND, &f.low2);
    sched_vm_released(&f.sched, &f.low2, 3);
    expect(&f, GRANT, &f.low);
    expect_no_more(&f);
}

static void the_higher_class_goes_first(void **state)
{
    struct fixture f;
    start_with(&f, (struct sched_config){.quantum_us = QUANTUM, .ageing_us = AGEING, .min_hold_us = 500});
    sched_vm_want(&f.sched, &f.medium, 0);
    expect(&f, GRANT, &f.medium);
    sched_vm_want(&f.sched, &f.low, 1);
    expect(&f, CONTEND, &f.medium);
    sched_vm_want(&f.sched, &f.medium2, 2);
    sched_vm_want(&f.sched, &f.high, 3);
    sched_vm_released(&f.sched, &f.medium, 4);
    expect(&f, GRANT_CONTENDED, &f.high);
    sched_vm_released(&f.sched, &f.high, 5);
    expect(&f, GRANT_CONTENDED, &f.medium2);
    sched_vm_released(&f.sched, &f.medium2, 6);
    expect(&f, GRANT, &f.low);
    expect_no_more(&f);
}

static void a_higher_class_takes_the_gpu_at_once(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.medium, 0);
    expect(&f, GRANT, &f.medium);
    sched_vm_want(&f.sched, &f.high, 1);
    expect(&f, REVOKE, &f.medium);
    sched_vm_released(&f.sched, &f.medium, 2);
    expect(&f, GRANT, &f.high);
    expect_no_more(&f);
}

static void a_lower_class_does_not(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.high, 0);
    expect(&f, GRANT, &f.high);
    sched_vm_want(&f.sched, &f.low, 1);
    expect(&f, CONTEND, &f.high);
    sched_advance(&f.sched, 10 * QUANTUM); /* the quantum is for equals */
    expect_no_more(&f);
}

static void the_minimum_hold_delays_a_higher_class(void **state)
{
    struct fixture f;
    start_with(&f, (struct sched_config){.quantum_us = QUANTUM, .ageing_us = AGEING, .min_hold_us = 300});
    sched_vm_want(&f.sched, &f.low, 0);
    expect(&f, GRANT, &f.low);
    sched_vm_want(&f.sched, &f.high, 100);
    expect(&f, CONTEND, &f.low);
    expect_no_more(&f);
    assert_int_equal(sched_next_deadline_us(&f.sched), 300);
    sched_advance(&f.sched, 299);
    expect_no_more(&f);
    sched_advance(&f.sched, 300);
    expect(&f, REVOKE, &f.low);
    expect_no_more(&f);
}

static void the_quantum_counts_from_the_grant(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.low, 0);
    expect(&f, GRANT, &f.low);
    sched_vm_want(&f.sched, &f.low2, 400);
    expect(&f, CONTEND, &f.low);
    assert_int_equal(sched_next_deadline_us(&f.sched), QUANTUM);
    sched_advance(&f.sched, QUANTUM - 1);
    expect_no_more(&f);
    sched_advance(&f.sched, QUANTUM);
    expect(&f, REVOKE, &f.low);
    sched_vm_released(&f.sched, &f.low, QUANTUM + 10);
    expect(&f, GRANT, &f.low2);

    /* Who held longer than that, alone, makes room at once. */
    sched_vm_want(&f.sched, &f.low, 5 * QUANTUM);
    expect(&f, REVOKE, &f.low2);
    expect_no_more(&f);
}

static void a_holder_hears_that_the_others_left(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.low, 0);
    expect(&f, GRANT, &f.low);
    sched_vm_want(&f.sched, &f.low2, 1);
    expect(&f, CONTEND, &f.low);
    sched_vm_withdraw(&f.sched, &f.low2, 2);
    expect(&f, UNCONTEND, &f.low);
    assert_true(sched_next_deadline_us(&f.sched) == SCHED_NEVER);
    sched_advance(&f.sched, 10 * QUANTUM);
    expect_no_more(&f);
}

static void an_early_release_passes_the_gpu_on(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.low, 0);
    expect(&f, GRANT, &f.low);
    sched_vm_want(&f.sched, &f.low2, 1);
    expect(&f, CONTEND, &f.low);
    sched_vm_released(&f.sched, &f.low, 2);
    expect(&f, GRANT, &f.low2);
    sched_advance(&f.sched, QUANTUM); /* of the old grant */
    expect_no_more(&f);
}

static void a_crashed_holder_frees_its_gpu(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.low, 0);
    expect(&f, GRANT, &f.low);
    sched_vm_want(&f.sched, &f.low2, 1);
    expect(&f, CONTEND, &f.low);
    sched_vm_remove(&f.sched, &f.low, 2);
    expect(&f, GRANT, &f.low2);
    expect_no_more(&f);

    /* Also when it had been told to drain. */
    sched_vm_want(&f.sched, &f.high, 3);
    expect(&f, REVOKE, &f.low2);
    sched_vm_remove(&f.sched, &f.low2, 4);
    expect(&f, GRANT, &f.high);
    expect_no_more(&f);
}

static void a_waiting_vm_can_be_removed(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.low, 0);
    sched_vm_want(&f.sched, &f.low2, 1);
    sched_vm_want(&f.sched, &f.medium, 2);
    f.seen = f.made;
    sched_vm_remove(&f.sched, &f.medium, 3);
    sched_vm_released(&f.sched, &f.low, 4);
    expect(&f, GRANT, &f.low2);
    sched_vm_remove(&f.sched, &f.low, 5);
    expect_no_more(&f);
}

static void asking_while_draining_is_not_lost(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.low, 0);
    sched_vm_want(&f.sched, &f.low2, 1);
    sched_advance(&f.sched, QUANTUM);
    f.seen = f.made;
    sched_vm_want(&f.sched, &f.low, QUANTUM + 1);
    expect_no_more(&f);
    sched_vm_released(&f.sched, &f.low, QUANTUM + 2);
    expect(&f, GRANT_CONTENDED, &f.low2);
    sched_vm_released(&f.sched, &f.low2, QUANTUM + 3);
    expect(&f, GRANT, &f.low);
    expect_no_more(&f);
}

static void asking_while_draining_can_be_withdrawn(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.low, 0);
    sched_vm_want(&f.sched, &f.high, 1);
    sched_vm_want(&f.sched, &f.low, 2);
    sched_vm_withdraw(&f.sched, &f.low, 3);
    f.seen = f.made;
    sched_vm_released(&f.sched, &f.low, 4);
    expect(&f, GRANT, &f.high);
    sched_vm_released(&f.sched, &f.high, 5);
    expect_no_more(&f);
}

static void asking_twice_is_asking_once(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.high, 0);
    sched_vm_want(&f.sched, &f.low, 1);
    sched_vm_want(&f.sched, &f.low2, 2);
    sched_vm_want(&f.sched, &f.low, 3);
    sched_vm_want(&f.sched, &f.high, 3);
    f.seen = f.made;
    sched_vm_released(&f.sched, &f.high, 4);
    expect(&f, GRANT_CONTENDED, &f.low);
    sched_vm_released(&f.sched, &f.low, 5);
    expect(&f, GRANT, &f.low2);
    sched_vm_released(&f.sched, &f.low2, 6);
    expect_no_more(&f);
}

static void a_waiting_vm_that_is_raised_keeps_its_wait(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.high, 0);
    sched_vm_want(&f.sched, &f.low, 1);
    sched_vm_want(&f.sched, &f.medium, 2);
    f.seen = f.made;
    sched_vm_set_class(&f.sched, &f.low, SCHED_MEDIUM, 3);
    sched_vm_released(&f.sched, &f.high, 4);
    expect(&f, GRANT_CONTENDED, &f.low);
    expect_no_more(&f);
}

static void a_vm_raised_above_the_holder_takes_the_gpu(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.low, 0);
    sched_vm_want(&f.sched, &f.low2, 1);
    f.seen = f.made;
    sched_vm_set_class(&f.sched, &f.low2, SCHED_HIGH, 2);
    expect(&f, REVOKE, &f.low);
    expect_no_more(&f);
}

static void a_holder_lowered_below_the_waiting_loses_the_gpu(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.high, 0);
    sched_vm_want(&f.sched, &f.medium, 1);
    f.seen = f.made;
    sched_vm_set_class(&f.sched, &f.high, SCHED_LOW, 2);
    expect(&f, REVOKE, &f.high);
    expect_no_more(&f);
}

static void a_gpu_can_go_once_its_vms_have(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.elsewhere, 0);
    sched_vm_want(&f.sched, &f.low, 0);
    sched_vm_want(&f.sched, &f.low2, 0);
    f.seen = f.made;
    sched_vm_remove(&f.sched, &f.elsewhere, 1);
    sched_gpu_remove(&f.sched, &f.other_gpu);
    assert_int_equal(sched_next_deadline_us(&f.sched), QUANTUM);
    expect_no_more(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lone_vm_is_granted_at_once_and_left_alone),
        cmocka_unit_test(one_grant_per_gpu_at_a_time),
        cmocka_unit_test(gpus_are_independent),
        cmocka_unit_test(first_come_first_served_within_a_class),
        cmocka_unit_test(who_gave_back_queues_at_the_tail),
        cmocka_unit_test(the_higher_class_goes_first),
        cmocka_unit_test(a_higher_class_takes_the_gpu_at_once),
        cmocka_unit_test(a_lower_class_does_not),
        cmocka_unit_test(the_minimum_hold_delays_a_higher_class),
        cmocka_unit_test(the_quantum_counts_from_the_grant),
        cmocka_unit_test(a_holder_hears_that_the_others_left),
        cmocka_unit_test(an_early_release_passes_the_gpu_on),
        cmocka_unit_test(a_crashed_holder_frees_its_gpu),
        cmocka_unit_test(a_waiting_vm_can_be_removed),
        cmocka_unit_test(asking_while_draining_is_not_lost),
        cmocka_unit_test(asking_while_draining_can_be_withdrawn),
        cmocka_unit_test(asking_twice_is_asking_once),
        cmocka_unit_test(a_waiting_vm_that_is_raised_keeps_its_wait),
        cmocka_unit_test(a_vm_raised_above_the_holder_takes_the_gpu),
        cmocka_unit_test(a_holder_lowered_below_the_waiting_loses_the_gpu),
        cmocka_unit_test(a_gpu_can_go_once_its_vms_have),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What docs/scheduling.md says of paused VMs, at one place. One test each. */
#include "decisions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void a_paused_holder_is_revoked_and_asks_in_vain(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.high, 0);
    expect(&f, GRANT, &f.high);
    sched_vm_set_paused(&f.sched, &f.high, true, 1);
    expect(&f, REVOKE, &f.high);
    sched_vm_want(&f.sched, &f.high, 2);
    sched_vm_released(&f.sched, &f.high, 3);
    expect_no_more(&f);
    sched_vm_want(&f.sched, &f.low, 4);
    expect(&f, GRANT, &f.low);
    sched_vm_want(&f.sched, &f.high, 5);
    expect_no_more(&f); /* not even `contended`: nobody is in the queue */
    sched_vm_set_paused(&f.sched, &f.high, false, 6);
    expect(&f, REVOKE, &f.low);
    sched_vm_released(&f.sched, &f.low, 7);
    expect(&f, GRANT, &f.high);
    expect_no_more(&f);
}

static void a_paused_vm_leaves_the_queue_and_comes_back_at_its_tail(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.high, 0);
    expect(&f, GRANT, &f.high);
    sched_vm_want(&f.sched, &f.low, 1);
    expect(&f, CONTEND, &f.high);
    sched_vm_set_paused(&f.sched, &f.low, true, 2);
    expect(&f, UNCONTEND, &f.high);
    sched_vm_want(&f.sched, &f.low2, 3);
    expect(&f, CONTEND, &f.high);
    sched_vm_set_paused(&f.sched, &f.low, false, 4);
    sched_vm_released(&f.sched, &f.high, 5);
    expect(&f, GRANT_CONTENDED, &f.low2);
    sched_vm_released(&f.sched, &f.low2, 6);
    expect(&f, GRANT, &f.low);
    expect_no_more(&f);
}

static void a_paused_vm_that_wants_nothing_gets_nothing_when_it_goes_on(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_set_paused(&f.sched, &f.low, true, 0);
    sched_vm_want(&f.sched, &f.low, 1);
    sched_vm_withdraw(&f.sched, &f.low, 2);
    sched_vm_set_paused(&f.sched, &f.low, false, 3);
    expect_no_more(&f);
    sched_vm_want(&f.sched, &f.low, 4);
    expect(&f, GRANT, &f.low);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_paused_holder_is_revoked_and_asks_in_vain),
        cmocka_unit_test(a_paused_vm_leaves_the_queue_and_comes_back_at_its_tail),
        cmocka_unit_test(a_paused_vm_that_wants_nothing_gets_nothing_when_it_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

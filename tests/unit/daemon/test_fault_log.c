/* Too many faults in too short a time, and only those. */
#include "daemon/fault_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void as_many_as_the_limit_within_the_window_are_too_many(void **state)
{
    struct fault_log log = {.room = 0};
    assert_false(fault_log_add(&log, 1000, 3, 100));
    assert_false(fault_log_add(&log, 1050, 3, 100));
    assert_true(fault_log_add(&log, 1099, 3, 100));
    assert_false(fault_log_add(&log, 1099, 3, 100)); /* the count begins anew */
    fault_log_fini(&log);
}

static void faults_far_apart_never_are(void **state)
{
    struct fault_log log = {.room = 0};
    for (uint64_t i = 0; i < 100; i++)
        assert_false(fault_log_add(&log, 1000 + i * 50, 3, 100));
    assert_true(fault_log_add(&log, 1000 + 99 * 50 + 1, 3, 100));
    fault_log_fini(&log);
}

static void one_may_be_enough_and_none_never_is(void **state)
{
    struct fault_log log = {.room = 0};
    assert_true(fault_log_add(&log, 5, 1, 100));
    for (uint64_t i = 0; i < 100; i++)
        assert_false(fault_log_add(&log, i, 0, 100));
    fault_log_fini(&log);
}

static void another_limit_begins_anew(void **state)
{
    struct fault_log log = {.room = 0};
    assert_false(fault_log_add(&log, 1, 3, 100));
    assert_false(fault_log_add(&log, 2, 3, 100));
    assert_false(fault_log_add(&log, 3, 2, 100));
    assert_true(fault_log_add(&log, 4, 2, 100));
    fault_log_fini(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_many_as_the_limit_within_the_window_are_too_many),
        cmocka_unit_test(faults_far_apart_never_are),
        cmocka_unit_test(one_may_be_enough_and_none_never_is),
        cmocka_unit_test(another_limit_begins_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

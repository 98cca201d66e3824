/* Limits of VMs and pools: what people write, what counts. */
#include "base/limit.h"

#include "base/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static int64_t parsed(enum vgpu_limit limit, const char *text)
{
    int64_t value = -1;
    struct vgpu_error err = {0};
    if (limit_parse(limit, text, &value, &err) != VGPU_OK)
        fail_msg("%s", err.message);
    return value;
}

static void refused(enum vgpu_limit limit, const char *text, const char *part)
{
    int64_t value = 77;
    struct vgpu_error err = {0};
    assert_int_equal(limit_parse(limit, text, &value, &err), VGPU_ERR_USAGE);
    assert_int_equal(value, 77);
    if (strstr(err.message, part) == NULL)
        fail_msg("'%s' is not in '%s'", part, err.message);
}

static void words_with_units(void **state)
{
    assert_int_equal(parsed(VGPU_LIMIT_WEIGHT, "1000"), 1000);
    assert_int_equal(parsed(VGPU_LIMIT_TIME_LIMIT, "500ms"), 500000);
    assert_int_equal(parsed(VGPU_LIMIT_TIME_LIMIT, "none"), 0);
    assert_int_equal(parsed(VGPU_LIMIT_TIME_LIMIT, "0"), 0);
    assert_int_equal(parsed(VGPU_LIMIT_CALL_RATE, "1000"), 1000);
    assert_int_equal(parsed(VGPU_LIMIT_CALL_RATE, "1000/s"), 1000);
    assert_int_equal(parsed(VGPU_LIMIT_BYTE_RATE, "2G/s"), INT64_C(2) << 30);
    assert_int_equal(parsed(VGPU_LIMIT_MEMORY, "16G"), INT64_C(16) << 30);
    assert_int_equal(parsed(VGPU_LIMIT_MEMORY, "unlimited"), 0);
    assert_int_equal(parsed(VGPU_LIMIT_MODE, "exclusive"), 1);
    assert_int_equal(parsed(VGPU_LIMIT_MODE, "shared:64"), 64);
}

static void nonsense_is_refused_with_advice(void **state)
{
    refused(VGPU_LIMIT_WEIGHT, "0", "1 to 1000");
    refused(VGPU_LIMIT_WEIGHT, "1001", "1 to 1000");
    refused(VGPU_LIMIT_WEIGHT, "none", "always has a value");
    refused(VGPU_LIMIT_PROCESSES, "0", "1 to 65536");
    refused(VGPU_LIMIT_TIME_LIMIT, "10", "20ms or 1.5s");
    refused(VGPU_LIMIT_TIME_LIMIT, "1us", "1ms to 24h, or none");
    refused(VGPU_LIMIT_TIME_LIMIT, "-1s", "not a duration");
    refused(VGPU_LIMIT_MEMORY, "nonee", "'none'");
    refused(VGPU_LIMIT_MEMORY, "1", "1M to");
    refused(VGPU_LIMIT_MEMORY, "", "not a size");
    refused(VGPU_LIMIT_MEMORY, "99999999999999999999999999", "too large");
    refused(VGPU_LIMIT_CALL_RATE, "5/m", "whole number");
    refused(VGPU_LIMIT_CALL_RATE, "/s", "whole number");
    refused(VGPU_LIMIT_MODE, "shared", "shared:N");
    refused(VGPU_LIMIT_MODE, "shared:1", "shared:N");
    refused(VGPU_LIMIT_MODE, "shared:65", "shared:N");
    refused(VGPU_LIMIT_MODE, "shared:4x", "shared:N");
    refused(VGPU_LIMIT_MODE, "exclusiv", "'exclusive'");
    refused(VGPU_LIMIT_MODE, "12", "exclusive");
}

/* What is printed can be typed again, at every edge of every range. */
static void what_is_printed_is_what_is_read(void **state)
{
    for (int number = 0; number < VGPU_LIMIT_COUNT; number++) {
        enum vgpu_limit limit = (enum vgpu_limit)number;
        const struct limit_description *description = limit_describe(limit);
        const int64_t values[] = {description->least, description->least + 1, description->most - 1,
                                  description->most, description->may_be_none ? 0 : description->most};
        for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
            char text[LIMIT_TEXT_BYTES];
            assert_int_equal(parsed(limit, limit_format(limit, values[i], text)), values[i]);
        }
    }
}

static void values_of_programs_are_checked_too(void **state)
{
    assert_int_equal(limit_check(VGPU_LIMIT_MEMORY, 0, NULL), VGPU_OK);
    assert_int_equal(limit_check(VGPU_LIMIT_MEMORY, -1, NULL), VGPU_ERR_USAGE);
    assert_int_equal(limit_check(VGPU_LIMIT_WEIGHT, INT64_MAX, NULL), VGPU_ERR_USAGE);
    assert_int_equal(limit_check(VGPU_LIMIT_WEIGHT, INT64_MIN, NULL), VGPU_ERR_USAGE);
}

static struct vgpu_limits defaults(void)
{
    struct settings *settings = NULL;
    struct vgpu_limits limits;
    struct vgpu_error err;
    assert_int_equal(settings_load(&settings, "/dev/null", NULL), VGPU_OK);
    assert_int_equal(settings_set_option(settings, "--memory-limit=1G", NULL), VGPU_OK);
    assert_int_equal(limits_default(settings, &limits, &err), VGPU_OK);
    assert_int_equal(settings_set_option(settings, "--time-limit=10us", NULL), VGPU_OK);
    assert_int_equal(limits_default(settings, &limits, &err), VGPU_ERR_USAGE);
    assert_non_null(strstr(err.message, "--time-limit: time_limit: 10us is out of range"));
    settings_destroy(settings);
    return limits;
}

static void the_vm_counts_before_its_pool_and_that_before_the_host(void **state)
{
    struct vgpu_limits host = defaults(), pool = {.set = 0}, vm = {.set = 0};
    int64_t values[VGPU_LIMIT_COUNT];
    enum vgpu_limit_source sources[VGPU_LIMIT_COUNT];
    limits_effective(&host, NULL, NULL, values, sources);
    assert_int_equal(values[VGPU_LIMIT_MEMORY], 1 << 30);
    assert_int_equal(values[VGPU_LIMIT_WEIGHT], 1);
    assert_int_equal(values[VGPU_LIMIT_MODE], 1);
    assert_int_equal(sources[VGPU_LIMIT_MEMORY], VGPU_LIMIT_OF_HOST);
    limits_set(&pool, VGPU_LIMIT_MEMORY, 2 << 20);
    limits_set(&pool, VGPU_LIMIT_WEIGHT, 5);
    limits_set(&pool, VGPU_LIMIT_CALL_RATE, 1001);
    limits_set(&vm, VGPU_LIMIT_WEIGHT, 7);
    limits_set(&vm, VGPU_LIMIT_MODE, 9); /* of pools: does not count */
    limits_effective(&host, &pool, &vm, values, sources);
    assert_int_equal(values[VGPU_LIMIT_MEMORY], 2 << 20);
    assert_int_equal(sources[VGPU_LIMIT_MEMORY], VGPU_LIMIT_OF_POOL);
    assert_int_equal(values[VGPU_LIMIT_WEIGHT], 7);
    assert_int_equal(sources[VGPU_LIMIT_WEIGHT], VGPU_LIMIT_OF_VM);
    assert_int_equal(values[VGPU_LIMIT_MODE], 1);
    assert_int_equal(values[VGPU_LIMIT_CALL_BURST], 101); /* a tenth of a second's, rounded up */
    assert_int_equal(values[VGPU_LIMIT_BYTE_BURST], 0);
}

static void a_change_sets_and_clears_and_leaves_the_rest(void **state)
{
    struct vgpu_limits limits = {.set = 0}, change = {.set = 0};
    limits_set(&limits, VGPU_LIMIT_WEIGHT, 3);
    limits_set(&limits, VGPU_LIMIT_MEMORY, 1 << 30);
    limits_set(&change, VGPU_LIMIT_PROCESSES, 9);
    change.cleared = 1u << VGPU_LIMIT_MEMORY;
    limits_apply(&limits, &change);
    assert_true(limits_has(&limits, VGPU_LIMIT_WEIGHT) && limits_has(&limits, VGPU_LIMIT_PROCESSES));
    assert_false(limits_has(&limits, VGPU_LIMIT_MEMORY));
    struct vgpu_limits wanted = {.set = 0};
    limits_set(&wanted, VGPU_LIMIT_MEMORY, 1 << 20);
    change = limits_replacement(&wanted);
    limits_apply(&limits, &change);
    assert_true(limits_equal(&limits, &wanted));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_with_units),
        cmocka_unit_test(nonsense_is_refused_with_advice),
        cmocka_unit_test(what_is_printed_is_what_is_read),
        cmocka_unit_test(values_of_programs_are_checked_too),
        cmocka_unit_test(the_vm_counts_before_its_pool_and_that_before_the_host),
        cmocka_unit_test(a_change_sets_and_clears_and_leaves_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

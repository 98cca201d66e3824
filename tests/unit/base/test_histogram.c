/* Percentiles from the histogram against those of the values themselves. */
#include "base/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void empty_knows_nothing(void **state)
{
    static struct histogram histogram;
    uint64_t value = 7;
    (void)state;
    assert_false(histogram_percentile(&histogram, 50, &value));
    assert_int_equal(value, 7);
}

static void small_values_are_exact(void **state)
{
    static struct histogram histogram;
    uint64_t value;
    (void)state;
    for (uint64_t i = 1; i <= 10; i++)
        histogram_add(&histogram, i);
    assert_true(histogram_percentile(&histogram, 50, &value));
    assert_int_equal(value, 5);
    assert_true(histogram_percentile(&histogram, 100, &value));
    assert_int_equal(value, 10);
    assert_true(histogram_percentile(&histogram, 1, &value));
    assert_int_equal(value, 1);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void percentiles_are_within_a_sixteenth(void **state)
{
    enum { COUNT = 20000 };
    static struct histogram histogram;
    uint64_t *values = malloc(COUNT * sizeof *values);
    uint64_t seed = 42;
    (void)state;
    assert_non_null(values);
    for (int i = 0; i < COUNT; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        values[i] = (seed >> 33) >> (seed % 29); /* from nothing to half an hour of microseconds */
        histogram_add(&histogram, values[i]);
    }
    qsort(values, COUNT, sizeof *values, compare);
    for (unsigned percent = 1; percent <= 100; percent++) {
        uint64_t truth = values[((uint64_t)COUNT * percent + 99) / 100 - 1], value;
        assert_true(histogram_percentile(&histogram, percent, &value));
        assert_true(value >= truth);
        assert_true(value <= truth + truth / 16);
    }
    free(values);
}

static void values_beyond_the_range_count(void **state)
{
    static struct histogram histogram;
    uint64_t value;
    (void)state;
    histogram_add(&histogram, UINT64_MAX);
    assert_true(histogram_percentile(&histogram, 50, &value));
    assert_true(value >= (1ull << 39));
}

static void several_percentiles_are_those_found_one_by_one(void **state)
{
    static const unsigned percents[] = {1, 50, 95, 99, 100};
    struct histogram histogram = {0};
    uint64_t values[5];
    assert_false(histogram_percentiles(&histogram, percents, values, 5));
    for (uint64_t i = 0; i < 1000; i++)
        histogram_add(&histogram, i * i);
    assert_true(histogram_percentiles(&histogram, percents, values, 5));
    for (size_t i = 0; i < 5; i++) {
        uint64_t value;
        assert_true(histogram_percentile(&histogram, percents[i], &value));
        assert_int_equal(values[i], value);
    }
}

static void what_is_below_a_power_of_two_is_counted_exactly(void **state)
{
    struct histogram histogram = {0};
    for (uint64_t i = 0; i < 5000; i++)
        histogram_add(&histogram, i);
    for (uint64_t bound = 1; bound <= 4096; bound *= 2)
        assert_int_equal(histogram_count_below(&histogram, bound), bound);
    assert_int_equal(histogram_count_below(&histogram, UINT64_C(1) << 30), 5000);
}

static void merged_they_are_as_one(void **state)
{
    struct histogram one = {0}, other = {0}, both = {0};
    for (uint64_t i = 0; i < 1000; i++) {
        histogram_add(i % 3 == 0 ? &one : &other, i * 7);
        histogram_add(&both, i * 7);
    }
    histogram_merge(&one, &other);
    assert_memory_equal(&one, &both, sizeof one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_knows_nothing),
        cmocka_unit_test(small_values_are_exact),
        cmocka_unit_test(percentiles_are_within_a_sixteenth),
        cmocka_unit_test(several_percentiles_are_those_found_one_by_one),
        cmocka_unit_test(what_is_below_a_power_of_two_is_counted_exactly),
        cmocka_unit_test(merged_they_are_as_one),
        cmocka_unit_test(values_beyond_the_range_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

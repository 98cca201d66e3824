/* JIT options of a program, on their way to the worker and back. */
#include "guest/jit_options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void splits_options_into_numbers_and_logs(void **state)
{
    char info[32], error[16];
    CUjit_option keys[] = {CU_JIT_MAX_REGISTERS, CU_JIT_INFO_LOG_BUFFER, CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES,
                           CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    void *values[] = {(void *)(uintptr_t)64, info, (void *)(uintptr_t)sizeof info, error,
                      (void *)(uintptr_t)sizeof error};
    struct jit_options options;
    assert_int_equal(jit_options_read(&options, 5, keys, values), CUDA_SUCCESS);
    assert_int_equal(options.count, 1);
    assert_int_equal(options.values[0].key, CU_JIT_MAX_REGISTERS);
    assert_int_equal(options.values[0].value, 64);
    assert_ptr_equal(options.slots[0], &values[0]);
    jit_options_logs(&options, "fine", 4, "a text that is longer than the buffer", 37);
    assert_string_equal(info, "fine");
    assert_int_equal((uintptr_t)values[2], 4);
    assert_string_equal(error, "a text that is "); /* cut, and ended */
}

static void a_log_without_room_is_none(void **state)
{
    char info[4] = "abc";
    CUjit_option keys[] = {CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES};
    void *values[] = {(void *)(uintptr_t)4};
    struct jit_options options;
    assert_int_equal(jit_options_read(&options, 1, keys, values), CUDA_SUCCESS);
    assert_int_equal(options.info_log_bytes, 0); /* there is no buffer */
    jit_options_logs(&options, "text", 4, NULL, 0);
    assert_string_equal(info, "abc");
}

static void refuses_lists_and_too_many(void **state)
{
    struct jit_options options;
    CUjit_option lists[] = {CU_JIT_GLOBAL_SYMBOL_NAMES};
    void *values[] = {NULL};
    assert_int_equal(jit_options_read(&options, 1, lists, values), CUDA_ERROR_NOT_SUPPORTED);
    assert_int_equal(jit_options_read(&options, OPTIONS_MAX + 1, lists, values), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(jit_options_read(&options, 1, NULL, values), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(jit_options_read(&options, 0, NULL, NULL), CUDA_SUCCESS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_options_into_numbers_and_logs),
        cmocka_unit_test(a_log_without_room_is_none),
        cmocka_unit_test(refuses_lists_and_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

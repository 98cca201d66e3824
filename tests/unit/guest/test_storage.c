/* What libraries keep with a context. */
#include "guest/context_storage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cuda_api.h"

static CUcontext current;

CUresult cuCtxGetCurrent(CUcontext *pctx)
{
    *pctx = current;
    return CUDA_SUCCESS;
}

#define one   ((CUcontext)0x1000)
#define other ((CUcontext)0x2000)
static int key, other_key;

static struct {
    int calls;
    CUcontext context;
    void *key, *value;
} ended;

static void note_end(CUcontext context, void *of_key, void *value)
{
    ended.calls++;
    ended.context = context;
    ended.key = of_key;
    ended.value = value;
}

static int begin(void **state)
{
    context_storage_end(one);
    context_storage_end(other);
    current = NULL;
    ended.calls = 0;
    return 0;
}

static void assert_value(CUcontext context, void *of_key, intptr_t expected)
{
    void *value;
    assert_int_equal(context_storage_get(&value, context, of_key), CUDA_SUCCESS);
    assert_int_equal((intptr_t)value, expected);
}

static void keeps_a_value_for_each_context_and_key(void **state)
{
    assert_int_equal(context_storage_put(one, &key, (void *)1, NULL), CUDA_SUCCESS);
    assert_int_equal(context_storage_put(one, &other_key, (void *)2, NULL), CUDA_SUCCESS);
    assert_int_equal(context_storage_put(other, &key, (void *)3, NULL), CUDA_SUCCESS);
    for (int i = 0; i < 2; i++) { /* the second time from what the thread remembers */
        assert_value(one, &key, 1);
        assert_value(one, &other_key, 2);
        assert_value(other, &key, 3);
    }
    assert_int_equal(context_storage_put(one, &key, (void *)4, NULL), CUDA_SUCCESS);
    assert_value(one, &key, 4);
}

static void null_is_the_current_context(void **state)
{
    void *value;
    assert_int_equal(context_storage_get(&value, NULL, &key), CUDA_ERROR_INVALID_CONTEXT);
    assert_int_equal(context_storage_put(NULL, &key, (void *)1, NULL), CUDA_ERROR_INVALID_CONTEXT);
    current = one;
    assert_int_equal(context_storage_put(NULL, &key, (void *)1, NULL), CUDA_SUCCESS);
    assert_value(one, &key, 1);
    assert_value(NULL, &key, 1);
    current = other;
    assert_int_equal(context_storage_get(&value, NULL, &key), CUDA_ERROR_INVALID_HANDLE);
}

static void a_deleted_value_is_gone(void **state)
{
    void *value;
    assert_int_equal(context_storage_put(one, &key, (void *)1, note_end), CUDA_SUCCESS);
    assert_value(one, &key, 1);
    assert_int_equal(context_storage_delete(one, &key), CUDA_SUCCESS);
    assert_int_equal(context_storage_get(&value, one, &key), CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(context_storage_delete(one, &key), CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(ended.calls, 0);
}

static void the_end_of_a_context_calls_destructors(void **state)
{
    void *value;
    assert_int_equal(context_storage_put(one, &key, (void *)5, note_end), CUDA_SUCCESS);
    assert_int_equal(context_storage_put(one, &other_key, (void *)6, NULL), CUDA_SUCCESS);
    assert_int_equal(context_storage_put(other, &key, (void *)7, note_end), CUDA_SUCCESS);
    context_storage_end(one);
    assert_int_equal(ended.calls, 1);
    assert_ptr_equal(ended.context, one);
    assert_ptr_equal(ended.key, &key);
    assert_ptr_equal(ended.value, (void *)5);
    assert_int_equal(context_storage_get(&value, one, &key), CUDA_ERROR_INVALID_HANDLE);
    assert_value(other, &key, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(keeps_a_value_for_each_context_and_key, begin),
        cmocka_unit_test_setup(null_is_the_current_context, begin),
        cmocka_unit_test_setup(a_deleted_value_is_gone, begin),
        cmocka_unit_test_setup(the_end_of_a_context_calls_destructors, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "worker/handle_map.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "worker/meeting.h"

static char objects[64]; /* their addresses stand for the driver's objects */
static const struct handle_owners nobody = {0};

static uint64_t of(enum handle_kind kind, uint32_t index)
{
    return handle_value(kind, index, 0);
}

static void name(uint64_t handle, void *object, uint64_t parent, uint64_t context)
{
    struct handle_owners owners = {.parent = parent, .context = context};
    assert_int_equal(handle_name(handle_value_kind(handle), handle, object, owners), handle);
}

static bool known(uint64_t handle)
{
    void *object;
    bool found = handle_find(handle_value_kind(handle), handle, &object);
    handle_found_end();
    return found;
}

static void forget(uint64_t handle)
{
    void *object;
    assert_true(handle_withdraw(handle_value_kind(handle), handle, &object));
    handle_withdrawn_end(handle, HANDLE_GONE);
}

static void finds_what_was_named(void **state)
{
    uint64_t stream = of(HANDLE_STREAM, 1);
    void *object;
    name(stream, &objects[0], 0, 0);
    assert_true(handle_find(HANDLE_STREAM, stream, &object));
    assert_ptr_equal(object, &objects[0]);
    assert_int_equal(handle_known(HANDLE_STREAM, &objects[0]), stream);
    assert_false(handle_find(HANDLE_EVENT, stream, &object));
    assert_null(object);
    assert_false(handle_find(HANDLE_STREAM, stream + (1ull << 26), &object)); /* an older use of the index */
    assert_false(handle_find(HANDLE_STREAM, stream + 1, &object));
    assert_false(handle_find(HANDLE_STREAM, UINT64_MAX, &object));
    handle_found_end();
    forget(stream);
    assert_false(known(stream));
    assert_int_equal(handle_known(HANDLE_STREAM, &objects[0]), 0);
}

static void fixed_handles_stand_for_themselves(void **state)
{
    void *object = objects;
    assert_true(handle_find(HANDLE_STREAM, 0, &object));
    assert_null(object);
    assert_true(handle_find(HANDLE_STREAM, 2, &object));
    assert_ptr_equal(object, (void *)2);
    assert_false(handle_find(HANDLE_EVENT, 2, &object));
    assert_true(handle_withdraw(HANDLE_STREAM, 1, &object));
    assert_ptr_equal(object, (void *)1);
    handle_withdrawn_end(1, HANDLE_GONE);
}

static void refuses_names_that_are_none(void **state)
{
    uint64_t event = of(HANDLE_EVENT, 3);
    assert_int_equal(handle_check_name(HANDLE_EVENT, 0), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(handle_check_name(HANDLE_EVENT, of(HANDLE_STREAM, 3)), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(handle_check_name(HANDLE_EVENT, event | 8), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(handle_check_name(HANDLE_EVENT, event), CUDA_SUCCESS);
    name(event, &objects[1], 0, 0);
    assert_int_equal(handle_check_name(HANDLE_EVENT, event), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(handle_name(HANDLE_EVENT, event, &objects[2], nobody), 0);
    /* An object has one name. */
    assert_int_equal(handle_name(HANDLE_EVENT, of(HANDLE_EVENT, 4), &objects[1], nobody), event);
    forget(event);
}

static void names_far_apart_are_refused(void **state)
{
    unsigned accepted = 0;
    for (uint32_t index = 0; index < HANDLE_MAX_INDEX; index += 4096)
        accepted += handle_check_name(HANDLE_LINK, of(HANDLE_LINK, index)) == CUDA_SUCCESS;
    assert_in_range(accepted, 1, 16);
}

static void a_kernel_may_stand_for_a_function(void **state)
{
    uint64_t kernel = of(HANDLE_KERNEL, 9);
    void *object;
    name(kernel, &objects[3], 0, 0);
    assert_true(handle_find(HANDLE_FUNCTION, kernel, &object));
    assert_ptr_equal(object, &objects[3]);
    handle_found_end();
    forget(kernel);
}

/* context > module > function; library > kernel > function > module. */
static void what_goes_takes_along_what_it_owns(void **state)
{
    uint64_t context = of(HANDLE_CONTEXT, 0), module = of(HANDLE_MODULE, 0),
             function = of(HANDLE_FUNCTION, 0);
    uint64_t library = of(HANDLE_LIBRARY, 0), kernel = of(HANDLE_KERNEL, 0),
             of_kernel = of(HANDLE_FUNCTION, 1);
    uint64_t its_module = of(HANDLE_MODULE, 1), stream = of(HANDLE_STREAM, 0);
    name(context, &objects[10], 0, 0);
    name(module, &objects[11], 0, context);
    name(function, &objects[12], module, context);
    name(stream, &objects[13], 0, context);
    name(library, &objects[14], 0, 0);
    name(kernel, &objects[15], library, 0);
    name(of_kernel, &objects[16], kernel, context);
    name(its_module, &objects[17], of_kernel, 0);
    forget(library);
    assert_false(known(kernel) || known(of_kernel) || known(its_module));
    assert_true(known(module) && known(function) && known(stream));
    forget(context);
    assert_false(known(module) || known(function) || known(stream) || known(context));
}

static void a_primary_context_stays_empty(void **state)
{
    uint64_t context = of(HANDLE_CONTEXT, 1), stream = of(HANDLE_STREAM, 5);
    void *object;
    name(context, &objects[20], 0, 0);
    name(stream, &objects[21], 0, context);
    assert_true(handle_withdraw(HANDLE_CONTEXT, context, &object));
    assert_false(known(context) || known(stream));
    handle_withdrawn_end(context, HANDLE_STAYS);
    assert_true(known(context) && known(stream));
    assert_true(handle_withdraw(HANDLE_CONTEXT, context, &object));
    handle_withdrawn_end(context, HANDLE_EMPTIED);
    assert_true(known(context));
    assert_false(known(stream));
    forget(context);
}

static _Atomic int phase;

static void *use_for_a_while(void *argument)
{
    void *object;
    handle_thread_begin();
    assert_true(handle_find(HANDLE_EVENT, of(HANDLE_EVENT, 30), &object));
    phase = 1;
    while (phase != 2)
        usleep(100);
    usleep(20000);
    phase = 3; /* the use is over */
    handle_found_end();
    handle_thread_end();
    return NULL;
}

static void withdrawing_waits_for_a_call_that_uses_it(void **state)
{
    pthread_t thread;
    void *object;
    name(of(HANDLE_EVENT, 30), &objects[30], 0, 0);
    phase = 0;
    pthread_create(&thread, NULL, use_for_a_while, NULL);
    while (phase != 1)
        usleep(100);
    phase = 2;
    assert_true(handle_withdraw(HANDLE_EVENT, of(HANDLE_EVENT, 30), &object));
    assert_int_equal(phase, 3);
    handle_withdrawn_end(of(HANDLE_EVENT, 30), HANDLE_GONE);
    pthread_join(thread, NULL);
}

static _Atomic bool stop;
static _Atomic uintptr_t alive; /* the object that the name stands for, 0 while it is destroyed */

static void *look_up(void *argument)
{
    handle_thread_begin();
    while (!stop) {
        void *object;
        if (handle_find(HANDLE_EVENT, of(HANDLE_EVENT, 40), &object))
            assert_int_equal(alive, (uintptr_t)object);
        handle_found_end();
    }
    handle_thread_end();
    return NULL;
}

static void nothing_is_found_that_is_destroyed(void **state)
{
    pthread_t threads[2];
    stop = false;
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, look_up, NULL);
    for (int i = 0; i < 3000; i++) {
        void *object = &objects[i % 2 ? 40 : 41];
        alive = (uintptr_t)object;
        name(of(HANDLE_EVENT, 40), object, 0, 0);
        void *withdrawn;
        assert_true(handle_withdraw(HANDLE_EVENT, of(HANDLE_EVENT, 40), &withdrawn));
        alive = 0;
        handle_withdrawn_end(of(HANDLE_EVENT, 40), HANDLE_GONE);
    }
    stop = true;
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_was_named),
        cmocka_unit_test(fixed_handles_stand_for_themselves),
        cmocka_unit_test(refuses_names_that_are_none),
        cmocka_unit_test(names_far_apart_are_refused),
        cmocka_unit_test(a_kernel_may_stand_for_a_function),
        cmocka_unit_test(what_goes_takes_along_what_it_owns),
        cmocka_unit_test(a_primary_context_stays_empty),
        cmocka_unit_test(withdrawing_waits_for_a_call_that_uses_it),
        cmocka_unit_test(nothing_is_found_that_is_destroyed),
    };
    meeting_open();
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Streams and events of the simulated driver: what runs when, and who waits for whom. */
#include "fixture.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

const struct fixture_process fixture_processes[] = {{NULL, NULL}};

/* Two words of device memory, zero at first. */
static CUdeviceptr make_words(void)
{
    CUdeviceptr words;
    CHECK(cuMemAlloc(&words, 8));
    CHECK(cuMemsetD32(words, 0, 2));
    CHECK(cuCtxSynchronize());
    return words;
}

/* Into pageable memory: done on return, and waits for nothing but the stream. */
static unsigned int read_word(CUdeviceptr at, CUstream stream)
{
    unsigned int value = 0;
    CHECK(cuMemcpyDtoHAsync(&value, at, sizeof value, stream));
    return value;
}

static void a_stream_runs_its_work_in_order_and_does_not_hold_up_the_caller(void **state)
{
    const struct gpu *gpu = *state;
    CUstream stream;
    struct gate gate = make_gate();
    CUdeviceptr words = make_words();
    CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    CHECK(cuStreamQuery(stream));
    put_gate(gate, stream);
    for (unsigned int i = 1; i <= 100; i++)
        CHECK(launch_store(gpu, words, i, stream));
    CHECK_IS(cuStreamQuery(stream), CUDA_ERROR_NOT_READY);
    open_gate(gate);
    CHECK(cuStreamSynchronize(stream));
    CHECK(cuStreamQuery(stream));
    assert_int_equal(read_word(words, stream), 100);
    CHECK(cuStreamDestroy(stream));
    CHECK_IS(cuStreamSynchronize(stream), CUDA_ERROR_INVALID_HANDLE);
    CHECK(cuMemFree(words));
    free_gate(gate);
}

static void streams_do_not_wait_for_each_other_by_themselves(void **state)
{
    const struct gpu *gpu = *state;
    CUstream shut, open;
    struct gate gate = make_gate();
    CUdeviceptr words = make_words();
    CHECK(cuStreamCreate(&shut, 0));
    CHECK(cuStreamCreate(&open, 0));
    put_gate(gate, shut);
    CHECK(launch_store(gpu, words, 3, open));
    CHECK(cuStreamSynchronize(open));
    CHECK_IS(cuStreamQuery(shut), CUDA_ERROR_NOT_READY);
    open_gate(gate);
    CHECK(cuStreamSynchronize(shut));
    CHECK(cuStreamDestroy(shut));
    CHECK(cuStreamDestroy(open));
    CHECK(cuMemFree(words));
    free_gate(gate);
}

/* The last to write says who waited: whoever did not is overwritten by those that come after the gate. */
static void the_legacy_stream_and_blocking_streams_wait_for_each_other(void **state)
{
    const struct gpu *gpu = *state;
    CUstream first, third, free_running;
    struct timespec pause = {0, 10000000};
    struct gate gate = make_gate();
    CUdeviceptr words = make_words();
    CHECK(cuStreamCreate(&first, 0));
    CHECK(cuStreamCreate(&third, 0));
    CHECK(cuStreamCreate(&free_running, CU_STREAM_NON_BLOCKING));
    put_gate(gate, first);
    CHECK(launch_store(gpu, words, 1, first));
    CHECK(launch_store(gpu, words, 2, NULL));
    CHECK(launch_store(gpu, words, 3, third));
    CHECK_IS(cuStreamQuery(NULL), CUDA_ERROR_NOT_READY);
    CHECK_IS(cuStreamQuery(third), CUDA_ERROR_NOT_READY);
    assert_int_equal(read_word(words, free_running), 0);
    nanosleep(&pause, NULL);
    open_gate(gate);
    CHECK(cuStreamSynchronize(NULL));
    CHECK(cuStreamQuery(first));
    CHECK(cuStreamQuery(third));
    assert_int_equal(read_word(words, NULL), 3);
    CHECK(cuStreamDestroy(first));
    CHECK(cuStreamDestroy(third));
    CHECK(cuStreamDestroy(free_running));
    CHECK(cuMemFree(words));
    free_gate(gate);
}

static void the_legacy_stream_does_not_wait_for_non_blocking_ones(void **state)
{
    const struct gpu *gpu = *state;
    CUstream stream;
    struct gate gate = make_gate();
    CUdeviceptr words = make_words();
    CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    put_gate(gate, stream);
    CHECK(launch_store(gpu, words, 1, NULL));
    CHECK(cuStreamSynchronize(NULL));
    open_gate(gate);
    CHECK(cuCtxSynchronize());
    CHECK(cuStreamDestroy(stream));
    CHECK(cuMemFree(words));
    free_gate(gate);
}

struct other_thread {
    CUcontext context;
    unsigned long long own_id;
};

static void *ask_own_stream(void *argument)
{
    struct other_thread *other = argument;
    if (cuCtxSetCurrent(other->context) || cuStreamGetId(CU_STREAM_PER_THREAD, &other->own_id))
        other->own_id = 0;
    return NULL;
}

static void each_thread_has_a_default_stream_of_its_own(void **state)
{
    const struct gpu *gpu = *state;
    unsigned long long own, legacy, again;
    struct other_thread other = {.context = gpu->context};
    pthread_t thread;
    CHECK(cuStreamGetId(CU_STREAM_PER_THREAD, &own));
    CHECK(cuStreamGetId_ptsz(NULL, &again));
    assert_int_equal(own, again);
    CHECK(cuStreamGetId(NULL, &legacy));
    assert_int_not_equal(own, legacy);
    CHECK(cuStreamGetId_ptsz(CU_STREAM_LEGACY, &again));
    assert_int_equal(legacy, again);
    pthread_create(&thread, NULL, ask_own_stream, &other);
    pthread_join(thread, NULL);
    assert_int_not_equal(other.own_id, 0);
    assert_int_not_equal(other.own_id, own);
    assert_int_not_equal(other.own_id, legacy);

    /* And one in each context. */
    CUcontext second, of_stream;
    CHECK(cuCtxCreate_v2(&second, 0, 1));
    CHECK(cuStreamGetCtx(CU_STREAM_PER_THREAD, &of_stream));
    assert_ptr_equal(of_stream, second);
    CHECK(cuCtxDestroy(second));
    CHECK(cuStreamGetCtx(CU_STREAM_PER_THREAD, &of_stream));
    assert_ptr_equal(of_stream, gpu->context);
}

static void an_event_marks_a_place_that_other_streams_wait_for(void **state)
{
    const struct gpu *gpu = *state;
    CUstream first, second;
    CUevent event;
    struct gate gate = make_gate();
    CUdeviceptr words = make_words();
    CHECK(cuStreamCreate(&first, CU_STREAM_NON_BLOCKING));
    CHECK(cuStreamCreate(&second, CU_STREAM_NON_BLOCKING));
    CHECK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    CHECK(cuEventQuery(event)); /* never recorded: nothing to wait for */
    CHECK(cuStreamWaitEvent(second, event, 0));
    put_gate(gate, first);
    CHECK(launch_store(gpu, words, 1, first));
    CHECK(cuEventRecord(event, first));
    CHECK(cuStreamWaitEvent(second, event, 0));
    CHECK(launch_store(gpu, words, 2, second));
    CHECK_IS(cuEventQuery(event), CUDA_ERROR_NOT_READY);
    CHECK_IS(cuStreamQuery(second), CUDA_ERROR_NOT_READY);
    open_gate(gate);
    CHECK(cuEventSynchronize(event));
    CHECK(cuEventQuery(event));
    assert_int_equal(read_word(words, second), 2);
    CHECK(cuEventDestroy(event));
    CHECK(cuStreamDestroy(first));
    CHECK(cuStreamDestroy(second));
    CHECK(cuMemFree(words));
    free_gate(gate);
}

static void events_measure_time(void **state)
{
    CUevent start, end, untimed;
    CUstream stream;
    float milliseconds = -1;
    struct gate gate = make_gate();
    CHECK(cuStreamCreate(&stream, 0));
    CHECK(cuEventCreate(&start, 0));
    CHECK(cuEventCreate(&end, CU_EVENT_BLOCKING_SYNC));
    CHECK(cuEventCreate(&untimed, CU_EVENT_DISABLE_TIMING));
    CHECK_IS(cuEventElapsedTime(&milliseconds, start, end), CUDA_ERROR_INVALID_HANDLE);
    CHECK(cuEventRecord(start, stream));
    put_gate(gate, stream);
    CHECK(cuEventRecord(end, stream));
    CHECK(cuEventRecord(untimed, stream));
    CHECK(cuEventSynchronize(start));
    CHECK_IS(cuEventElapsedTime(&milliseconds, start, end), CUDA_ERROR_NOT_READY);
    struct timespec pause = {0, 20000000};
    nanosleep(&pause, NULL);
    open_gate(gate);
    CHECK(cuEventSynchronize(end));
    CHECK(cuEventElapsedTime(&milliseconds, start, end));
    assert_true(milliseconds >= 20);
    CHECK(cuEventElapsedTime(&milliseconds, end, start));
    assert_true(milliseconds <= -20);
    CHECK(cuStreamSynchronize(stream));
    CHECK_IS(cuEventElapsedTime(&milliseconds, start, untimed), CUDA_ERROR_INVALID_HANDLE);
    CHECK_IS(cuEventCreate(&start, 8), CUDA_ERROR_INVALID_VALUE);
    CHECK(cuStreamDestroy(stream));
    free_gate(gate);
}

static void a_destroyed_stream_finishes_its_work(void **state)
{
    const struct gpu *gpu = *state;
    CUstream stream;
    struct gate gate = make_gate();
    CUdeviceptr words = make_words();
    CHECK(cuStreamCreate(&stream, 0));
    put_gate(gate, stream);
    CHECK(launch_store(gpu, words, 9, stream));
    CHECK(cuStreamDestroy(stream));
    open_gate(gate);
    CHECK(cuCtxSynchronize());
    assert_int_equal(read_word(words, NULL), 9);
    CHECK(cuMemFree(words));
    free_gate(gate);
}

struct note {
    CUresult from_callback;
    CUresult status;
    unsigned int seen;
    const unsigned int *word;
};

static void on_host(void *data)
{
    struct note *note = data;
    CUdeviceptr memory;
    note->seen = *note->word;
    note->from_callback = cuMemAlloc(&memory, 4);
}

static void on_stream(CUstream stream, CUresult status, void *data)
{
    ((struct note *)data)->status = status;
}

static void functions_of_the_program_run_in_their_turn(void **state)
{
    const struct gpu *gpu = *state;
    unsigned int *word;
    CUstream stream;
    CHECK(cuMemAllocHost((void **)&word, sizeof *word));
    *word = 0;
    struct note note = {.status = CUDA_ERROR_UNKNOWN, .word = word};
    CHECK(cuStreamCreate(&stream, 0));
    CHECK(launch_store(gpu, (CUdeviceptr)(uintptr_t)word, 5, stream));
    CHECK(cuLaunchHostFunc(stream, on_host, &note));
    CHECK(launch_store(gpu, (CUdeviceptr)(uintptr_t)word, 6, stream));
    CHECK(cuStreamAddCallback(stream, on_stream, &note, 0));
    CHECK(cuStreamSynchronize(stream));
    assert_int_equal(note.seen, 5);
    assert_int_equal(*word, 6);
    assert_int_equal(note.status, CUDA_SUCCESS);
    CHECK_IS(note.from_callback, CUDA_ERROR_NOT_PERMITTED);
    CHECK(cuStreamDestroy(stream));
    CHECK(cuMemFreeHost(word));
}

static void no_stream_is_ever_capturing(void **state)
{
    CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_ACTIVE;
    CHECK(cuStreamIsCapturing(NULL, &status));
    assert_int_equal(status, CU_STREAM_CAPTURE_STATUS_NONE);
}

/* --- many threads at once: what thread sanitizer looks at --- */

#define THREADS 4
#define ROUNDS  50

static void *work_in_own_streams(void *argument)
{
    const struct gpu *gpu = argument;
    uintptr_t wrong = cuCtxSetCurrent(gpu->context);
    for (unsigned int i = 0; i < ROUNDS && !wrong; i++) {
        CUstream stream;
        CUevent event;
        CUdeviceptr memory;
        unsigned int value = 0, one = 1;
        wrong |= cuStreamCreate(&stream, i % 2 ? CU_STREAM_NON_BLOCKING : 0);
        wrong |= cuEventCreate(&event, 0);
        wrong |= cuMemAlloc(&memory, 4);
        wrong |= cuMemsetD32Async(memory, i, 1, stream);
        void *params[] = {&memory, &one};
        wrong |= cuLaunchKernel(gpu->add_one, 1, 1, 1, 32, 1, 1, 0, stream, params, NULL);
        wrong |= cuEventRecord(event, stream);
        wrong |= cuStreamWaitEvent(CU_STREAM_PER_THREAD, event, 0);
        wrong |= cuMemcpyDtoHAsync(&value, memory, 4, CU_STREAM_PER_THREAD);
        wrong |= value != i + 1;
        wrong |= cuEventDestroy(event);
        wrong |= cuStreamDestroy(stream);
        wrong |= cuMemFree(memory);
    }
    return (void *)wrong;
}

static void threads_work_side_by_side(void **state)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, work_in_own_streams, *state);
    for (int i = 0; i < THREADS; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(int argc, char **argv)
{
    fixture_start(argc, argv);
    const struct CMUnitTest tests[] = {
        TEST(a_stream_runs_its_work_in_order_and_does_not_hold_up_the_caller),
        TEST(streams_do_not_wait_for_each_other_by_themselves),
        TEST(the_legacy_stream_and_blocking_streams_wait_for_each_other),
        TEST(the_legacy_stream_does_not_wait_for_non_blocking_ones),
        TEST(each_thread_has_a_default_stream_of_its_own),
        TEST(an_event_marks_a_place_that_other_streams_wait_for),
        TEST(events_measure_time),
        TEST(a_destroyed_stream_finishes_its_work),
        TEST(functions_of_the_program_run_in_their_turn),
        TEST(no_stream_is_ever_capturing),
        TEST(threads_work_side_by_side),
    };
    return fixture_end(cmocka_run_group_tests_name("stream", tests, NULL, NULL));
}

/* What the gate counts as GPU time while nobody else wants the GPU. The driver is made up here: one stream,
 * which runs something or does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "driver_api.h"
#include "wire/futex.h"
#include "worker/gate.h"
#include "worker/handle_map.h"
#include "worker/meeting.h"

static _Atomic bool stream_runs;
static struct gate_pass lane;
static char context_object;

static CUresult fake_query(CUstream stream)
{
    return atomic_load(&stream_runs) ? CUDA_ERROR_NOT_READY : CUDA_SUCCESS;
}

static CUresult fake_set_current(CUcontext context)
{
    return CUDA_SUCCESS;
}

static int set_up(void **state)
{
    int pair[2], grant = memfd_create("grant", MFD_CLOEXEC);
    driver.cuStreamQuery = fake_query;
    driver.cuCtxSetCurrent = fake_set_current;
    meeting_open();
    handle_thread_begin();
    struct handle_owners nobody = {0};
    if (grant < 0 || ftruncate(grant, GRANT_PAGE_BYTES) != 0 ||
        handle_name(HANDLE_CONTEXT, handle_value(HANDLE_CONTEXT, 1, 0), &context_object, nobody) == 0 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) != 0 || !gate_open(grant, pair[0]))
        return -1;
    gate_join(&lane);
    atomic_store(&gate_page->word, grant_word(1, GRANT_HELD));
    futex_wake_all(&gate_page->word);
    return 0;
}

static uint64_t gpu_time_us(void)
{
    return atomic_load(&gate_page->gpu_time_us);
}

/* A piece of work that is over once it was seen; how much it is said to have used, and in how long. */
static void run(uint64_t *used_us, uint64_t *passed_us)
{
    uint64_t before_us = gpu_time_us(), start_ns = clock_monotonic_ns();
    gate_enter(&lane);
    atomic_store(&stream_runs, true);
    gate_exit(&lane);
    for (int i = 0; i < 5000 && gpu_time_us() < before_us + 10000; i++)
        usleep(1000);
    atomic_store(&stream_runs, false);
    *used_us = gpu_time_us() - before_us;
    *passed_us = (clock_monotonic_ns() - start_ns) / 1000;
}

/* Whatever the watching thread did meanwhile: look often, or sleep. */
static void what_came_before_a_piece_of_work_does_not_count(void **state)
{
    for (int i = 0; i < 5; i++) {
        uint64_t used_us, passed_us;
        usleep(350000);
        run(&used_us, &passed_us);
        assert_in_range(used_us, 10000, passed_us);
    }
}

static void a_lane_that_wakes_up_uses_nothing(void **state)
{
    usleep(350000);
    uint64_t before_us = gpu_time_us();
    gate_something_comes();
    usleep(100000);
    assert_int_equal(gpu_time_us(), before_us);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_came_before_a_piece_of_work_does_not_count),
        cmocka_unit_test(a_lane_that_wakes_up_uses_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}

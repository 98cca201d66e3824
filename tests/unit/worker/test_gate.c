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

static void run_for(useconds_t time_us)
{
    gate_enter(&lane);
    atomic_store(&stream_runs, true);
    gate_exit(&lane);
    usleep(time_us);
    atomic_store(&stream_runs, false);
}

/* Whatever the watching thread did meanwhile: look often, or sleep. */
static void what_came_before_a_piece_of_work_does_not_count(void **state)
{
    for (int i = 0; i < 5; i++) {
        uint64_t before = atomic_load(&gate_page->gpu_time_us);
        usleep(350000);
        uint64_t start_us = clock_monotonic_ns() / 1000;
        run_for(20000);
        usleep(20000);
        uint64_t used_us = atomic_load(&gate_page->gpu_time_us) - before;
        assert_in_range(used_us, 10000, clock_monotonic_ns() / 1000 - start_us);
    }
}

static void a_lane_that_wakes_up_uses_nothing(void **state)
{
    usleep(350000);
    uint64_t before = atomic_load(&gate_page->gpu_time_us);
    gate_something_comes();
    usleep(100000);
    assert_int_equal(atomic_load(&gate_page->gpu_time_us), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_came_before_a_piece_of_work_does_not_count),
        cmocka_unit_test(a_lane_that_wakes_up_uses_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}

/* Where records lie in a lane's ring, and the words by which the two sides wait for each other. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/lane.h"

static void a_record_that_fits_follows_the_last(void **state)
{
    uint32_t padding;
    assert_int_equal(ring_place(0, 64, &padding), 0);
    assert_int_equal(padding, 0);
    assert_int_equal(ring_place(LANE_RING_BYTES - 64, 64, &padding), LANE_RING_BYTES - 64);
    assert_int_equal(padding, 0);
    assert_int_equal(ring_place(5ull * LANE_RING_BYTES + 8, RECORD_MAX_BYTES, &padding),
                     5ull * LANE_RING_BYTES + 8);
    assert_int_equal(padding, 0);
}

static void one_that_does_not_goes_to_the_start(void **state)
{
    uint32_t padding;
    assert_int_equal(ring_place(LANE_RING_BYTES - 56, 64, &padding), LANE_RING_BYTES);
    assert_int_equal(padding, 56);
    assert_int_equal(ring_place(3ull * LANE_RING_BYTES - 8, 16, &padding), 3ull * LANE_RING_BYTES);
    assert_int_equal(padding, 8);
}

static void padding_names_no_call_and_stays_inside(void **state)
{
    struct lane_shared *lane = calloc(1, sizeof *lane);
    ring_pad(lane, LANE_RING_BYTES - 8, 8);
    uint32_t bytes;
    uint16_t call;
    memcpy(&bytes, lane->ring + LANE_RING_BYTES - 8, sizeof bytes);
    memcpy(&call, lane->ring + LANE_RING_BYTES - 4, sizeof call);
    assert_int_equal(bytes, 8);
    assert_int_equal(call, 0);
    free(lane);
}

#define ROUNDS 20000u

/* The guest's side: publishes a record, waits for its answer. */
static void *play_guest(void *argument)
{
    struct lane_shared *lane = argument;
    for (uint32_t i = 1; i <= ROUNDS; i++) {
        if (lane_publish(lane, i * 64ull))
            lane_ring(lane);
        while (!lane_answered(lane, i))
            lane_await(lane, i, 0); /* for ever: a wake-up that is lost would end here */
    }
    return NULL;
}

static void no_wake_up_is_lost(void **state)
{
    static _Atomic bool never_over;
    struct lane_shared *lane = calloc(1, sizeof *lane);
    pthread_t guest;
    pthread_create(&guest, NULL, play_guest, lane);
    for (uint32_t i = 1; i <= ROUNDS; i++) {
        while (lane_published(lane) == (i - 1) * 64ull)
            lane_sleep(lane, (i - 1) * 64ull, &never_over, 0);
        assert_int_equal(lane_published(lane), i * 64ull);
        if (lane_answer(lane, i))
            lane_wake_guest(lane);
    }
    pthread_join(guest, NULL);
    free(lane);
}

/* On two kernels: a message wakes the sleeper. */
struct far_lane {
    struct lane_shared lane;
    int to_guest[2], to_worker[2]; /* pipes */
};

static void *play_far_guest(void *argument)
{
    struct far_lane *far = argument;
    char byte = 0;
    for (uint32_t i = 1; i <= ROUNDS; i++) {
        if (lane_publish(&far->lane, i * 64ull) && write(far->to_worker[1], &byte, 1) != 1)
            return NULL;
        for (uint32_t looks = 0; looks < i % 32 && !lane_answered(&far->lane, i); looks++)
            lane_pause(); /* so that an answer comes at every moment of falling asleep */
        if (lane_answered(&far->lane, i))
            continue;
        atomic_store(&far->lane.guest_asleep, 1);
        while (!lane_answered(&far->lane, i))
            if (read(far->to_guest[0], &byte, 1) != 1)
                return NULL;
        atomic_store(&far->lane.guest_asleep, 0);
    }
    close(far->to_worker[1]);
    return NULL;
}

/* The worker's thread that reads the connection. */
static void *pass_wakes_on(void *argument)
{
    struct far_lane *far = argument;
    char byte;
    while (read(far->to_worker[0], &byte, 1) == 1)
        lane_ring(&far->lane);
    return NULL;
}

/* lane_answer(), now and then by a worker that is held up in the middle of it: the guest may have gone on,
 * and fallen asleep over its next call. */
static bool answer_late(struct lane_shared *lane, uint32_t count)
{
    if (count % 8 != 0)
        return lane_answer(lane, count);
    atomic_store(&lane->replied, count);
    usleep(1);
    return lane_answer(lane, count); /* stores the same again */
}

static void no_wake_up_by_message_is_lost(void **state)
{
    static _Atomic bool never_over;
    struct far_lane *far = calloc(1, sizeof *far);
    pthread_t guest, connection;
    char byte = 0;
    assert_int_equal(pipe(far->to_guest), 0);
    assert_int_equal(pipe(far->to_worker), 0);
    pthread_create(&guest, NULL, play_far_guest, far);
    pthread_create(&connection, NULL, pass_wakes_on, far);
    for (uint32_t i = 1; i <= ROUNDS; i++) {
        while (lane_published(&far->lane) == (i - 1) * 64ull)
            lane_sleep(&far->lane, (i - 1) * 64ull, &never_over, 0);
        if (answer_late(&far->lane, i))
            assert_int_equal(write(far->to_guest[1], &byte, 1), 1);
    }
    pthread_join(guest, NULL);
    pthread_join(connection, NULL);
    close(far->to_worker[0]);
    close(far->to_guest[0]);
    close(far->to_guest[1]);
    free(far);
}

#define ENDS 500

struct ended_lane {
    struct lane_shared lane;
    _Atomic uint32_t round, seen;
    _Atomic bool over;
};

/* Sleeps until its lane is over, as often as there are rounds. */
static void *sleep_till_the_end(void *argument)
{
    struct ended_lane *ended = argument;
    for (uint32_t i = 1; i <= ENDS; i++) {
        while (!atomic_load(&ended->over))
            lane_sleep(&ended->lane, 0, &ended->over, 0); /* for ever: an end that is lost would show */
        atomic_store(&ended->seen, i);
        while (atomic_load(&ended->round) != i)
            sched_yield();
    }
    return NULL;
}

static void no_end_is_lost(void **state)
{
    struct ended_lane *ended = calloc(1, sizeof *ended);
    pthread_t sleeper;
    pthread_create(&sleeper, NULL, sleep_till_the_end, ended);
    for (uint32_t i = 1; i <= ENDS; i++) {
        for (uint32_t pause = 0; pause < i % 64; pause++)
            lane_pause(); /* so that it comes at every moment of falling asleep */
        atomic_store_explicit(&ended->over, true, memory_order_release);
        atomic_fetch_add(&ended->lane.doorbell, 1);
        futex_wake_all(&ended->lane.doorbell);
        while (atomic_load(&ended->seen) != i)
            sched_yield();
        atomic_store(&ended->over, false);
        atomic_store(&ended->round, i);
    }
    pthread_join(sleeper, NULL);
    free(ended);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_that_fits_follows_the_last),
        cmocka_unit_test(one_that_does_not_goes_to_the_start),
        cmocka_unit_test(padding_names_no_call_and_stays_inside),
        cmocka_unit_test(no_wake_up_is_lost),
        cmocka_unit_test(no_wake_up_by_message_is_lost),
        cmocka_unit_test(no_end_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

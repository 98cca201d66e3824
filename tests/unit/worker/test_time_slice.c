/* How the grant page's slice becomes that of a channel group. The driver is made up here: one group with one
 * channel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "wire/futex.h"
#include "worker/driver_ioctl.h"
#include "worker/time_slice.h"

#define CLIENT    1u
#define DEVICE    2u
#define SUBDEVICE 3u
#define GROUP     4u
#define CHANNEL   5u

#define GET_TIMESLICE    0xa06c0104u
#define DISABLE_CHANNELS 0x2080110bu

static struct {
    _Atomic uint64_t slice_us;
    _Atomic bool paused, refuses;
    atomic_int refused;
} manager;

static struct grant_page page;

uint32_t driver_control(int fd, uint32_t client, uint32_t object, uint32_t command, void *parameters,
                        uint32_t bytes)
{
    if (command == GET_TIMESLICE)
        *(uint64_t *)parameters = manager.slice_us;
    if (command == DRIVER_SET_TIMESLICE)
        manager.slice_us = *(uint64_t *)parameters;
    if (command != DISABLE_CHANNELS)
        return 0;
    bool disable = *(const uint8_t *)parameters;
    if (disable && manager.refuses) {
        manager.refused++;
        return 0x56;
    }
    manager.paused = disable;
    return 0;
}

static void tell(bool follows)
{
}

static int set_up(void **state)
{
    manager.slice_us = 2048;
    if (!time_slice_open(&page, tell))
        return -1;
    time_slice_subdevice_made(0, CLIENT, DEVICE, SUBDEVICE);
    time_slice_group_made(0, CLIENT, DEVICE, GROUP, true);
    time_slice_channel_made(CLIENT, GROUP, CHANNEL);
    return 0;
}

static void say(enum grant_slice slice, enum grant_state state)
{
    static uint32_t generation;
    page.word = grant_word_sliced(++generation, slice, state);
    futex_wake_all(&page.word);
}

/* Until another thread has done what was said; the test's own limit ends it. */
static void await_state(uint64_t slice_us, bool paused)
{
    while (manager.slice_us != slice_us || manager.paused != paused)
        usleep(1000);
}

static void the_page_says_which_slice(void **state)
{
    say(GRANT_SLICE_LONG, GRANT_HELD);
    await_state(1000000, false);
    say(GRANT_SLICE_EQUAL, GRANT_CONTENDED);
    await_state(2048, false);
    say(GRANT_SLICE_SHORT, GRANT_REVOKED);
    await_state(1, false);
}

static void who_is_paused_goes_on_with_the_next_slice(void **state)
{
    say(GRANT_SLICE_LONG, GRANT_HELD);
    await_state(1000000, false);
    say(GRANT_SLICE_PAUSED, GRANT_REVOKED);
    await_state(1000000, true);
    say(GRANT_SLICE_SHORT, GRANT_REVOKED);
    await_state(1, false);
}

static void who_is_paused_as_its_work_gets_done_is_not_left_so(void **state)
{
    say(GRANT_SLICE_PAUSED, GRANT_REVOKED);
    await_state(1, true);
    say(GRANT_SLICE_EQUAL, GRANT_NONE);
    await_state(1, false);
}

/* The last: a driver that has refused is not asked again. */
static void where_pausing_is_refused_the_slice_is_brief(void **state)
{
    manager.refuses = true;
    say(GRANT_SLICE_PAUSED, GRANT_REVOKED);
    await_state(500, false);
    int refused = manager.refused;
    assert_true(refused > 0);
    say(GRANT_SLICE_LONG, GRANT_HELD);
    await_state(1000000, false);
    say(GRANT_SLICE_PAUSED, GRANT_REVOKED);
    await_state(500, false);
    assert_int_equal(manager.refused, refused);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_page_says_which_slice),
        cmocka_unit_test(who_is_paused_goes_on_with_the_next_slice),
        cmocka_unit_test(who_is_paused_as_its_work_gets_done_is_not_left_so),
        cmocka_unit_test(where_pausing_is_refused_the_slice_is_brief),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}

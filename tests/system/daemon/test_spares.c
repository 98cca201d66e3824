/* Workers that wait for a guest with a context made. */
#include "fixture.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static json_int_t gpu_spares(const json_t *state, int gpu_id)
{
    size_t index;
    json_t *gpu;
    json_array_foreach(json_object_get(state, "gpus"), index, gpu)
    {
        if (json_integer_value(json_object_get(gpu, "gpu_id")) == gpu_id)
            return json_integer_value(json_object_get(gpu, "warm_workers"));
    }
    return 0;
}

struct wanted {
    int gpu_id;
    json_int_t count;
};

static bool has_spares(const json_t *state, const void *argument)
{
    const struct wanted *wanted = argument;
    return gpu_spares(state, wanted->gpu_id) == wanted->count;
}

static void spares_wait(const struct fixture *fixture, int gpu_id, json_int_t count)
{
    admin_wait(fixture, has_spares, &(struct wanted){gpu_id, count});
}

static bool was_spare(int guest)
{
    char line[9000];
    guest_command(guest, "a");
    assert_true(guest_line(guest, line, sizeof line));
    return strstr(line, " --warm ") != NULL;
}

static void a_guest_gets_one_that_waits_and_it_is_replaced(void **state)
{
    struct fixture *fixture = *state;
    fixture->options[0] = "--warm_workers=2";
    vm_register(fixture, "abc123", 'A', VGPU_PRIORITY_LOW);
    vm_register(fixture, "def456", 'A', VGPU_PRIORITY_LOW);
    daemon_start(fixture);
    spares_wait(fixture, 0, 2);
    int first = guest_open(fixture, "abc123");
    int second = guest_open(fixture, "def456");
    assert_true(was_spare(first));
    assert_true(was_spare(second));
    spares_wait(fixture, 0, 2);
    guest_command(first, "w"); /* each is its own VM's */
    guest_expect(first, "held");
    guest_command(second, "w");
    guest_await(second, "held"); /* when the first one's time is over */
    close(first);
    close(second);
}

static void a_guest_learns_its_vm_late_and_alone(void **state)
{
    struct fixture *fixture = *state;
    char line[9000];
    fixture->options[0] = "--warm_workers=1";
    vm_register(fixture, "abc123", 'A', VGPU_PRIORITY_LOW);
    daemon_start(fixture);
    spares_wait(fixture, 0, 1);
    int guest = guest_open(fixture, "abc123");
    guest_command(guest, "a");
    assert_true(guest_line(guest, line, sizeof line));
    assert_non_null(strstr(line, " --gpu=GPU-00000000-0000-0000-0000-000000000000 --warm --vm=abc123"));
    struct vgpu_error err;
    assert_int_equal(vgpu_remove_vm(fixture->vgpu, "abc123", NULL, &err), VGPU_OK);
    guest_expect(guest, "end VM abc123 is not registered any more; ask the host's administrator");
    guest_expect_end(guest);
    spares_wait(fixture, 0, 0); /* no VM is left that could come */
}

static void only_gpus_that_vms_are_placed_on_have_them(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_error err;
    fixture->options[0] = "--warm_workers=1";
    vm_register(fixture, "abc123", 'A', VGPU_PRIORITY_LOW);
    daemon_start(fixture);
    spares_wait(fixture, 0, 1);
    spares_wait(fixture, 1, 0);
    const struct vgpu_vm_update move = {.fields = VGPU_VM_POOL, .pool = 'B'};
    assert_int_equal(vgpu_update_vm(fixture->vgpu, "abc123", &move, NULL, &err), VGPU_OK);
    spares_wait(fixture, 0, 0);
    spares_wait(fixture, 1, 1);
}

static void set_gpu_status(struct fixture *fixture, enum vgpu_gpu_status status)
{
    struct vgpu_error err;
    struct vgpu_gpu gpu;
    assert_int_equal(vgpu_get_gpu(fixture->vgpu, 0, &gpu, &err), VGPU_OK);
    gpu.status = status;
    assert_int_equal(vgpu_register_gpu(fixture->vgpu, &gpu, NULL, &err), VGPU_OK);
}

static void a_gpu_that_vanishes_takes_them_along(void **state)
{
    struct fixture *fixture = *state;
    fixture->options[0] = "--warm_workers=3";
    vm_register(fixture, "abc123", 'A', VGPU_PRIORITY_LOW);
    daemon_start(fixture);
    spares_wait(fixture, 0, 3);
    set_gpu_status(fixture, VGPU_GPU_OFFLINE);
    spares_wait(fixture, 0, 0);
    set_gpu_status(fixture, VGPU_GPU_ONLINE);
    spares_wait(fixture, 0, 3);
}

static void they_take_no_guests_place(void **state)
{
    struct fixture *fixture = *state;
    fixture->options[0] = "--warm_workers=2";
    fixture->options[1] = "--max_guests=1";
    vm_register(fixture, "abc123", 'A', VGPU_PRIORITY_LOW);
    daemon_start(fixture);
    spares_wait(fixture, 0, 2);
    int guest = guest_open(fixture, "abc123");
    int refused = guest_connect(fixture, "abc123");
    assert_int_equal(guest_welcome(refused).status, HANDSHAKE_BUSY);
    close(refused);
    close(guest);
}

/* One that cannot start does not hinder guests, and is not tried without end. */
static void guests_are_served_without_them(void **state)
{
    static const char *const modes[] = {"VGPU_DEBUG_FAKE_WORKER=crash-when-spare",
                                        "VGPU_DEBUG_FAKE_WORKER=fail-when-spare"};
    struct fixture *fixture = *state;
    fixture->options[0] = "--warm_workers=2";
    vm_register(fixture, "abc123", 'A', VGPU_PRIORITY_LOW);
    for (int i = 0; i < 2; i++) {
        fixture->environment[0] = modes[i];
        daemon_start(fixture);
        while (!daemon_has_logged(fixture, i ? "cannot wait for a guest: told to fail"
                                             : "which waited for a guest, was ended by signal 6"))
            usleep(5000);
        for (int j = 0; j < 5; j++) {
            int guest = guest_open(fixture, "abc123");
            assert_false(was_spare(guest));
            close(guest);
        }
        assert_int_equal(daemon_stop(fixture), 0);
    }
}

/* Whoever waits may be killed at any moment, also in that in which a guest comes. */
static void guests_are_served_while_they_are_killed(void **state)
{
    struct fixture *fixture = *state;
    char command[64];
    fixture->options[0] = "--warm_workers=1";
    vm_register(fixture, "abc123", 'A', VGPU_PRIORITY_LOW);
    daemon_start(fixture);
    for (int i = 0; i < 3; i++) {
        spares_wait(fixture, 0, 1);
        snprintf(command, sizeof command, "pkill -KILL -P %d", (int)fixture->daemon);
        assert_int_equal(system(command), 0);
        int guest = guest_open(fixture, "abc123");
        guest_command(guest, "w");
        guest_expect(guest, "held");
        close(guest);
    }
}

static void a_daemon_that_is_killed_leaves_none(void **state)
{
    struct fixture *fixture = *state;
    fixture->options[0] = "--warm_workers=2";
    vm_register(fixture, "abc123", 'A', VGPU_PRIORITY_LOW);
    daemon_start(fixture);
    spares_wait(fixture, 0, 2);
    kill(fixture->daemon, SIGKILL);
    assert_int_equal(daemon_wait(fixture), 256 + SIGKILL);
    daemon_start(fixture);
    spares_wait(fixture, 0, 2);
    int guest = guest_open(fixture, "abc123");
    assert_true(was_spare(guest));
    kill(fixture->daemon, SIGTERM);
    guest_expect(guest, "end the host's vgpud stops; try again when it runs again");
    guest_expect_end(guest);
    assert_int_equal(daemon_wait(fixture), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_guest_gets_one_that_waits_and_it_is_replaced),
        TEST(a_guest_learns_its_vm_late_and_alone),
        TEST(only_gpus_that_vms_are_placed_on_have_them),
        TEST(a_gpu_that_vanishes_takes_them_along),
        TEST(they_take_no_guests_place),
        TEST(guests_are_served_without_them),
        TEST(guests_are_served_while_they_are_killed),
        TEST(a_daemon_that_is_killed_leaves_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

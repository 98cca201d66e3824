/* The admin socket, as libvgpu/admin_protocol.h promises it, with clients good and bad. */
#include "fixture.h"

#include "libvgpu/admin_protocol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static int admin_connect(const struct fixture *fixture)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int used = snprintf(address.sun_path, sizeof address.sun_path, "%s/" ADMIN_SOCKET_NAME, fixture->run_dir);
    assert_true(used < (int)sizeof address.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static json_t *gpu_of(const json_t *state, size_t index)
{
    return json_array_get(json_object_get(state, "gpus"), index);
}

static bool both_wait(const json_t *state, const void *argument)
{
    return json_array_size(json_object_get(gpu_of(state, 0), "waiting")) == 2;
}

static void the_state_shows_holder_and_queue(void **state)
{
    struct fixture *fixture = *state;
    fixture->options[0] = "--quantum=60s";
    vm_register(fixture, "abc123", 'A', VGPU_PRIORITY_HIGH);
    vm_register(fixture, "def456", 'A', VGPU_PRIORITY_LOW);
    vm_register(fixture, "ghi789", 'A', VGPU_PRIORITY_MEDIUM);
    vm_register(fixture, "never", 'A', VGPU_PRIORITY_MEDIUM);
    daemon_start(fixture);
    int holder = guest_open(fixture, "abc123");
    int low = guest_open(fixture, "def456");
    int medium = guest_open(fixture, "ghi789");
    guest_command(holder, "wccc");
    guest_expect(holder, "held");
    guest_command(low, "w");
    guest_expect(holder, "contended");
    guest_command(medium, "w");
    admin_wait(fixture, both_wait, NULL);

    json_t *answer = admin_ask(fixture, "{\"op\":\"state\", \"more\": [1, {}]}");
    const json_t *gpu = gpu_of(answer, 0);
    const json_t *waiting = json_object_get(gpu, "waiting");
    const json_t *first = json_array_get(waiting, 0);
    assert_true(json_is_true(json_object_get(answer, "ok")));
    assert_int_equal(json_integer_value(json_object_get(json_object_get(answer, "daemon"), "pid")),
                     fixture->daemon);
    assert_int_equal(json_array_size(json_object_get(answer, "gpus")), 2);
    assert_string_equal(json_string_value(json_object_get(gpu, "holder")), "abc123");
    assert_int_equal(json_integer_value(json_object_get(gpu, "generation")), 1);
    assert_true(json_is_null(json_object_get(gpu_of(answer, 1), "holder")));
    assert_string_equal(json_string_value(json_object_get(first, "vm_uuid")),
                        "ghi789"); /* the higher class */
    assert_int_equal(json_integer_value(json_object_get(first, "priority")), 1);
    assert_int_equal(state_vm(answer, "abc123", "calls"), 3);
    assert_int_equal(state_vm(answer, "abc123", "grants"), 1);
    assert_int_equal(state_vm(answer, "def456", "processes"), 1);
    assert_int_equal(state_vm(answer, "never", "processes"), -1);
    json_decref(answer);

    struct vgpu_live live; /* the library reads the same */
    struct vgpu_error err;
    assert_int_equal(vgpu_get_live(fixture->vgpu, &live, &err), VGPU_OK);
    assert_int_equal(live.gpu_count, 2);
    assert_string_equal(live.gpus[0].holder, "abc123");
    assert_int_equal(live.gpus[0].waiting_count, 2);
    assert_string_equal(live.gpus[0].waiting[1].vm_uuid, "def456");
    vgpu_live_fini(&live);
    close(holder);
    close(low);
    close(medium);
}

static void expect_status(json_t *answer, const char *status)
{
    assert_true(json_is_false(json_object_get(answer, "ok")));
    assert_string_equal(json_string_value(json_object_get(answer, "status")), status);
    assert_true(json_is_string(json_object_get(answer, "message")));
    json_decref(answer);
}

static void nonsense_is_answered_with_an_error(void **state)
{
    struct fixture *fixture = *state;
    const char *const nonsense[] = {"",         "x",           "{}",  "[]", "{\"op\":7}", "{\"op\":\"what\"}",
                                    "{\"op\":", "\xff\xfe{}{", "null"};
    daemon_start(fixture);
    for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++)
        expect_status(admin_ask(fixture, nonsense[i]), "usage");
    char *deep = malloc(ADMIN_REQUEST_MAX_BYTES);
    memset(deep, '[', ADMIN_REQUEST_MAX_BYTES - 1);
    deep[ADMIN_REQUEST_MAX_BYTES - 1] = '\0';
    expect_status(admin_ask(fixture, deep), "usage");
    free(deep);
}

static void a_line_too_long_is_answered_and_ends_the_client(void **state)
{
    struct fixture *fixture = *state;
    char line[ADMIN_REQUEST_MAX_BYTES + 1];
    char got[512];
    daemon_start(fixture);
    int client = admin_connect(fixture);
    memset(line, ' ', sizeof line);
    assert_int_equal(send(client, line, sizeof line, MSG_NOSIGNAL), sizeof line);
    assert_true(guest_line(client, got, sizeof got));
    assert_non_null(strstr(got, "too long"));
    guest_expect_end(client);
}

static void requests_may_follow_without_waiting(void **state)
{
    struct fixture *fixture = *state;
    char got[4096];
    daemon_start(fixture);
    int client = admin_connect(fixture);
    for (int i = 0; i < 400; i++) /* together more than one request may have */
        guest_command(client, i % 2 ? "{\"op\":\"reload\"}\n" : "{\"op\":\"nothing\"}\n");
    for (int i = 0; i < 400; i++) {
        assert_true(guest_line(client, got, sizeof got));
        assert_non_null(strstr(got, i % 2 ? "true" : "false"));
    }
    guest_command(client, "{\"op\""); /* and half a one, never ended */
    close(client);
}

static void clients_that_do_not_listen_hinder_nobody(void **state)
{
    struct fixture *fixture = *state;
    daemon_start(fixture);
    int deaf[20];
    for (int i = 0; i < 20; i++) {
        deaf[i] = admin_connect(fixture);
        for (int more = 0; more < 5000; more++) {
            const char *request = "{\"op\":\"state\"}\n";
            if (send(deaf[i], request, strlen(request), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
                break; /* the daemon reads no more of it, as it should */
        }
    }
    json_t *answer = admin_ask(fixture, "{\"op\":\"state\"}");
    assert_true(json_is_true(json_object_get(answer, "ok")));
    json_decref(answer);
    for (int i = 0; i < 20; i++)
        close(deaf[i]);
}

static void a_client_may_leave_before_its_answer(void **state)
{
    struct fixture *fixture = *state;
    daemon_start(fixture);
    for (int i = 0; i < 100; i++) {
        int client = admin_connect(fixture);
        guest_command(client, i % 2 ? "{\"op\":\"reload\"}\n" : "{\"op\":\"state\"}\n");
        close(client);
    }
    json_decref(admin_ask(fixture, "{\"op\":\"reload\"}"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_state_shows_holder_and_queue),
        TEST(nonsense_is_answered_with_an_error),
        TEST(a_line_too_long_is_answered_and_ends_the_client),
        TEST(requests_may_follow_without_waiting),
        TEST(clients_that_do_not_listen_hinder_nobody),
        TEST(a_client_may_leave_before_its_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* How vgpud starts and stops, and what it finds and leaves in its run directory. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static bool exists(const struct fixture *fixture, const char *name)
{
    char path[300];
    struct stat info;
    snprintf(path, sizeof path, "%s/%s", fixture->run_dir, name);
    return lstat(path, &info) == 0;
}

static unsigned mode_of(const struct fixture *fixture, const char *name)
{
    char path[300];
    struct stat info;
    snprintf(path, sizeof path, "%s/%s", fixture->run_dir, name);
    assert_int_equal(lstat(path, &info), 0);
    return info.st_mode & 0777u;
}

static void starts_and_stops_in_good_order(void **state)
{
    struct fixture *fixture = *state;
    vm_register(fixture, "abc123", 'A', VGPU_PRIORITY_LOW);
    daemon_start(fixture);
    assert_int_equal(mode_of(fixture, "."), 0755);
    assert_int_equal(mode_of(fixture, "guests"), 0711);
    assert_int_equal(mode_of(fixture, "admin.sock"), 0660);
    assert_int_equal(mode_of(fixture, "guests/abc123.sock"), 0660);
    kill(fixture->daemon, SIGINT);
    daemon_expect_notice(fixture, "STOPPING=1");
    assert_int_equal(daemon_wait(fixture), 0);
    assert_false(exists(fixture, "admin.sock"));
    assert_false(exists(fixture, "guests/abc123.sock"));
    assert_true(daemon_has_logged(fixture, "stopped"));
}

static void the_sockets_belong_to_whom_the_settings_say(void **state)
{
    struct fixture *fixture = *state;
    char path[200];
    struct stat info;
    fixture->options[0] = "--guest_socket_mode=0620";
    fixture->options[1] = "--guest_socket_owner=12345:54321";
    vm_register(fixture, "abc123", 'A', VGPU_PRIORITY_LOW);
    if (getuid() != 0)
        skip();
    daemon_start(fixture);
    snprintf(path, sizeof path, "%s/guests/abc123.sock", fixture->run_dir);
    assert_int_equal(lstat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777u, 0620);
    assert_int_equal(info.st_uid, 12345);
    assert_int_equal(info.st_gid, 54321);
}

static void a_second_daemon_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char line[1024];
    char pid[32];
    vm_register(fixture, "abc123", 'A', VGPU_PRIORITY_LOW);
    daemon_start(fixture);
    snprintf(pid, sizeof pid, "process %d", (int)fixture->daemon);
    assert_int_equal(daemon_refuses(fixture, line), 1);
    assert_non_null(strstr(line, fixture->run_dir));
    assert_non_null(strstr(line, pid));
    close(guest_open(fixture, "abc123")); /* the first one did not notice */
}

static void what_a_killed_daemon_left_is_taken_over(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_error err;
    vm_register(fixture, "abc123", 'A', VGPU_PRIORITY_LOW);
    vm_register(fixture, "gone", 'A', VGPU_PRIORITY_LOW);
    daemon_start(fixture);
    int guest = guest_open(fixture, "abc123");
    guest_command(guest, "w");
    guest_expect(guest, "held");
    kill(fixture->daemon, SIGKILL);
    assert_int_equal(daemon_wait(fixture), 256 + SIGKILL);
    guest_expect_end(guest); /* its worker has lost its daemon */
    assert_true(exists(fixture, "guests/abc123.sock"));
    assert_int_equal(vgpu_remove_vm(fixture->vgpu, "gone", NULL, &err), VGPU_OK);

    daemon_start(fixture);
    assert_false(exists(fixture, "guests/gone.sock"));
    guest = guest_open(fixture, "abc123");
    guest_command(guest, "w");
    guest_expect(guest, "held");
    close(guest);
}

static void a_run_directory_too_deep_for_sockets_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char line[1024];
    char option[300];
    snprintf(option, sizeof option, "--run_dir=%s/%0100d", fixture->dir, 0);
    fixture->options[0] = option;
    assert_int_equal(daemon_refuses(fixture, line), 1);
    assert_non_null(strstr(line, "/admin.sock"));
    assert_non_null(strstr(line, "107 bytes at most"));
}

static void a_vm_whose_socket_path_is_too_long_hinders_no_other(void **state)
{
    struct fixture *fixture = *state;
    char option[300];
    char long_uuid[65];
    memset(long_uuid, 'x', 64);
    long_uuid[64] = '\0';
    snprintf(fixture->run_dir, sizeof fixture->run_dir, "%s/%030d", fixture->dir, 0);
    snprintf(option, sizeof option, "--run_dir=%s", fixture->run_dir);
    fixture->options[0] = option;
    vm_register(fixture, long_uuid, 'A', VGPU_PRIORITY_LOW);
    vm_register(fixture, "abc123", 'A', VGPU_PRIORITY_LOW);
    daemon_start(fixture);
    close(guest_open(fixture, "abc123"));
    assert_true(daemon_has_logged(fixture, "xxx cannot be reached"));
    assert_true(daemon_has_logged(fixture, "107 bytes at most"));
}

static void a_file_in_the_way_is_not_touched(void **state)
{
    struct fixture *fixture = *state;
    char path[200];
    snprintf(path, sizeof path, "%s/guests", fixture->run_dir);
    mkdir(fixture->run_dir, 0755);
    mkdir(path, 0711);
    snprintf(path, sizeof path, "%s/guests/abc123.sock", fixture->run_dir);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    vm_register(fixture, "abc123", 'A', VGPU_PRIORITY_LOW);
    daemon_start(fixture);
    assert_true(daemon_has_logged(fixture, "is in the way and not a socket"));
    assert_int_equal(daemon_stop(fixture), 0);
    assert_true(exists(fixture, "guests/abc123.sock"));
}

static void a_broken_database_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char line[1024];
    char option[300];
    char path[300];
    snprintf(option, sizeof option, "--state_dir=%s/other", fixture->dir);
    snprintf(path, sizeof path, "%s/other", fixture->dir);
    mkdir(path, 0755);
    snprintf(path, sizeof path, "%s/other/vgpu.db", fixture->dir);
    FILE *file = fopen(path, "w");
    fputs("this is no database, and long enough to be sure of that", file);
    fclose(file);
    fixture->options[0] = option;
    assert_int_equal(daemon_refuses(fixture, line), 1);
    assert_non_null(strstr(line, path));
    assert_false(exists(fixture, "admin.sock"));
}

static void wrong_words_are_usage_errors(void **state)
{
    struct fixture *fixture = *state;
    const char *const wrong[] = {"--what",
                                 "extra",
                                 "--quantum=abc",
                                 "--guest_socket_mode=9",
                                 "--quantum",
                                 "--driver=amd",
                                 "--listen_tcp=x",
                                 "--listen_tcp=127.0.0.1:x=vm",
                                 "--listen_tcp=localhost:1=vm"};
    char line[1024];
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        fixture->options[0] = wrong[i];
        int status = daemon_refuses(fixture, line);
        if (status != 2)
            fail_msg("%s: %d %s", wrong[i], status, line);
        assert_int_equal(strncmp(line, "vgpud: ", 7), 0);
    }
}

static void sockets_of_systemd_are_served_and_left_alone(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_error err;
    fixture->listen_fds[0] = socket_activate(fixture, "guests/abc123.sock");
    fixture->listen_fds[1] = socket_activate(fixture, "admin.sock");
    fixture->listen_fds[2] = socket_activate(fixture, "unheard-of.sock");
    fixture->listen_count = 3;
    int early = guest_connect(fixture, "abc123"); /* comes before the daemon is there */
    vm_register(fixture, "abc123", 'A', VGPU_PRIORITY_LOW);
    daemon_start(fixture);
    assert_int_equal(guest_welcome(early).status, HANDSHAKE_OK);
    json_t *answer = admin_ask(fixture, "{\"op\":\"state\"}");
    assert_true(json_is_true(json_object_get(answer, "ok")));
    json_decref(answer);
    assert_true(daemon_has_logged(fixture, "a socket that vgpud has no use for"));

    /* The socket stays when its VM goes, and says so. */
    assert_int_equal(vgpu_remove_vm(fixture->vgpu, "abc123", NULL, &err), VGPU_OK);
    guest_expect(early, "end VM abc123 is not registered any more; ask the host's administrator");
    guest_expect_end(early);
    int late = guest_connect(fixture, "abc123");
    assert_int_equal(guest_welcome(late).status, HANDSHAKE_NO_VM);
    close(late);
    assert_int_equal(daemon_stop(fixture), 0);
    assert_true(exists(fixture, "guests/abc123.sock"));
    assert_true(exists(fixture, "admin.sock"));
    for (int i = 0; i < 3; i++)
        close(fixture->listen_fds[i]);
}

static void stopping_lets_holders_give_back(void **state)
{
    struct fixture *fixture = *state;
    fixture->options[0] = "--quantum=60s"; /* nobody else revokes */
    vm_register(fixture, "abc123", 'A', VGPU_PRIORITY_LOW);
    vm_register(fixture, "def456", 'A', VGPU_PRIORITY_LOW);
    daemon_start(fixture);
    int holder = guest_open(fixture, "abc123");
    int waiting = guest_open(fixture, "def456");
    guest_command(holder, "iw"); /* gives back only when the test says */
    guest_expect(holder, "held");
    guest_command(waiting, "w");
    guest_await(holder, "contended");
    kill(fixture->daemon, SIGTERM);
    daemon_expect_notice(fixture, "STOPPING=1");
    guest_await(holder, "revoked");
    assert_int_equal(guest_try_connect(fixture, "abc123"), -1); /* nobody comes in any more */
    guest_expect_silence(waiting);
    guest_command(holder, "r");
    guest_expect(holder, "end the host's vgpud stops; try again when it runs again");
    guest_expect(waiting, "end the host's vgpud stops; try again when it runs again");
    guest_expect_end(holder);
    guest_expect_end(waiting);
    assert_int_equal(daemon_wait(fixture), 0);
}

static void whoever_does_not_stop_is_killed(void **state)
{
    struct fixture *fixture = *state;
    vm_register(fixture, "abc123", 'A', VGPU_PRIORITY_LOW);
    daemon_start(fixture);
    int guest = guest_open(fixture, "abc123");
    guest_command(guest, "iIw");
    guest_expect(guest, "held");
    kill(fixture->daemon, SIGTERM);
    guest_expect(guest, "revoked");
    kill(fixture->daemon, SIGTERM); /* do not wait for it any longer */
    while (!daemon_has_logged(fixture, "cut short"))
        usleep(5000);
    kill(fixture->daemon, SIGTERM); /* nor for its end */
    guest_expect_end(guest);
    assert_int_equal(daemon_wait(fixture), 0);
}

static void the_watchdog_is_fed(void **state)
{
    struct fixture *fixture = *state;
    fixture->environment[0] = "WATCHDOG_USEC=20000";
    daemon_start(fixture);
    daemon_expect_notice(fixture, "WATCHDOG=1");
    daemon_expect_notice(fixture, "WATCHDOG=1");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(starts_and_stops_in_good_order),
        TEST(the_sockets_belong_to_whom_the_settings_say),
        TEST(a_second_daemon_is_refused),
        TEST(what_a_killed_daemon_left_is_taken_over),
        TEST(a_run_directory_too_deep_for_sockets_is_refused),
        TEST(a_vm_whose_socket_path_is_too_long_hinders_no_other),
        TEST(a_file_in_the_way_is_not_touched),
        TEST(a_broken_database_is_refused),
        TEST(wrong_words_are_usage_errors),
        TEST(sockets_of_systemd_are_served_and_left_alone),
        TEST(stopping_lets_holders_give_back),
        TEST(whoever_does_not_stop_is_killed),
        TEST(the_watchdog_is_fed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

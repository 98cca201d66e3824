/* The library and the daemon: what it asks, what it makes of the answer, and that it needs none. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAEMON                                                                                               \
    "\"daemon\": {\"version\": \"0.1.0\", \"pid\": 4711, \"uptime_us\": 1000000, \"driver\": \"simulated\"}"

static void register_vm(struct fixture *fixture, const char *vm_uuid)
{
    struct vgpu_vm_registration registration = {.vm_uuid = vm_uuid, .pool = 'A'};
    assert_done(fixture, vgpu_register_vm(fixture->vgpu, &registration, NULL, &fixture->err));
}

static enum vgpu_status ask(struct fixture *fixture, struct vgpu_live *live)
{
    return vgpu_get_live(fixture->vgpu, live, &fixture->err);
}

static void the_state_is_read(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_live live;
    fixture_play_daemon(
        fixture,
        "{\"ok\": true, " DAEMON ", \"news\": [1, 2], \"gpus\": [{\"gpu_id\": 0, \"gpu_uuid\": \"GPU-aa\", "
        "\"holder\": \"abc123\", \"held_us\": 1500, \"generation\": 17, \"waiting\": [{\"vm_uuid\": "
        "\"def456\", "
        "\"priority\": 1, \"waiting_us\": 300}, {\"vm_uuid\": \"ghi789\", \"priority\": 0, \"waiting_us\": "
        "900}]}, "
        "{\"gpu_id\": 1, \"gpu_uuid\": \"GPU-bb\", \"holder\": null, \"held_us\": 0, \"generation\": 0, "
        "\"waiting\": []}], \"vms\": [{\"vm_uuid\": \"abc123\", \"processes\": 2, \"grants\": 17, "
        "\"wait_us\": "
        "90000, \"hold_us\": 70000, \"calls\": 123456, \"gpu_calls\": 1000, \"device_memory_bytes\": "
        "85899345920}]}\n");
    assert_done(fixture, ask(fixture, &live));
    assert_string_equal(live.version, "0.1.0");
    assert_int_equal(live.pid, 4711);
    assert_int_equal(live.uptime_us, 1000000);
    assert_string_equal(live.driver, "simulated");
    assert_int_equal(live.gpu_count, 2);
    assert_string_equal(live.gpus[0].gpu_uuid, "GPU-aa");
    assert_string_equal(live.gpus[0].holder, "abc123");
    assert_int_equal(live.gpus[0].held_us, 1500);
    assert_int_equal(live.gpus[0].generation, 17);
    assert_int_equal(live.gpus[0].waiting_count, 2);
    assert_string_equal(live.gpus[0].waiting[1].vm_uuid, "ghi789");
    assert_int_equal(live.gpus[0].waiting[0].priority, VGPU_PRIORITY_MEDIUM);
    assert_int_equal(live.gpus[0].waiting[1].waiting_us, 900);
    assert_string_equal(live.gpus[1].holder, "");
    assert_int_equal(live.gpus[1].waiting_count, 0);
    assert_int_equal(live.vm_count, 1);
    assert_int_equal(live.vms[0].processes, 2);
    assert_int_equal(live.vms[0].calls, 123456);
    assert_int_equal(live.vms[0].device_memory_bytes, 85899345920);
    vgpu_live_fini(&live);
    assert_null(live.gpus);
    fixture_stop_daemon(fixture);
    assert_string_equal(fixture->requests[0], "{\"op\": \"state\"}\n");
}

static void without_a_daemon_it_says_so(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_live live;
    assert_refused(fixture, ask(fixture, &live), VGPU_ERR_UNAVAILABLE, "no daemon is running");
    fixture_play_daemon(fixture, NULL);
    fixture_stop_daemon(fixture); /* a dead daemon's socket left behind */
    assert_refused(fixture, ask(fixture, &live), VGPU_ERR_UNAVAILABLE, "no daemon is running");
    register_vm(fixture, "abc123");
}

static void answers_that_make_no_sense_are_refused(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *answer;
        enum vgpu_status status;
        const char *words;
    } cases[] = {
        {NULL, VGPU_ERR_UNAVAILABLE, "hung up"},
        {"{\"ok\": true", VGPU_ERR_UNAVAILABLE, "hung up"},
        {"\n", VGPU_ERR_CORRUPT, "makes no sense"},
        {"hello\n", VGPU_ERR_CORRUPT, "makes no sense"},
        {"[1]\n", VGPU_ERR_CORRUPT, "makes no sense"},
        {"{\"ok\": 1}\n", VGPU_ERR_CORRUPT, "makes no sense"},
        {"{\"ok\": true}\n", VGPU_ERR_CORRUPT, "lacks"},
        {"{\"ok\": true, " DAEMON ", \"gpus\": []}\n", VGPU_ERR_CORRUPT, "lacks"},
        {"{\"ok\": true, " DAEMON ", \"vms\": [], \"gpus\": [{}]}\n", VGPU_ERR_CORRUPT, "lacks"},
        {"{\"ok\": true, " DAEMON
         ", \"vms\": [], \"gpus\": [{\"gpu_id\": 0, \"gpu_uuid\": \"GPU-aa\", \"holder\": "
         "null, \"held_us\": -1, \"generation\": 0, \"waiting\": []}]}\n",
         VGPU_ERR_CORRUPT, "lacks"},
        {"{\"ok\": true, " DAEMON
         ", \"vms\": [], \"gpus\": [{\"gpu_id\": 0, \"gpu_uuid\": \"GPU-aa\", \"holder\": "
         "null, \"held_us\": 0, \"generation\": 0, \"waiting\": [{\"vm_uuid\": \"a\", \"priority\": 3, "
         "\"waiting_us\": 0}]}]}\n",
         VGPU_ERR_CORRUPT, "lacks"},
        {"{\"ok\": false, \"status\": \"busy\", \"message\": \"it is starting\"}\n", VGPU_ERR_BUSY,
         "it is starting"},
        {"{\"ok\": false}\n", VGPU_ERR_UNAVAILABLE, "refuses"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct vgpu_live live = {.pid = -1};
        fixture_play_daemon(fixture, cases[i].answer);
        assert_refused(fixture, ask(fixture, &live), cases[i].status, cases[i].words);
        assert_int_equal(live.pid, -1); /* untouched */
    }
}

static void a_long_answer_is_read_whole(void **state)
{
    struct fixture *fixture = *state;
    enum { VMS = 2000 };
    char *answer = malloc(VMS * 200 + 400);
    size_t length = (size_t)sprintf(answer, "{\"ok\": true, " DAEMON ", \"gpus\": [], \"vms\": [");
    for (int i = 0; i < VMS; i++)
        length +=
            (size_t)sprintf(answer + length,
                            "%s{\"vm_uuid\": \"vm%d\", \"processes\": 0, \"grants\": 0, \"wait_us\": 0, "
                            "\"hold_us\": 0, \"calls\": %d, \"gpu_calls\": 0, \"device_memory_bytes\": 0}",
                            i > 0 ? ", " : "", i, i);
    sprintf(answer + length, "]}\n");
    fixture_play_daemon(fixture, answer);
    struct vgpu_live live;
    assert_done(fixture, ask(fixture, &live));
    assert_int_equal(live.vm_count, VMS);
    assert_int_equal(live.vms[VMS - 1].calls, VMS - 1);
    vgpu_live_fini(&live);
    fixture_stop_daemon(fixture);
    free(answer);
}

static void a_daemon_that_hangs_does_not_hang_its_askers(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_live live;
    fixture->silent = true;
    fixture_play_daemon(fixture, NULL);
    assert_refused(fixture, ask(fixture, &live), VGPU_ERR_UNAVAILABLE, "does not answer");
    register_vm(fixture, "abc123");
}

static void every_change_is_told_to_the_daemon(void **state)
{
    struct fixture *fixture = *state;
    fixture_play_daemon(fixture, "{\"ok\": true}\n");
    register_vm(fixture, "abc123");
    register_vm(fixture, "def456");
    struct vgpu_vm vm;
    assert_done(fixture, vgpu_get_vm(fixture->vgpu, "abc123", &vm, &fixture->err)); /* no change */
    assert_refused(fixture, vgpu_remove_vm(fixture->vgpu, "nobody", NULL, &fixture->err), VGPU_ERR_NOT_FOUND,
                   "nobody");
    fixture_stop_daemon(fixture);
    assert_int_equal(fixture->request_count, 2);
    assert_string_equal(fixture->requests[0], "{\"op\": \"reload\"}\n");
}

static void a_transaction_is_told_once_when_it_is_done(void **state)
{
    struct fixture *fixture = *state;
    fixture_play_daemon(fixture, "{\"ok\": true}\n");
    assert_done(fixture, vgpu_begin(fixture->vgpu, &fixture->err));
    register_vm(fixture, "abc123");
    register_vm(fixture, "def456");
    assert_int_equal(fixture->request_count, 0);
    assert_done(fixture, vgpu_commit(fixture->vgpu, &fixture->err));
    assert_done(fixture, vgpu_begin(fixture->vgpu, &fixture->err));
    register_vm(fixture, "ghi789");
    vgpu_rollback(fixture->vgpu);
    assert_done(fixture, vgpu_begin(fixture->vgpu, &fixture->err));
    assert_done(fixture, vgpu_commit(fixture->vgpu, &fixture->err)); /* nothing changed */
    fixture_stop_daemon(fixture);
    assert_int_equal(fixture->request_count, 1);
}

static void a_socket_path_too_long_is_said_to_be_so(void **state)
{
    struct fixture *fixture = *state;
    char run_dir[200];
    memset(run_dir, 'x', sizeof run_dir);
    run_dir[0] = '/';
    run_dir[sizeof run_dir - 1] = '\0';
    struct vgpu_options options = fixture->options;
    options.run_dir = run_dir;
    vgpu_close(fixture->vgpu);
    fixture->vgpu = NULL;
    assert_done(fixture, vgpu_open(&options, &fixture->vgpu, &fixture->err));
    struct vgpu_live live;
    assert_refused(fixture, ask(fixture, &live), VGPU_ERR_USAGE, "longer than");
    register_vm(fixture, "abc123");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(the_state_is_read),
        TEST(without_a_daemon_it_says_so),
        TEST(answers_that_make_no_sense_are_refused),
        TEST(a_long_answer_is_read_whole),
        TEST(a_daemon_that_hangs_does_not_hang_its_askers),
        TEST(every_change_is_told_to_the_daemon),
        TEST(a_transaction_is_told_once_when_it_is_done),
        TEST(a_socket_path_too_long_is_said_to_be_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

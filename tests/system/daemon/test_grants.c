/* Guests of several VMs at one GPU: who holds it, who waits, and what becomes of it when one of them dies. */
#include "fixture.h"

#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Three VMs at GPU 0, one at GPU 1. A quantum that no test lives to see, unless options say otherwise. */
static struct fixture *start(void **state, const char *option)
{
    struct fixture *fixture = *state;
    fixture->options[0] = "--quantum=60s";
    fixture->options[1] = "--ageing=0";
    fixture->options[2] = option;
    vm_register(fixture, "low-1", 'A', VGPU_PRIORITY_LOW);
    vm_register(fixture, "low-2", 'A', VGPU_PRIORITY_LOW);
    vm_register(fixture, "high-1", 'A', VGPU_PRIORITY_HIGH);
    vm_register(fixture, "other", 'B', VGPU_PRIORITY_LOW);
    daemon_start(fixture);
    return fixture;
}

static void a_lone_vm_holds_until_others_come(void **state)
{
    struct fixture *fixture = start(state, NULL);
    int first = guest_open(fixture, "low-1");
    int second = guest_open(fixture, "low-2");
    guest_command(first, "w");
    guest_expect(first, "held");
    guest_command(second, "w");
    guest_expect(first, "contended");
    guest_expect_silence(second);
    guest_command(first, "r");
    guest_expect(second, "held");
    guest_command(first, "w");
    guest_expect(second, "contended");
    close(first); /* who waits leaves: the holder may stay */
    guest_expect(second, "held");
    close(second);
}

static void gpus_are_granted_independently(void **state)
{
    struct fixture *fixture = start(state, NULL);
    int one = guest_open(fixture, "low-1");
    int other = guest_open(fixture, "other");
    guest_command(one, "w");
    guest_expect(one, "held");
    guest_command(other, "w");
    guest_expect(other, "held");
    close(one);
    close(other);
}

static void a_quantum_ends_a_grant(void **state)
{
    struct fixture *fixture = start(state, "--quantum=300ms");
    int first = guest_open(fixture, "low-1");
    int second = guest_open(fixture, "low-2");
    guest_command(first, "w");
    guest_expect(first, "held");
    guest_command(second, "w"); /* before the quantum is over, most likely */
    guest_await(first, "revoked");
    guest_expect(second, "held");
    close(first);
    close(second);
}

static void a_higher_class_takes_the_gpu(void **state)
{
    struct fixture *fixture = start(state, NULL);
    int low = guest_open(fixture, "low-1");
    int high = guest_open(fixture, "high-1");
    guest_command(low, "w");
    guest_expect(low, "held");
    guest_command(high, "w");
    guest_expect(low, "revoked");
    guest_expect(high, "held");
    close(low);
    close(high);
}

static void a_class_change_counts_at_once(void **state)
{
    struct fixture *fixture = start(state, NULL);
    struct vgpu_error err;
    int first = guest_open(fixture, "low-1");
    int second = guest_open(fixture, "low-2");
    guest_command(first, "w");
    guest_expect(first, "held");
    guest_command(second, "w");
    guest_expect(first, "contended");
    const struct vgpu_vm_update raise = {.fields = VGPU_VM_PRIORITY, .priority = VGPU_PRIORITY_MEDIUM};
    assert_int_equal(vgpu_update_vm(fixture->vgpu, "low-2", &raise, NULL, &err), VGPU_OK);
    guest_expect(first, "revoked");
    guest_expect(second, "held");
    close(first);
    close(second);
}

static void a_holder_that_crashes_frees_the_gpu(void **state)
{
    struct fixture *fixture = start(state, NULL);
    const char *const ways[] = {"x", "q", "k", "b"};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        int first = guest_open(fixture, "low-1");
        int second = guest_open(fixture, "low-2");
        guest_command(first, "w");
        guest_expect(first, "held");
        guest_command(second, "w");
        guest_expect(first, "contended");
        guest_command(first, ways[i]);
        guest_expect(second, "held");
        guest_expect_end(first);
        close(second);
    }
}

static void a_guest_that_dies_frees_the_gpu(void **state)
{
    struct fixture *fixture = start(state, NULL);
    int first = guest_open(fixture, "low-1");
    int second = guest_open(fixture, "low-2");
    guest_command(first, "w");
    guest_expect(first, "held");
    guest_command(second, "w");
    guest_expect(first, "contended");
    close(first);
    guest_expect(second, "held");
    close(second);
}

static void a_revoke_ignored_for_too_long_ends_the_worker(void **state)
{
    struct fixture *fixture = start(state, "--drain_timeout=30ms");
    int low = guest_open(fixture, "low-1");
    int high = guest_open(fixture, "high-1");
    guest_command(low, "iw");
    guest_expect(low, "held");
    guest_command(high, "w");
    guest_expect(low, "revoked");
    guest_expect_end(low);
    guest_expect(high, "held");
    assert_true(daemon_has_logged(fixture, "(drain_timeout); killing it"));
    close(high);
}

static void processes_of_one_vm_share_its_grant(void **state)
{
    struct fixture *fixture = start(state, NULL);
    int first = guest_open(fixture, "low-1");
    int late = guest_open(fixture, "low-1");
    int high = guest_open(fixture, "high-1");
    guest_command(first, "wi");
    guest_expect(first, "held");
    guest_command(late, "w");
    guest_expect(late, "held");

    /* The VM has given back when both have. */
    guest_command(high, "w");
    guest_expect(late, "revoked");
    guest_expect(first, "revoked");
    guest_command(late, "w"); /* in vain, while the VM drains */
    guest_expect_silence(high);
    guest_expect_silence(late);
    guest_command(first, "r");
    guest_await(high, "contended"); /* late has asked */
    guest_command(high, "r");
    guest_expect(late, "held");
    close(first);
    close(late);
    close(high);
}

static void a_process_that_dies_waiting_asks_no_more(void **state)
{
    struct fixture *fixture = start(state, NULL);
    int holder = guest_open(fixture, "low-2");
    int idle = guest_open(fixture, "low-1");
    int asking = guest_open(fixture, "low-1");
    guest_command(holder, "w");
    guest_expect(holder, "held");
    guest_command(asking, "w");
    guest_expect(holder, "contended");
    guest_command(asking, "x");
    guest_expect(holder, "held"); /* idle is of the same VM, and has not asked */
    close(holder);
    close(idle);
    close(asking);
}

static void the_last_process_to_drain_may_die_instead(void **state)
{
    struct fixture *fixture = start(state, NULL);
    int first = guest_open(fixture, "low-1");
    int second = guest_open(fixture, "low-1");
    int high = guest_open(fixture, "high-1");
    guest_command(first, "wi");
    guest_expect(first, "held");
    guest_command(second, "w");
    guest_expect(second, "held");
    guest_command(high, "w");
    guest_expect(first, "revoked");
    guest_expect(second, "revoked");
    guest_command(first, "x");
    guest_expect(high, "held");
    close(first);
    close(second);
    close(high);
}

static void messages_that_cross_do_no_harm(void **state)
{
    struct fixture *fixture = start(state, NULL);
    int first = guest_open(fixture, "low-1");
    int second = guest_open(fixture, "low-2");
    guest_command(first, "d"); /* two lanes ask for the same grant */
    guest_expect(first, "held");
    guest_command(second, "w");
    guest_expect(first, "contended");
    guest_command(first, "oma"); /* an old release, and nonsense */
    char line[9000];
    assert_true(guest_line(first, line, sizeof line));
    for (int i = 0; i < 3; i++) /* the daemon has come round, and so read what was sent before */
        json_decref(admin_ask(fixture, "{\"op\":\"state\"}"));
    guest_command(first, "s"); /* a want that overtakes its release */
    guest_await(second, "contended");
    guest_command(second, "r");
    guest_expect(first,
                 "held"); /* no ghost of the second want of the beginning, and the last one is not lost */
    close(first);
    close(second);
}

static void who_dies_asking_again_leaves_no_ghost(void **state)
{
    struct fixture *fixture = start(state, NULL);
    int first = guest_open(fixture, "low-1");
    int idle = guest_open(fixture, "low-1"); /* the VM stays when the other has gone */
    int high = guest_open(fixture, "high-1");
    guest_command(first, "w");
    guest_expect(first, "held");
    char line[9000];
    guest_command(first, "ia");
    assert_true(guest_line(first, line, sizeof line)); /* it ignores a revoke from here on */
    guest_command(high, "w");
    guest_expect(first, "revoked");
    guest_command(first, "wa"); /* a want that overtakes its release, which never comes */
    assert_true(guest_line(first, line, sizeof line));
    for (int i = 0; i < 3; i++) /* the daemon has come round, and so read the want */
        json_decref(admin_ask(fixture, "{\"op\":\"state\"}"));
    guest_command(first, "x");
    guest_expect(high, "held"); /* nobody else waits */
    guest_command(high, "r");
    guest_command(idle, "w");
    guest_expect(idle, "held");
    close(first);
    close(idle);
    close(high);
}

static bool two_wait(const json_t *state, const void *argument)
{
    return json_array_size(json_object_get(json_array_get(json_object_get(state, "gpus"), 0), "waiting")) ==
           2;
}

static void an_early_release_may_cross_a_revoke(void **state)
{
    struct fixture *fixture = start(state, NULL);
    int low = guest_open(fixture, "low-1");
    int other = guest_open(fixture, "low-2");
    int high = guest_open(fixture, "high-1");
    guest_command(low, "w");
    guest_expect(low, "held");
    guest_command(other, "w");
    guest_expect(low, "contended");
    guest_command(low, "pa"); /* its own gate is closed ... */
    char line[9000];
    assert_true(guest_line(low, line, sizeof line));
    guest_command(high, "w"); /* ... when the daemon revokes */
    admin_wait(fixture, two_wait, NULL);
    guest_command(low, "r");
    guest_expect(high, "contended");
    guest_command(low, "w");
    guest_command(high, "r");
    guest_await(other, "contended");
    guest_command(other, "r");
    guest_expect(low, "held"); /* it lives */
    close(low);
    close(other);
    close(high);
}

static bool low_1_asked(const json_t *state, const void *argument)
{
    return state_vm(state, "low-1", "grants") == 1;
}

static void a_want_answered_already_asks_for_nothing(void **state)
{
    struct fixture *fixture = start(state, NULL);
    int first = guest_open(fixture, "low-1");
    guest_command(first, "d");
    guest_expect(first, "held");
    guest_command(first, "r");
    int second = guest_open(fixture, "low-2");
    guest_command(second, "w");
    guest_expect(second, "held"); /* not "contended": low-1 does not wait */
    admin_wait(fixture, low_1_asked, NULL);
    close(first);
    close(second);
}

static void time_slices_let_a_higher_class_in_at_once(void **state)
{
    struct fixture *fixture = start(state, NULL);
    int low = guest_open(fixture, "low-1");
    int high = guest_open(fixture, "high-1");
    guest_command(low, "tw");
    guest_expect(low, "held short");
    guest_command(high, "tw");
    guest_expect(high, "held long");
    guest_expect_silence(low); /* it goes on, and need not be told anything */
    json_t *answer = admin_ask(fixture, "{\"op\":\"state\"}");
    const json_t *gpu = json_array_get(json_object_get(answer, "gpus"), 0);
    assert_string_equal(json_string_value(json_object_get(gpu, "holder")), "high-1");
    assert_string_equal(json_string_value(json_object_get(gpu, "background")), "low-1");
    json_decref(answer);
    guest_command(low, "r");
    guest_command(low, "w"); /* into the gaps that high leaves */
    guest_expect(low, "held short");
    guest_expect_silence(high);
    close(low);
    close(high);
}

static void the_background_has_room_for_one(void **state)
{
    struct fixture *fixture = start(state, NULL);
    int first = guest_open(fixture, "low-1");
    int second = guest_open(fixture, "low-2");
    int high = guest_open(fixture, "high-1");
    guest_command(first, "tw");
    guest_expect(first, "held short");
    guest_command(high, "tw");
    guest_expect(high, "held long");
    guest_command(second, "tw");
    guest_expect(first, "contended short");
    guest_command(first, "x"); /* whoever dies in the background makes room, too */
    guest_expect(second, "held short");
    guest_expect_silence(high);
    close(first);
    close(second);
    close(high);
}

static void who_follows_no_slices_shares_with_nobody(void **state)
{
    struct fixture *fixture = start(state, NULL);
    int low = guest_open(fixture, "low-1");
    int late = guest_open(fixture, "low-1"); /* another process of that VM, which cannot */
    int high = guest_open(fixture, "high-1");
    guest_command(low, "tw");
    guest_expect(low, "held short");
    guest_command(high, "tw");
    guest_expect(high, "held long");
    guest_command(late, "w");
    guest_await(low, "revoked");
    guest_command(high, "r");
    guest_await(late, "held");
    close(low);
    close(late);
    close(high);
}

static void a_guest_that_dies_at_the_front_leaves_it_to_the_background(void **state)
{
    struct fixture *fixture = start(state, NULL);
    int low = guest_open(fixture, "low-1");
    int other = guest_open(fixture, "low-2");
    int high = guest_open(fixture, "high-1");
    guest_command(low, "tw");
    guest_expect(low, "held short");
    guest_command(high, "tw");
    guest_expect(high, "held long");
    guest_command(high, "x");
    guest_expect_end(high);
    guest_command(other, "tw");
    guest_expect(low, "contended short"); /* it is at the front now: one of low's place for another */
    guest_command(low, "r");
    guest_expect(other, "held short");
    close(low);
    close(other);
    close(high);
}

static size_t grants_of(struct fixture *fixture, struct vgpu_grant **grants)
{
    struct vgpu_error err;
    size_t count;
    assert_int_equal(vgpu_list_grants(fixture->vgpu, NULL, grants, &count, &err), VGPU_OK);
    return count;
}

static void every_grant_is_logged(void **state)
{
    struct fixture *fixture = start(state, NULL);
    int low = guest_open(fixture, "low-1");
    int high = guest_open(fixture, "high-1");
    guest_command(low, "w");
    guest_expect(low, "held");
    guest_command(high, "w");
    guest_expect(low, "revoked");
    guest_expect(high, "held");
    guest_command(high, "r");
    guest_command(low, "w");
    guest_expect(low, "held");
    guest_command(low, "x");
    guest_expect_end(low);
    close(high);
    assert_int_equal(daemon_stop(fixture), 0);

    static const struct {
        const char *vm, *reason;
        int priority;
    } expected[] = {{"low-1", "revoked", 0}, {"high-1", "idle", 2}, {"low-1", "exit", 0}};
    struct vgpu_grant *grants;
    assert_int_equal(grants_of(fixture, &grants), 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(grants[i].vm_uuid, expected[i].vm);
        assert_string_equal(grants[i].reason, expected[i].reason);
        assert_int_equal(grants[i].priority, expected[i].priority);
        assert_int_equal(grants[i].gpu_id, 0);
        assert_true(grants[i].asked_us <= grants[i].got_us && grants[i].got_us <= grants[i].gave_back_us);
        if (i > 0) /* one grant on a GPU at a time */
            assert_true(grants[i - 1].gave_back_us <= grants[i].got_us);
    }
    vgpu_free(grants);
}

static void database_run(const struct fixture *fixture, const char *sql)
{
    char path[200];
    sqlite3 *database;
    snprintf(path, sizeof path, "%s/vgpu.db", fixture->state_dir);
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    sqlite3_busy_timeout(database, 10000);
    assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(database);
}

static void log_wait(const struct fixture *fixture, const char *text)
{
    for (int tries = 0; !daemon_has_logged(fixture, text); tries++) {
        if (tries == 4000)
            fail_msg("the log does not come to say '%s'", text);
        usleep(5000);
    }
}

/* A full disk, played by a table that refuses rows. */
static void a_log_that_cannot_be_written_stops_nobody(void **state)
{
    struct fixture *fixture = start(state, NULL);
    int guest = guest_open(fixture, "low-1");
    database_run(fixture,
                 "CREATE TRIGGER full BEFORE INSERT ON grants BEGIN SELECT RAISE(ABORT, 'no room'); END");
    guest_command(guest, "w");
    guest_expect(guest, "held");
    guest_command(guest, "rw");
    log_wait(fixture, "the log of grants has a gap from here on");
    guest_expect(guest, "held");
    database_run(fixture, "DROP TRIGGER full");
    guest_command(guest, "r");
    log_wait(fixture, "the log of grants goes on; 1 are missing");
    close(guest);
}

static bool all_gone(const json_t *state, const void *argument)
{
    return state_vm(state, "low-1", "processes") == 0 && state_vm(state, "low-2", "processes") == 0 &&
           state_vm(state, "high-1", "processes") == 0;
}

/* Fifty guests come, ask and die in random ways; after each a witness still gets its turn. */
static void guests_die_at_random_and_nobody_else_notices(void **state)
{
    struct fixture *fixture = start(state, "--quantum=1ms");
    const char *const vms[] = {"low-1", "low-2", "high-1"};
    const char *const ways[] = {"x", "wx", "wq", "wk", "wb", "w", "wi", "wws", "wm", "wr", "wrwx", ""};
    unsigned seed = 20261123;
    int guests[50];
    int witness = guest_open(fixture, "low-2");
    for (int i = 0; i < 50; i++) {
        guests[i] = guest_connect(fixture, vms[rand_r(&seed) % 3]);
        guest_command(guests[i], ways[(size_t)rand_r(&seed) % (sizeof ways / sizeof *ways)]);
        if (rand_r(&seed) % 2) {
            close(guests[i]);
            guests[i] = -1;
        }
    }
    guest_command(witness, "w");
    for (int i = 0; i < 50; i++) {
        if (guests[i] >= 0)
            close(guests[i]);
    }
    char line[64];
    assert_true(guest_line(witness, line, sizeof line)); /* its turn has come */
    close(witness);
    admin_wait(fixture, all_gone, NULL);
    assert_int_equal(daemon_stop(fixture), 0);

    struct vgpu_grant *grants;
    size_t count = grants_of(fixture, &grants);
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++) /* written in the order in which they ended */
            assert_true(grants[j].gave_back_us <= grants[i].got_us);
    }
    vgpu_free(grants);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_lone_vm_holds_until_others_come),
        TEST(gpus_are_granted_independently),
        TEST(a_quantum_ends_a_grant),
        TEST(a_higher_class_takes_the_gpu),
        TEST(a_class_change_counts_at_once),
        TEST(a_holder_that_crashes_frees_the_gpu),
        TEST(a_guest_that_dies_frees_the_gpu),
        TEST(a_revoke_ignored_for_too_long_ends_the_worker),
        TEST(processes_of_one_vm_share_its_grant),
        TEST(a_process_that_dies_waiting_asks_no_more),
        TEST(the_last_process_to_drain_may_die_instead),
        TEST(messages_that_cross_do_no_harm),
        TEST(who_dies_asking_again_leaves_no_ghost),
        TEST(an_early_release_may_cross_a_revoke),
        TEST(a_want_answered_already_asks_for_nothing),
        TEST(time_slices_let_a_higher_class_in_at_once),
        TEST(the_background_has_room_for_one),
        TEST(who_follows_no_slices_shares_with_nobody),
        TEST(a_guest_that_dies_at_the_front_leaves_it_to_the_background),
        TEST(every_grant_is_logged),
        TEST(a_log_that_cannot_be_written_stops_nobody),
        TEST(guests_die_at_random_and_nobody_else_notices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

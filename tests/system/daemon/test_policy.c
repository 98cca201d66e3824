/* Limits and quarantine while vgpud runs: what workers and guests see of them. */
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void expect_refusal(int guest, enum handshake_status status, const char *text)
{
    struct server_welcome welcome = guest_welcome(guest);
    assert_int_equal(welcome.status, status);
    if (!strstr(welcome.text, text))
        fail_msg("'%s' does not say '%s'", welcome.text, text);
    guest_expect_end(guest);
}

/* value -1: not to be set any more. */
static struct vgpu_limits one_limit(enum vgpu_limit limit, int64_t value)
{
    struct vgpu_limits limits = {.set = 0};
    if (value < 0)
        limits.cleared = 1u << limit;
    else
        limits.set = 1u << limit;
    limits.values[limit] = value;
    return limits;
}

static void set_vm_limit(struct fixture *fixture, enum vgpu_limit limit, int64_t value)
{
    struct vgpu_error err;
    const struct vgpu_vm_update update = {.fields = VGPU_VM_LIMITS, .limits = one_limit(limit, value)};
    if (vgpu_update_vm(fixture->vgpu, "abc123", &update, NULL, &err) != VGPU_OK)
        fail_msg("%s", err.message);
}

static void set_pool_limit(struct fixture *fixture, enum vgpu_limit limit, int64_t value)
{
    struct vgpu_error err;
    struct vgpu_limits change = one_limit(limit, value);
    if (vgpu_set_pool_limits(fixture->vgpu, 'A', &change, NULL, &err) != VGPU_OK)
        fail_msg("%s", err.message);
}

static void set_quarantine(struct fixture *fixture, bool quarantined)
{
    struct vgpu_error err;
    const struct vgpu_vm_update update = {
        .fields = VGPU_VM_QUARANTINE, .quarantined = quarantined, .quarantine_reason = "mines coins"};
    if (vgpu_update_vm(fixture->vgpu, "abc123", &update, NULL, &err) != VGPU_OK)
        fail_msg("%s", err.message);
}

static struct vgpu_vm get_vm(struct fixture *fixture)
{
    struct vgpu_vm vm;
    struct vgpu_error err;
    if (vgpu_get_vm(fixture->vgpu, "abc123", &vm, &err) != VGPU_OK)
        fail_msg("%s", err.message);
    return vm;
}

static void limits_reach_workers_while_they_run(void **state)
{
    struct fixture *fixture = *state;
    fixture->options[0] = "--memory-limit=1G";
    vm_register(fixture, "abc123", 'A', VGPU_PRIORITY_LOW);
    daemon_start(fixture);
    int guest = guest_open(fixture, "abc123");
    guest_command(guest, "l");
    guest_expect(guest, "limits 1073741824 0 0 0 0 0 0");
    set_pool_limit(fixture, VGPU_LIMIT_MEMORY, 2 << 20);
    set_pool_limit(fixture, VGPU_LIMIT_CALL_RATE, 1000);
    guest_command(guest, "l");
    guest_expect(guest, "limits 2097152 0 1000 100 0 0 0");
    set_vm_limit(fixture, VGPU_LIMIT_MEMORY, 3 << 20);
    set_vm_limit(fixture, VGPU_LIMIT_TIME_LIMIT, 5000);
    set_vm_limit(fixture, VGPU_LIMIT_BYTE_RATE, 1 << 20);
    set_vm_limit(fixture, VGPU_LIMIT_BYTE_BURST, 4096);
    set_vm_limit(fixture, VGPU_LIMIT_QUEUE_DEPTH, 7);
    guest_command(guest, "l");
    guest_expect(guest, "limits 3145728 5000 1000 100 1048576 4096 7");
    set_vm_limit(fixture, VGPU_LIMIT_MEMORY, -1);
    set_pool_limit(fixture, VGPU_LIMIT_MEMORY, -1);
    guest_command(guest, "l");
    guest_expect(guest, "limits 1073741824 5000 1000 100 1048576 4096 7");
    int later = guest_open(fixture, "abc123");
    guest_command(later, "l");
    guest_expect(later, "limits 1073741824 5000 1000 100 1048576 4096 7");
    close(later);
    close(guest);
}

/* Of the daemon that runs, and not of the file that whoever asks would read. */
static void the_daemon_tells_its_own_defaults(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_limits defaults;
    fixture->options[0] = "--memory-limit=1G";
    fixture->options[1] = "--ageing=0";
    assert_int_equal(vgpu_get_default_limits(fixture->vgpu, &defaults, NULL), VGPU_OK);
    assert_int_equal(defaults.values[VGPU_LIMIT_MEMORY], 0);
    daemon_start(fixture);
    assert_int_equal(vgpu_get_default_limits(fixture->vgpu, &defaults, NULL), VGPU_OK);
    assert_int_equal(defaults.values[VGPU_LIMIT_MEMORY], 1 << 30);
    assert_int_equal(defaults.values[VGPU_LIMIT_AGEING], 0);
    assert_int_equal(defaults.values[VGPU_LIMIT_PROCESSES], 64);
}

static void the_number_of_processes_changes_at_once(void **state)
{
    struct fixture *fixture = *state;
    vm_register(fixture, "abc123", 'A', VGPU_PRIORITY_LOW);
    daemon_start(fixture);
    int first = guest_open(fixture, "abc123");
    set_vm_limit(fixture, VGPU_LIMIT_PROCESSES, 1);
    expect_refusal(guest_connect(fixture, "abc123"), HANDSHAKE_BUSY, "VM abc123 has 1 guest process already");
    set_vm_limit(fixture, VGPU_LIMIT_PROCESSES, 2);
    close(guest_open(fixture, "abc123"));
    close(first);
}

static void quarantine_ends_and_refuses_until_release(void **state)
{
    struct fixture *fixture = *state;
    static const char text[] =
        "VM abc123 is in quarantine: mines coins; ask the host's administrator (vgpu-admin release)";
    char line[256];
    vm_register(fixture, "abc123", 'A', VGPU_PRIORITY_LOW);
    vm_register(fixture, "def456", 'A', VGPU_PRIORITY_LOW);
    daemon_start(fixture);
    int guest = guest_open(fixture, "abc123");
    int other = guest_open(fixture, "def456");
    set_quarantine(fixture, true);
    snprintf(line, sizeof line, "end %s", text);
    guest_expect(guest, line);
    guest_expect_end(guest);
    expect_refusal(guest_connect(fixture, "abc123"), HANDSHAKE_QUARANTINED, text);
    guest_command(other, "w");
    guest_expect(other, "held");
    close(other);
    assert_int_equal(daemon_stop(fixture), 0);
    daemon_start(fixture);
    expect_refusal(guest_connect(fixture, "abc123"), HANDSHAKE_QUARANTINED, text);
    set_quarantine(fixture, false);
    close(guest_open(fixture, "abc123"));
}

/* Until the daemon has written it down. */
static void await_quarantine(struct fixture *fixture)
{
    for (int i = 0; i < 2000 && !get_vm(fixture).quarantined; i++)
        usleep(10000);
    assert_true(get_vm(fixture).quarantined);
}

static void crash_one(struct fixture *fixture)
{
    int guest = guest_open(fixture, "abc123");
    guest_command(guest, "x");
    guest_expect_end(guest);
}

static void faults_lead_into_quarantine(void **state)
{
    struct fixture *fixture = *state;
    fixture->options[0] = "--max-faults=3";
    fixture->options[1] = "--quantum=60s"; /* nothing is revoked but for what the test does */
    vm_register(fixture, "abc123", 'A', VGPU_PRIORITY_LOW);
    vm_register(fixture, "def456", 'A', VGPU_PRIORITY_LOW);
    daemon_start(fixture);
    crash_one(fixture);
    crash_one(fixture);
    int witness = guest_open(fixture, "abc123"); /* two are not too many */
    int other = guest_open(fixture, "def456");
    int guest = guest_open(fixture, "abc123");
    char line[512];
    guest_command(guest, "w");
    guest_expect(guest, "held");
    guest_command(other, "w");
    guest_expect(guest, "contended");
    guest_command(guest, "b"); /* breaks its page, as the daemon sees when it says that it gives back */
    guest_expect(other, "held");
    while (guest_line(guest, line, sizeof line))
        ;
    close(guest);
    guest_await(witness,
                "end VM abc123 is in quarantine: 3 faults within 600 s, the last: its worker broke the"
                " protocol; ask the host's administrator (vgpu-admin release)");
    await_quarantine(fixture);
    assert_string_equal(get_vm(fixture).quarantine_reason,
                        "3 faults within 600 s, the last: its worker broke the protocol");
    struct vgpu_change *changes = NULL;
    size_t count = 0;
    const struct vgpu_history_filter filter = {.vm_uuid = "abc123", .gpu_id = -1, .limit = 1};
    assert_int_equal(vgpu_list_changes(fixture->vgpu, &filter, &changes, &count, NULL), VGPU_OK);
    assert_string_equal(changes[0].field, "quarantine");
    assert_string_equal(changes[0].user_name, "vgpud");
    vgpu_free(changes);
    set_quarantine(fixture, false);
    close(other);
    crash_one(fixture); /* the count begins anew */
    close(guest_open(fixture, "abc123"));
}

/* What workers see themselves: an illegal address, work beyond its time. */
static void faults_counted_by_workers_count(void **state)
{
    struct fixture *fixture = *state;
    char line[256];
    vm_register(fixture, "abc123", 'A', VGPU_PRIORITY_LOW);
    daemon_start(fixture);
    set_vm_limit(fixture, VGPU_LIMIT_MAX_FAULTS, 2);
    int guest = guest_open(fixture, "abc123");
    guest_command(guest, "FT");
    assert_true(guest_line(guest, line, sizeof line));
    assert_non_null(strstr(line, "end VM abc123 is in quarantine: 2 faults within 600 s"));
    guest_expect_end(guest);
    await_quarantine(fixture);
}

static void no_limit_of_faults_is_no_quarantine(void **state)
{
    struct fixture *fixture = *state;
    fixture->options[0] = "--max-faults=0";
    vm_register(fixture, "abc123", 'A', VGPU_PRIORITY_LOW);
    daemon_start(fixture);
    for (int i = 0; i < 5; i++)
        crash_one(fixture);
    close(guest_open(fixture, "abc123"));
    assert_false(get_vm(fixture).quarantined);
}

static bool four_processes(const json_t *state, const void *argument)
{
    return state_vm(state, argument, "processes") == 4;
}

/* abc123 has workers that never come to serve: it gets four at a time, and nobody else waits for them. */
static void a_vm_that_forks_without_end_is_alone_in_waiting(void **state)
{
    struct fixture *fixture = *state;
    int guests[20];
    fixture->environment[0] = "VGPU_DEBUG_FAKE_WORKER=silent-abc123";
    vm_register(fixture, "abc123", 'A', VGPU_PRIORITY_LOW);
    vm_register(fixture, "def456", 'A', VGPU_PRIORITY_LOW);
    daemon_start(fixture);
    for (size_t i = 0; i < 20; i++)
        guests[i] = guest_connect(fixture, "abc123");
    admin_wait(fixture, four_processes, "abc123");
    for (int i = 0; i < 5; i++)
        close(guest_open(fixture, "def456"));
    admin_wait(fixture, four_processes, "abc123");
    /* Those that wait count as processes of the VM, and are told when they come in vain. */
    set_vm_limit(fixture, VGPU_LIMIT_PROCESSES, 20);
    expect_refusal(guest_connect(fixture, "abc123"), HANDSHAKE_BUSY, "VM abc123 has 20 guest processes");
    set_quarantine(fixture, true);
    expect_refusal(guests[19], HANDSHAKE_QUARANTINED, "mines coins");
    for (size_t i = 0; i < 19; i++)
        close(guests[i]);
}

/* Who leaves while it waits keeps nobody from being served. */
static void who_waits_is_served_in_its_turn(void **state)
{
    struct fixture *fixture = *state;
    int guests[12];
    vm_register(fixture, "abc123", 'A', VGPU_PRIORITY_LOW);
    daemon_start(fixture);
    for (size_t i = 0; i < 12; i++)
        guests[i] = guest_connect(fixture, "abc123");
    close(guests[9]);
    for (size_t i = 0; i < 12; i++) {
        if (i == 9)
            continue;
        assert_int_equal(guest_welcome(guests[i]).status, HANDSHAKE_OK);
        close(guests[i]);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(limits_reach_workers_while_they_run),
        TEST(the_daemon_tells_its_own_defaults),
        TEST(the_number_of_processes_changes_at_once),
        TEST(quarantine_ends_and_refuses_until_release),
        TEST(faults_lead_into_quarantine),
        TEST(faults_counted_by_workers_count),
        TEST(no_limit_of_faults_is_no_quarantine),
        TEST(a_vm_that_forks_without_end_is_alone_in_waiting),
        TEST(who_waits_is_served_in_its_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

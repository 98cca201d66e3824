/* Limits and quarantine: what is set is there afterwards, and every change is in the history. */
#include "base/limit.h"
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_vm(struct fixture *fixture)
{
    struct vgpu_vm vm = make_vm(1, "abc123", 'A', VGPU_PRIORITY_LOW);
    limits_set(&vm.limits, VGPU_LIMIT_WEIGHT, 4);
    assert_done(fixture, store_register_vm(fixture->store, &vm, NULL, &fixture->err));
}

static struct vgpu_vm get_vm(struct fixture *fixture)
{
    struct vgpu_vm vm;
    assert_done(fixture, store_get_vm(fixture->store, "abc123", &vm, &fixture->err));
    return vm;
}

static void update(struct fixture *fixture, uint32_t fields, const struct vgpu_vm *values)
{
    assert_done(fixture, store_update_vm(fixture->store, "abc123", fields, values, NULL, &fixture->err));
}

/* "weight 4>-, memory ->16G": the changes of fields since the start, oldest first. */
static const char *field_changes(const struct fixture *fixture)
{
    return fixture_sql_value(fixture,
                             "SELECT group_concat(field || ' ' || coalesce(old_value, '-') || '>' ||"
                             " coalesce(new_value, '-'), ', ') FROM changes WHERE field IS NOT NULL");
}

/* Every limit, each with a value of its own: none lands in another's column. */
static void each_limit_is_found_again(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_vm values = {.vm_id = 0};
    struct vgpu_limits of_pool = {.set = 0}, updated;
    add_vm(fixture);
    for (int limit = 0; limit < VGPU_LIMIT_COUNT; limit++)
        limits_set(limit < VGPU_LIMIT_MODE ? &values.limits : &of_pool, (enum vgpu_limit)limit, 10 + limit);
    for (int limit = 0; limit < VGPU_LIMIT_COUNT; limit++)
        limits_set(&of_pool, (enum vgpu_limit)limit, 30 + limit);
    update(fixture, VGPU_VM_LIMITS, &values);
    assert_done(fixture, store_set_pool_limits(fixture->store, 'A', &of_pool, &updated, &fixture->err));
    assert_true(limits_equal(&updated, &of_pool));
    fixture_reopen(fixture);
    struct vgpu_vm vm = get_vm(fixture);
    assert_true(limits_equal(&vm.limits, &values.limits));
    struct vgpu_snapshot snapshot;
    assert_done(fixture, store_get_snapshot(fixture->store, &snapshot, &fixture->err));
    assert_true(limits_equal(&snapshot.pools[0].limits, &of_pool));
    assert_int_equal(snapshot.pools[1].limits.set, 0);
    assert_true(limits_equal(&snapshot.vms[0].limits, &values.limits));
    store_snapshot_fini(&snapshot);
    for (int limit = 0; limit < VGPU_LIMIT_COUNT; limit++) {
        char sql[128];
        char value[16];
        snprintf(sql, sizeof sql, "SELECT %s FROM pools WHERE pool_id = 'A'",
                 limit_describe((enum vgpu_limit)limit)->member);
        snprintf(value, sizeof value, "%d", 30 + limit);
        assert_string_equal(fixture_sql_value(fixture, sql), value);
    }
}

static void a_change_names_what_differs(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_vm values = {.vm_id = 0};
    add_vm(fixture);
    limits_set(&values.limits, VGPU_LIMIT_MEMORY, INT64_C(16) << 30);
    values.limits.cleared = 1u << VGPU_LIMIT_WEIGHT | 1u << VGPU_LIMIT_PROCESSES;
    update(fixture, VGPU_VM_LIMITS, &values);
    update(fixture, VGPU_VM_LIMITS, &values);
    assert_string_equal(field_changes(fixture), "weight 4>-, memory ->16G");
    struct vgpu_vm vm = get_vm(fixture);
    assert_int_equal(vm.limits.set, 1u << VGPU_LIMIT_MEMORY);
    struct vgpu_vm other = {.priority = VGPU_PRIORITY_HIGH};
    update(fixture, VGPU_VM_PRIORITY, &other);
    vm = get_vm(fixture);
    assert_int_equal(vm.limits.values[VGPU_LIMIT_MEMORY], INT64_C(16) << 30);
}

static void a_pool_that_is_not_there_has_no_limits(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_limits change = {.set = 0};
    limits_set(&change, VGPU_LIMIT_MODE, 4);
    assert_refused(fixture, store_set_pool_limits(fixture->store, 'Q', &change, NULL, &fixture->err),
                   VGPU_ERR_NOT_FOUND, "no pool Q");
}

static void quarantine_is_kept_with_its_reason(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_vm values = {.quarantined = true, .quarantine_reason = "20 faults in 1min"};
    add_vm(fixture);
    update(fixture, VGPU_VM_QUARANTINE, &values);
    fixture_reopen(fixture);
    struct vgpu_vm vm = get_vm(fixture);
    assert_true(vm.quarantined);
    assert_string_equal(vm.quarantine_reason, "20 faults in 1min");
    assert_int_equal(strlen(vm.quarantined_at), strlen("2026-01-11 00:00:00"));
    update(fixture, VGPU_VM_QUARANTINE, &values);
    update(fixture, VGPU_VM_QUARANTINE, &(struct vgpu_vm){.quarantined = false});
    vm = get_vm(fixture);
    assert_false(vm.quarantined);
    assert_string_equal(vm.quarantine_reason, "");
    assert_string_equal(vm.quarantined_at, "");
    assert_string_equal(field_changes(fixture),
                        "quarantine ->20 faults in 1min, quarantine 20 faults in 1min>-");
}

/* A database of version 2 is this one without the columns of step 3. */
static void an_older_database_is_brought_up_to_date(void **state)
{
    struct fixture *fixture = *state;
    char sql[128];
    add_vm(fixture);
    store_close(fixture->store);
    fixture->store = NULL;
    for (int limit = 0; limit < VGPU_LIMIT_COUNT; limit++) {
        const char *member = limit_describe((enum vgpu_limit)limit)->member;
        snprintf(sql, sizeof sql, "ALTER TABLE pools DROP COLUMN %s", member);
        fixture_sql(fixture, sql);
        snprintf(sql, sizeof sql, "ALTER TABLE vms DROP COLUMN %s", member);
        if (limit < VGPU_LIMIT_MODE)
            fixture_sql(fixture, sql);
    }
    fixture_sql(fixture, "ALTER TABLE vms DROP COLUMN quarantined_at");
    fixture_sql(fixture, "ALTER TABLE vms DROP COLUMN quarantine_reason");
    fixture_sql(fixture, "PRAGMA user_version = 2");
    assert_done(fixture, store_open(fixture->path, &fixture->store, &fixture->err));
    struct vgpu_vm vm = get_vm(fixture);
    assert_int_equal(vm.limits.set, 0);
    assert_false(vm.quarantined);
    update(fixture, VGPU_VM_QUARANTINE, &(struct vgpu_vm){.quarantined = true});
    vm = get_vm(fixture);
    assert_true(vm.quarantined);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(each_limit_is_found_again),
        TEST(a_change_names_what_differs),
        TEST(a_pool_that_is_not_there_has_no_limits),
        TEST(quarantine_is_kept_with_its_reason),
        TEST(an_older_database_is_brought_up_to_date),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

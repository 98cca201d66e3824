/* The log of grants and the history of changes. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct vgpu_grant make_grant(int number, const char *vm_uuid, int32_t gpu_id)
{
    struct vgpu_grant grant = {.gpu_id = gpu_id, .priority = VGPU_PRIORITY_MEDIUM};
    snprintf(grant.vm_uuid, sizeof grant.vm_uuid, "%s", vm_uuid);
    snprintf(grant.vm_name, sizeof grant.vm_name, "VM-%s", vm_uuid);
    snprintf(grant.reason, sizeof grant.reason, "idle");
    grant.asked_us = 1000000 + number * 100;
    grant.got_us = grant.asked_us + 10;
    grant.gave_back_us = grant.asked_us + 90;
    return grant;
}

static void grants_are_read_back_oldest_first(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_grant batch[] = {make_grant(0, "a", 0), make_grant(1, "b", 1), make_grant(2, "a", 1)};
    assert_done(fixture, store_append_grants(fixture->store, batch, 3, 100, &fixture->err));
    fixture_reopen(fixture);
    struct vgpu_grant *grants = NULL;
    size_t count = 0;
    assert_done(fixture,
                store_list_grants(fixture->store,
                                  &(struct store_history_filter){.vm_uuid = NULL, .gpu_id = -1, .limit = 0},
                                  &grants, &count, &fixture->err));
    assert_int_equal(count, 3);
    assert_string_equal(grants[1].vm_uuid, "b");
    assert_string_equal(grants[1].vm_name, "VM-b");
    assert_int_equal(grants[1].gpu_id, 1);
    assert_int_equal(grants[1].priority, VGPU_PRIORITY_MEDIUM);
    assert_int_equal(grants[1].asked_us, 1000100);
    assert_int_equal(grants[1].got_us, 1000110);
    assert_int_equal(grants[1].gave_back_us, 1000190);
    assert_string_equal(grants[1].reason, "idle");
    assert_true(grants[0].grant_id < grants[1].grant_id);
    free(grants);

    assert_done(fixture,
                store_list_grants(fixture->store,
                                  &(struct store_history_filter){.vm_uuid = "a", .gpu_id = 1, .limit = 0},
                                  &grants, &count, &fixture->err));
    assert_int_equal(count, 1);
    assert_int_equal(grants[0].asked_us, 1000200);
    free(grants);
    assert_done(fixture,
                store_list_grants(fixture->store,
                                  &(struct store_history_filter){.vm_uuid = NULL, .gpu_id = -1, .limit = 2},
                                  &grants, &count, &fixture->err));
    assert_int_equal(count, 2);
    assert_string_equal(grants[0].vm_uuid, "b"); /* the newest two */
    free(grants);
}

static void only_the_newest_grants_are_kept(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_grant batch[50];
    for (int i = 0; i < 50; i++)
        batch[i] = make_grant(i, "a", 0);
    assert_done(fixture, store_append_grants(fixture->store, batch, 50, 30, &fixture->err));
    assert_done(fixture, store_append_grants(fixture->store, batch, 5, 30, &fixture->err));
    struct vgpu_grant *grants = NULL;
    size_t count = 0;
    assert_done(fixture,
                store_list_grants(fixture->store,
                                  &(struct store_history_filter){.vm_uuid = NULL, .gpu_id = -1, .limit = 0},
                                  &grants, &count, &fixture->err));
    assert_int_equal(count, 30);
    assert_int_equal(grants[0].asked_us, batch[25].asked_us);
    assert_int_equal(grants[29].asked_us, batch[4].asked_us);
    free(grants);
}

static void every_change_says_who_what_from_and_to(void **state)
{
    struct fixture *fixture = *state;
    store_set_actor(fixture->store, 1234, "alice");
    struct vgpu_vm vm = make_vm(1, "abc123", 'A', VGPU_PRIORITY_LOW);
    assert_done(fixture, store_register_vm(fixture->store, &vm, NULL, &fixture->err));
    struct vgpu_vm values = {.pool = 'B', .priority = VGPU_PRIORITY_HIGH};
    uint32_t fields = VGPU_VM_POOL | VGPU_VM_PRIORITY;
    assert_done(fixture, store_update_vm(fixture->store, "abc123", fields, &values, NULL, &fixture->err));
    /* The same again is no change. */
    assert_done(fixture, store_update_vm(fixture->store, "abc123", fields, &values, NULL, &fixture->err));
    struct vgpu_vm taken = make_vm(1, "def456", 'A', VGPU_PRIORITY_LOW);
    assert_int_equal(store_register_vm(fixture->store, &taken, NULL, &fixture->err), VGPU_ERR_EXISTS);
    assert_done(fixture, store_remove_vm(fixture->store, "abc123", NULL, &fixture->err));

    struct vgpu_change *changes = NULL;
    size_t count = 0;
    assert_done(fixture, store_list_changes(
                             fixture->store,
                             &(struct store_history_filter){.vm_uuid = "abc123", .gpu_id = -1, .limit = 0},
                             &changes, &count, &fixture->err));
    assert_int_equal(count, 4);
    assert_string_equal(changes[0].action, "register-vm");
    assert_string_equal(changes[0].subject, "vm abc123");
    assert_string_equal(changes[0].new_value, "vm-id 1, pool A, low");
    assert_string_equal(changes[0].old_value, "");
    assert_string_equal(changes[0].user_name, "alice");
    assert_int_equal(changes[0].uid, 1234);
    assert_true(changes[0].at_us > INT64_C(1700000000000000));
    assert_string_equal(changes[1].field, "pool");
    assert_string_equal(changes[1].old_value, "A");
    assert_string_equal(changes[1].new_value, "B");
    assert_string_equal(changes[2].field, "priority");
    assert_string_equal(changes[2].old_value, "low");
    assert_string_equal(changes[2].new_value, "high");
    assert_string_equal(changes[3].action, "remove-vm");
    free(changes);
    assert_string_equal(fixture_sql_value(fixture, "SELECT count(*) FROM changes"), "4");
}

static void gpu_and_pool_changes_are_recorded(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_gpu gpu = make_gpu(0, "GPU-aa", "0000:01:00.0");
    assert_done(fixture, store_apply_scan(fixture->store, &gpu, 1, NULL, &fixture->err));
    assert_done(fixture, store_apply_scan(fixture->store, &gpu, 1, NULL, &fixture->err));
    assert_done(fixture, store_add_pool(fixture->store, 'C', &fixture->err));
    assert_done(fixture, store_set_gpu_pools(fixture->store, 0, "AC", &fixture->err));
    struct vgpu_change *changes = NULL;
    size_t count = 0;
    assert_done(fixture,
                store_list_changes(fixture->store,
                                   &(struct store_history_filter){.vm_uuid = NULL, .gpu_id = -1, .limit = 0},
                                   &changes, &count, &fixture->err));
    assert_int_equal(count, 3);
    assert_string_equal(changes[0].action, "register-gpu");
    assert_string_equal(changes[0].subject, "gpu 0");
    assert_non_null(strstr(changes[0].new_value, "GPU-aa"));
    assert_string_equal(changes[1].subject, "pool C");
    assert_string_equal(changes[2].field, "pools");
    assert_string_equal(changes[2].new_value, "AC");
    free(changes);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(grants_are_read_back_oldest_first),
        TEST(only_the_newest_grants_are_kept),
        TEST(every_change_says_who_what_from_and_to),
        TEST(gpu_and_pool_changes_are_recorded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

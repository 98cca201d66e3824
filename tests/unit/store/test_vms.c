/* VMs and pools: what an administrator registers, changes and removes is what is there afterwards. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add(struct fixture *fixture, int32_t vm_id, const char *vm_uuid, char pool,
                enum vgpu_priority priority)
{
    struct vgpu_vm vm = make_vm(vm_id, vm_uuid, pool, priority);
    assert_done(fixture, store_register_vm(fixture->store, &vm, NULL, &fixture->err));
}

static size_t change_count(struct fixture *fixture)
{
    struct vgpu_change *changes = NULL;
    size_t count = 0;
    assert_done(fixture, store_list_changes(fixture->store, &(struct store_history_filter){.gpu_id = -1},
                                            &changes, &count, &fixture->err));
    free(changes);
    return count;
}

static void a_registered_vm_is_found_again(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_vm vm = make_vm(7, "abc123", 'B', VGPU_PRIORITY_HIGH);
    snprintf(vm.vm_name, sizeof vm.vm_name, "Büro");
    vm.vsock_cid = 42;
    struct vgpu_vm registered;
    assert_done(fixture, store_register_vm(fixture->store, &vm, &registered, &fixture->err));
    fixture_reopen(fixture);

    struct vgpu_vm found;
    assert_done(fixture, store_get_vm(fixture->store, "abc123", &found, &fixture->err));
    assert_int_equal(found.vm_id, 7);
    assert_string_equal(found.vm_uuid, "abc123");
    assert_string_equal(found.vm_name, "Büro");
    assert_int_equal(found.pool, 'B');
    assert_int_equal(found.priority, VGPU_PRIORITY_HIGH);
    assert_int_equal(found.vsock_cid, 42);
    assert_false(found.gpu_id.known);
    assert_int_equal(strlen(found.created_at), strlen("2026-01-11 00:00:00"));
    assert_string_equal(found.created_at, registered.created_at);
}

static void a_vm_without_a_name_is_called_after_its_id(void **state)
{
    struct fixture *fixture = *state;
    add(fixture, 3, "abc123", 'A', VGPU_PRIORITY_LOW);
    struct vgpu_vm vm;
    assert_done(fixture, store_get_vm(fixture->store, "abc123", &vm, &fixture->err));
    assert_string_equal(vm.vm_name, "VM-3");
    struct vgpu_vm values = {.vm_id = 9};
    assert_done(fixture, store_update_vm(fixture->store, "abc123", VGPU_VM_ID, &values, &vm, &fixture->err));
    assert_string_equal(vm.vm_name, "VM-9");
}

static void without_a_vm_id_the_lowest_free_one_is_taken(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_vm got;
    add(fixture, 1, "a", 'A', VGPU_PRIORITY_LOW);
    add(fixture, 3, "c", 'A', VGPU_PRIORITY_LOW);
    struct vgpu_vm vm = make_vm(0, "b", 'A', VGPU_PRIORITY_LOW);
    assert_done(fixture, store_register_vm(fixture->store, &vm, &got, &fixture->err));
    assert_int_equal(got.vm_id, 2);
    vm = make_vm(0, "d", 'A', VGPU_PRIORITY_LOW);
    assert_done(fixture, store_register_vm(fixture->store, &vm, &got, &fixture->err));
    assert_int_equal(got.vm_id, 4);

    /* Also inside one transaction, where ids come free and are taken. */
    assert_done(fixture, store_begin(fixture->store, &fixture->err));
    vm = make_vm(0, "e", 'A', VGPU_PRIORITY_LOW);
    assert_done(fixture, store_register_vm(fixture->store, &vm, &got, &fixture->err));
    assert_int_equal(got.vm_id, 5);
    assert_done(fixture, store_remove_vm(fixture->store, "b", NULL, &fixture->err));
    vm = make_vm(0, "f", 'A', VGPU_PRIORITY_LOW);
    assert_done(fixture, store_register_vm(fixture->store, &vm, &got, &fixture->err));
    assert_int_equal(got.vm_id, 2);
    assert_done(fixture, store_commit(fixture->store, &fixture->err));
}

static void what_is_taken_is_refused_and_named(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_vm vm = make_vm(1, "abc123", 'A', VGPU_PRIORITY_LOW);
    vm.vsock_cid = 5;
    assert_done(fixture, store_register_vm(fixture->store, &vm, NULL, &fixture->err));
    size_t changes = change_count(fixture);

    struct vgpu_vm same = make_vm(2, "abc123", 'B', VGPU_PRIORITY_HIGH);
    assert_refused(fixture, store_register_vm(fixture->store, &same, NULL, &fixture->err), VGPU_ERR_EXISTS,
                   "abc123");
    struct vgpu_vm same_id = make_vm(1, "def456", 'B', VGPU_PRIORITY_HIGH);
    assert_refused(fixture, store_register_vm(fixture->store, &same_id, NULL, &fixture->err), VGPU_ERR_EXISTS,
                   "vm-id 1 is taken by VM abc123 (VM-1)");
    struct vgpu_vm same_cid = make_vm(2, "def456", 'B', VGPU_PRIORITY_HIGH);
    same_cid.vsock_cid = 5;
    assert_refused(fixture, store_register_vm(fixture->store, &same_cid, NULL, &fixture->err),
                   VGPU_ERR_EXISTS, "vsock CID 5 is taken by VM abc123");
    struct vgpu_vm no_pool = make_vm(2, "def456", 'C', VGPU_PRIORITY_HIGH);
    assert_refused(fixture, store_register_vm(fixture->store, &no_pool, NULL, &fixture->err),
                   VGPU_ERR_NOT_FOUND, "no pool C: choose one of A, B");

    add(fixture, 2, "def456", 'B', VGPU_PRIORITY_HIGH);
    struct vgpu_vm values = {.vm_id = 1, .vsock_cid = 5, .pool = 'Z'};
    assert_refused(fixture,
                   store_update_vm(fixture->store, "def456", VGPU_VM_ID, &values, NULL, &fixture->err),
                   VGPU_ERR_EXISTS, "vm-id 1");
    assert_refused(fixture,
                   store_update_vm(fixture->store, "def456", VGPU_VM_VSOCK_CID, &values, NULL, &fixture->err),
                   VGPU_ERR_EXISTS, "vsock CID 5");
    assert_refused(fixture,
                   store_update_vm(fixture->store, "def456", VGPU_VM_POOL, &values, NULL, &fixture->err),
                   VGPU_ERR_NOT_FOUND, "no pool Z");
    assert_int_equal(change_count(fixture), changes + 1); /* def456 alone */
}

static void an_update_is_whole_or_not_at_all(void **state)
{
    struct fixture *fixture = *state;
    add(fixture, 1, "abc123", 'A', VGPU_PRIORITY_LOW);
    add(fixture, 2, "def456", 'A', VGPU_PRIORITY_LOW);
    struct vgpu_vm values = {.pool = 'B', .priority = VGPU_PRIORITY_HIGH, .vm_id = 2};
    uint32_t all = VGPU_VM_POOL | VGPU_VM_PRIORITY | VGPU_VM_ID;
    assert_refused(fixture, store_update_vm(fixture->store, "abc123", all, &values, NULL, &fixture->err),
                   VGPU_ERR_EXISTS, "vm-id 2");
    struct vgpu_vm vm;
    assert_done(fixture, store_get_vm(fixture->store, "abc123", &vm, &fixture->err));
    assert_int_equal(vm.pool, 'A');
    assert_int_equal(vm.priority, VGPU_PRIORITY_LOW);

    values.vm_id = 8;
    assert_done(fixture, store_update_vm(fixture->store, "abc123", all, &values, &vm, &fixture->err));
    assert_int_equal(vm.pool, 'B');
    assert_int_equal(vm.priority, VGPU_PRIORITY_HIGH);
    assert_int_equal(vm.vm_id, 8);
    assert_string_equal(fixture_sql_value(fixture, "SELECT pool_id || priority || vm_id FROM vms "
                                                   "WHERE vm_uuid = 'abc123'"),
                        "B28");
}

static void a_field_not_named_stays(void **state)
{
    struct fixture *fixture = *state;
    add(fixture, 1, "abc123", 'B', VGPU_PRIORITY_HIGH);
    struct vgpu_vm values = {.vm_id = 99, .pool = 'A', .vm_name = "x"};
    struct vgpu_vm vm;
    assert_done(fixture,
                store_update_vm(fixture->store, "abc123", VGPU_VM_NAME, &values, &vm, &fixture->err));
    assert_int_equal(vm.vm_id, 1);
    assert_int_equal(vm.pool, 'B');
    assert_int_equal(vm.priority, VGPU_PRIORITY_HIGH);
    assert_string_equal(vm.vm_name, "x");
    values.vm_name[0] = '\0';
    assert_done(fixture,
                store_update_vm(fixture->store, "abc123", VGPU_VM_NAME, &values, &vm, &fixture->err));
    assert_string_equal(vm.vm_name, "VM-1");
}

static void a_removed_vm_is_gone(void **state)
{
    struct fixture *fixture = *state;
    add(fixture, 1, "abc123", 'A', VGPU_PRIORITY_LOW);
    struct vgpu_vm removed;
    assert_done(fixture, store_remove_vm(fixture->store, "abc123", &removed, &fixture->err));
    assert_int_equal(removed.vm_id, 1);
    struct vgpu_vm vm;
    assert_refused(fixture, store_get_vm(fixture->store, "abc123", &vm, &fixture->err), VGPU_ERR_NOT_FOUND,
                   "no VM abc123");
    assert_refused(fixture, store_remove_vm(fixture->store, "abc123", NULL, &fixture->err),
                   VGPU_ERR_NOT_FOUND, "no VM abc123");
    add(fixture, 1, "abc123", 'A', VGPU_PRIORITY_LOW);
}

static void lists_are_filtered_and_in_order(void **state)
{
    struct fixture *fixture = *state;
    add(fixture, 3, "c", 'A', VGPU_PRIORITY_HIGH);
    add(fixture, 1, "a", 'B', VGPU_PRIORITY_HIGH);
    add(fixture, 2, "b", 'A', VGPU_PRIORITY_LOW);
    struct vgpu_vm *vms = NULL;
    size_t count = 0;
    assert_done(fixture, store_list_vms(fixture->store, 0, -1, &vms, &count, &fixture->err));
    assert_int_equal(count, 3);
    for (int32_t i = 0; i < 3; i++)
        assert_int_equal(vms[i].vm_id, i + 1);
    free(vms);
    assert_done(fixture,
                store_list_vms(fixture->store, 'A', VGPU_PRIORITY_HIGH, &vms, &count, &fixture->err));
    assert_int_equal(count, 1);
    assert_string_equal(vms[0].vm_uuid, "c");
    free(vms);
    assert_done(fixture, store_list_vms(fixture->store, 'B', VGPU_PRIORITY_LOW, &vms, &count, &fixture->err));
    assert_int_equal(count, 0);
    assert_null(vms);
}

static void pools_beyond_b_hold_vms_like_the_first_two(void **state)
{
    struct fixture *fixture = *state;
    assert_done(fixture, store_add_pool(fixture->store, 'C', &fixture->err));
    assert_refused(fixture, store_add_pool(fixture->store, 'C', &fixture->err), VGPU_ERR_EXISTS, "pool C");
    add(fixture, 1, "abc123", 'C', VGPU_PRIORITY_MEDIUM);
    add(fixture, 2, "def456", 'B', VGPU_PRIORITY_MEDIUM);
    struct vgpu_pool *pools = NULL;
    size_t count = 0;
    assert_done(fixture, store_list_pools(fixture->store, &pools, &count, &fixture->err));
    assert_int_equal(count, 3);
    assert_int_equal(pools[0].pool, 'A');
    assert_int_equal(pools[0].vm_count, 0);
    assert_int_equal(pools[1].vm_count, 1);
    assert_int_equal(pools[2].pool, 'C');
    assert_int_equal(pools[2].vm_count, 1);
    assert_int_equal(pools[2].vm_count_by_priority[VGPU_PRIORITY_MEDIUM], 1);
    free(pools);

    assert_refused(fixture, store_remove_pool(fixture->store, 'C', &fixture->err), VGPU_ERR_BUSY, "1 VM");
    assert_refused(fixture, store_remove_pool(fixture->store, 'A', &fixture->err), VGPU_ERR_USAGE, "pool A");
    assert_refused(fixture, store_remove_pool(fixture->store, 'D', &fixture->err), VGPU_ERR_NOT_FOUND,
                   "no pool D: choose one of A, B, C");
    struct vgpu_vm values = {.pool = 'B'};
    struct vgpu_vm vm;
    assert_done(fixture,
                store_update_vm(fixture->store, "abc123", VGPU_VM_POOL, &values, &vm, &fixture->err));
    assert_int_equal(vm.pool, 'B');
    assert_done(fixture, store_remove_pool(fixture->store, 'C', &fixture->err));
}

static void several_changes_are_one_transaction(void **state)
{
    struct fixture *fixture = *state;
    assert_done(fixture, store_begin(fixture->store, &fixture->err));
    assert_refused(fixture, store_begin(fixture->store, &fixture->err), VGPU_ERR_USAGE, "open already");
    add(fixture, 1, "a", 'A', VGPU_PRIORITY_LOW);
    /* One that fails inside undoes itself alone. */
    struct vgpu_vm taken = make_vm(1, "b", 'A', VGPU_PRIORITY_LOW);
    assert_int_equal(store_register_vm(fixture->store, &taken, NULL, &fixture->err), VGPU_ERR_EXISTS);
    add(fixture, 2, "b", 'A', VGPU_PRIORITY_LOW);
    assert_string_equal(fixture_sql_value(fixture, "SELECT count(*) FROM vms"), "0");
    assert_done(fixture, store_commit(fixture->store, &fixture->err));
    assert_string_equal(fixture_sql_value(fixture, "SELECT count(*) FROM vms"), "2");

    assert_done(fixture, store_begin(fixture->store, &fixture->err));
    add(fixture, 3, "c", 'A', VGPU_PRIORITY_LOW);
    store_rollback(fixture->store);
    assert_string_equal(fixture_sql_value(fixture, "SELECT count(*) FROM vms"), "2");
    assert_refused(fixture, store_commit(fixture->store, &fixture->err), VGPU_ERR_USAGE, "no transaction");
    add(fixture, 3, "c", 'A', VGPU_PRIORITY_LOW);
}

static void ten_thousand_vms_go_in_as_one_transaction(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_gpu gpus[] = {make_gpu(0, "GPU-0", "0000:01:00.0"), make_gpu(1, "GPU-1", "0000:02:00.0")};
    assert_done(fixture, store_apply_scan(fixture->store, gpus, 2, NULL, &fixture->err));
    assert_done(fixture, store_set_gpu_pools(fixture->store, 0, "A", &fixture->err));
    assert_done(fixture, store_set_gpu_pools(fixture->store, 1, "A", &fixture->err));
    assert_done(fixture, store_begin(fixture->store, &fixture->err));
    for (int i = 1; i <= 10000; i++) {
        char vm_uuid[16];
        snprintf(vm_uuid, sizeof vm_uuid, "vm%d", i);
        add(fixture, 0, vm_uuid, 'A', VGPU_PRIORITY_LOW);
    }
    assert_done(fixture, store_commit(fixture->store, &fixture->err));
    assert_string_equal(fixture_sql_value(fixture, "SELECT count(*) || ' ' || max(vm_id) FROM vms"),
                        "10000 10000");
    assert_string_equal(fixture_sql_value(fixture, "SELECT count(*) FROM vms WHERE gpu_id = 0"), "5000");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(a_registered_vm_is_found_again),
        TEST(a_vm_without_a_name_is_called_after_its_id),
        TEST(without_a_vm_id_the_lowest_free_one_is_taken),
        TEST(what_is_taken_is_refused_and_named),
        TEST(an_update_is_whole_or_not_at_all),
        TEST(a_field_not_named_stays),
        TEST(a_removed_vm_is_gone),
        TEST(lists_are_filtered_and_in_order),
        TEST(pools_beyond_b_hold_vms_like_the_first_two),
        TEST(several_changes_are_one_transaction),
        TEST(ten_thousand_vms_go_in_as_one_transaction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The public API: the configuration as a program sees it. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void register_vm(struct fixture *fixture, const char *vm_uuid, char pool, enum vgpu_priority priority)
{
    struct vgpu_vm_registration registration = {.vm_uuid = vm_uuid, .pool = pool, .priority = priority};
    assert_done(fixture, vgpu_register_vm(fixture->vgpu, &registration, NULL, &fixture->err));
}

static void the_requirements_example_works(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_gpu *gpus = NULL;
    size_t count = 0;
    assert_done(fixture, vgpu_scan_gpus(fixture->vgpu, &gpus, &count, &fixture->err));
    assert_int_equal(count, 2);
    assert_int_equal(gpus[0].gpu_id, 0);
    assert_string_equal(gpus[0].gpu_name, "NVIDIA H100 80GB PCIe");
    vgpu_free(gpus);
    assert_done(fixture, vgpu_assign_gpu_to_pool(fixture->vgpu, 0, 'A', &fixture->err));
    assert_done(fixture, vgpu_assign_gpu_to_pool(fixture->vgpu, 1, 'B', &fixture->err));
    for (int i = 1; i <= 20; i++) {
        char vm_uuid[16];
        snprintf(vm_uuid, sizeof vm_uuid, "user%d", i);
        register_vm(fixture, vm_uuid, i <= 7 ? 'A' : 'B', (enum vgpu_priority)(i % 3));
    }
    struct vgpu_snapshot snapshot;
    assert_done(fixture, vgpu_get_snapshot(fixture->vgpu, &snapshot, &fixture->err));
    assert_int_equal(snapshot.vm_count, 20);
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(snapshot.vms[i].vm_id, i + 1);
        assert_true(snapshot.vms[i].gpu_id.known);
        assert_int_equal(snapshot.vms[i].gpu_id.value, i < 7 ? 0 : 1);
    }
    assert_int_equal(snapshot.pools[0].vm_count, 7);
    assert_int_equal(snapshot.pools[1].vm_count, 13);
    vgpu_snapshot_fini(&snapshot);

    struct vgpu_vm_filter filter = {.pool = 'A', .priority = VGPU_PRIORITY_HIGH};
    struct vgpu_vm *vms = NULL;
    assert_done(fixture, vgpu_list_vms(fixture->vgpu, &filter, &vms, &count, &fixture->err));
    assert_int_equal(count, 2); /* 2 and 5 */
    vgpu_free(vms);
}

static void a_scan_returns_only_what_is_there_now(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_gpu *gpus = NULL;
    size_t count = 0;
    assert_done(fixture, vgpu_scan_gpus(fixture->vgpu, &gpus, &count, &fixture->err));
    vgpu_free(gpus);
    setenv("VGPU_SIM_HIDE", "0", 1);
    assert_done(fixture, vgpu_scan_gpus(fixture->vgpu, &gpus, &count, &fixture->err));
    assert_int_equal(count, 1);
    assert_int_equal(gpus[0].gpu_id, 1);
    vgpu_free(gpus);
    assert_done(fixture, vgpu_list_gpus(fixture->vgpu, 0, &gpus, &count, &fixture->err));
    assert_int_equal(count, 2);
    assert_int_equal(gpus[0].status, VGPU_GPU_OFFLINE);
    vgpu_free(gpus);

    struct vgpu_gpu gpu;
    assert_done(fixture, vgpu_get_gpu_status(fixture->vgpu, 0, &gpu, &fixture->err));
    assert_int_equal(gpu.status, VGPU_GPU_OFFLINE);
    assert_done(fixture, vgpu_get_gpu_status(fixture->vgpu, 1, &gpu, &fixture->err));
    assert_int_equal(gpu.status, VGPU_GPU_ONLINE);
    assert_true(gpu.utilization_percent.known);
    assert_refused(fixture, vgpu_get_gpu_status(fixture->vgpu, 9, &gpu, &fixture->err), VGPU_ERR_NOT_FOUND,
                   "no GPU 9");
}

static void bad_values_are_refused_before_anything_changes(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu *vgpu = fixture->vgpu;
    struct vgpu_error *err = &fixture->err;
    struct vgpu_vm_registration good = {.vm_uuid = "abc123", .pool = 'A'};
    struct vgpu_vm_registration bad = good;
    bad.vm_uuid = "a/b";
    assert_refused(fixture, vgpu_register_vm(vgpu, &bad, NULL, err), VGPU_ERR_USAGE, "a/b");
    bad = good;
    bad.vm_name = "a\nb";
    assert_refused(fixture, vgpu_register_vm(vgpu, &bad, NULL, err), VGPU_ERR_USAGE, "control character");
    bad = good;
    bad.priority = (enum vgpu_priority)3;
    assert_refused(fixture, vgpu_register_vm(vgpu, &bad, NULL, err), VGPU_ERR_USAGE, "3 is no priority");
    bad = good;
    bad.vm_id = -1;
    assert_refused(fixture, vgpu_register_vm(vgpu, &bad, NULL, err), VGPU_ERR_USAGE, "-1 is no vm-id");
    bad = good;
    bad.vsock_cid = 2;
    assert_refused(fixture, vgpu_register_vm(vgpu, &bad, NULL, err), VGPU_ERR_USAGE, "2 is no vsock CID");
    bad = good;
    bad.pool = 'Q';
    assert_refused(fixture, vgpu_register_vm(vgpu, &bad, NULL, err), VGPU_ERR_NOT_FOUND, "no pool Q");
    assert_refused(fixture, vgpu_add_pool(vgpu, 'c', err), VGPU_ERR_USAGE, "one letter");

    register_vm(fixture, "abc123", 'A', VGPU_PRIORITY_LOW);
    struct vgpu_vm_update nothing = {.fields = 0};
    assert_refused(fixture, vgpu_update_vm(vgpu, "abc123", &nothing, NULL, err), VGPU_ERR_USAGE, "nothing");
    struct vgpu_vm_update zero = {.fields = VGPU_VM_ID};
    assert_refused(fixture, vgpu_update_vm(vgpu, "abc123", &zero, NULL, err), VGPU_ERR_USAGE,
                   "0 is no vm-id");

    struct vgpu_change *changes = NULL;
    size_t count = 0;
    assert_done(fixture, vgpu_list_changes(vgpu, NULL, &changes, &count, err));
    assert_int_equal(count, 1);
    vgpu_free(changes);
}

static void a_vm_is_found_however_its_uuid_is_written(void **state)
{
    struct fixture *fixture = *state;
    register_vm(fixture, "6F9619FF-8B86-D011-B42D-00CF4FC964FF", 'A', VGPU_PRIORITY_LOW);
    struct vgpu_vm vm;
    assert_done(fixture,
                vgpu_get_vm(fixture->vgpu, "6f9619ff-8b86-d011-B42D-00cf4fc964ff", &vm, &fixture->err));
    struct vgpu_vm_update update = {
        .fields = VGPU_VM_PRIORITY | VGPU_VM_NAME, .priority = VGPU_PRIORITY_HIGH, .vm_name = "Büro"};
    assert_done(fixture, vgpu_update_vm(fixture->vgpu, "6F9619FF-8B86-D011-B42D-00CF4FC964FF", &update, &vm,
                                        &fixture->err));
    assert_string_equal(vm.vm_name, "Büro");
    struct vgpu_history_filter filter = {.vm_uuid = "6F9619FF-8B86-D011-B42D-00CF4FC964FF", .gpu_id = -1};
    struct vgpu_change *changes = NULL;
    size_t count = 0;
    assert_done(fixture, vgpu_list_changes(fixture->vgpu, &filter, &changes, &count, &fixture->err));
    assert_int_equal(count, 3);
    vgpu_free(changes);
    assert_done(fixture,
                vgpu_remove_vm(fixture->vgpu, "6F9619ff-8B86-D011-B42D-00CF4FC964FF", &vm, &fixture->err));
    assert_refused(fixture, vgpu_get_vm(fixture->vgpu, vm.vm_uuid, &vm, &fixture->err), VGPU_ERR_NOT_FOUND,
                   "no VM 6f9619ff");
}

static void a_gpu_can_be_registered_by_hand(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_gpu gpu = {.gpu_id = -1, .status = VGPU_GPU_OFFLINE};
    assert_refused(fixture, vgpu_register_gpu(fixture->vgpu, &gpu, NULL, &fixture->err), VGPU_ERR_USAGE,
                   "UUID");
    snprintf(gpu.gpu_uuid, sizeof gpu.gpu_uuid, "GPU-by-hand");
    struct vgpu_gpu row;
    assert_done(fixture, vgpu_register_gpu(fixture->vgpu, &gpu, &row, &fixture->err));
    assert_int_equal(row.gpu_id, 0);
    assert_false(row.memory_total_mib.known);
}

static void what_the_environment_says_is_overruled_by_options(void **state)
{
    struct fixture *fixture = *state;
    assert_string_equal(vgpu_state_dir(fixture->vgpu), fixture->state_dir);
    assert_string_equal(vgpu_run_dir(fixture->vgpu), fixture->run_dir);
    assert_string_equal(vgpu_driver_name(fixture->vgpu), "simulated");
    struct vgpu *other = NULL;
    setenv("VGPU_STATE_DIR", fixture->state_dir, 1);
    struct vgpu_options options = {.config_file = "/dev/null", .driver = "simulated"};
    assert_done(fixture, vgpu_open(&options, &other, &fixture->err));
    unsetenv("VGPU_STATE_DIR");
    assert_string_equal(vgpu_state_dir(other), fixture->state_dir);
    vgpu_close(other);
    options.driver = "imaginary";
    assert_refused(fixture, vgpu_open(&options, &other, &fixture->err), VGPU_ERR_USAGE, "imaginary");
}

static void the_history_of_grants_is_empty_at_first(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_grant *grants = (struct vgpu_grant *)fixture;
    size_t count = 7;
    assert_done(fixture, vgpu_list_grants(fixture->vgpu, NULL, &grants, &count, &fixture->err));
    assert_int_equal(count, 0);
    assert_null(grants);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(the_requirements_example_works),
        TEST(a_scan_returns_only_what_is_there_now),
        TEST(bad_values_are_refused_before_anything_changes),
        TEST(a_vm_is_found_however_its_uuid_is_written),
        TEST(a_gpu_can_be_registered_by_hand),
        TEST(what_the_environment_says_is_overruled_by_options),
        TEST(the_history_of_grants_is_empty_at_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

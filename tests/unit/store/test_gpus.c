/* GPUs: which GPU is which over scans, what a scan leaves unknown, and which GPU serves which VM. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void scan(struct fixture *fixture, const struct vgpu_gpu *found, size_t count)
{
    assert_done(fixture, store_apply_scan(fixture->store, found, count, NULL, &fixture->err));
}

static struct vgpu_gpu get(struct fixture *fixture, int32_t gpu_id)
{
    struct vgpu_gpu gpu;
    assert_done(fixture, store_get_gpu(fixture->store, gpu_id, &gpu, &fixture->err));
    return gpu;
}

static size_t gpu_count(struct fixture *fixture, char pool)
{
    struct vgpu_gpu *gpus = NULL;
    size_t count = 0;
    assert_done(fixture, store_list_gpus(fixture->store, pool, &gpus, &count, &fixture->err));
    free(gpus);
    return count;
}

static void assign(struct fixture *fixture, int32_t gpu_id, const char *pools)
{
    assert_done(fixture, store_set_gpu_pools(fixture->store, gpu_id, pools, &fixture->err));
}

/* The gpu_id of a VM; -1: none. */
static int64_t served_by(struct fixture *fixture, const char *vm_uuid)
{
    struct vgpu_vm vm;
    assert_done(fixture, store_get_vm(fixture->store, vm_uuid, &vm, &fixture->err));
    return vm.gpu_id.known ? vm.gpu_id.value : -1;
}

static void add_vm(struct fixture *fixture, const char *vm_uuid, char pool)
{
    struct vgpu_vm vm = make_vm(0, vm_uuid, pool, VGPU_PRIORITY_LOW);
    assert_done(fixture, store_register_vm(fixture->store, &vm, NULL, &fixture->err));
}

static void a_scan_stores_what_it_found(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_gpu found[] = {make_gpu(0, "GPU-aa", "0000:01:00.0"), make_gpu(1, "GPU-bb", "0000:02:00.0")};
    found[1].power_mw = (struct vgpu_optional){.known = true, .value = 0};
    scan(fixture, found, 2);
    fixture_reopen(fixture);
    struct vgpu_gpu gpu = get(fixture, 1);
    assert_string_equal(gpu.gpu_uuid, "GPU-bb");
    assert_string_equal(gpu.gpu_name, "NVIDIA H100 80GB PCIe");
    assert_string_equal(gpu.pci_address, "0000:02:00.0");
    assert_string_equal(gpu.pools, "");
    assert_int_equal(gpu.memory_total_mib.value, 81559);
    assert_int_equal(gpu.status, VGPU_GPU_ONLINE);
    assert_true(gpu.power_mw.known); /* a measured 0 is a value */
    assert_int_equal(gpu.power_mw.value, 0);
    assert_int_equal(strlen(gpu.last_seen_at), strlen("2026-01-11 00:00:00"));
    assert_string_equal(fixture_sql_value(fixture, "SELECT status FROM gpus WHERE gpu_id = 1"), "online");
}

static void what_the_hardware_does_not_give_is_absent(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_gpu found = make_gpu(0, "GPU-aa", "0000:01:00.0");
    scan(fixture, &found, 1);
    struct vgpu_gpu gpu = get(fixture, 0);
    assert_false(gpu.utilization_percent.known);
    assert_false(gpu.power_mw.known);
    assert_string_equal(fixture_sql_value(fixture, "SELECT utilization FROM gpus"), "(null)");
    assert_string_equal(fixture_sql_value(fixture, "SELECT power_mw FROM gpus"), "(null)");
}

static void a_gpu_is_known_by_its_uuid_wherever_it_is(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_gpu before[] = {make_gpu(0, "GPU-aa", "0000:01:00.0"), make_gpu(1, "GPU-bb", "0000:02:00.0")};
    scan(fixture, before, 2);
    assign(fixture, 0, "A");
    assign(fixture, 1, "B");
    struct vgpu_gpu after[] = {make_gpu(0, "GPU-bb", "0000:01:00.0"), make_gpu(1, "GPU-aa", "0000:02:00.0")};
    scan(fixture, after, 2);
    assert_string_equal(get(fixture, 0).gpu_uuid, "GPU-aa");
    assert_string_equal(get(fixture, 0).pci_address, "0000:02:00.0");
    assert_string_equal(get(fixture, 0).pools, "A");
    assert_string_equal(get(fixture, 1).gpu_uuid, "GPU-bb");
    assert_int_equal(gpu_count(fixture, 0), 2);
}

static void a_taken_number_gives_the_lowest_free_one(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_gpu first[] = {make_gpu(0, "GPU-aa", "0000:01:00.0"), make_gpu(2, "GPU-cc", "0000:03:00.0")};
    scan(fixture, first, 2);
    struct vgpu_gpu second[] = {make_gpu(0, "GPU-new", "0000:09:00.0"), make_gpu(7, "GPU-dd", "0000:07:00.0"),
                                make_gpu(-1, "PCI-0000:08:00.0", "0000:08:00.0")};
    scan(fixture, second, 3);
    assert_string_equal(get(fixture, 1).gpu_uuid, "GPU-new");
    assert_string_equal(get(fixture, 7).gpu_uuid, "GPU-dd");
    assert_string_equal(get(fixture, 3).gpu_uuid, "PCI-0000:08:00.0");
}

static void a_vanished_gpu_stays_as_offline_and_comes_back_with_its_pool(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_gpu found = make_gpu(0, "GPU-aa", "0000:01:00.0");
    scan(fixture, &found, 1);
    assign(fixture, 0, "B");
    scan(fixture, NULL, 0);
    struct vgpu_gpu gpu = get(fixture, 0);
    assert_int_equal(gpu.status, VGPU_GPU_OFFLINE);
    assert_string_not_equal(gpu.reason, "");
    assert_false(gpu.memory_used_mib.known);
    assert_false(gpu.temperature_c.known);
    assert_int_equal(gpu.memory_total_mib.value, 81559);
    assert_string_equal(gpu.pools, "B");
    scan(fixture, &found, 1);
    gpu = get(fixture, 0);
    assert_int_equal(gpu.status, VGPU_GPU_ONLINE);
    assert_string_equal(gpu.reason, "");
    assert_string_equal(gpu.pools, "B");
    assert_int_equal(gpu_count(fixture, 0), 1);
}

static void a_gpu_without_driver_becomes_itself_when_it_gets_one(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_gpu bare = make_gpu(-1, "PCI-0000:01:00.0", "0000:01:00.0");
    bare.status = VGPU_GPU_OFFLINE;
    snprintf(bare.gpu_name, sizeof bare.gpu_name, "GH100 [H100 PCIe]");
    snprintf(bare.reason, sizeof bare.reason, "no driver");
    scan(fixture, &bare, 1);
    assign(fixture, 0, "A");

    struct vgpu_gpu driven = make_gpu(0, "GPU-aa", "0000:01:00.0");
    scan(fixture, &driven, 1);
    assert_int_equal(gpu_count(fixture, 0), 1);
    assert_string_equal(get(fixture, 0).gpu_uuid, "GPU-aa");
    assert_string_equal(get(fixture, 0).pools, "A");

    /* The driver is unbound: the same GPU, offline, with all that was known. */
    scan(fixture, &bare, 1);
    struct vgpu_gpu gpu = get(fixture, 0);
    assert_int_equal(gpu_count(fixture, 0), 1);
    assert_string_equal(gpu.gpu_uuid, "GPU-aa");
    assert_string_equal(gpu.gpu_name, "NVIDIA H100 80GB PCIe");
    assert_int_equal(gpu.status, VGPU_GPU_OFFLINE);
    assert_string_equal(gpu.reason, "no driver");

    /* Another card in that slot is another GPU. */
    struct vgpu_gpu other = make_gpu(0, "GPU-bb", "0000:01:00.0");
    scan(fixture, &other, 1);
    assert_int_equal(gpu_count(fixture, 0), 2);
    assert_string_equal(get(fixture, 1).gpu_uuid, "GPU-bb");
    assert_string_equal(get(fixture, 1).pools, "");
    assert_int_equal(get(fixture, 0).status, VGPU_GPU_OFFLINE);
}

static void registering_one_gpu_leaves_the_others(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_gpu first = make_gpu(0, "GPU-aa", "0000:01:00.0");
    struct vgpu_gpu second = make_gpu(0, "GPU-bb", "0000:02:00.0");
    struct vgpu_gpu row;
    assert_done(fixture, store_register_gpu(fixture->store, &first, NULL, &fixture->err));
    assert_done(fixture, store_register_gpu(fixture->store, &second, &row, &fixture->err));
    assert_int_equal(row.gpu_id, 1);
    assert_int_equal(get(fixture, 0).status, VGPU_GPU_ONLINE);
    second.status = VGPU_GPU_ERROR;
    assert_done(fixture, store_register_gpu(fixture->store, &second, &row, &fixture->err));
    assert_int_equal(row.gpu_id, 1);
    assert_int_equal(row.status, VGPU_GPU_ERROR);
}

static void a_gpu_serves_one_pool_or_several(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_gpu found[] = {make_gpu(0, "GPU-aa", "0000:01:00.0"), make_gpu(1, "GPU-bb", "0000:02:00.0")};
    scan(fixture, found, 2);
    assert_done(fixture, store_add_pool(fixture->store, 'C', &fixture->err));
    assign(fixture, 0, "BCAB");
    assert_string_equal(get(fixture, 0).pools, "BAC");
    assert_string_equal(fixture_sql_value(fixture, "SELECT pool_id FROM gpus WHERE gpu_id = 0"), "B");
    assert_int_equal(gpu_count(fixture, 'A'), 1);
    assert_int_equal(gpu_count(fixture, 'C'), 1);
    assign(fixture, 1, "CB");
    assert_string_equal(get(fixture, 1).pools, "CB");
    assert_string_equal(fixture_sql_value(fixture, "SELECT pool_id FROM gpus WHERE gpu_id = 1"), "(null)");
    struct vgpu_pool *pools = NULL;
    size_t count = 0;
    assert_done(fixture, store_list_pools(fixture->store, &pools, &count, &fixture->err));
    assert_int_equal(pools[0].gpu_count, 1);
    assert_int_equal(pools[1].gpu_count, 2);
    assert_int_equal(pools[2].gpu_count, 2);
    free(pools);
    assign(fixture, 0, "A");
    assert_string_equal(get(fixture, 0).pools, "A");
    assert_refused(fixture, store_remove_pool(fixture->store, 'C', &fixture->err), VGPU_ERR_BUSY, "1 GPU");
    assign(fixture, 1, "");
    assert_string_equal(get(fixture, 1).pools, "");
    assert_done(fixture, store_remove_pool(fixture->store, 'C', &fixture->err));
}

static void assigning_what_is_not_there_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_gpu found = make_gpu(0, "GPU-aa", "0000:01:00.0");
    scan(fixture, &found, 1);
    assign(fixture, 0, "A");
    assert_refused(fixture, store_set_gpu_pools(fixture->store, 5, "A", &fixture->err), VGPU_ERR_NOT_FOUND,
                   "no GPU 5");
    assert_refused(fixture, store_set_gpu_pools(fixture->store, 0, "BQ", &fixture->err), VGPU_ERR_NOT_FOUND,
                   "no pool Q");
    assert_string_equal(get(fixture, 0).pools, "A");
}

static void a_vm_goes_to_the_gpu_with_fewest_and_stays(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_gpu found[] = {make_gpu(0, "GPU-aa", "0000:01:00.0"), make_gpu(1, "GPU-bb", "0000:02:00.0")};
    scan(fixture, found, 2);
    add_vm(fixture, "early", 'A');
    assert_int_equal(served_by(fixture, "early"), -1);
    assign(fixture, 0, "A");
    assert_int_equal(served_by(fixture, "early"), 0);
    assign(fixture, 1, "AB");
    assert_int_equal(served_by(fixture, "early"), 0); /* stays */
    add_vm(fixture, "second", 'A');
    assert_int_equal(served_by(fixture, "second"), 1);
    add_vm(fixture, "third", 'A');
    assert_int_equal(served_by(fixture, "third"), 0);
    add_vm(fixture, "b", 'B');
    assert_int_equal(served_by(fixture, "b"), 1);

    /* GPU 0 goes away: its VMs move; when it is back they stay where they are. */
    scan(fixture, &found[1], 1);
    assert_int_equal(served_by(fixture, "early"), 1);
    assert_int_equal(served_by(fixture, "third"), 1);
    scan(fixture, found, 2);
    assert_int_equal(served_by(fixture, "early"), 1);
    /* With no GPU online they wait where they are. */
    scan(fixture, NULL, 0);
    assert_int_equal(served_by(fixture, "early"), 1);
    /* Moved to a pool without a GPU. */
    assign(fixture, 1, "A");
    assert_int_equal(served_by(fixture, "b"), -1);
}

static void the_snapshot_fits_together(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_gpu found = make_gpu(0, "GPU-aa", "0000:01:00.0");
    scan(fixture, &found, 1);
    assign(fixture, 0, "AB");
    add_vm(fixture, "one", 'A');
    add_vm(fixture, "two", 'B');
    struct vgpu_snapshot snapshot;
    assert_done(fixture, store_get_snapshot(fixture->store, &snapshot, &fixture->err));
    assert_int_equal(snapshot.gpu_count, 1);
    assert_int_equal(snapshot.vm_count, 2);
    assert_int_equal(snapshot.pool_count, 2);
    assert_int_equal(snapshot.vms[1].gpu_id.value, 0);
    store_snapshot_fini(&snapshot);
    assert_null(snapshot.gpus);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(a_scan_stores_what_it_found),
        TEST(what_the_hardware_does_not_give_is_absent),
        TEST(a_gpu_is_known_by_its_uuid_wherever_it_is),
        TEST(a_taken_number_gives_the_lowest_free_one),
        TEST(a_vanished_gpu_stays_as_offline_and_comes_back_with_its_pool),
        TEST(a_gpu_without_driver_becomes_itself_when_it_gets_one),
        TEST(registering_one_gpu_leaves_the_others),
        TEST(a_gpu_serves_one_pool_or_several),
        TEST(assigning_what_is_not_there_changes_nothing),
        TEST(a_vm_goes_to_the_gpu_with_fewest_and_stays),
        TEST(the_snapshot_fits_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

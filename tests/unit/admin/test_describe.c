/* Values in words: the units of the requirement, and "unknown" for what is not known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "admin/describe.h"
#include "admin/format.h"

static struct vgpu_optional known(int64_t value)
{
    return (struct vgpu_optional){.known = true, .value = value};
}

static void assert_memory(struct vgpu_optional total, struct vgpu_optional used, const char *expected)
{
    char buffer[DESCRIBE_BYTES];
    struct vgpu_gpu gpu = {.memory_total_mib = total, .memory_used_mib = used};
    assert_string_equal(describe_memory(buffer, &gpu), expected);
}

static void memory_is_in_whole_gigabytes_that_add_up(void **state)
{
    const struct vgpu_optional unknown = {0};
    assert_memory(known(81920), known(46080), "80GB (45GB used, 35GB free)");
    assert_memory(known(81559), known(46080), "80GB (45GB used, 35GB free)"); /* what an H100 80GB reports */
    assert_memory(known(81559), known(46600), "80GB (46GB used, 34GB free)");
    assert_memory(known(81559), known(4), "80GB (4MB used, 80GB free)");
    assert_memory(known(81559), known(0), "80GB (0MB used, 80GB free)");
    assert_memory(known(81559), known(81559), "80GB (80GB used, 0MB free)");
    assert_memory(known(512), known(128), "512MB (128MB used, 384MB free)");
    assert_memory(known(81559), unknown, "80GB (use unknown)");
    assert_memory(unknown, known(5), "unknown");
    assert_memory(unknown, unknown, "unknown");
}

static void a_missing_number_is_unknown_not_zero(void **state)
{
    char buffer[DESCRIBE_BYTES];
    assert_string_equal(describe_number(buffer, known(45), "%"), "45%");
    assert_string_equal(describe_number(buffer, known(0), "%"), "0%");
    assert_string_equal(describe_number(buffer, known(65), "°C"), "65°C");
    assert_string_equal(describe_number(buffer, (struct vgpu_optional){0}, "%"), "unknown");
    assert_string_equal(describe_pci_address(&(struct vgpu_gpu){0}), "unknown");
    assert_string_equal(describe_gpu_name(&(struct vgpu_gpu){0}), "unknown model");
}

static void a_gpu_that_is_not_online_shows_the_reason(void **state)
{
    char buffer[DESCRIBE_BYTES];
    struct vgpu_gpu gpu = {.status = VGPU_GPU_OFFLINE, .reason = "no driver is loaded for it"};
    assert_string_equal(describe_gpu_status(buffer, &gpu), "Offline (no driver is loaded for it)");
    gpu.status = VGPU_GPU_ERROR;
    assert_string_equal(describe_gpu_status(buffer, &gpu), "Error (no driver is loaded for it)");
    gpu.status = VGPU_GPU_ONLINE;
    assert_string_equal(describe_gpu_status(buffer, &gpu), "Online");
}

static void pools_and_counts_in_words(void **state)
{
    char buffer[DESCRIBE_BYTES];
    assert_string_equal(describe_pools(buffer, ""), "none");
    assert_string_equal(describe_pools(buffer, "A"), "A");
    assert_string_equal(describe_pools(buffer, "BA"), "B, A (time-sliced)");
    assert_string_equal(
        describe_pools(buffer, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        "A, B, C, D, E, F, G, H, I, J, K, L, M, N, O, P, Q, R, S, T, U, V, W, X, Y, Z (time-sliced)");
    assert_string_equal(describe_count(buffer, 0, "VM"), "0 VMs");
    assert_string_equal(describe_count(buffer, 1, "VM"), "1 VM");
    assert_string_equal(describe_count(buffer, 7, "VM"), "7 VMs");
    assert_string_equal(describe_vm_counts(buffer, &(struct vm_counts){7, {2, 2, 3}}),
                        "7 (3 high, 2 medium, 2 low)");
}

static void pool_gpus_never_overflow(void **state)
{
    char buffer[DESCRIBE_BYTES];
    struct vgpu_gpu *gpus = calloc(1000, sizeof *gpus);
    struct vgpu_snapshot snapshot = {.gpus = gpus, .gpu_count = 1000};
    assert_string_equal(describe_pool_gpus(buffer, &snapshot, 'A'), "no GPU");
    for (int i = 0; i < 1000; i++) {
        gpus[i].gpu_id = i;
        snprintf(gpus[i].pools, sizeof gpus[i].pools, "%s", i == 3 || i == 7 ? "BA" : "B");
    }
    assert_string_equal(describe_pool_gpus(buffer, &snapshot, 'A'), "GPU 3, GPU 7");
    describe_pool_gpus(buffer, &snapshot, 'B');
    assert_string_equal(buffer + strlen(buffer) - 5, ", ...");
    free(gpus);
}

static void durations_read_well_at_every_size(void **state)
{
    char buffer[FORMAT_BYTES];
    assert_string_equal(format_duration(buffer, 0), "0 µs");
    assert_string_equal(format_duration(buffer, 812), "812 µs");
    assert_string_equal(format_duration(buffer, 12400), "12 ms");
    assert_string_equal(format_duration(buffer, 999999), "999 ms");
    assert_string_equal(format_duration(buffer, 1500000), "1.5 s");
    assert_string_equal(format_duration(buffer, UINT64_C(125000000)), "2 min 5 s");
    assert_string_equal(format_duration(buffer, UINT64_C(12000000000)), "3 h 20 min");
    assert_string_equal(format_duration(buffer, UINT64_C(187200000000)), "2 d 4 h");
    assert_true(strlen(format_duration(buffer, UINT64_MAX)) > 0);
}

static void times_are_in_the_zone_of_the_user(void **state)
{
    char buffer[FORMAT_BYTES];
    assert_string_equal(format_time(buffer, UINT64_C(1768089600123456)), "2026-01-11 00:00:00.123");
    assert_string_equal(format_clock(buffer, UINT64_C(1768089600123456)), "00:00:00.123");
    assert_true(strlen(format_time(buffer, UINT64_MAX)) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_in_whole_gigabytes_that_add_up),
        cmocka_unit_test(a_missing_number_is_unknown_not_zero),
        cmocka_unit_test(a_gpu_that_is_not_online_shows_the_reason),
        cmocka_unit_test(pools_and_counts_in_words),
        cmocka_unit_test(pool_gpus_never_overflow),
        cmocka_unit_test(durations_read_well_at_every_size),
        cmocka_unit_test(times_are_in_the_zone_of_the_user),
    };
    setenv("TZ", "UTC", 1);
    return cmocka_run_group_tests_name("admin describe", tests, NULL, NULL);
}

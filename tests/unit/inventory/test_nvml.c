/* GPUs through NVML: the simulated driver's, and one that fails as asked. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int make_simulated(void **state)
{
    if (fixture_make(state) != 0)
        return -1;
    struct fixture *fixture = *state;
    static const char *const settings[] = {"VGPU_SIM_HIDE", "VGPU_SIM_LOST", "VGPU_SIM_ERROR",
                                           "VGPU_SIM_MISSING"};
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        unsetenv(settings[i]);
    setenv("VGPU_SIM_GPUS", "NVIDIA H100 80GB PCIe*2", 1);
    setenv("VGPU_SIM_SEED", "inventory-tests", 1);
    fixture->options.nvml_path = getenv("SIMULATED_NVML");
    fixture->options.simulated = true;
    return 0;
}

static int make_fake(void **state)
{
    if (fixture_make(state) != 0)
        return -1;
    struct fixture *fixture = *state;
    unsetenv("FAKE_NVML_INIT");
    unsetenv("FAKE_NVML_DEVICE");
    unsetenv("FAKE_NVML_LIVE");
    unsetenv("FAKE_NVML_COUNT");
    fixture->options.nvml_path = getenv("FAKE_NVML");
    return 0;
}

static void set_number(const char *name, int number)
{
    char text[16];
    snprintf(text, sizeof text, "%d", number);
    setenv(name, text, 1);
}

#define GPU_IS_LOST      15
#define VERSION_MISMATCH 18
#define NOT_LOADED       9

static void the_simulated_machine_has_its_gpus(void **state)
{
    struct fixture *fixture = *state;
    fixture_pci_device(fixture, "0000:99:00.0", "0x10de", "0x2331", "0x030200", NULL);
    fixture_scan_finds(fixture, 2); /* the real bus is not asked */
    const struct vgpu_gpu *gpu = &fixture->gpus[1];
    assert_int_equal(gpu->gpu_id, 1);
    assert_string_equal(gpu->gpu_name, "NVIDIA H100 80GB PCIe");
    assert_int_equal(strncmp(gpu->gpu_uuid, "GPU-", 4), 0);
    assert_int_equal(strlen(gpu->pci_address), strlen("0000:02:00.0"));
    assert_int_equal(gpu->status, VGPU_GPU_ONLINE);
    assert_true(gpu->memory_total_mib.known && gpu->memory_total_mib.value > 80000);
    assert_true(gpu->memory_used_mib.known);
    assert_true(gpu->utilization_percent.known);
    assert_true(gpu->temperature_c.known);
    assert_true(gpu->power_mw.known && gpu->power_mw.value > 1000);
}

static void a_value_that_is_missing_is_absent(void **state)
{
    struct fixture *fixture = *state;
    setenv("VGPU_SIM_MISSING", "1:temperature,power", 1);
    fixture_scan_finds(fixture, 2);
    assert_true(fixture->gpus[0].temperature_c.known);
    assert_false(fixture->gpus[1].temperature_c.known);
}

static void a_gpu_with_errors_is_listed_with_the_reason(void **state)
{
    struct fixture *fixture = *state;
    setenv("VGPU_SIM_ERROR", "1", 1);
    fixture_scan_finds(fixture, 2);
    assert_int_equal(fixture->gpus[0].status, VGPU_GPU_ONLINE);
    assert_int_equal(fixture->gpus[1].status, VGPU_GPU_ERROR);
    assert_string_not_equal(fixture->gpus[1].reason, "");
    assert_false(fixture->gpus[1].memory_used_mib.known);
}

static void a_new_scan_sees_what_came_and_went(void **state)
{
    struct fixture *fixture = *state;
    fixture_scan_finds(fixture, 2);
    char second[VGPU_GPU_UUID_BYTES];
    memcpy(second, fixture->gpus[1].gpu_uuid, sizeof second);
    setenv("VGPU_SIM_HIDE", "0", 1);
    fixture_scan_finds(fixture, 1);
    assert_string_equal(fixture->gpus[0].gpu_uuid, second);
    unsetenv("VGPU_SIM_HIDE");
    fixture_scan_finds(fixture, 2);
}

static void a_refresh_changes_only_what_is_live(void **state)
{
    struct fixture *fixture = *state;
    fixture_scan_finds(fixture, 2);
    struct vgpu_gpu gpus[2] = {fixture->gpus[1], {.gpu_id = 7, .gpu_uuid = "GPU-gone", .pools = "A"}};
    gpus[0].gpu_id = 5;
    snprintf(gpus[0].pools, sizeof gpus[0].pools, "B");
    gpus[0].temperature_c.known = false;
    gpus[1].memory_used_mib.known = true;
    assert_int_equal(inventory_refresh(fixture->inventory, gpus, 2, &fixture->err), VGPU_OK);
    assert_int_equal(gpus[0].gpu_id, 5);
    assert_string_equal(gpus[0].pools, "B");
    assert_true(gpus[0].temperature_c.known);
    assert_int_equal(gpus[0].status, VGPU_GPU_ONLINE);
    assert_int_equal(gpus[1].status, VGPU_GPU_OFFLINE);
    assert_false(gpus[1].memory_used_mib.known);
    assert_string_not_equal(gpus[1].reason, "");
}

static void a_simulated_driver_that_is_not_there_is_an_error(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.nvml_path = "/nonexistent/libnvidia-ml.so.1";
    assert_int_equal(fixture_scan(fixture), VGPU_ERR_UNAVAILABLE);
    assert_non_null(strstr(fixture->err.message, "simulated driver"));
}

static void an_old_driver_gives_what_it_can(void **state)
{
    struct fixture *fixture = *state;
    fixture_scan_finds(fixture, 1);
    const struct vgpu_gpu *gpu = &fixture->gpus[0];
    assert_string_equal(gpu->gpu_uuid, "GPU-fake");
    assert_string_equal(gpu->pci_address, "0000:0a:00.0");
    assert_int_equal(gpu->memory_total_mib.value, 8192);
    assert_int_equal(gpu->memory_used_mib.value, 100);
    assert_true(gpu->temperature_c.known); /* 0 degrees are a value */
    assert_int_equal(gpu->temperature_c.value, 0);
    assert_false(gpu->power_mw.known);
    assert_false(gpu->utilization_percent.known);
}

static void a_lost_gpu_is_an_error_known_by_its_address(void **state)
{
    struct fixture *fixture = *state;
    set_number("FAKE_NVML_DEVICE", GPU_IS_LOST);
    set_number("FAKE_NVML_LIVE", GPU_IS_LOST);
    fixture_scan_finds(fixture, 1);
    assert_string_equal(fixture->gpus[0].gpu_uuid, "PCI-0000:0a:00.0");
    assert_int_equal(fixture->gpus[0].status, VGPU_GPU_ERROR);
    assert_string_equal(fixture->gpus[0].reason, "GPU is lost");
    assert_false(fixture->gpus[0].memory_total_mib.known);
}

static void a_driver_that_does_not_start_is_said_with_advice(void **state)
{
    struct fixture *fixture = *state;
    set_number("FAKE_NVML_INIT", VERSION_MISMATCH);
    assert_int_equal(fixture_scan(fixture), VGPU_ERR_UNAVAILABLE);
    assert_non_null(strstr(fixture->err.message, "version mismatch"));
    assert_non_null(strstr(fixture->err.message, "restart the host"));

    /* Where the bus shows the GPUs, they are listed with that reason. */
    fixture_pci_device(fixture, "0000:0a:00.0", "0x10de", "0x2331", "0x030200", "nvidia");
    fixture_scan_finds(fixture, 1);
    assert_int_equal(fixture->gpus[0].status, VGPU_GPU_ERROR);
    assert_non_null(strstr(fixture->gpus[0].reason, "version mismatch"));

    /* And when it starts again, all is well. */
    unsetenv("FAKE_NVML_INIT");
    fixture_scan_finds(fixture, 1);
    assert_string_equal(fixture->gpus[0].gpu_uuid, "GPU-fake");
}

static void a_gpu_that_came_later_is_found_by_the_next_scan(void **state)
{
    struct fixture *fixture = *state;
    set_number("FAKE_NVML_COUNT", 0);
    fixture_scan_finds(fixture, 0);
    unsetenv("FAKE_NVML_COUNT");
    fixture_pci_device(fixture, "0000:0a:00.0", "0x10de", "0x2331", "0x030200", "nvidia");
    fixture_proc(fixture, "driver/nvidia/gpus/0000:0a:00.0");
    fixture_scan_finds(fixture, 1);
    assert_string_equal(fixture->gpus[0].gpu_uuid, "GPU-fake");
    assert_int_equal(fixture->gpus[0].status, VGPU_GPU_ONLINE);
}

static void nvml_without_a_loaded_driver_leaves_it_to_the_bus(void **state)
{
    struct fixture *fixture = *state;
    set_number("FAKE_NVML_INIT", NOT_LOADED);
    fixture_scan_finds(fixture, 0);
    fixture_pci_device(fixture, "0000:0a:00.0", "0x10de", "0x2331", "0x030200", NULL);
    fixture_scan_finds(fixture, 1);
    assert_int_equal(fixture->gpus[0].status, VGPU_GPU_OFFLINE);
}

int main(void)
{
#define SIMULATED(name) cmocka_unit_test_setup_teardown(name, make_simulated, fixture_remove)
#define FAKE(name)      cmocka_unit_test_setup_teardown(name, make_fake, fixture_remove)
    const struct CMUnitTest tests[] = {
        SIMULATED(the_simulated_machine_has_its_gpus),
        SIMULATED(a_value_that_is_missing_is_absent),
        SIMULATED(a_gpu_with_errors_is_listed_with_the_reason),
        SIMULATED(a_new_scan_sees_what_came_and_went),
        SIMULATED(a_refresh_changes_only_what_is_live),
        SIMULATED(a_simulated_driver_that_is_not_there_is_an_error),
        FAKE(an_old_driver_gives_what_it_can),
        FAKE(a_lost_gpu_is_an_error_known_by_its_address),
        FAKE(a_driver_that_does_not_start_is_said_with_advice),
        FAKE(a_gpu_that_came_later_is_found_by_the_next_scan),
        FAKE(nvml_without_a_loaded_driver_leaves_it_to_the_bus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* GPUs that the PCI bus shows without a driver: listed as offline, with the reason. */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

static const struct vgpu_gpu *find(const struct fixture *fixture, const char *address)
{
    for (size_t i = 0; i < fixture->count; i++)
        if (strcmp(fixture->gpus[i].pci_address, address) == 0)
            return &fixture->gpus[i];
    fail_msg("no GPU at %s", address);
    return NULL;
}

static void assert_reason(const struct fixture *fixture, const char *address, enum vgpu_gpu_status status,
                          const char *words)
{
    const struct vgpu_gpu *gpu = find(fixture, address);
    assert_int_equal(gpu->status, status);
    if (strstr(gpu->reason, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", gpu->reason, words);
}

static void a_host_without_gpus_has_none(void **state)
{
    struct fixture *fixture = *state;
    fixture_pci_device(fixture, "0000:00:02.0", "0x8086", "0x1234", "0x030000", "i915");
    fixture_scan_finds(fixture, 0);
    assert_null(fixture->gpus);
}

static void a_host_without_a_pci_bus_has_none(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.sysfs_root = "/nonexistent";
    fixture_scan_finds(fixture, 0);
}

static void only_display_and_3d_controllers_of_nvidia_count(void **state)
{
    struct fixture *fixture = *state;
    fixture_pci_device(fixture, "0000:02:00.0", "0x10de", "0x2331", "0x030200", NULL);
    fixture_pci_device(fixture, "0000:01:00.0", "0x10de", "0x1eb8", "0x030000", NULL);
    fixture_pci_device(fixture, "0000:01:00.1", "0x10de", "0x10f8", "0x040300", "snd_hda_intel");
    fixture_pci_device(fixture, "0000:03:00.0", "0x10de", "0x22a3", "0x068000", NULL); /* a switch */
    fixture_pci_device(fixture, "0000:04:00.0", "0x1002", "0x740f", "0x030200", "amdgpu");
    fixture_scan_finds(fixture, 2);
    assert_string_equal(fixture->gpus[0].pci_address, "0000:01:00.0");
    assert_string_equal(fixture->gpus[1].pci_address, "0000:02:00.0");
}

static void a_gpu_without_driver_is_offline_and_gives_no_values(void **state)
{
    struct fixture *fixture = *state;
    fixture_pci_device(fixture, "0000:c1:00.0", "0x10de", "0x2331", "0x030200", NULL);
    fixture_scan_finds(fixture, 1);
    const struct vgpu_gpu *gpu = &fixture->gpus[0];
    assert_string_equal(gpu->gpu_uuid, "PCI-0000:c1:00.0");
    assert_int_equal(gpu->gpu_id, -1);
    assert_int_equal(strncmp(gpu->gpu_name, "NVIDIA ", 7), 0);
    assert_reason(fixture, "0000:c1:00.0", VGPU_GPU_OFFLINE, "driver is not loaded");
    assert_false(gpu->memory_total_mib.known);
    assert_false(gpu->memory_used_mib.known);
    assert_false(gpu->utilization_percent.known);
    assert_false(gpu->temperature_c.known);
    assert_false(gpu->power_mw.known);
}

static void the_reason_names_the_driver_that_has_it(void **state)
{
    struct fixture *fixture = *state;
    fixture_pci_device(fixture, "0000:01:00.0", "0x10de", "0x2331", "0x030200", "vfio-pci");
    fixture_pci_device(fixture, "0000:02:00.0", "0x10de", "0x2331", "0x030200", "nouveau");
    fixture_pci_device(fixture, "0000:03:00.0", "0x10de", "0x2331", "0x030200", "pci-stub");
    fixture_pci_device(fixture, "0000:04:00.0", "0x10de", "0x2331", "0x030200", NULL);
    fixture_proc(fixture, "driver/nvidia/gpus");
    fixture_scan_finds(fixture, 4);
    assert_reason(fixture, "0000:01:00.0", VGPU_GPU_OFFLINE, "vfio-pci");
    assert_reason(fixture, "0000:02:00.0", VGPU_GPU_OFFLINE, "nouveau");
    assert_reason(fixture, "0000:03:00.0", VGPU_GPU_OFFLINE, "pci-stub");
    assert_reason(fixture, "0000:04:00.0", VGPU_GPU_OFFLINE, "no driver is bound");
}

static void a_gpu_that_its_driver_does_not_serve_is_an_error(void **state)
{
    struct fixture *fixture = *state;
    fixture_nvidia_smi(fixture, "exit 6"); /* works, and has no devices */
    fixture_pci_device(fixture, "0000:01:00.0", "0x10de", "0x2331", "0x030200", "nvidia");
    fixture_proc(fixture, "driver/nvidia/gpus/0000:01:00.0");
    fixture_scan_finds(fixture, 1);
    assert_reason(fixture, "0000:01:00.0", VGPU_GPU_ERROR, "does not serve it");
}

static void a_gpu_kept_from_this_container_is_left_out(void **state)
{
    struct fixture *fixture = *state;
    fixture_nvidia_smi(fixture, "exit 6");
    fixture_pci_device(fixture, "0000:01:00.0", "0x10de", "0x2331", "0x030200", "nvidia");
    fixture_proc(fixture, "driver/nvidia/gpus");
    fixture_scan_finds(fixture, 0);
}

static void without_the_drivers_libraries_the_reason_says_so(void **state)
{
    struct fixture *fixture = *state;
    fixture_pci_device(fixture, "0000:01:00.0", "0x10de", "0x2331", "0x030200", "nvidia");
    fixture_scan_finds(fixture, 1);
    assert_reason(fixture, "0000:01:00.0", VGPU_GPU_ERROR, "install the NVIDIA driver");
}

static void a_device_that_cannot_be_read_is_an_error_of_one_line(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    fixture_pci_device(fixture, "0000:01:00.0", "0x10de", "0x2331", "0x030200", NULL);
    snprintf(path, sizeof path, "%s/bus/pci/devices/0000:01:00.0/vendor", fixture->sysfs);
    assert_int_equal(remove(path), 0);
    assert_int_equal(fixture_scan(fixture), VGPU_ERR_IO);
    assert_non_null(strstr(fixture->err.message, "cannot read the PCI bus"));
    assert_null(strchr(fixture->err.message, '\n'));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_make, fixture_remove)
    const struct CMUnitTest tests[] = {
        TEST(a_host_without_gpus_has_none),
        TEST(a_host_without_a_pci_bus_has_none),
        TEST(only_display_and_3d_controllers_of_nvidia_count),
        TEST(a_gpu_without_driver_is_offline_and_gives_no_values),
        TEST(the_reason_names_the_driver_that_has_it),
        TEST(a_gpu_that_its_driver_does_not_serve_is_an_error),
        TEST(a_gpu_kept_from_this_container_is_left_out),
        TEST(without_the_drivers_libraries_the_reason_says_so),
        TEST(a_device_that_cannot_be_read_is_an_error_of_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* GPUs through nvidia-smi, and the lines it prints. */
#include "fixture.h"
#include "inventory/csv.h"
#include "inventory/source.h"

#include <stdio.h>
#include <string.h>

#define LINE "1, GPU-aa, NVIDIA H100 80GB HBM3, 00000000:C1:00.0, 81559, 4, 12, 33, 68.42"

#define MORE LINE ", more"

static bool parse(const char *line, struct vgpu_gpu *gpu)
{
    return csv_parse_gpu(line, strlen(line), gpu);
}

static void a_line_is_a_gpu(void **state)
{
    struct vgpu_gpu gpu;
    assert_true(parse(LINE, &gpu));
    assert_int_equal(gpu.gpu_id, 1);
    assert_string_equal(gpu.gpu_uuid, "GPU-aa");
    assert_string_equal(gpu.gpu_name, "NVIDIA H100 80GB HBM3");
    assert_string_equal(gpu.pci_address, "0000:c1:00.0");
    assert_int_equal(gpu.memory_total_mib.value, 81559);
    assert_int_equal(gpu.memory_used_mib.value, 4);
    assert_int_equal(gpu.utilization_percent.value, 12);
    assert_int_equal(gpu.temperature_c.value, 33);
    assert_int_equal(gpu.power_mw.value, 68420);
    assert_int_equal(gpu.status, VGPU_GPU_ONLINE);
}

static void what_is_not_a_number_is_absent(void **state)
{
    struct vgpu_gpu gpu;
    assert_true(parse(
        "0, GPU-aa, Tesla T4, 00000000:01:00.0, 15360, [N/A], [Not Supported], N/A, [Unknown Error]", &gpu));
    assert_int_equal(gpu.memory_total_mib.value, 15360);
    assert_false(gpu.memory_used_mib.known);
    assert_false(gpu.utilization_percent.known);
    assert_false(gpu.temperature_c.known);
    assert_false(gpu.power_mw.known);
    assert_true(parse("0, GPU-aa, T, 00000000:01:00.0, 1, 0, 0, nan, 1e400", &gpu));
    assert_true(gpu.memory_used_mib.known); /* a measured 0 is a value */
    assert_false(gpu.temperature_c.known);
    assert_false(gpu.power_mw.known);
}

static void a_gpu_without_uuid_is_known_by_its_address(void **state)
{
    struct vgpu_gpu gpu;
    assert_true(parse(
        "0, [Unknown Error], [Unknown Error], 00000000:01:00.0, [N/A], [N/A], [N/A], [N/A], [N/A]", &gpu));
    assert_string_equal(gpu.gpu_uuid, "PCI-0000:01:00.0");
    assert_string_equal(gpu.gpu_name, "");
    assert_int_equal(gpu.status, VGPU_GPU_ERROR);
    assert_string_not_equal(gpu.reason, "");
}

static void a_line_that_is_no_gpu_is_refused(void **state)
{
    static const char *const lines[] = {
        "",
        "No devices were found",
        "Unable to determine the device handle for GPU 0000:01:00.0: GPU is lost.",
        "0, GPU-aa, T",
        MORE,
        "0, [N/A], T, nonsense, 1, 1, 1, 1, 1",
    };
    struct vgpu_gpu gpu;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_false(parse(lines[i], &gpu));
    static char endless[5000];
    memset(endless, 'x', sizeof endless - 1);
    assert_false(parse(endless, &gpu));
}

static void addresses_have_one_form(void **state)
{
    char address[VGPU_PCI_ADDRESS_BYTES];
    assert_true(pci_address_normalize("00000000:C1:00.0", address));
    assert_string_equal(address, "0000:c1:00.0");
    assert_true(pci_address_normalize("0000:01:00.1", address));
    assert_string_equal(address, "0000:01:00.1");
    assert_true(pci_address_normalize("c1:00.0", address));
    assert_string_equal(address, "0000:c1:00.0");
    assert_true(pci_address_normalize("00010000:01:00.0", address));
    assert_string_equal(address, "10000:01:00.0");
    assert_false(pci_address_normalize("", address));
    assert_false(pci_address_normalize("0000:01", address));
    assert_false(pci_address_normalize("0000:01:00.0x", address));
}

static void it_is_asked_where_there_is_no_nvml(void **state)
{
    struct fixture *fixture = *state;
    fixture_nvidia_smi(fixture, "case \"$*\" in *--query-gpu=index,uuid,name,pci.bus_id*nounits*)\n"
                                "echo '0, GPU-aa, H100, 00000000:01:00.0, 81559, 4, 0, 33, 60.0'\n"
                                "echo '1, GPU-bb, H100, 00000000:02:00.0, 81559, 4, 0, 34, 60.0';; esac");
    fixture_pci_device(fixture, "0000:02:00.0", "0x10de", "0x2331", "0x030200", "nvidia");
    fixture_pci_device(fixture, "0000:03:00.0", "0x10de", "0x2331", "0x030200", NULL);
    fixture_scan_finds(fixture, 3);
    assert_string_equal(fixture->gpus[1].gpu_uuid, "GPU-bb");
    assert_int_equal(fixture->gpus[1].status, VGPU_GPU_ONLINE);
    assert_string_equal(fixture->gpus[2].gpu_uuid, "PCI-0000:03:00.0"); /* what the bus alone shows */
}

static void no_driver_is_no_error(void **state)
{
    struct fixture *fixture = *state;
    fixture_nvidia_smi(fixture,
                       "echo 'NVIDIA-SMI has failed because it could not talk to the driver.'; exit 9");
    fixture_pci_device(fixture, "0000:03:00.0", "0x10de", "0x2331", "0x030200", NULL);
    fixture_scan_finds(fixture, 1);
    assert_int_equal(fixture->gpus[0].status, VGPU_GPU_OFFLINE);
}

static void a_failure_is_said_in_its_own_words(void **state)
{
    struct fixture *fixture = *state;
    fixture_nvidia_smi(fixture, "echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18");
    assert_int_equal(fixture_scan(fixture), VGPU_ERR_UNAVAILABLE);
    assert_non_null(strstr(fixture->err.message, "version mismatch"));
    assert_null(strchr(fixture->err.message, '\n'));
}

static void a_flood_of_output_is_cut(void **state)
{
    struct fixture *fixture = *state;
    fixture_nvidia_smi(fixture, "echo '" LINE "'; yes x | head -c 1000000");
    fixture_scan_finds(fixture, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_make, fixture_remove)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_a_gpu),
        cmocka_unit_test(what_is_not_a_number_is_absent),
        cmocka_unit_test(a_gpu_without_uuid_is_known_by_its_address),
        cmocka_unit_test(a_line_that_is_no_gpu_is_refused),
        cmocka_unit_test(addresses_have_one_form),
        TEST(it_is_asked_where_there_is_no_nvml),
        TEST(no_driver_is_no_error),
        TEST(a_failure_is_said_in_its_own_words),
        TEST(a_flood_of_output_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

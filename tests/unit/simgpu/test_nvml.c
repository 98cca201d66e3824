/* The simulated libnvidia-ml.so.1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cuda/nvml_types.h"

#define CHECK(call)         assert_int_equal((call), NVML_SUCCESS)
#define CHECK_IS(call, err) assert_int_equal((call), (err))

static char directory[] = "/tmp/vgpu-nvml-XXXXXX";

static int clear(void **state)
{
    const char *names[] = {"VGPU_SIM_GPUS", "VGPU_SIM_SEED",  "VGPU_SIM_MEMORY_MB", "VGPU_SIM_HIDE",
                           "VGPU_SIM_LOST", "VGPU_SIM_ERROR", "VGPU_SIM_MISSING"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unsetenv(names[i]);
    return 0;
}

static int shut_down(void **state)
{
    nvmlShutdown();
    return 0;
}

static nvmlDevice_t by_index(unsigned int index)
{
    nvmlDevice_t device = NULL;
    CHECK(nvmlDeviceGetHandleByIndex_v2(index, &device));
    return device;
}

static void the_library_must_be_initialised_as_often_as_shut_down(void **state)
{
    unsigned int count;
    CHECK_IS(nvmlDeviceGetCount_v2(&count), NVML_ERROR_UNINITIALIZED);
    CHECK_IS(nvmlShutdown(), NVML_ERROR_UNINITIALIZED);
    CHECK(nvmlInit_v2());
    CHECK(nvmlInit_v2());
    CHECK(nvmlShutdown());
    CHECK(nvmlDeviceGetCount_v2(&count));
    assert_int_equal(count, 2);
    CHECK(nvmlShutdown());
    CHECK_IS(nvmlDeviceGetCount_v2(&count), NVML_ERROR_UNINITIALIZED);
    assert_string_equal(nvmlErrorString(NVML_ERROR_GPU_IS_LOST), "GPU is lost");
    assert_non_null(nvmlErrorString((nvmlReturn_t)4711));
}

static void a_gpu_is_found_by_each_of_its_names(void **state)
{
    char uuid[NVML_DEVICE_UUID_V2_BUFFER_SIZE], serial[NVML_DEVICE_SERIAL_BUFFER_SIZE];
    nvmlPciInfo_t pci;
    nvmlDevice_t device;
    unsigned int index;
    CHECK(nvmlInit_v2());
    CHECK(nvmlDeviceGetUUID(by_index(1), uuid, sizeof uuid));
    CHECK(nvmlDeviceGetHandleByUUID(uuid, &device));
    assert_ptr_equal(device, by_index(1));
    CHECK(nvmlDeviceGetPciInfo_v3(device, &pci));
    assert_string_equal(pci.busIdLegacy, "0000:02:00.0");
    assert_string_equal(pci.busId, "00000000:02:00.0");
    CHECK(nvmlDeviceGetHandleByPciBusId_v2(pci.busId, &device));
    assert_ptr_equal(device, by_index(1));
    CHECK(nvmlDeviceGetHandleByPciBusId_v2("0000:01:00.0", &device));
    assert_ptr_equal(device, by_index(0));
    CHECK(nvmlDeviceGetSerial(by_index(1), serial, sizeof serial));
    CHECK(nvmlDeviceGetHandleBySerial(serial, &device));
    CHECK(nvmlDeviceGetIndex(device, &index));
    assert_int_equal(index, 1);
    CHECK_IS(nvmlDeviceGetHandleByUUID("GPU-0", &device), NVML_ERROR_NOT_FOUND);
    CHECK_IS(nvmlDeviceGetHandleByPciBusId_v2("0000:07:00.0", &device), NVML_ERROR_NOT_FOUND);
    CHECK_IS(nvmlDeviceGetHandleByIndex_v2(2, &device), NVML_ERROR_INVALID_ARGUMENT);
    CHECK_IS(nvmlDeviceGetUUID(by_index(0), uuid, 10), NVML_ERROR_INSUFFICIENT_SIZE);
}

static void memory_adds_up(void **state)
{
    nvmlMemory_t memory;
    nvmlMemory_v2_t whole = {.version = NVML_MEMORY_V2};
    CHECK(nvmlInit_v2());
    CHECK(nvmlDeviceGetMemoryInfo(by_index(0), &memory));
    assert_int_equal(memory.total, 81559ull << 20);
    assert_int_equal(memory.used + memory.free, memory.total);
    CHECK(nvmlDeviceGetMemoryInfo_v2(by_index(0), &whole));
    assert_int_equal(whole.used + whole.free + whole.reserved, whole.total);
    whole.version = 1;
    CHECK_IS(nvmlDeviceGetMemoryInfo_v2(by_index(0), &whole), NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
}

static void a_missing_value_is_not_supported_and_others_answer(void **state)
{
    unsigned int value;
    setenv("VGPU_SIM_MISSING", "0:power", 1);
    CHECK(nvmlInit_v2());
    CHECK_IS(nvmlDeviceGetPowerUsage(by_index(0), &value), NVML_ERROR_NOT_SUPPORTED);
    CHECK(nvmlDeviceGetPowerUsage(by_index(1), &value));
    CHECK(nvmlDeviceGetTemperature(by_index(0), NVML_TEMPERATURE_GPU, &value));
    assert_in_range(value, 20, 95);
    CHECK_IS(nvmlDeviceGetFanSpeed(by_index(0), &value), NVML_ERROR_NOT_SUPPORTED); /* an H100 has none */
}

static void a_lost_gpu_has_no_handle_and_one_in_error_no_values(void **state)
{
    nvmlDevice_t device;
    unsigned int value;
    char name[NVML_DEVICE_NAME_V2_BUFFER_SIZE];
    setenv("VGPU_SIM_GPUS", "3", 1);
    setenv("VGPU_SIM_LOST", "0", 1);
    setenv("VGPU_SIM_ERROR", "1", 1);
    CHECK(nvmlInit_v2());
    CHECK(nvmlDeviceGetCount_v2(&value));
    assert_int_equal(value, 3);
    CHECK_IS(nvmlDeviceGetHandleByIndex_v2(0, &device), NVML_ERROR_GPU_IS_LOST);
    CHECK(nvmlDeviceGetName(by_index(1), name, sizeof name));
    CHECK_IS(nvmlDeviceGetTemperature(by_index(1), NVML_TEMPERATURE_GPU, &value), NVML_ERROR_GPU_IS_LOST);
    CHECK(nvmlDeviceGetTemperature(by_index(2), NVML_TEMPERATURE_GPU, &value));
}

static void a_machine_without_gpus_is_one(void **state)
{
    unsigned int count;
    setenv("VGPU_SIM_GPUS", "0", 1);
    CHECK(nvmlInit_v2());
    CHECK(nvmlDeviceGetCount_v2(&count));
    assert_int_equal(count, 0);
}

static void a_machine_that_makes_no_sense_has_no_driver(void **state)
{
    setenv("VGPU_SIM_GPUS", "H900", 1);
    CHECK_IS(nvmlInit_v2(), NVML_ERROR_DRIVER_NOT_LOADED);
    setenv("VGPU_SIM_GPUS", "T4", 1);
    CHECK(nvmlInit_v2());
}

int main(void)
{
    char command[128];
    if (!mkdtemp(directory))
        return 1;
    setenv("VGPU_SIM_STATE_DIR", directory, 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_library_must_be_initialised_as_often_as_shut_down, clear,
                                        shut_down),
        cmocka_unit_test_setup_teardown(a_gpu_is_found_by_each_of_its_names, clear, shut_down),
        cmocka_unit_test_setup_teardown(memory_adds_up, clear, shut_down),
        cmocka_unit_test_setup_teardown(a_missing_value_is_not_supported_and_others_answer, clear, shut_down),
        cmocka_unit_test_setup_teardown(a_lost_gpu_has_no_handle_and_one_in_error_no_values, clear,
                                        shut_down),
        cmocka_unit_test_setup_teardown(a_machine_without_gpus_is_one, clear, shut_down),
        cmocka_unit_test_setup_teardown(a_machine_that_makes_no_sense_has_no_driver, clear, shut_down),
    };
    int failed = cmocka_run_group_tests_name("nvml", tests, NULL, NULL);
    snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command) || failed;
}

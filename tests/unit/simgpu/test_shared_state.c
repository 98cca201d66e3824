/* What processes of one simulated machine see of each other, through libcuda and NVML. */
#include "fixture.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cuda/nvml_types.h"

/* --- further processes --- */

static bool open_device(CUcontext *context)
{
    return !cuInit(0) && !cuCtxCreate_v2(context, 0, 0);
}

/* Holds 32 MiB until it is killed. */
static int hold_memory(void)
{
    CUcontext context;
    CUdeviceptr memory;
    if (!open_device(&context) || cuMemAlloc(&memory, 32 * MIB))
        return 1;
    tell("holding");
    for (;;)
        pause();
}

/* Takes and frees until it is killed. */
static int churn_memory(void)
{
    CUcontext context;
    CUdeviceptr memory;
    if (!open_device(&context))
        return 1;
    tell("churning");
    for (;;)
        if (cuMemAlloc(&memory, MIB) || cuMemFree(memory))
            return 2;
}

/* Runs a kernel that ends when it is told so. */
static int keep_busy(void)
{
    struct gpu *gpu;
    fixture_open((void **)&gpu);
    unsigned int *word, value = 1;
    if (cuMemHostAlloc((void **)&word, sizeof *word, 0))
        return 1;
    *word = 0;
    CUdeviceptr address = (CUdeviceptr)(uintptr_t)word;
    void *params[] = {&address, &value};
    if (cuLaunchKernel(gpu->spin_until, 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL))
        return 2;
    tell("busy");
    wait_until_told("enough");
    __atomic_store_n(word, 1, __ATOMIC_SEQ_CST);
    if (cuCtxSynchronize())
        return 3;
    tell("idle");
    wait_until_told("leave");
    return fixture_close((void **)&gpu);
}

const struct fixture_process fixture_processes[] = {
    {"hold-memory", hold_memory},
    {"churn-memory", churn_memory},
    {"keep-busy", keep_busy},
    {NULL, NULL},
};

/* --- what NVML says --- */

static nvmlDevice_t device_handle(void)
{
    nvmlDevice_t device;
    assert_int_equal(nvmlDeviceGetHandleByIndex_v2(0, &device), NVML_SUCCESS);
    return device;
}

static unsigned int process_count(void)
{
    nvmlProcessInfo_t infos[8];
    unsigned int count = 8;
    assert_int_equal(nvmlDeviceGetComputeRunningProcesses_v3(device_handle(), &count, infos), NVML_SUCCESS);
    return count;
}

static unsigned long long used_bytes(void)
{
    nvmlMemory_v2_t memory = {.version = NVML_MEMORY_V2};
    assert_int_equal(nvmlDeviceGetMemoryInfo_v2(device_handle(), &memory), NVML_SUCCESS);
    return memory.used;
}

static int open_both(void **state)
{
    assert_int_equal(nvmlInit_v2(), NVML_SUCCESS);
    return fixture_open(state);
}

static int close_both(void **state)
{
    assert_int_equal(nvmlShutdown(), NVML_SUCCESS);
    return fixture_close(state);
}

/* --- tests --- */

static void processes_share_the_memory_of_a_gpu(void **state)
{
    CUdeviceptr memory;
    size_t free_bytes, total;
    pid_t pid = start_process("hold-memory", NULL, NULL);
    wait_until_told("holding");
    CHECK(cuMemGetInfo(&free_bytes, &total));
    assert_true(free_bytes < total - 32 * MIB);
    CHECK_IS(cuMemAlloc(&memory, 32 * MIB), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK(cuMemAlloc(&memory, 16 * MIB));
    assert_int_equal(process_count(), 2);
    assert_true(used_bytes() > 48 * MIB);
    CHECK(cuMemFree(memory));

    /* Killed, it leaves nothing behind: the next who needs the memory gets it. */
    kill(pid, SIGKILL);
    assert_int_equal(wait_process(pid), 128 + SIGKILL);
    CHECK(cuMemAlloc(&memory, 48 * MIB));
    assert_int_equal(process_count(), 1);
    CHECK(cuMemFree(memory));
}

static void a_process_killed_at_any_point_leaves_the_machine_whole(void **state)
{
    CUdeviceptr memory;
    unsigned long long before = used_bytes();
    for (int round = 0; round < 10; round++) {
        pid_t pid = start_process("churn-memory", NULL, NULL);
        wait_until_told("churning");
        usleep(1000 * (unsigned int)round);
        kill(pid, SIGKILL);
        wait_process(pid);
        CHECK(cuMemAlloc(&memory, 40 * MIB));
        CHECK(cuMemFree(memory));
    }
    assert_int_equal(used_bytes(), before);
    assert_int_equal(process_count(), 1);
}

static void utilisation_is_what_the_processes_do(void **state)
{
    nvmlUtilization_t utilization;
    unsigned int idle_watts, busy_watts;
    assert_int_equal(nvmlDeviceGetUtilizationRates(device_handle(), &utilization), NVML_SUCCESS);
    assert_int_equal(utilization.gpu, 0);
    assert_int_equal(nvmlDeviceGetPowerUsage(device_handle(), &idle_watts), NVML_SUCCESS);
    pid_t pid = start_process("keep-busy", NULL, NULL);
    wait_until_told("busy");
    while (utilization.gpu < 50) {
        usleep(20000);
        assert_int_equal(nvmlDeviceGetUtilizationRates(device_handle(), &utilization), NVML_SUCCESS);
    }
    assert_int_equal(nvmlDeviceGetPowerUsage(device_handle(), &busy_watts), NVML_SUCCESS);
    assert_true(busy_watts > idle_watts);
    tell("enough");
    wait_until_told("idle");
    while (utilization.gpu > 0) {
        usleep(20000);
        assert_int_equal(nvmlDeviceGetUtilizationRates(device_handle(), &utilization), NVML_SUCCESS);
    }
    tell("leave");
    assert_int_equal(wait_process(pid), 0);
}

int main(int argc, char **argv)
{
    fixture_start(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(processes_share_the_memory_of_a_gpu, open_both, close_both),
        cmocka_unit_test_setup_teardown(a_process_killed_at_any_point_leaves_the_machine_whole, open_both,
                                        close_both),
        cmocka_unit_test_setup_teardown(utilisation_is_what_the_processes_do, open_both, close_both),
    };
    return fixture_end(cmocka_run_group_tests_name("shared state", tests, NULL, NULL));
}

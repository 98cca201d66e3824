/* Devices, contexts and entry points of the simulated libcuda.so.1. */
#include "fixture.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- further processes --- */

/* Exit status: the number of devices, 64 + the error of cuInit where that fails. */
static int count_devices(void)
{
    int count = 0;
    CUresult result = cuInit(0);
    if (result)
        return 64 + (int)result % 64;
    return cuDeviceGetCount(&count) ? 63 : count;
}

/* Exit status: PCI buses of devices 0 and 1 as two digits. */
static int list_buses(void)
{
    int count = 0, bus, digits = 0;
    if (cuInit(0) || cuDeviceGetCount(&count))
        return 63;
    for (int i = 0; i < count; i++) {
        if (cuDeviceGetAttribute(&bus, CU_DEVICE_ATTRIBUTE_PCI_BUS_ID, i))
            return 63;
        digits = digits * 10 + bus;
    }
    return digits;
}

static int call_without_init(void)
{
    int count;
    CUcontext context;
    size_t bytes;
    return cuDeviceGetCount(&count) == CUDA_ERROR_NOT_INITIALIZED &&
                   cuCtxGetCurrent(&context) == CUDA_ERROR_NOT_INITIALIZED &&
                   cuMemGetInfo(&bytes, &bytes) == CUDA_ERROR_NOT_INITIALIZED &&
                   cuInit(1) == CUDA_ERROR_INVALID_VALUE
               ? 0
               : 1;
}

static int context_on_broken_gpu(void)
{
    CUcontext context;
    if (cuInit(0))
        return 1;
    return cuDevicePrimaryCtxRetain(&context, 0) == CUDA_ERROR_DEVICE_UNAVAILABLE &&
                   cuDevicePrimaryCtxRetain(&context, 1) == CUDA_SUCCESS
               ? 0
               : 2;
}

/* After fork, a child must not use what its parent initialised. */
static int fork_after_init(void)
{
    int status, count;
    if (cuInit(0))
        return 1;
    pid_t pid = fork();
    if (pid == 0)
        _exit(cuInit(0) == CUDA_ERROR_NOT_INITIALIZED &&
                      cuDeviceGetCount(&count) == CUDA_ERROR_NOT_INITIALIZED
                  ? 0
                  : 1);
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}

const struct fixture_process fixture_processes[] = {
    {"count-devices", count_devices},         {"list-buses", list_buses},
    {"call-without-init", call_without_init}, {"context-on-broken-gpu", context_on_broken_gpu},
    {"fork-after-init", fork_after_init},     {NULL, NULL},
};

/* --- which devices there are --- */

static void before_init_every_call_says_so(void **state)
{
    assert_int_equal(run_process("call-without-init", NULL, NULL), 0);
}

static void a_forked_child_cannot_use_the_parents_driver(void **state)
{
    assert_int_equal(run_process("fork-after-init", NULL, NULL), 0);
}

static void the_number_of_devices_follows_the_machine(void **state)
{
    assert_int_equal(run_process("count-devices", NULL, NULL), 2);
    assert_int_equal(run_process("count-devices", "VGPU_SIM_GPUS=T4*3", NULL), 3);
    assert_int_equal(run_process("count-devices", "VGPU_SIM_GPUS=T4*3", "VGPU_SIM_HIDE=0"), 2);
    assert_int_equal(run_process("count-devices", "VGPU_SIM_GPUS=0", NULL), 64 + CUDA_ERROR_NO_DEVICE % 64);
}

static void visible_devices_choose_and_order(void **state)
{
    assert_int_equal(run_process("list-buses", "CUDA_VISIBLE_DEVICES=1,0", NULL), 21);
    assert_int_equal(run_process("list-buses", "CUDA_VISIBLE_DEVICES=1", NULL), 2);
    assert_int_equal(run_process("list-buses", "CUDA_VISIBLE_DEVICES=1,-1,0", NULL), 2);
    assert_int_equal(run_process("list-buses", "CUDA_VISIBLE_DEVICES=0,7,1", NULL), 1);
    assert_int_equal(run_process("count-devices", "CUDA_VISIBLE_DEVICES=", NULL),
                     64 + CUDA_ERROR_NO_DEVICE % 64);
    assert_int_equal(run_process("count-devices", "CUDA_VISIBLE_DEVICES=0,0", NULL),
                     64 + CUDA_ERROR_NO_DEVICE % 64);
}

static void visible_devices_may_be_uuids_or_their_beginnings(void **state)
{
    char variable[80] = "CUDA_VISIBLE_DEVICES=GPU-";
    CUuuid uuid;
    CHECK(cuInit(0));
    CHECK(cuDeviceGetUuid(&uuid, 1));
    for (int i = 0; i < 16; i++)
        sprintf(variable + strlen(variable), "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
                (unsigned char)uuid.bytes[i]);
    assert_int_equal(run_process("list-buses", variable, NULL), 2);
    variable[strlen("CUDA_VISIBLE_DEVICES=GPU-") + 6] = 0;
    assert_int_equal(run_process("list-buses", variable, NULL), 2);
    assert_int_equal(run_process("count-devices", "CUDA_VISIBLE_DEVICES=GPU-", NULL),
                     64 + CUDA_ERROR_NO_DEVICE % 64);
}

static void a_gpu_in_error_refuses_contexts_and_the_other_does_not(void **state)
{
    assert_int_equal(run_process("context-on-broken-gpu", "VGPU_SIM_ERROR=0", NULL), 0);
}

static void a_device_answers_as_the_card_would(void **state)
{
    char name[64], bus[16];
    int value;
    size_t bytes;
    CUdevice device;
    CHECK(cuInit(0));
    CHECK(cuDeviceGetName(name, sizeof name, 0));
    assert_string_equal(name, "NVIDIA H100 80GB PCIe");
    CHECK(cuDeviceGetName(name, 7, 0));
    assert_string_equal(name, "NVIDIA");
    CHECK(cuDeviceGetPCIBusId(bus, sizeof bus, 1));
    assert_string_equal(bus, "0000:02:00.0");
    CHECK(cuDeviceGetByPCIBusId(&device, "0000:02:00.0"));
    assert_int_equal(device, 1);
    CHECK_IS(cuDeviceGetByPCIBusId(&device, "0000:09:00.0"), CUDA_ERROR_INVALID_DEVICE);
    CHECK(cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 0));
    assert_int_equal(value, 9);
    CHECK(cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 0));
    assert_int_equal(value, 114);
    for (int attribute = 1; attribute < CU_DEVICE_ATTRIBUTE_MAX; attribute++)
        CHECK(cuDeviceGetAttribute(&value, attribute, 0));
    CHECK_IS(cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_MAX, 0), CUDA_ERROR_INVALID_VALUE);
    CHECK(cuDeviceTotalMem(&bytes, 0));
    assert_in_range(bytes, (GPU_MEMORY_MB - 1) * MIB, GPU_MEMORY_MB * MIB);
    CHECK_IS(cuDeviceGet(&device, 2), CUDA_ERROR_INVALID_DEVICE);
    CHECK_IS(cuDeviceGet(&device, -1), CUDA_ERROR_INVALID_DEVICE);
    CHECK_IS(cuDeviceGetName(name, sizeof name, 5), CUDA_ERROR_INVALID_DEVICE);
    CHECK(cuDriverGetVersion(&value));
    assert_int_equal(value, 13000);
}

/* --- contexts --- */

static void contexts_are_a_stack_of_each_thread(void **state)
{
    CUcontext first, second, seen;
    CHECK(cuInit(0));
    CHECK(cuCtxGetCurrent(&seen));
    assert_null(seen);
    CHECK(cuCtxCreate_v2(&first, 0, 0));
    CHECK(cuCtxCreate_v2(&second, CU_CTX_SCHED_BLOCKING_SYNC, 1));
    CHECK(cuCtxGetCurrent(&seen));
    assert_ptr_equal(seen, second);
    CUdevice device;
    CHECK(cuCtxGetDevice(&device));
    assert_int_equal(device, 1);
    CHECK(cuCtxPopCurrent(&seen));
    assert_ptr_equal(seen, second);
    CHECK(cuCtxGetCurrent(&seen));
    assert_ptr_equal(seen, first);
    CHECK(cuCtxSetCurrent(second));
    CHECK(cuCtxDestroy(first)); /* not on the stack any more: SetCurrent replaced it */
    CHECK(cuCtxDestroy(second));
    CHECK(cuCtxGetCurrent(&seen));
    assert_null(seen);
    CHECK_IS(cuCtxPopCurrent(&seen), CUDA_ERROR_INVALID_CONTEXT);
    CHECK_IS(cuCtxSynchronize(), CUDA_ERROR_INVALID_CONTEXT);
    CHECK_IS(cuCtxPushCurrent(second), CUDA_ERROR_INVALID_CONTEXT);
    CHECK_IS(cuCtxPushCurrent(NULL), CUDA_ERROR_INVALID_VALUE);
    CHECK_IS(cuCtxDestroy(second), CUDA_ERROR_INVALID_CONTEXT);
}

static void the_primary_context_lives_from_first_retain_to_last_release(void **state)
{
    CUcontext first, second;
    unsigned int flags;
    int active;
    CHECK(cuInit(0));
    CHECK_IS(cuDevicePrimaryCtxRelease(0), CUDA_ERROR_INVALID_CONTEXT);
    CHECK(cuDevicePrimaryCtxSetFlags(0, CU_CTX_SCHED_YIELD));
    CHECK(cuDevicePrimaryCtxRetain(&first, 0));
    CHECK(cuDevicePrimaryCtxRetain(&second, 0));
    assert_ptr_equal(first, second);
    CHECK(cuDevicePrimaryCtxGetState(0, &flags, &active));
    assert_int_equal(flags, CU_CTX_SCHED_YIELD);
    assert_true(active);
    CHECK_IS(cuCtxDestroy(first), CUDA_ERROR_INVALID_CONTEXT);
    CHECK(cuCtxSetCurrent(first));
    CHECK(cuDevicePrimaryCtxRelease(0));
    CHECK(cuCtxSynchronize());
    CHECK(cuDevicePrimaryCtxRelease(0));
    CHECK_IS(cuCtxSynchronize(), CUDA_ERROR_CONTEXT_IS_DESTROYED);
    CHECK(cuDevicePrimaryCtxGetState(0, &flags, &active));
    assert_false(active);
    CHECK(cuDevicePrimaryCtxReset(0));
    CHECK(cuCtxSetCurrent(NULL));
}

static void a_context_gives_back_all_that_was_made_in_it(void **state)
{
    CUcontext context, watcher;
    CUdeviceptr memory;
    CUstream stream;
    CUevent event;
    size_t free_before, free_after, total;
    CHECK(cuInit(0));
    CHECK(cuCtxCreate_v2(&watcher, 0, 0));
    CHECK(cuMemGetInfo(&free_before, &total));
    CHECK(cuCtxCreate_v2(&context, 0, 0));
    CHECK(cuMemAlloc(&memory, 8 * MIB));
    CHECK(cuStreamCreate(&stream, 0));
    CHECK(cuEventCreate(&event, 0));
    CHECK(cuCtxDestroy(context));
    CHECK_IS(cuStreamSynchronize(stream), CUDA_ERROR_INVALID_HANDLE);
    CHECK_IS(cuEventQuery(event), CUDA_ERROR_INVALID_HANDLE);
    CHECK_IS(cuMemFree(memory), CUDA_ERROR_INVALID_VALUE);
    CHECK(cuMemGetInfo(&free_after, &total));
    assert_int_equal(free_before, free_after);
    CHECK(cuCtxDestroy(watcher));
}

static void limits_and_settings_are_kept(void **state)
{
    CUcontext context;
    size_t value;
    int least, greatest;
    CUfunc_cache cache;
    CHECK(cuInit(0));
    CHECK_IS(cuCtxCreate_v2(&context, 3, 0), CUDA_ERROR_INVALID_VALUE);
    CHECK_IS(cuCtxCreate_v2(&context, 0, 2), CUDA_ERROR_INVALID_DEVICE);
    CHECK(cuCtxCreate_v4(&context, NULL, 0, 0));
    CHECK(cuCtxGetLimit(&value, CU_LIMIT_STACK_SIZE));
    assert_int_equal(value, 1024);
    CHECK(cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 4000));
    CHECK(cuCtxGetLimit(&value, CU_LIMIT_STACK_SIZE));
    assert_true(value >= 4000);
    CHECK_IS(cuCtxGetLimit(&value, CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH), CUDA_ERROR_UNSUPPORTED_LIMIT);
    CHECK_IS(cuCtxGetLimit(&value, CU_LIMIT_MAX), CUDA_ERROR_INVALID_VALUE);
    CHECK(cuCtxSetCacheConfig(CU_FUNC_CACHE_PREFER_L1));
    CHECK(cuCtxGetCacheConfig(&cache));
    assert_int_equal(cache, CU_FUNC_CACHE_PREFER_L1);
    CHECK(cuCtxGetStreamPriorityRange(&least, &greatest));
    assert_true(greatest < least);
    CHECK(cuCtxDestroy(context));
}

/* --- entry points --- */

static void errors_have_names_and_words(void **state)
{
    const char *text;
    CHECK(cuGetErrorName(CUDA_ERROR_ILLEGAL_ADDRESS, &text));
    assert_string_equal(text, "CUDA_ERROR_ILLEGAL_ADDRESS");
    CHECK(cuGetErrorString(CUDA_ERROR_ILLEGAL_ADDRESS, &text));
    assert_string_equal(text, "an illegal memory access was encountered");
    CHECK_IS(cuGetErrorName((CUresult)12345, &text), CUDA_ERROR_INVALID_VALUE);
    assert_null(text);
}

static void entry_points_are_found_by_name_and_version(void **state)
{
    void *address, *other;
    CUdriverProcAddressQueryResult status;
    CHECK(cuGetProcAddress_v2("cuMemAlloc", &address, 12000, 0, &status));
    assert_ptr_equal(address, dlsym(RTLD_DEFAULT, "cuMemAlloc_v2"));
    assert_int_equal(status, CU_GET_PROC_ADDRESS_SUCCESS);
    CHECK(cuGetProcAddress_v2("cuCtxCreate", &address, 13000, 0, &status));
    assert_ptr_equal(address, dlsym(RTLD_DEFAULT, "cuCtxCreate_v4"));
    CHECK(cuGetProcAddress_v2("cuCtxCreate", &address, 11030, 0, &status));
    assert_ptr_equal(address, dlsym(RTLD_DEFAULT, "cuCtxCreate_v2"));
    CHECK(cuGetProcAddress_v2("cuMemcpyHtoD", &address, 12000, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM,
                              NULL));
    assert_ptr_equal(address, dlsym(RTLD_DEFAULT, "cuMemcpyHtoD_v2_ptds"));
    CHECK(cuGetProcAddress_v2("cuLaunchKernel", &address, 12000,
                              CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM, NULL));
    assert_ptr_equal(address, dlsym(RTLD_DEFAULT, "cuLaunchKernel_ptsz"));
    CHECK(cuGetProcAddress_v2("cuGraphLaunch", &address, 12000, 0, NULL));
    CHECK(cuGetProcAddress_v2("cuGraphLaunch", &other, 12000, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM,
                              NULL));
    assert_ptr_not_equal(address, other);
    CHECK(cuGetProcAddress_v2("cuLibraryLoadData", &address, 11000, 0, &status));
    assert_int_equal(status, CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT);
    assert_null(address);
    CHECK(cuGetProcAddress_v2("cuNoSuchThing", &address, 12000, 0, &status));
    assert_int_equal(status, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
    CHECK_IS(cuGetProcAddress_v2("cuNoSuchThing", &address, 12000, 0, NULL), CUDA_ERROR_NOT_FOUND);
}

static void what_is_not_there_says_so(void **state)
{
    CUresult (*graphics_device)(void);
    *(void **)&graphics_device = dlsym(RTLD_DEFAULT, "cuVDPAUGetDevice");
    CHECK_IS(graphics_device(), CUDA_ERROR_NOT_SUPPORTED);
}

int main(int argc, char **argv)
{
    fixture_start(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(before_init_every_call_says_so),
        cmocka_unit_test(a_forked_child_cannot_use_the_parents_driver),
        cmocka_unit_test(the_number_of_devices_follows_the_machine),
        cmocka_unit_test(visible_devices_choose_and_order),
        cmocka_unit_test(visible_devices_may_be_uuids_or_their_beginnings),
        cmocka_unit_test(a_gpu_in_error_refuses_contexts_and_the_other_does_not),
        cmocka_unit_test(a_device_answers_as_the_card_would),
        cmocka_unit_test(contexts_are_a_stack_of_each_thread),
        cmocka_unit_test(the_primary_context_lives_from_first_retain_to_last_release),
        cmocka_unit_test(a_context_gives_back_all_that_was_made_in_it),
        cmocka_unit_test(limits_and_settings_are_kept),
        cmocka_unit_test(errors_have_names_and_words),
        cmocka_unit_test(entry_points_are_found_by_name_and_version),
        cmocka_unit_test(what_is_not_there_says_so),
    };
    return fixture_end(cmocka_run_group_tests_name("driver", tests, NULL, NULL));
}

/* Modules, functions, launches and faults of the simulated driver. */
#include "fixture.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- further processes --- */

/* Faults, and goes on to see what then works. */
static int fault(void)
{
    struct gpu *gpu;
    size_t bytes;
    fixture_open((void **)&gpu);
    launch_store(gpu, 0x600000000000ull + (1ull << 40), 1, NULL);
    bool is_broken = cuCtxSynchronize() == CUDA_ERROR_ILLEGAL_ADDRESS &&
                     cuMemGetInfo(&bytes, &bytes) == CUDA_ERROR_ILLEGAL_ADDRESS;
    fixture_close((void **)&gpu);
    return is_broken ? 0 : 1;
}

/* Launches until it is killed. */
static int launch_on(void)
{
    struct gpu *gpu;
    CUdeviceptr memory;
    fixture_open((void **)&gpu);
    if (cuMemAlloc(&memory, 4096))
        return 1;
    tell("launching");
    for (;;)
        if (launch_store(gpu, memory, 1, NULL))
            return 2;
}

const struct fixture_process fixture_processes[] = {
    {"fault", fault},
    {"launch-on", launch_on},
    {NULL, NULL},
};

/* --- launching --- */

static CUresult launch_shape(CUfunction function, unsigned int grid, unsigned int block,
                             unsigned int shared_bytes, void **params)
{
    return cuLaunchKernel(function, grid, 1, 1, block, 1, 1, shared_bytes, NULL, params, NULL);
}

static void a_kernel_adds_up(void **state)
{
    const struct gpu *gpu = *state;
    unsigned int n = 10000, *words = calloc(n, sizeof *words);
    CUdeviceptr memory;
    CHECK(cuMemAlloc(&memory, n * sizeof *words));
    CHECK(cuMemsetD32(memory, 41, n));
    void *params[] = {&memory, &n};
    CHECK(launch_shape(gpu->add_one, (n + 255) / 256, 256, 0, params));
    CHECK(cuMemcpyDtoH(words, memory, n * sizeof *words));
    for (unsigned int i = 0; i < n; i++)
        assert_int_equal(words[i], 42);
    free(words);
    CHECK(cuMemFree(memory));
}

static void parameters_may_come_as_one_buffer(void **state)
{
    const struct gpu *gpu = *state;
    unsigned int value = 0;
    struct {
        CUdeviceptr p;
        unsigned int value;
    } buffer = {0, 77};
    size_t bytes = 12;
    CHECK(cuMemAlloc(&buffer.p, 4));
    void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &buffer, CU_LAUNCH_PARAM_BUFFER_SIZE, &bytes,
                     CU_LAUNCH_PARAM_END};
    CHECK(cuLaunchKernel(gpu->store, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, extra));
    CHECK(cuMemcpyDtoH(&value, buffer.p, 4));
    assert_int_equal(value, 77);
    bytes = 4;
    CHECK_IS(cuLaunchKernel(gpu->store, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, extra), CUDA_ERROR_INVALID_VALUE);
    CHECK_IS(cuLaunchKernel(gpu->store, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL), CUDA_ERROR_INVALID_VALUE);
    CHECK(cuMemFree(buffer.p));
}

static void shapes_that_no_gpu_can_run_are_refused_at_the_call(void **state)
{
    const struct gpu *gpu = *state;
    CUfunction none = NULL;
    CUdeviceptr memory = 0;
    unsigned int n = 0;
    void *params[] = {&memory, &n};
    CHECK_IS(launch_shape(gpu->add_one, 0, 1, 0, params), CUDA_ERROR_INVALID_VALUE);
    CHECK_IS(launch_shape(gpu->add_one, 1, 0, 0, params), CUDA_ERROR_INVALID_VALUE);
    CHECK_IS(launch_shape(gpu->add_one, 1, 1025, 0, params), CUDA_ERROR_INVALID_VALUE);
    CHECK_IS(cuLaunchKernel(gpu->add_one, 1, 1, 1, 1, 1, 65, 0, NULL, params, NULL),
             CUDA_ERROR_INVALID_VALUE);
    CHECK_IS(cuLaunchKernel(gpu->add_one, 1, 65536, 1, 1, 1, 1, 0, NULL, params, NULL),
             CUDA_ERROR_INVALID_VALUE);
    CHECK_IS(launch_shape(gpu->add_one, 1, 1, 49153, params), CUDA_ERROR_INVALID_VALUE);
    CHECK_IS(launch_shape(none, 1, 1, 0, params), CUDA_ERROR_INVALID_HANDLE);
    CHECK_IS(launch_shape((CUfunction)(void *)gpu->context, 1, 1, 0, params), CUDA_ERROR_INVALID_HANDLE);
    CHECK(launch_shape(gpu->add_one, 1, 1024, 49152, params));
    CHECK(cuCtxSynchronize());
}

static void more_shared_memory_needs_opting_in(void **state)
{
    const struct gpu *gpu = *state;
    CUfunction function = find_function(gpu, "shared_sum");
    CUdeviceptr out;
    unsigned int n = 20000, sum = 0;
    CHECK(cuMemAlloc(&out, 4));
    void *params[] = {&out, &n};
    CHECK_IS(launch_shape(function, 1, 1, n * 4, params), CUDA_ERROR_INVALID_VALUE);
    CHECK_IS(cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 227 * 1024 + 1),
             CUDA_ERROR_INVALID_VALUE);
    CHECK(cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 80000));
    CHECK(launch_shape(function, 1, 1, n * 4, params));
    CHECK(cuMemcpyDtoH(&sum, out, 4));
    assert_int_equal(sum, n);
    CHECK(cuMemFree(out));
}

static void a_cooperative_grid_must_fit_on_the_gpu(void **state)
{
    const struct gpu *gpu = *state;
    CUdeviceptr memory = 0;
    unsigned int n = 0;
    int per_sm, sms;
    void *params[] = {&memory, &n};
    CHECK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&per_sm, gpu->add_one, 256, 0));
    CHECK(cuDeviceGetAttribute(&sms, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 0));
    assert_int_equal(per_sm, 8);
    CHECK(cuLaunchCooperativeKernel(gpu->add_one, 4, 1, 1, 256, 1, 1, 0, NULL, params));
    CHECK_IS(cuLaunchCooperativeKernel(gpu->add_one, (unsigned int)(per_sm * sms + 1), 1, 1, 256, 1, 1, 0,
                                       NULL, params),
             CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
    CHECK(cuCtxSynchronize());
}

static void blocks_of_a_cooperative_grid_wait_for_each_other(void **state)
{
    const struct gpu *gpu = *state;
    CUdeviceptr counter;
    unsigned int blocks = 500, met = 0;
    CHECK(cuMemAlloc(&counter, 4));
    CHECK(cuMemsetD32(counter, 0, 1));
    void *params[] = {&counter, &blocks};
    CHECK(cuLaunchCooperativeKernel(find_function(gpu, "meet"), blocks, 1, 1, 1, 1, 1, 0, NULL, params));
    CHECK(cuMemcpyDtoH(&met, counter, 4));
    assert_int_equal(met, blocks);
    CHECK(cuMemFree(counter));
}

/* --- faults --- */

static void expect_broken(CUresult error, CUdeviceptr memory)
{
    CUstream stream;
    CUevent event;
    unsigned int value = 0;
    CHECK_IS(cuCtxSynchronize(), error);
    CHECK_IS(cuStreamSynchronize(NULL), error);
    CHECK_IS(cuMemcpyDtoH(&value, memory, 4), error);
    CHECK_IS(cuMemAlloc(&memory, 4), error);
    CHECK_IS(cuStreamCreate(&stream, 0), error);
    CHECK_IS(cuEventCreate(&event, 0), error);
}

static void an_illegal_address_breaks_the_context_for_good_and_no_other(void **state)
{
    const struct gpu *gpu = *state;
    CUdeviceptr memory;
    CUcontext other;
    CHECK(cuMemAlloc(&memory, 8));
    CHECK(launch_store(gpu, memory + 8, 1, NULL)); /* one past the end: found when it runs */
    expect_broken(CUDA_ERROR_ILLEGAL_ADDRESS, memory);
    CHECK(cuCtxCreate_v2(&other, 0, 0));
    CHECK(cuMemAlloc(&memory, 8));
    CHECK(cuCtxDestroy(other));
}

static void freed_memory_is_not_to_be_touched(void **state)
{
    const struct gpu *gpu = *state;
    CUdeviceptr memory;
    CHECK(cuMemAlloc(&memory, 8));
    CHECK(cuMemFree(memory));
    CHECK(launch_store(gpu, memory, 1, NULL));
    expect_broken(CUDA_ERROR_ILLEGAL_ADDRESS, memory);
}

static void host_memory_that_the_gpu_does_not_know_is_not_to_be_touched(void **state)
{
    const struct gpu *gpu = *state;
    static unsigned int word;
    CHECK(launch_store(gpu, (CUdeviceptr)(uintptr_t)&word, 1, NULL));
    CHECK_IS(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
    assert_int_equal(word, 0);
}

static void a_misaligned_address_is_told_apart(void **state)
{
    const struct gpu *gpu = *state;
    CUdeviceptr memory;
    CHECK(cuMemAlloc(&memory, 64));
    void *params[] = {&memory};
    CHECK(launch_shape(find_function(gpu, "load_misaligned"), 1, 1, 0, params));
    expect_broken(CUDA_ERROR_MISALIGNED_ADDRESS, memory);
}

static void a_trap_is_a_launch_failure(void **state)
{
    const struct gpu *gpu = *state;
    CHECK(launch_shape(find_function(gpu, "trap"), 1, 1, 0, NULL));
    expect_broken(CUDA_ERROR_LAUNCH_FAILED, 0);
}

static void after_a_fault_nothing_more_of_the_context_runs(void **state)
{
    const struct gpu *gpu = *state;
    CUstream stream;
    unsigned int *word;
    struct gate gate = make_gate();
    CHECK(cuMemAllocHost((void **)&word, 4));
    *word = 0;
    CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    put_gate(gate, stream);
    CHECK(launch_store(gpu, (CUdeviceptr)(uintptr_t)word, 1, stream));
    CHECK(cuMemsetD32Async((CUdeviceptr)(uintptr_t)word, 2, 1, stream));
    CHECK(launch_shape(find_function(gpu, "trap"), 1, 1, 0, NULL));
    CHECK_IS(cuStreamSynchronize(NULL), CUDA_ERROR_LAUNCH_FAILED);
    CHECK_IS(cuCtxSynchronize(), CUDA_ERROR_LAUNCH_FAILED); /* the gate lets go by itself */
    assert_int_equal(*word, 0);
}

static void other_processes_do_not_notice(void **state)
{
    const struct gpu *gpu = *state;
    CUdeviceptr memory;
    unsigned int value = 0;
    CHECK(cuMemAlloc(&memory, 4));
    assert_int_equal(run_process("fault", NULL, NULL), 0);
    for (int round = 0; round < 3; round++) {
        pid_t pid = start_process("launch-on", NULL, NULL);
        wait_until_told("launching");
        kill(pid, SIGKILL);
        wait_process(pid);
        CHECK(launch_store(gpu, memory, 5, NULL));
        CHECK(cuMemcpyDtoH(&value, memory, 4));
        assert_int_equal(value, 5);
    }
    CHECK(cuMemFree(memory));
}

/* --- functions and variables --- */

static void functions_tell_about_themselves(void **state)
{
    const struct gpu *gpu = *state;
    const char *name;
    size_t offset, bytes;
    int value;
    CUmodule module;
    unsigned int count;
    CHECK(cuFuncGetName(&name, gpu->add_one));
    assert_string_equal(name, "add_one");
    CHECK(cuFuncGetModule(&module, gpu->add_one));
    assert_ptr_equal(module, gpu->module);
    CHECK(cuFuncGetParamInfo(gpu->add_one, 1, &offset, &bytes));
    assert_int_equal(offset, 8);
    assert_int_equal(bytes, 4);
    CHECK_IS(cuFuncGetParamInfo(gpu->add_one, 2, &offset, &bytes), CUDA_ERROR_INVALID_VALUE);
    CHECK(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, gpu->add_one));
    assert_int_equal(value, 1024);
    CHECK(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_PTX_VERSION, gpu->add_one));
    assert_int_equal(value, 70);
    CHECK(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_BINARY_VERSION, gpu->add_one));
    assert_int_equal(value, 90);
    CHECK(cuModuleGetFunctionCount(&count, gpu->module));
    assert_int_equal(count, 7);
    CUfunction none;
    CHECK_IS(cuModuleGetFunction(&none, gpu->module, "no_such"), CUDA_ERROR_NOT_FOUND);
}

static void variables_have_an_address_and_their_first_value(void **state)
{
    const struct gpu *gpu = *state;
    CUdeviceptr counter;
    size_t bytes;
    unsigned int value = 0;
    CHECK(cuModuleGetGlobal(&counter, &bytes, gpu->module, "counter"));
    assert_int_equal(bytes, 4);
    CHECK(cuMemcpyDtoH(&value, counter, 4));
    assert_int_equal(value, 7);
    CHECK_IS(cuModuleGetGlobal(&counter, &bytes, gpu->module, "no_such"), CUDA_ERROR_NOT_FOUND);
    CHECK_IS(cuMemFree(counter), CUDA_ERROR_INVALID_VALUE);
    CHECK(cuModuleUnload(gpu->module));
    CHECK_IS(cuMemcpyDtoH(&value, counter, 4), CUDA_ERROR_INVALID_VALUE);
    CHECK_IS(cuModuleUnload(gpu->module), CUDA_ERROR_INVALID_HANDLE);
}

static void a_library_becomes_a_module_in_each_context(void **state)
{
    CUlibrary library;
    CUkernel kernel;
    CUfunction here, there;
    CUcontext other;
    CUdeviceptr memory, counter, other_counter;
    unsigned int one = 1, value = 0;
    size_t bytes;
    CHECK(cuLibraryLoadData(&library, fixture_ptx, NULL, NULL, 0, NULL, NULL, 0));
    CHECK(cuLibraryGetKernel(&kernel, library, "add_one"));
    CHECK(cuKernelGetFunction(&here, kernel));
    CHECK(cuLibraryGetGlobal(&counter, &bytes, library, "counter"));
    CHECK(cuMemAlloc(&memory, 4));
    CHECK(cuMemsetD32(memory, 1, 1));
    void *params[] = {&memory, &one};
    CHECK(launch_shape(here, 1, 1, 0, params));
    CHECK(launch_shape((CUfunction)(void *)kernel, 1, 1, 0, params));
    CHECK(cuMemcpyDtoH(&value, memory, 4));
    assert_int_equal(value, 3);
    CHECK(cuCtxCreate_v2(&other, 0, 1));
    CHECK(cuKernelGetFunction(&there, kernel));
    assert_ptr_not_equal(here, there);
    CHECK(cuLibraryGetGlobal(&other_counter, &bytes, library, "counter"));
    assert_int_not_equal(counter, other_counter);
    CHECK_IS(launch_shape(here, 1, 1, 0, params), CUDA_ERROR_INVALID_HANDLE);
    CHECK(cuCtxDestroy(other));
    CHECK(cuLibraryUnload(library));
    CHECK_IS(launch_shape(here, 1, 1, 0, params), CUDA_ERROR_INVALID_HANDLE);
    CHECK_IS(cuLibraryUnload(library), CUDA_ERROR_INVALID_HANDLE);
    CHECK(cuMemFree(memory));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(int argc, char **argv)
{
    fixture_start(argc, argv);
    const struct CMUnitTest tests[] = {
        TEST(a_kernel_adds_up),
        TEST(parameters_may_come_as_one_buffer),
        TEST(shapes_that_no_gpu_can_run_are_refused_at_the_call),
        TEST(more_shared_memory_needs_opting_in),
        TEST(a_cooperative_grid_must_fit_on_the_gpu),
        TEST(blocks_of_a_cooperative_grid_wait_for_each_other),
        TEST(an_illegal_address_breaks_the_context_for_good_and_no_other),
        TEST(freed_memory_is_not_to_be_touched),
        TEST(host_memory_that_the_gpu_does_not_know_is_not_to_be_touched),
        TEST(a_misaligned_address_is_told_apart),
        TEST(a_trap_is_a_launch_failure),
        TEST(after_a_fault_nothing_more_of_the_context_runs),
        TEST(other_processes_do_not_notice),
        TEST(functions_tell_about_themselves),
        TEST(variables_have_an_address_and_their_first_value),
        TEST(a_library_becomes_a_module_in_each_context),
    };
    return fixture_end(cmocka_run_group_tests_name("launch", tests, NULL, NULL));
}

/* Kernels that go wrong: the error, and that it stays with the context. Every case ruins its context, so
 * each has a process of its own. */
#include <string.h>

#include "support/gpu.h"

/* After a fault every call of the context that could touch the GPU gives the same error. */
static void check_sticky(CUresult error, CUdeviceptr memory, CUevent event)
{
    uint32_t word;
    CUdeviceptr more;
    CUmodule module;
    CUstream stream;
    EXPECT(error, cuCtxSynchronize());
    EXPECT(error, cuCtxSynchronize());
    EXPECT(error, cuStreamQuery(NULL));
    EXPECT(error, cuStreamSynchronize(NULL));
    EXPECT(error, cuMemcpyDtoH(&word, memory, sizeof word));
    EXPECT(error, cuMemsetD32(memory, 0, 1));
    EXPECT(error, cuMemAlloc(&more, 4096));
    EXPECT(error, cuModuleLoadData(&module, ptx_launch));
    EXPECT(error, cuStreamCreate(&stream, 0));
    EXPECT(error, cuEventQuery(event));
    NOTE(cuMemFree(memory));
}

static void fault_with(CUresult expected, const char *kernel, uint64_t address)
{
    uint32_t value = 1;
    CUevent event;
    gpu_use();
    CUdeviceptr memory = gpu_allocate(4096);
    REQUIRE(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    CUfunction function = gpu_kernel(ptx_fault, kernel), empty = gpu_kernel(ptx_launch, "empty");
    REQUIRE(cuLaunchKernel(
        function, 1, 1, 1, 1, 1, 1, 0, NULL,
        strcmp(kernel, "peek") == 0 ? ARGUMENTS(&address, &memory) : ARGUMENTS(&address, &value), NULL));
    cuEventRecord(event, NULL); /* may see the error already, or not yet */
    check_sticky(expected, memory, event);
    EXPECT(expected, cuLaunchKernel(empty, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
}

static void store_to_null(void)
{
    fault_with(CUDA_ERROR_ILLEGAL_ADDRESS, "poke", 0);
}

static void load_from_nowhere(void)
{
    fault_with(CUDA_ERROR_ILLEGAL_ADDRESS, "peek", 0x7000000000000000u);
}

static void store_past_the_end(void)
{
    gpu_use();
    CUdeviceptr memory = gpu_allocate(4096);
    fault_with(CUDA_ERROR_ILLEGAL_ADDRESS, "poke", memory + ((uint64_t)1 << 41));
}

static void misaligned_store(void)
{
    gpu_use();
    CUdeviceptr memory = gpu_allocate(4096);
    fault_with(CUDA_ERROR_MISALIGNED_ADDRESS, "poke", memory + 2);
}

static void trap(void)
{
    CUevent event;
    gpu_use();
    CUdeviceptr memory = gpu_allocate(4096);
    REQUIRE(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    REQUIRE(cuLaunchKernel(gpu_kernel(ptx_fault, "stop"), 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
    cuEventRecord(event, NULL);
    check_sticky(CUDA_ERROR_LAUNCH_FAILED, memory, event);
}

/* What was computed before the fault arrives; the error comes with the fault, in another stream. */
static void results_before_the_fault(void)
{
    uint32_t first = 5, count = 100, words[100], value = 1;
    uint64_t nowhere = 0;
    CUstream good, bad;
    gpu_use();
    CUdeviceptr memory = gpu_allocate(sizeof words);
    CUfunction fill = gpu_kernel(ptx_basics, "fill"), poke = gpu_kernel(ptx_fault, "poke");
    REQUIRE(cuStreamCreate(&good, CU_STREAM_NON_BLOCKING));
    REQUIRE(cuStreamCreate(&bad, CU_STREAM_NON_BLOCKING));
    gpu_launch(fill, count, good, ARGUMENTS(&memory, &first, &count));
    EXPECT(CUDA_SUCCESS, cuMemcpyDtoHAsync(words, memory, sizeof words, good));
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(good));
    CHECK(words[0] == 5 && words[99] == 104);
    EXPECT(CUDA_SUCCESS, cuLaunchKernel(poke, 1, 1, 1, 1, 1, 1, 0, bad, ARGUMENTS(&nowhere, &value), NULL));
    EXPECT(CUDA_ERROR_ILLEGAL_ADDRESS, cuStreamSynchronize(bad));
    EXPECT(CUDA_ERROR_ILLEGAL_ADDRESS, cuStreamSynchronize(good));
}

/* What needs no GPU still answers. */
static void queries_after_the_fault(void)
{
    uint32_t value = 1;
    uint64_t nowhere = 0;
    int number = 0;
    char name[64];
    const char *text = NULL;
    CUcontext context = NULL;
    CUdevice device = gpu_use();
    REQUIRE(cuLaunchKernel(gpu_kernel(ptx_fault, "poke"), 1, 1, 1, 1, 1, 1, 0, NULL,
                           ARGUMENTS(&nowhere, &value), NULL));
    EXPECT(CUDA_ERROR_ILLEGAL_ADDRESS, cuCtxSynchronize());
    EXPECT(CUDA_SUCCESS, cuDriverGetVersion(&number));
    EXPECT(CUDA_SUCCESS, cuDeviceGetCount(&number));
    EXPECT(CUDA_SUCCESS, cuDeviceGetName(name, sizeof name, device));
    EXPECT(CUDA_SUCCESS, cuDeviceGetAttribute(&number, CU_DEVICE_ATTRIBUTE_WARP_SIZE, device));
    EXPECT(CUDA_SUCCESS, cuGetErrorName(CUDA_ERROR_ILLEGAL_ADDRESS, &text));
    EXPECT(CUDA_SUCCESS, cuCtxGetCurrent(&context));
    CHECK(context != NULL);
    NOTE(cuDevicePrimaryCtxReset(device));
}

/* A fault in one context leaves another one of the process as it was, or takes it along: as the driver does.
 */
static void another_context(void)
{
    uint32_t value = 1;
    uint64_t nowhere = 0;
    CUcontext other, popped;
    CUdeviceptr memory;
    REQUIRE(cuInit(0));
    REQUIRE(cuCtxCreate(&other, NULL, 0, 0));
    REQUIRE(cuMemAlloc(&memory, 4096));
    REQUIRE(cuCtxPopCurrent(&popped));
    gpu_use();
    REQUIRE(cuLaunchKernel(gpu_kernel(ptx_fault, "poke"), 1, 1, 1, 1, 1, 1, 0, NULL,
                           ARGUMENTS(&nowhere, &value), NULL));
    EXPECT(CUDA_ERROR_ILLEGAL_ADDRESS, cuCtxSynchronize());
    REQUIRE(cuCtxSetCurrent(other));
    NOTE(cuMemsetD8(memory, 1, 4096));
    NOTE(cuCtxSynchronize());
}

static const struct test_case cases[] = {
    CASE_IN_OWN_PROCESS(store_to_null),
    CASE_IN_OWN_PROCESS(load_from_nowhere),
    CASE_IN_OWN_PROCESS(store_past_the_end),
    CASE_IN_OWN_PROCESS(misaligned_store),
    CASE_IN_OWN_PROCESS(trap),
    CASE_IN_OWN_PROCESS(results_before_the_fault),
    CASE_IN_OWN_PROCESS(queries_after_the_fault),
    CASE_IN_OWN_PROCESS(another_context),
};

int main(int argc, char **argv)
{
    return suite_main("fault", cases, COUNT_OF(cases), argc, argv);
}

/* Parts of a device and the green contexts made of them, execution affinity, contexts as before CUDA 4.0, and
 * what may be set of memory. */
#include <string.h>

#include "support/gpu.h"

static void parts(void)
{
    CUdevResource all, half[1], rest;
    unsigned groups = 1;
    gpu_use();
    memset(&all, 0, sizeof all);
    CUresult result = cuDeviceGetDevResource(0, &all, CU_DEV_RESOURCE_TYPE_SM);
    if (result == CUDA_ERROR_NOT_SUPPORTED)
        SKIP("the simulated driver has no green contexts");
    CHECK(result == CUDA_SUCCESS);
    say("%u multiprocessors", all.sm.smCount);
    CHECK((int)all.sm.smCount == gpu_attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT));
    EXPECT(CUDA_SUCCESS, cuDevSmResourceSplitByCount(NULL, &groups, &all, NULL, 0, 16));
    say("%u groups of 16", groups);
    groups = 1;
    EXPECT(CUDA_SUCCESS, cuDevSmResourceSplitByCount(half, &groups, &all, &rest, 0, 16));
    say("%u groups, of %u, and %u are left", groups, half[0].sm.smCount, rest.sm.smCount);
    CHECK(groups == 1 && half[0].sm.smCount >= 16);
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuDeviceGetDevResource(0, NULL, CU_DEV_RESOURCE_TYPE_SM));
    NOTE(cuDeviceGetDevResource(0, &all, (CUdevResourceType)77));
    NOTE(cuDevSmResourceSplitByCount(half, &groups, &all, &rest, 0, 100000));
    NOTE(cuDevSmResourceSplitByCount(half, NULL, &all, &rest, 0, 16));
}

static void contexts(void)
{
    CUdevResource all, part[1], told;
    CUdevResourceDesc description;
    CUgreenCtx green, of_stream = NULL;
    CUcontext context, before;
    CUstream stream;
    CUevent event;
    CUdevice device = gpu_use();
    unsigned groups = 1;
    uint32_t words[256];
    unsigned long long id = 0;
    if (cuDeviceGetDevResource(0, &all, CU_DEV_RESOURCE_TYPE_SM) == CUDA_ERROR_NOT_SUPPORTED)
        SKIP("the simulated driver has no green contexts");
    REQUIRE(cuDevSmResourceSplitByCount(part, &groups, &all, NULL, 0, 16));
    EXPECT(CUDA_SUCCESS, cuDevResourceGenerateDesc(&description, part, 1));
    EXPECT(CUDA_SUCCESS, cuGreenCtxCreate(&green, description, device, CU_GREEN_CTX_DEFAULT_STREAM));
    EXPECT(CUDA_SUCCESS, cuGreenCtxGetDevResource(green, &told, CU_DEV_RESOURCE_TYPE_SM));
    CHECK(told.sm.smCount == part[0].sm.smCount);
    NOTE(cuGreenCtxGetId(green, &id));
    EXPECT(CUDA_SUCCESS, cuGreenCtxStreamCreate(&stream, green, CU_STREAM_NON_BLOCKING, 0));
    EXPECT(CUDA_SUCCESS, cuStreamGetGreenCtx(stream, &of_stream));
    CHECK(of_stream == green);
    NOTE(cuStreamGetCtx_v2(stream, &context, &of_stream));
    NOTE(cuStreamGetGreenCtx(NULL, &of_stream));
    REQUIRE(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    CUdeviceptr memory = gpu_allocate(sizeof words);
    EXPECT(CUDA_SUCCESS, cuMemsetD32Async(memory, 0x12345678, 256, stream));
    EXPECT(CUDA_SUCCESS, cuEventRecord(event, stream));
    EXPECT(CUDA_SUCCESS, cuGreenCtxWaitEvent(green, event));
    EXPECT(CUDA_SUCCESS, cuGreenCtxRecordEvent(green, event));
    EXPECT(CUDA_SUCCESS, cuEventSynchronize(event));
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(stream));
    REQUIRE(cuMemcpyDtoH(words, memory, sizeof words));
    CHECK(words[0] == 0x12345678 && words[255] == 0x12345678);
    REQUIRE(cuCtxGetCurrent(&before));
    EXPECT(CUDA_SUCCESS, cuCtxFromGreenCtx(&context, green));
    EXPECT(CUDA_SUCCESS, cuCtxPushCurrent(context));
    EXPECT(CUDA_SUCCESS, cuMemsetD32(memory, 7, 256));
    EXPECT(CUDA_SUCCESS, cuCtxSynchronize());
    EXPECT(CUDA_SUCCESS, cuCtxPopCurrent(&context));
    REQUIRE(cuMemcpyDtoH(words, memory, sizeof words));
    CHECK(words[0] == 7);
    REQUIRE(cuStreamDestroy(stream));
    EXPECT(CUDA_SUCCESS, cuGreenCtxDestroy(green));
    REQUIRE(cuEventDestroy(event));
    REQUIRE(cuMemFree(memory));
}

static void affinity(void)
{
    CUcontext context;
    CUexecAffinityParam parameter = {.type = CU_EXEC_AFFINITY_TYPE_SM_COUNT, .param.smCount.val = 8}, told;
    CUdevice device = gpu_use();
    int supported = 77;
    EXPECT(CUDA_SUCCESS, cuDeviceGetExecAffinitySupport(&supported, CU_EXEC_AFFINITY_TYPE_SM_COUNT, device));
    say("supported: %d", supported);
    EXPECT(CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY, cuCtxCreate_v3(&context, &parameter, 1, 0, device));
    memset(&told, 0, sizeof told);
    NOTE(cuCtxGetExecAffinity(&told, CU_EXEC_AFFINITY_TYPE_SM_COUNT));
    NOTE(cuCtxGetExecAffinity(NULL, CU_EXEC_AFFINITY_TYPE_SM_COUNT));
    NOTE(cuCtxGetExecAffinity(&told, (CUexecAffinityType)77));
}

static void attached(void)
{
    CUcontext context, again = NULL;
    CUdevice device = gpu_use();
    REQUIRE(cuCtxCreate_v2(&context, 0, device));
    NOTE(cuCtxAttach(&again, 0));
    NOTE(cuCtxAttach(NULL, 0));
    NOTE(cuCtxAttach(&again, 5));
    NOTE(cuCtxDetach(NULL));
    REQUIRE(cuCtxDestroy(context));
}

static void pointer_settings(void)
{
    unsigned value = 1, seen = 77;
    gpu_use();
    CUdeviceptr memory = gpu_allocate(4096);
    EXPECT(CUDA_SUCCESS, cuPointerSetAttribute(&value, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, memory));
    EXPECT(CUDA_SUCCESS, cuPointerGetAttribute(&seen, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, memory));
    CHECK(seen == 1);
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuPointerSetAttribute(NULL, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, memory));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuPointerSetAttribute(&value, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, memory));
    NOTE(cuPointerSetAttribute(&value, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, 0x1000));
    REQUIRE(cuMemFree(memory));
}

static void logs(void)
{
    CUlogIterator iterator = 0;
    static char text[25600];
    size_t size = sizeof text;
    gpu_use();
    CUresult result = cuLogsCurrent(&iterator, 0);
    if (result == CUDA_ERROR_NOT_SUPPORTED)
        SKIP("the simulated driver keeps no log");
    CHECK(result == CUDA_SUCCESS);
    EXPECT(CUDA_SUCCESS, cuLogsDumpToMemory(&iterator, text, &size, 0));
    size = sizeof text;
    EXPECT(CUDA_SUCCESS, cuLogsDumpToMemory(NULL, text, &size, 0));
    NOTE(cuLogsCurrent(NULL, 0));
    NOTE(cuLogsDumpToMemory(NULL, NULL, &size, 0));
    NOTE(cuLogsDumpToMemory(NULL, text, NULL, 0));
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        CASE(parts),
        CASE(contexts),
        CASE_IN_OWN_PROCESS(affinity),
        CASE_IN_OWN_PROCESS(attached),
        CASE(pointer_settings),
        CASE(logs),
    };
    return suite_main("green", cases, COUNT_OF(cases), argc, argv);
}

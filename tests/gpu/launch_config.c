/* Launches with attributes, in clusters and of whole grids at once; attributes of functions; launches of old.
 */
#include <string.h>

#include "support/gpu.h"

enum { BLOCKS = 24, THREADS = 64 };

static CUlaunchConfig plain_config(CUlaunchAttribute *attributes, unsigned count)
{
    return (CUlaunchConfig){.gridDimX = BLOCKS,
                            .gridDimY = 1,
                            .gridDimZ = 1,
                            .blockDimX = THREADS,
                            .blockDimY = 1,
                            .blockDimZ = 1,
                            .attrs = attributes,
                            .numAttrs = count};
}

/* Launches several times: from the second time on the driver's answer may be known beforehand. */
static void launch_and_count(CUlaunchConfig *config, const char *what)
{
    uint32_t seen = 0;
    const uint32_t times = 4;
    CUdeviceptr counter = gpu_allocate(sizeof seen);
    REQUIRE(cuMemsetD32(counter, 0, 1));
    CUfunction function = gpu_kernel(ptx_launch_config, "count_threads");
    say("%s", what);
    for (uint32_t i = 0; i < times; i++)
        EXPECT(CUDA_SUCCESS, cuLaunchKernelEx(config, function, ARGUMENTS(&counter), NULL));
    REQUIRE(cuMemcpyDtoH(&seen, counter, sizeof seen));
    CHECK(seen == times * BLOCKS * THREADS);
    REQUIRE(cuMemFree(counter));
}

static void attributes(void)
{
    CUlaunchAttribute all[] = {
        {.id = CU_LAUNCH_ATTRIBUTE_IGNORE},
        {.id = CU_LAUNCH_ATTRIBUTE_PRIORITY, .value = {.priority = -1}},
        {.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION,
         .value = {.programmaticStreamSerializationAllowed = 1}},
        {.id = CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN},
        {.id = CU_LAUNCH_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT},
    };
    gpu_use();
    CUlaunchConfig config = plain_config(NULL, 0);
    launch_and_count(&config, "none");
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        char what[32] = "attribute";
        CUlaunchConfig one = plain_config(&all[i], 1);
        if (all[i].id == CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION &&
            gpu_attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) < 9)
            continue;
        launch_and_count(&one, what);
    }
    CUlaunchConfig two = plain_config(all, 2);
    launch_and_count(&two, "two at once");
}

static void refused_attributes(void)
{
    CUdeviceptr counter;
    gpu_use();
    counter = gpu_allocate(4);
    CUfunction function = gpu_kernel(ptx_launch_config, "count_threads");
    CUlaunchAttribute unknown = {.id = (CUlaunchAttributeID)1000};
    CUlaunchConfig config = plain_config(&unknown, 1);
    NOTE(cuLaunchKernelEx(&config, function, ARGUMENTS(&counter), NULL));
    config = plain_config(NULL, 1);
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuLaunchKernelEx(&config, function, ARGUMENTS(&counter), NULL));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuLaunchKernelEx(NULL, function, ARGUMENTS(&counter), NULL));
    config = plain_config(NULL, 0);
    config.gridDimX = 0;
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuLaunchKernelEx(&config, function, ARGUMENTS(&counter), NULL));
    config = plain_config(NULL, 0);
    config.blockDimX = 4096;
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuLaunchKernelEx(&config, function, ARGUMENTS(&counter), NULL));
    EXPECT(CUDA_SUCCESS, cuCtxSynchronize());
    REQUIRE(cuMemFree(counter));
}

static void completion_events(void)
{
    CUevent event;
    CUstream stream, other;
    uint32_t seen = 0;
    gpu_use();
    if (gpu_attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) < 9)
        SKIP("needs compute capability 9.0");
    CUdeviceptr counter = gpu_allocate(sizeof seen);
    REQUIRE(cuMemsetD32(counter, 0, 1));
    REQUIRE(cuCtxSynchronize());
    REQUIRE(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    REQUIRE(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    REQUIRE(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
    CUlaunchAttribute attribute = {.id = CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT,
                                   .value = {.launchCompletionEvent = {.event = event}}};
    CUlaunchConfig config = plain_config(&attribute, 1);
    config.hStream = stream;
    CUfunction function = gpu_kernel(ptx_launch_config, "count_threads");
    EXPECT(CUDA_SUCCESS, cuLaunchKernelEx(&config, function, ARGUMENTS(&counter), NULL));
    EXPECT(CUDA_SUCCESS, cuStreamWaitEvent(other, event, 0));
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(other));
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(stream));
    EXPECT(CUDA_SUCCESS, cuEventQuery(event));
    REQUIRE(cuMemcpyDtoH(&seen, counter, sizeof seen));
    CHECK(seen == BLOCKS * THREADS);
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuStreamDestroy(other));
    REQUIRE(cuEventDestroy(event));
    REQUIRE(cuMemFree(counter));
}

static void cooperative(void)
{
    uint32_t seen = 0;
    CUlaunchAttribute attribute = {.id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE, .value = {.cooperative = 1}};
    gpu_use();
    CUlaunchConfig config = plain_config(&attribute, 1);
    launch_and_count(&config, "cooperative");
    CUdeviceptr counter = gpu_allocate(sizeof seen);
    REQUIRE(cuMemsetD32(counter, 0, 1));
    CUfunction function = gpu_kernel(ptx_launch_config, "count_threads");
    for (int i = 0; i < 3; i++)
        EXPECT(CUDA_SUCCESS, cuLaunchCooperativeKernel(function, BLOCKS, 1, 1, THREADS, 1, 1, 0, NULL,
                                                       ARGUMENTS(&counter)));
    config.gridDimX = 1u << 20; /* more than fits at once */
    for (int i = 0; i < 2; i++)
        EXPECT(CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE,
               cuLaunchKernelEx(&config, function, ARGUMENTS(&counter), NULL));
    void *arguments[] = {&counter};
    CUDA_LAUNCH_PARAMS parameters = {.function = function,
                                     .gridDimX = BLOCKS,
                                     .gridDimY = 1,
                                     .gridDimZ = 1,
                                     .blockDimX = THREADS,
                                     .blockDimY = 1,
                                     .blockDimZ = 1,
                                     .kernelParams = arguments};
    NOTE(cuLaunchCooperativeKernelMultiDevice(NULL, 1, 0));
    NOTE(cuLaunchCooperativeKernelMultiDevice(&parameters, 0, 0));
    REQUIRE(cuMemcpyDtoH(&seen, counter, sizeof seen));
    CHECK(seen == 3 * BLOCKS * THREADS);
    REQUIRE(cuMemFree(counter));
}

static void clusters(void)
{
    uint32_t seen[BLOCKS], wrong = 0;
    int count = 0, size = 0;
    gpu_use();
    if (gpu_attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) < 9)
        SKIP("needs compute capability 9.0");
    CUlaunchAttribute attribute = {.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION,
                                   .value = {.clusterDim = {4, 1, 1}}};
    CUlaunchConfig config = plain_config(&attribute, 1);
    CUfunction function = gpu_kernel(ptx_cluster, "cluster_ranks");
    EXPECT(CUDA_SUCCESS, cuOccupancyMaxPotentialClusterSize(&size, function, &config));
    say("largest cluster %d", size);
    EXPECT(CUDA_SUCCESS, cuOccupancyMaxActiveClusters(&count, function, &config));
    CHECK(size == 8 && count > 0);
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuOccupancyMaxActiveClusters(NULL, function, &config));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuOccupancyMaxActiveClusters(&count, function, NULL));
    EXPECT(CUDA_SUCCESS,
           cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED, 1));
    EXPECT(CUDA_SUCCESS, cuOccupancyMaxPotentialClusterSize(&size, function, &config));
    CHECK(size == 16);
    CUdeviceptr output = gpu_allocate(sizeof seen);
    attribute.value.clusterDim.x = 5; /* does not divide the grid */
    for (int i = 0; i < 2; i++)
        EXPECT(CUDA_ERROR_INVALID_CLUSTER_SIZE,
               cuLaunchKernelEx(&config, function, ARGUMENTS(&output), NULL));
    attribute.value.clusterDim.x = 0;
    EXPECT(CUDA_ERROR_INVALID_CLUSTER_SIZE, cuLaunchKernelEx(&config, function, ARGUMENTS(&output), NULL));
    attribute.value.clusterDim.x = 4;
    for (int i = 0; i < 3; i++) {
        REQUIRE(cuMemsetD8(output, 0xff, sizeof seen));
        CUresult result = cuLaunchKernelEx(&config, function, ARGUMENTS(&output), NULL);
        if (result == CUDA_ERROR_NOT_SUPPORTED)
            SKIP("the simulated driver has no clusters of more than one block");
        CHECK(result == CUDA_SUCCESS);
        REQUIRE(cuMemcpyDtoH(seen, output, sizeof seen));
        for (uint32_t block = 0; block < BLOCKS; block++)
            wrong += seen[block] != ((block % 4) << 16 | 4);
    }
    CHECK(wrong == 0);
    REQUIRE(cuMemFree(output));
}

static void most_parameters(void)
{
    static uint32_t blob[8189];
    uint32_t sum = 0, seen[2];
    gpu_use();
    for (uint32_t i = 0; i < COUNT_OF(blob); i++)
        sum += blob[i] = i * 2654435761u;
    CUdeviceptr output = gpu_allocate(sizeof seen);
    CUfunction function = gpu_kernel(ptx_launch_config, "parameters_32764");
    for (int i = 0; i < 40; i++) /* more than a lane holds at once */
        REQUIRE(cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, NULL, ARGUMENTS(&output, blob), NULL));
    EXPECT(CUDA_SUCCESS, cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, NULL, ARGUMENTS(&output, blob), NULL));
    memset(blob, 0, sizeof blob);
    EXPECT(CUDA_SUCCESS, cuMemcpyDtoH(seen, output, sizeof seen));
    say("sum %u, last %u", seen[0], seen[1]);
    CHECK(seen[0] == sum && seen[1] == 8188 * 2654435761u);
    REQUIRE(cuMemFree(output));
}

static int attribute_of(CUfunction function, CUfunction_attribute attribute)
{
    int value = -77;
    EXPECT(CUDA_SUCCESS, cuFuncGetAttribute(&value, attribute, function));
    say("is %d", value);
    return value;
}

/* What is set is what is got, however often it is asked; also from the kernel that a function is of. */
static void function_attributes(void)
{
    const CUfunction_attribute dynamic = CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
    const CUfunction_attribute carveout = CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT;
    CUlibrary library;
    CUkernel kernel;
    CUfunction function;
    int value;
    gpu_use();
    int most = gpu_attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
    REQUIRE(cuLibraryLoadData(&library, ptx_launch_config, NULL, NULL, 0, NULL, NULL, 0));
    REQUIRE(cuLibraryGetKernel(&kernel, library, "line"));
    REQUIRE(cuKernelGetFunction(&function, kernel));
    CHECK(attribute_of(function, dynamic) == 49152);
    for (int i = 0; i < 2; i++) {
        EXPECT(CUDA_SUCCESS, cuFuncSetAttribute(function, dynamic, 60000));
        CHECK(attribute_of(function, dynamic) == 60000);
    }
    NOTE(cuKernelSetAttribute(dynamic, 50000, kernel, 0));
    NOTE(cuKernelGetAttribute(&value, dynamic, kernel, 0));
    say("the kernel says %d", value);
    attribute_of(function, dynamic);
    EXPECT(CUDA_SUCCESS, cuFuncSetAttribute(function, dynamic, 60000));
    CHECK(attribute_of(function, dynamic) == 60000);
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuFuncSetAttribute(function, dynamic, most + 1));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuFuncSetAttribute(function, dynamic, -1));
    CHECK(attribute_of(function, dynamic) == 60000);
    EXPECT(CUDA_SUCCESS, cuFuncSetAttribute(function, carveout, 50));
    CHECK(attribute_of(function, carveout) == 50);
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuFuncSetAttribute(function, carveout, 101));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_NUM_REGS, 5));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuFuncSetAttribute(function, (CUfunction_attribute)1000, 1));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuFuncGetAttribute(&value, (CUfunction_attribute)1000, function));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuFuncGetAttribute(&value, (CUfunction_attribute)-1, function));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuFuncGetAttribute(NULL, dynamic, function));
    REQUIRE(cuLibraryUnload(library));
}

static void occupancy_again(void)
{
    const CUfunction_attribute dynamic = CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
    int first, again, large, after;
    gpu_use();
    CUfunction function = gpu_kernel(ptx_launch_config, "line");
    EXPECT(CUDA_SUCCESS, cuOccupancyMaxActiveBlocksPerMultiprocessor(&first, function, 256, 0));
    EXPECT(CUDA_SUCCESS, cuOccupancyMaxActiveBlocksPerMultiprocessor(&again, function, 256, 0));
    say("%d blocks", first);
    CHECK(first > 0 && first == again);
    NOTE(cuOccupancyMaxActiveBlocksPerMultiprocessor(&large, function, 256, 60000));
    say("%d blocks", large);
    EXPECT(CUDA_SUCCESS, cuFuncSetAttribute(function, dynamic, 60000));
    EXPECT(CUDA_SUCCESS, cuOccupancyMaxActiveBlocksPerMultiprocessor(&after, function, 256, 60000));
    say("%d blocks", after);
    CHECK(after > 0 && after <= first);
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuOccupancyMaxActiveBlocksPerMultiprocessor(NULL, function, 256, 0));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuOccupancyMaxActiveBlocksPerMultiprocessor(&after, function, 0, 0));
}

/* Block, shared memory and parameters said one by one, as before CUDA 4.0. */
static void stateful(void)
{
    float seen[BLOCKS];
    float a = 0.5f;
    gpu_use();
    CUdeviceptr output = gpu_allocate(sizeof seen);
    CUfunction function = gpu_kernel(ptx_launch_config, "line");
    EXPECT(CUDA_SUCCESS, cuFuncSetBlockShape(function, 1, 1, 1));
    EXPECT(CUDA_SUCCESS, cuFuncSetSharedSize(function, 0));
    EXPECT(CUDA_SUCCESS, cuParamSetv(function, 0, &output, sizeof output));
    EXPECT(CUDA_SUCCESS, cuParamSetf(function, 8, a));
    EXPECT(CUDA_SUCCESS, cuParamSeti(function, 12, 3));
    EXPECT(CUDA_SUCCESS, cuParamSetSize(function, 16));
    EXPECT(CUDA_SUCCESS, cuLaunchGrid(function, BLOCKS, 1));
    REQUIRE(cuMemcpyDtoH(seen, output, sizeof seen));
    for (int block = 0; block < BLOCKS; block++)
        CHECK(seen[block] == 0.5f + 3.0f * (float)block);
    EXPECT(CUDA_SUCCESS, cuParamSetf(function, 8, 9.0f)); /* the rest stays */
    EXPECT(CUDA_SUCCESS, cuLaunch(function));
    EXPECT(CUDA_SUCCESS, cuParamSeti(function, 12, 5));
    EXPECT(CUDA_SUCCESS, cuLaunchGridAsync(function, 2, 1, NULL));
    REQUIRE(cuMemcpyDtoH(seen, output, sizeof seen));
    CHECK(seen[0] == 9.0f && seen[1] == 14.0f && seen[2] == 6.5f);
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuFuncSetBlockShape(function, 0, 1, 1));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuLaunchGrid(function, 0, 1));
    REQUIRE(cuMemFree(output));
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        CASE(attributes),          CASE(refused_attributes), CASE(completion_events),
        CASE(cooperative),         CASE(clusters),           CASE(most_parameters),
        CASE(function_attributes), CASE(occupancy_again),    CASE(stateful),
    };
    return suite_main("launch_config", cases, COUNT_OF(cases), argc, argv);
}

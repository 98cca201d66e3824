/* Memory pools, and allocation and freeing in stream order. */
#include <string.h>

#include "support/gpu.h"

#define MIB ((size_t)1 << 20)

static int pools_supported(void)
{
    gpu_use();
    return gpu_attribute(CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED);
}

static const CUmemPoolProps on_device_0 = {
    .allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
    .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0},
};

static uint64_t pool_number(CUmemoryPool pool, CUmemPool_attribute attribute)
{
    cuuint64_t value = 0;
    REQUIRE(cuMemPoolGetAttribute(pool, attribute, &value));
    return value;
}

static void default_pool(void)
{
    CUmemoryPool first = NULL, second = NULL, current = NULL;
    CUmemLocation here = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
    if (!pools_supported())
        SKIP("no memory pools on this device");
    EXPECT(CUDA_SUCCESS, cuDeviceGetDefaultMemPool(&first, 0));
    EXPECT(CUDA_SUCCESS, cuDeviceGetDefaultMemPool(&second, 0));
    CHECK(first != NULL && first == second);
    EXPECT(CUDA_SUCCESS, cuDeviceGetMemPool(&current, 0));
    CHECK(current == first);
    EXPECT(CUDA_SUCCESS, cuMemGetDefaultMemPool(&second, &here, CU_MEM_ALLOCATION_TYPE_PINNED));
    CHECK(second == first);
    EXPECT(CUDA_SUCCESS, cuMemGetMemPool(&second, &here, CU_MEM_ALLOCATION_TYPE_PINNED));
    CHECK(second == first);
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemPoolDestroy(first));
    EXPECT(CUDA_ERROR_INVALID_DEVICE, cuDeviceGetDefaultMemPool(&first, 99));
}

static void attributes(void)
{
    CUmemoryPool pool = NULL;
    int flag = 9;
    cuuint64_t threshold = 0;
    if (!pools_supported())
        SKIP("no memory pools on this device");
    EXPECT(CUDA_SUCCESS, cuMemPoolCreate(&pool, &on_device_0));
    EXPECT(CUDA_SUCCESS, cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC, &flag));
    say("opportunistic %d", flag);
    flag = 0;
    EXPECT(CUDA_SUCCESS, cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC, &flag));
    flag = 9;
    EXPECT(CUDA_SUCCESS, cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC, &flag));
    CHECK(flag == 0);
    say("threshold %llu", (unsigned long long)pool_number(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD));
    threshold = 64 * MIB;
    EXPECT(CUDA_SUCCESS, cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &threshold));
    CHECK(pool_number(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD) == 64 * MIB);
    CHECK(pool_number(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT) == 0);
    EXPECT(CUDA_SUCCESS, cuMemPoolDestroy(pool));
}

static void own_pool(void)
{
    enum { COUNT = 1000 };
    CUmemoryPool pool = NULL, seen = NULL;
    CUdeviceptr memory = 0;
    CUstream stream;
    uint32_t first = 7, count = COUNT, last = 0;
    if (!pools_supported())
        SKIP("no memory pools on this device");
    EXPECT(CUDA_SUCCESS, cuMemPoolCreate(&pool, &on_device_0));
    REQUIRE(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    EXPECT(CUDA_SUCCESS, cuMemAllocFromPoolAsync(&memory, 4 * COUNT, pool, stream));
    gpu_launch(gpu_kernel(ptx_basics, "fill"), count, stream, ARGUMENTS(&memory, &first, &count));
    EXPECT(CUDA_SUCCESS, cuPointerGetAttribute(&seen, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, memory));
    CHECK(seen == pool);
    CHECK(pool_number(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT) >= 4 * COUNT);
    CHECK(pool_number(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT) >= 4 * COUNT);
    EXPECT(CUDA_SUCCESS, cuMemcpyDtoHAsync(&last, memory + 4 * (COUNT - 1), 4, stream));
    EXPECT(CUDA_SUCCESS, cuMemFreeAsync(memory, stream));
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(stream));
    CHECK(last == 7 + COUNT - 1);
    CHECK(pool_number(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT) == 0);
    CHECK(pool_number(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH) >= 4 * COUNT);
    EXPECT(CUDA_SUCCESS, cuMemPoolTrimTo(pool, 0));
    CHECK(pool_number(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT) == 0);
    REQUIRE(cuStreamDestroy(stream));
    EXPECT(CUDA_SUCCESS, cuMemPoolDestroy(pool));
}

/* What cuMemAllocAsync takes from. */
static void current_pool(void)
{
    CUmemoryPool pool = NULL, before = NULL, seen = NULL;
    CUdeviceptr memory = 0;
    if (!pools_supported())
        SKIP("no memory pools on this device");
    REQUIRE(cuDeviceGetDefaultMemPool(&before, 0));
    REQUIRE(cuMemPoolCreate(&pool, &on_device_0));
    EXPECT(CUDA_SUCCESS, cuDeviceSetMemPool(0, pool));
    EXPECT(CUDA_SUCCESS, cuDeviceGetMemPool(&seen, 0));
    CHECK(seen == pool);
    EXPECT(CUDA_SUCCESS, cuMemAllocAsync(&memory, MIB, NULL));
    EXPECT(CUDA_SUCCESS, cuPointerGetAttribute(&seen, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, memory));
    CHECK(seen == pool);
    CHECK(pool_number(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT) >= MIB);
    EXPECT(CUDA_SUCCESS, cuMemFreeAsync(memory, NULL));
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(NULL));
    EXPECT(CUDA_SUCCESS, cuDeviceSetMemPool(0, before));
    EXPECT(CUDA_SUCCESS, cuMemPoolDestroy(pool));
    EXPECT(CUDA_SUCCESS, cuDeviceGetMemPool(&seen, 0));
    CHECK(seen == before);
}

/* Many allocations in order, each with its own contents; freed with other calls than allocated with. */
static void many(void)
{
    enum { ROUNDS = 50, PIECES = 8, COUNT = 256 };
    CUdeviceptr pieces[PIECES];
    CUstream stream;
    uint32_t count = COUNT, wrong = 0;
    if (!pools_supported())
        SKIP("no memory pools on this device");
    REQUIRE(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t seen[PIECES][COUNT];
        memset(seen, 0, sizeof seen);
        for (uint32_t i = 0; i < PIECES; i++) {
            uint32_t first = round * 1000 + i * 100000;
            REQUIRE(cuMemAllocAsync(&pieces[i], COUNT * 4 * (1 + i), stream));
            gpu_launch(gpu_kernel(ptx_basics, "fill"), count, stream, ARGUMENTS(&pieces[i], &first, &count));
        }
        for (uint32_t i = 0; i < PIECES; i++) {
            REQUIRE(cuMemcpyDtoHAsync(seen[i], pieces[i], sizeof seen[i], stream));
            if (i % 4 != 3)
                REQUIRE(cuMemFreeAsync(pieces[i], stream));
        }
        REQUIRE(cuStreamSynchronize(stream));
        for (uint32_t i = 3; i < PIECES; i += 4)
            REQUIRE(cuMemFree(pieces[i]));
        for (uint32_t i = 0; i < PIECES; i++)
            for (uint32_t j = 0; j < COUNT; j++)
                wrong += seen[i][j] != round * 1000 + i * 100000 + j;
    }
    CHECK(wrong == 0);
    REQUIRE(cuStreamDestroy(stream));
}

static void access_of_devices(void)
{
    CUmemoryPool pool = NULL;
    CUmemLocation here = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
    CUmemAccessDesc description = {.location = here, .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    CUmemAccess_flags flags = CU_MEM_ACCESS_FLAGS_PROT_NONE;
    if (!pools_supported())
        SKIP("no memory pools on this device");
    REQUIRE(cuMemPoolCreate(&pool, &on_device_0));
    EXPECT(CUDA_SUCCESS, cuMemPoolGetAccess(&flags, pool, &here));
    CHECK(flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
    EXPECT(CUDA_SUCCESS, cuMemPoolSetAccess(pool, &description, 1));
    EXPECT(CUDA_SUCCESS, cuMemPoolGetAccess(&flags, pool, &here));
    CHECK(flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
    description.location.id = 99;
    NOTE(cuMemPoolSetAccess(pool, &description, 1));
    REQUIRE(cuMemPoolDestroy(pool));
}

static void refused(void)
{
    CUmemoryPool pool = NULL;
    CUdeviceptr memory = 0;
    CUmemPoolProps nowhere = on_device_0;
    nowhere.location.id = 99;
    cuuint64_t value = 0;
    if (!pools_supported())
        SKIP("no memory pools on this device");
    REQUIRE(cuDeviceGetDefaultMemPool(&pool, 0));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemPoolCreate(NULL, &on_device_0));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemPoolCreate(&pool, NULL));
    NOTE(cuMemPoolCreate(&pool, &nowhere));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemAllocFromPoolAsync(&memory, MIB, NULL, NULL));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemAllocAsync(NULL, MIB, NULL));
    NOTE(cuMemAllocAsync(&memory, 0, NULL));
    EXPECT(CUDA_ERROR_OUT_OF_MEMORY, cuMemAllocAsync(&memory, (size_t)1 << 46, NULL));
    NOTE(cuMemPoolGetAttribute(pool, (CUmemPool_attribute)99, &value));
    NOTE(cuMemFreeAsync(0x1234567, NULL));
    EXPECT(CUDA_SUCCESS, cuMemAllocAsync(&memory, MIB, NULL));
    EXPECT(CUDA_SUCCESS, cuMemFreeAsync(memory, NULL));
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(NULL));
    NOTE(cuMemFreeAsync(memory, NULL));
}

static void graph_memory(void)
{
    cuuint64_t value = 1;
    if (!pools_supported())
        SKIP("no memory pools on this device");
    EXPECT(CUDA_SUCCESS, cuDeviceGetGraphMemAttribute(0, CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT, &value));
    CHECK(value == 0);
    value = 0;
    EXPECT(CUDA_SUCCESS, cuDeviceSetGraphMemAttribute(0, CU_GRAPH_MEM_ATTR_USED_MEM_HIGH, &value));
    EXPECT(CUDA_SUCCESS, cuDeviceGraphMemTrim(0));
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        CASE(default_pool), CASE(attributes),        CASE(own_pool), CASE_IN_OWN_PROCESS(current_pool),
        CASE(many),         CASE(access_of_devices), CASE(refused),  CASE(graph_memory),
    };
    return suite_main("pool", cases, COUNT_OF(cases), argc, argv);
}

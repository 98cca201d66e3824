/* Managed memory: one address for the program and for kernels. */
#include <stdlib.h>
#include <string.h>

#include "support/gpu.h"

#define COUNT 100000u
#define BYTES (COUNT * sizeof(uint32_t))
#define MIB   ((size_t)1 << 20)

static int is_supported(void)
{
    gpu_use();
    return gpu_attribute(CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY);
}

static uint32_t *at(CUdeviceptr memory)
{
    return (uint32_t *)(uintptr_t)memory;
}

static const CUmemLocation on_device = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
static const CUmemLocation on_host = {CU_MEM_LOCATION_TYPE_HOST, 0};

/* numbers[i] = numbers[i] * factor + term, by a kernel; waits for it. */
static void transform(CUdeviceptr numbers, uint32_t factor, uint32_t term)
{
    uint32_t count = COUNT;
    gpu_launch(gpu_kernel(ptx_basics, "affine"), count, NULL, ARGUMENTS(&numbers, &factor, &term, &count));
    REQUIRE(cuCtxSynchronize());
}

/* Where there is no such memory, the device says so, and the call too. */
static void as_the_device_says(void)
{
    CUdeviceptr memory = 0;
    CUresult expected = is_supported() ? CUDA_SUCCESS : CUDA_ERROR_NOT_SUPPORTED;
    CHECK(cuMemAllocManaged(&memory, MIB, CU_MEM_ATTACH_GLOBAL) == expected);
    CHECK(expected != CUDA_SUCCESS || cuMemFree(memory) == CUDA_SUCCESS);
}

/* Program and kernels in turns. */
static void touched_between_kernels(void)
{
    CUdeviceptr memory = 0;
    uint32_t wrong = 0;
    if (!is_supported())
        SKIP("no managed memory on this device");
    EXPECT(CUDA_SUCCESS, cuMemAllocManaged(&memory, BYTES, CU_MEM_ATTACH_GLOBAL));
    for (uint32_t i = 0; i < COUNT; i++)
        at(memory)[i] = i;
    for (uint32_t round = 0; round < 5; round++) {
        transform(memory, 1, 10);
        for (uint32_t i = 0; i < COUNT; i++) {
            wrong += at(memory)[i] != i + round * 15 + 10;
            at(memory)[i] += 5;
        }
    }
    CHECK(wrong == 0);
    EXPECT(CUDA_SUCCESS, cuMemFree(memory));
}

static void prefetched(void)
{
    CUdeviceptr memory = 0;
    CUstream stream;
    uint32_t wrong = 0;
    int place = 99, type = 99;
    if (!is_supported())
        SKIP("no managed memory on this device");
    REQUIRE(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    REQUIRE(cuMemAllocManaged(&memory, BYTES, CU_MEM_ATTACH_GLOBAL));
    EXPECT(CUDA_SUCCESS,
           cuMemRangeGetAttribute(&place, sizeof place, CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION, memory,
                                  BYTES));
    CHECK(place == CU_DEVICE_INVALID);
    for (uint32_t i = 0; i < COUNT; i++)
        at(memory)[i] = i;
    EXPECT(CUDA_SUCCESS, cuMemPrefetchAsync_v2(memory, BYTES, on_device, 0, stream));
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(stream));
    EXPECT(CUDA_SUCCESS,
           cuMemRangeGetAttribute(&place, sizeof place, CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION, memory,
                                  BYTES));
    CHECK(place == 0);
    transform(memory, 3, 1);
    EXPECT(CUDA_SUCCESS, cuMemPrefetchAsync_v2(memory, BYTES, on_host, 0, stream));
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(stream));
    EXPECT(CUDA_SUCCESS,
           cuMemRangeGetAttribute(&type, sizeof type, CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION_TYPE,
                                  memory, BYTES));
    CHECK(type == CU_MEM_LOCATION_TYPE_HOST);
    for (uint32_t i = 0; i < COUNT; i++)
        wrong += at(memory)[i] != 3 * i + 1;
    CHECK(wrong == 0);
    REQUIRE(cuMemFree(memory));
    REQUIRE(cuStreamDestroy(stream));
}

static void advised(void)
{
    CUdeviceptr memory = 0;
    int mostly = 9, preferred = 9, accessors[3] = {9, 9, 9};
    if (!is_supported())
        SKIP("no managed memory on this device");
    REQUIRE(cuMemAllocManaged(&memory, 4 * MIB, CU_MEM_ATTACH_GLOBAL));
    EXPECT(CUDA_SUCCESS, cuMemAdvise_v2(memory, 4 * MIB, CU_MEM_ADVISE_SET_READ_MOSTLY, on_device));
    EXPECT(CUDA_SUCCESS, cuMemAdvise_v2(memory, 2 * MIB, CU_MEM_ADVISE_SET_PREFERRED_LOCATION, on_device));
    EXPECT(CUDA_SUCCESS, cuMemAdvise_v2(memory, 4 * MIB, CU_MEM_ADVISE_SET_ACCESSED_BY, on_device));
    EXPECT(CUDA_SUCCESS, cuMemRangeGetAttribute(&mostly, sizeof mostly, CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY,
                                                memory, 4 * MIB));
    CHECK(mostly == 1);
    EXPECT(CUDA_SUCCESS, cuMemRangeGetAttribute(&preferred, sizeof preferred,
                                                CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION, memory, 2 * MIB));
    CHECK(preferred == 0);
    EXPECT(CUDA_SUCCESS, cuMemRangeGetAttribute(&preferred, sizeof preferred,
                                                CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION, memory, 4 * MIB));
    CHECK(preferred == CU_DEVICE_INVALID);
    EXPECT(CUDA_SUCCESS, cuMemRangeGetAttribute(accessors, sizeof accessors,
                                                CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY, memory, 4 * MIB));
    say("accessed by %d %d %d", accessors[0], accessors[1], accessors[2]);
    EXPECT(CUDA_SUCCESS, cuMemAdvise_v2(memory, 4 * MIB, CU_MEM_ADVISE_UNSET_READ_MOSTLY, on_device));
    CUmem_range_attribute wanted[] = {CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY,
                                      CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION};
    size_t sizes[] = {sizeof mostly, sizeof preferred};
    EXPECT(CUDA_SUCCESS,
           cuMemRangeGetAttributes(((void *[]){&mostly, &preferred}), sizes, wanted, 2, memory, MIB));
    CHECK(mostly == 0 && preferred == 0);
    REQUIRE(cuMemFree(memory));
}

static void batches(void)
{
    CUdeviceptr memory[2];
    size_t sizes[2] = {MIB, MIB}, indices[2] = {0, 1};
    CUmemLocation places[2] = {on_device, on_host};
    CUstream stream;
    int place = 99;
    if (!is_supported())
        SKIP("no managed memory on this device");
    REQUIRE(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    REQUIRE(cuMemAllocManaged(&memory[0], MIB, CU_MEM_ATTACH_GLOBAL));
    REQUIRE(cuMemAllocManaged(&memory[1], MIB, CU_MEM_ATTACH_GLOBAL));
    memset(at(memory[0]), 1, MIB);
    memset(at(memory[1]), 2, MIB);
    EXPECT(CUDA_SUCCESS, cuMemPrefetchBatchAsync(memory, sizes, 2, places, indices, 2, 0, stream));
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(stream));
    EXPECT(CUDA_SUCCESS,
           cuMemRangeGetAttribute(&place, sizeof place, CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION,
                                  memory[1], MIB));
    CHECK(place == CU_DEVICE_CPU);
    CHECK(at(memory[0])[7] == 0x01010101 && at(memory[1])[7] == 0x02020202);
    EXPECT(CUDA_SUCCESS, cuMemDiscardBatchAsync(memory, sizes, 2, 0, stream));
    EXPECT(CUDA_SUCCESS, cuMemDiscardAndPrefetchBatchAsync(memory, sizes, 2, places, indices, 1, 0, stream));
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(stream));
    at(memory[0])[7] = 5;
    CHECK(at(memory[0])[7] == 5);
    REQUIRE(cuMemFree(memory[0]));
    REQUIRE(cuMemFree(memory[1]));
    REQUIRE(cuStreamDestroy(stream));
}

/* Variables of a module that the program uses through a pointer. */
static void variables(void)
{
    CUmodule module;
    CUfunction bump;
    CUdeviceptr number_address = 0, table_address = 0;
    size_t bytes = 0;
    uint32_t wrong = 0;
    if (!is_supported())
        SKIP("no managed memory on this device");
    REQUIRE(cuModuleLoadData(&module, ptx_managed));
    REQUIRE(cuModuleGetFunction(&bump, module, "bump"));
    EXPECT(CUDA_SUCCESS, cuModuleGetGlobal(&number_address, &bytes, module, "shared_number"));
    CHECK(bytes == 4);
    EXPECT(CUDA_SUCCESS, cuModuleGetGlobal(&table_address, &bytes, module, "shared_table"));
    CHECK(bytes == 4000);
    uint32_t *number = at(number_address), *table = at(table_address);
    CHECK(*number == 5 && table[999] == 0);
    for (uint32_t i = 0; i < 1000; i++)
        table[i] = 7;
    gpu_launch(bump, 1000, NULL, NULL);
    REQUIRE(cuCtxSynchronize());
    CHECK(*number == 6);
    *number = 100;
    table[500] = 1;
    gpu_launch(bump, 1000, NULL, NULL);
    gpu_launch(bump, 1000, NULL, NULL);
    REQUIRE(cuStreamSynchronize(NULL));
    for (uint32_t i = 0; i < 1000; i++)
        wrong += table[i] != (i == 500 ? 1 + 2 * i : 7 + 3 * i);
    CHECK(wrong == 0 && *number == 102);
    EXPECT(CUDA_SUCCESS, cuModuleUnload(module));
    EXPECT(CUDA_SUCCESS, cuCtxSynchronize());
}

static void copied(void)
{
    CUdeviceptr memory = 0, plain = 0;
    uint32_t *heap = malloc(BYTES), wrong = 0;
    if (!is_supported()) {
        free(heap);
        SKIP("no managed memory on this device");
    }
    REQUIRE(cuMemAllocManaged(&memory, BYTES, CU_MEM_ATTACH_GLOBAL));
    REQUIRE(cuMemAlloc(&plain, BYTES));
    fill_pattern(heap, BYTES, 1);
    EXPECT(CUDA_SUCCESS, cuMemcpyHtoD(memory, heap, BYTES));
    REQUIRE(cuCtxSynchronize());
    CHECK(memcmp(at(memory), heap, BYTES) == 0);
    EXPECT(CUDA_SUCCESS, cuMemcpyDtoD(plain, memory, BYTES));
    EXPECT(CUDA_SUCCESS, cuMemsetD32(memory, 77, COUNT));
    REQUIRE(cuCtxSynchronize());
    for (uint32_t i = 0; i < COUNT; i++)
        wrong += at(memory)[i] != 77;
    CHECK(wrong == 0);
    EXPECT(CUDA_SUCCESS, cuMemcpy(memory, plain, BYTES));
    REQUIRE(cuCtxSynchronize());
    CHECK(memcmp(at(memory), heap, BYTES) == 0);
    at(memory)[3] = 123;
    EXPECT(CUDA_SUCCESS, cuMemcpyDtoH(heap, memory, BYTES));
    CHECK(heap[3] == 123);
    heap[4] = 456;
    EXPECT(CUDA_SUCCESS, cuMemcpy(memory, (CUdeviceptr)(uintptr_t)heap, BYTES));
    REQUIRE(cuCtxSynchronize());
    CHECK(at(memory)[4] == 456);
    REQUIRE(cuMemFree(plain));
    REQUIRE(cuMemFree(memory));
    free(heap);
}

static void asked_about(void)
{
    CUdeviceptr memory = 0, device = 0, start = 0;
    void *host = NULL;
    unsigned managed = 9, type = 9;
    int ordinal = 9;
    size_t size = 0;
    if (!is_supported())
        SKIP("no managed memory on this device");
    REQUIRE(cuMemAllocManaged(&memory, 3 * MIB, CU_MEM_ATTACH_GLOBAL));
    EXPECT(CUDA_SUCCESS, cuPointerGetAttribute(&managed, CU_POINTER_ATTRIBUTE_IS_MANAGED, memory + 5));
    CHECK(managed == 1);
    EXPECT(CUDA_SUCCESS, cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, memory));
    say("memory type %u", type);
    EXPECT(CUDA_SUCCESS, cuPointerGetAttribute(&device, CU_POINTER_ATTRIBUTE_DEVICE_POINTER, memory + 5));
    CHECK(device == memory + 5);
    EXPECT(CUDA_SUCCESS, cuPointerGetAttribute(&host, CU_POINTER_ATTRIBUTE_HOST_POINTER, memory + 5));
    CHECK((uintptr_t)host == memory + 5);
    EXPECT(CUDA_SUCCESS, cuPointerGetAttribute(&ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, memory));
    say("device %d", ordinal);
    EXPECT(CUDA_SUCCESS, cuPointerGetAttribute(&start, CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, memory + 5));
    CHECK(start == memory);
    EXPECT(CUDA_SUCCESS, cuPointerGetAttribute(&size, CU_POINTER_ATTRIBUTE_RANGE_SIZE, memory + 5));
    CHECK(size >= 3 * MIB);
    REQUIRE(cuMemFree(memory));
    EXPECT(CUDA_ERROR_INVALID_VALUE,
           cuPointerGetAttribute(&managed, CU_POINTER_ATTRIBUTE_IS_MANAGED, memory));
}

static void refused(void)
{
    CUdeviceptr memory = 0, plain = 0;
    int value = 0;
    CUmemLocation nowhere = {CU_MEM_LOCATION_TYPE_DEVICE, 99};
    if (!is_supported())
        SKIP("no managed memory on this device");
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemAllocManaged(&memory, 0, CU_MEM_ATTACH_GLOBAL));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemAllocManaged(&memory, MIB, 99));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemAllocManaged(NULL, MIB, CU_MEM_ATTACH_GLOBAL));
    REQUIRE(cuMemAlloc(&plain, MIB));
    EXPECT(CUDA_SUCCESS, cuMemAllocManaged(&memory, MIB, CU_MEM_ATTACH_HOST));
    EXPECT(CUDA_SUCCESS, cuStreamAttachMemAsync(NULL, memory, 0, CU_MEM_ATTACH_GLOBAL));
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(NULL));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemPrefetchAsync_v2(plain, MIB, on_device, 0, NULL));
    EXPECT(CUDA_ERROR_INVALID_DEVICE, cuMemPrefetchAsync_v2(memory, MIB, nowhere, 0, NULL));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemAdvise_v2(plain, MIB, CU_MEM_ADVISE_SET_READ_MOSTLY, on_device));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemAdvise_v2(memory, MIB, (CUmem_advise)99, on_device));
    EXPECT(CUDA_ERROR_INVALID_VALUE,
           cuMemRangeGetAttribute(&value, 3, CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, memory, MIB));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemFree(memory + 4));
    EXPECT(CUDA_SUCCESS, cuMemFree(memory));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemFree(memory));
    REQUIRE(cuMemFree(plain));
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        CASE(as_the_device_says),
        CASE(touched_between_kernels),
        CASE(prefetched),
        CASE(advised),
        CASE(batches),
        CASE(variables),
        CASE(copied),
        CASE(asked_about),
        CASE(refused),
    };
    return suite_main("managed", cases, COUNT_OF(cases), argc, argv);
}

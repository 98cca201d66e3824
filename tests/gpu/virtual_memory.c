/* Virtual memory management: addresses reserved apart from the memory that comes to lie behind them. */
#include <stdlib.h>
#include <string.h>

#include "support/gpu.h"

static const CUmemAllocationProp on_device_0 = {
    .type = CU_MEM_ALLOCATION_TYPE_PINNED,
    .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0},
};
static const CUmemAccessDesc read_and_write = {
    .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0},
    .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE,
};

static int is_supported(void)
{
    gpu_use();
    return gpu_attribute(CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED);
}

static size_t granularity(void)
{
    size_t bytes = 0;
    REQUIRE(cuMemGetAllocationGranularity(&bytes, &on_device_0, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
    return bytes;
}

/* Writes `count` numbers from `first` on with a kernel, and reads them back. */
static void check_memory(CUdeviceptr memory, uint32_t first, uint32_t count)
{
    uint32_t *seen = calloc(count, sizeof *seen), wrong = 0;
    gpu_launch(gpu_kernel(ptx_basics, "fill"), count, NULL, ARGUMENTS(&memory, &first, &count));
    REQUIRE(cuMemcpyDtoH(seen, memory, count * sizeof *seen));
    for (uint32_t i = 0; i < count; i++)
        wrong += seen[i] != first + i;
    CHECK(wrong == 0);
    free(seen);
}

static void map_and_use(void)
{
    CUdeviceptr address = 0;
    CUmemGenericAllocationHandle memory = 0;
    if (!is_supported())
        SKIP("no virtual memory management on this device");
    size_t bytes = granularity();
    say("granularity %zu", bytes);
    EXPECT(CUDA_SUCCESS, cuMemAddressReserve(&address, bytes, 0, 0, 0));
    CHECK(address != 0 && address % bytes == 0);
    EXPECT(CUDA_SUCCESS, cuMemCreate(&memory, bytes, &on_device_0, 0));
    EXPECT(CUDA_SUCCESS, cuMemMap(address, bytes, 0, memory, 0));
    EXPECT(CUDA_SUCCESS, cuMemSetAccess(address, bytes, &read_and_write, 1));
    check_memory(address, 100, 1000);
    EXPECT(CUDA_SUCCESS, cuMemsetD32(address, 5, bytes / 4));
    EXPECT(CUDA_SUCCESS, cuCtxSynchronize());
    EXPECT(CUDA_SUCCESS, cuMemUnmap(address, bytes));
    EXPECT(CUDA_SUCCESS, cuMemRelease(memory));
    EXPECT(CUDA_SUCCESS, cuMemAddressFree(address, bytes));
}

/* As a growing allocator does: one reservation, pieces mapped one after the other, copies across their
 * borders. */
static void grow(void)
{
    enum { PIECES = 5 };
    CUdeviceptr address = 0;
    CUmemGenericAllocationHandle pieces[PIECES];
    if (!is_supported())
        SKIP("no virtual memory management on this device");
    size_t piece = granularity();
    EXPECT(CUDA_SUCCESS, cuMemAddressReserve(&address, 64 * piece, 0, 0, 0));
    for (size_t i = 0; i < PIECES; i++) {
        REQUIRE(cuMemCreate(&pieces[i], piece, &on_device_0, 0));
        REQUIRE(cuMemMap(address + i * piece, piece, 0, pieces[i], 0));
        REQUIRE(cuMemSetAccess(address + i * piece, piece, &read_and_write, 1));
        REQUIRE(cuMemsetD32(address, (unsigned)i, (i + 1) * piece / 4));
    }
    check_memory(address, 7, (uint32_t)(PIECES * piece / 4));
    REQUIRE(cuCtxSynchronize());
    /* The pieces in the middle go and come, what is around them stays. */
    uint32_t first = 0, last = 0;
    REQUIRE(cuMemUnmap(address + piece, piece));
    REQUIRE(cuMemRelease(pieces[1]));
    REQUIRE(cuMemCreate(&pieces[1], piece, &on_device_0, 0));
    REQUIRE(cuMemMap(address + piece, piece, 0, pieces[1], 0));
    REQUIRE(cuMemSetAccess(address + piece, piece, &read_and_write, 1));
    REQUIRE(cuMemsetD32(address + piece, 9, piece / 4));
    REQUIRE(cuMemcpyDtoH(&first, address, 4));
    REQUIRE(cuMemcpyDtoH(&last, address + PIECES * piece - 4, 4));
    CHECK(first == 7 && last == 7 + PIECES * piece / 4 - 1);
    for (size_t i = 0; i < PIECES; i++) {
        EXPECT(CUDA_SUCCESS, cuMemUnmap(address + i * piece, piece));
        EXPECT(CUDA_SUCCESS, cuMemRelease(pieces[i]));
    }
    EXPECT(CUDA_SUCCESS, cuMemAddressFree(address, 64 * piece));
}

/* One memory at two addresses. */
static void two_addresses(void)
{
    CUdeviceptr one = 0, two = 0;
    CUmemGenericAllocationHandle memory = 0;
    uint32_t seen = 0;
    if (!is_supported())
        SKIP("no virtual memory management on this device");
    size_t bytes = granularity();
    REQUIRE(cuMemAddressReserve(&one, bytes, 0, 0, 0));
    REQUIRE(cuMemAddressReserve(&two, bytes, 0, 0, 0));
    REQUIRE(cuMemCreate(&memory, bytes, &on_device_0, 0));
    EXPECT(CUDA_SUCCESS, cuMemMap(one, bytes, 0, memory, 0));
    EXPECT(CUDA_SUCCESS, cuMemMap(two, bytes, 0, memory, 0));
    EXPECT(CUDA_SUCCESS, cuMemSetAccess(one, bytes, &read_and_write, 1));
    EXPECT(CUDA_SUCCESS, cuMemSetAccess(two, bytes, &read_and_write, 1));
    REQUIRE(cuMemsetD32(one, 1234, bytes / 4));
    REQUIRE(cuMemcpyDtoH(&seen, two + bytes - 4, 4));
    CHECK(seen == 1234);
    EXPECT(CUDA_SUCCESS, cuMemUnmap(one, bytes));
    REQUIRE(cuMemcpyDtoH(&seen, two, 4));
    CHECK(seen == 1234);
    EXPECT(CUDA_SUCCESS, cuMemUnmap(two, bytes));
    EXPECT(CUDA_SUCCESS, cuMemRelease(memory));
    EXPECT(CUDA_SUCCESS, cuMemAddressFree(one, bytes));
    EXPECT(CUDA_SUCCESS, cuMemAddressFree(two, bytes));
}

/* Memory lives as long as it is mapped or a handle of it is held. */
static void lifetimes(void)
{
    CUdeviceptr address = 0;
    CUmemGenericAllocationHandle memory = 0, again = 0;
    uint32_t seen = 0;
    if (!is_supported())
        SKIP("no virtual memory management on this device");
    size_t bytes = (((size_t)64 << 20) / granularity()) * granularity();
    REQUIRE(cuMemAddressReserve(&address, bytes, 0, 0, 0));
    REQUIRE(cuMemCreate(&memory, bytes, &on_device_0, 0));
    REQUIRE(cuMemMap(address, bytes, 0, memory, 0));
    REQUIRE(cuMemSetAccess(address, bytes, &read_and_write, 1));
    EXPECT(CUDA_SUCCESS, cuMemRelease(memory));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemRelease(memory));
    REQUIRE(cuMemsetD32(address, 77, bytes / 4));
    EXPECT(CUDA_SUCCESS, cuMemRetainAllocationHandle(&memory, (void *)(uintptr_t)(address + 4096)));
    EXPECT(CUDA_SUCCESS, cuMemRetainAllocationHandle(&again, (void *)(uintptr_t)address));
    REQUIRE(cuCtxSynchronize());
    EXPECT(CUDA_SUCCESS, cuMemUnmap(address, bytes));
    EXPECT(CUDA_SUCCESS, cuMemRelease(again));
    REQUIRE(cuMemMap(address, bytes, 0, memory, 0));
    REQUIRE(cuMemSetAccess(address, bytes, &read_and_write, 1));
    REQUIRE(cuMemcpyDtoH(&seen, address + bytes - 4, 4));
    CHECK(seen == 77);
    REQUIRE(cuMemUnmap(address, bytes));
    EXPECT(CUDA_SUCCESS, cuMemRelease(memory));
    EXPECT(CUDA_SUCCESS, cuMemAddressFree(address, bytes));
}

static void asked_about(void)
{
    CUdeviceptr address = 0;
    CUmemGenericAllocationHandle memory = 0;
    CUmemAllocationProp properties;
    unsigned long long flags = 99;
    unsigned type = 0;
    int ordinal = 9;
    size_t recommended = 0;
    if (!is_supported())
        SKIP("no virtual memory management on this device");
    size_t bytes = granularity();
    EXPECT(CUDA_SUCCESS,
           cuMemGetAllocationGranularity(&recommended, &on_device_0, CU_MEM_ALLOC_GRANULARITY_RECOMMENDED));
    CHECK(recommended >= bytes && recommended % bytes == 0);
    REQUIRE(cuMemAddressReserve(&address, bytes, 0, 0, 0));
    REQUIRE(cuMemCreate(&memory, bytes, &on_device_0, 0));
    memset(&properties, 0xff, sizeof properties);
    EXPECT(CUDA_SUCCESS, cuMemGetAllocationPropertiesFromHandle(&properties, memory));
    say("type %d, location %d %d, handle types %d", (int)properties.type, (int)properties.location.type,
        properties.location.id, (int)properties.requestedHandleTypes);
    REQUIRE(cuMemMap(address, bytes, 0, memory, 0));
    EXPECT(CUDA_SUCCESS, cuMemGetAccess(&flags, &read_and_write.location, address));
    CHECK(flags == CU_MEM_ACCESS_FLAGS_PROT_NONE);
    REQUIRE(cuMemSetAccess(address, bytes, &read_and_write, 1));
    EXPECT(CUDA_SUCCESS, cuMemGetAccess(&flags, &read_and_write.location, address));
    CHECK(flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
    EXPECT(CUDA_SUCCESS, cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address + 100));
    CHECK(type == CU_MEMORYTYPE_DEVICE);
    EXPECT(CUDA_SUCCESS, cuPointerGetAttribute(&ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, address));
    CHECK(ordinal == 0);
    REQUIRE(cuMemUnmap(address, bytes));
    REQUIRE(cuMemRelease(memory));
    REQUIRE(cuMemAddressFree(address, bytes));
}

static void refused(void)
{
    CUdeviceptr address = 0, other = 0;
    CUmemGenericAllocationHandle memory = 0, none = 0;
    int on_stack = 0;
    if (!is_supported())
        SKIP("no virtual memory management on this device");
    size_t bytes = granularity();
    CUmemAccessDesc nowhere = read_and_write;
    nowhere.location.id = 99;
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemAddressReserve(NULL, bytes, 0, 0, 0));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemAddressReserve(&address, 0, 0, 0, 0));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemCreate(&memory, 12345, &on_device_0, 0));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemCreate(&memory, bytes, NULL, 0));
    NOTE(cuMemCreate(&memory, (size_t)1 << 46, &on_device_0, 0));
    EXPECT(CUDA_SUCCESS, cuMemAddressReserve(&address, bytes, 0, 0, 0));
    EXPECT(CUDA_SUCCESS, cuMemCreate(&memory, bytes, &on_device_0, 0));
    CHECK(cuMemMap(address, 2 * bytes, 0, memory, 0) != CUDA_SUCCESS);
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemMap(0x1234567, bytes, 0, memory, 0));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemMap(address, bytes, 0, none, 0));
    NOTE(cuMemUnmap(address, bytes));
    NOTE(cuMemSetAccess(address, bytes, &read_and_write, 1));
    EXPECT(CUDA_SUCCESS, cuMemMap(address, bytes, 0, memory, 0));
    NOTE(cuMemMap(address, bytes, 0, memory, 0));
    NOTE(cuMemSetAccess(address, bytes, &nowhere, 1));
    NOTE(cuMemAddressFree(address, bytes));
    EXPECT(CUDA_ERROR_INVALID_VALUE,
           cuMemRetainAllocationHandle(&none, (void *)((uintptr_t)&on_stack & ~(uintptr_t)4095)));
    EXPECT(CUDA_SUCCESS, cuMemUnmap(address, bytes));
    EXPECT(CUDA_SUCCESS, cuMemRelease(memory));
    EXPECT(CUDA_SUCCESS, cuMemAddressFree(address, bytes));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemAddressFree(address, bytes));
    NOTE(cuMemFree(address));
    REQUIRE(cuMemAddressReserve(&other, bytes, 0, 0, 0));
    REQUIRE(cuMemAddressFree(other, bytes));
}

/* What is not mapped, or without access, a kernel cannot touch. */
static void unmapped_faults(void)
{
    CUdeviceptr address = 0;
    uint32_t first = 1, count = 10;
    if (!is_supported())
        SKIP("no virtual memory management on this device");
    size_t bytes = granularity();
    REQUIRE(cuMemAddressReserve(&address, bytes, 0, 0, 0));
    gpu_launch(gpu_kernel(ptx_basics, "fill"), count, NULL, ARGUMENTS(&address, &first, &count));
    EXPECT(CUDA_ERROR_ILLEGAL_ADDRESS, cuCtxSynchronize());
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        CASE(map_and_use),
        CASE(grow),
        CASE(two_addresses),
        CASE(lifetimes),
        CASE(asked_about),
        CASE(refused),
        CASE_IN_OWN_PROCESS(unmapped_faults),
    };
    return suite_main("virtual_memory", cases, COUNT_OF(cases), argc, argv);
}

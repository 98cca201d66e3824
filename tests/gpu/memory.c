/* Device memory: allocating, freeing, setting, and asking about it. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/gpu.h"

#define MIB ((size_t)1 << 20)

static void allocate_and_free(void)
{
    static const size_t sizes[] = {1, 3, 255, 256, 257, 4096, 65536, 1 << 20, (2 << 20) + 1, 64 << 20};
    CUdeviceptr memory[COUNT_OF(sizes)];
    gpu_use();
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        REQUIRE(cuMemAlloc(&memory[i], sizes[i]));
        CHECK(memory[i] != 0 && memory[i] % 256 == 0);
        for (size_t j = 0; j < i; j++)
            CHECK(memory[j] + sizes[j] <= memory[i] || memory[i] + sizes[i] <= memory[j]);
    }
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        REQUIRE(cuMemFree(memory[i]));
}

static void refused_allocations(void)
{
    CUdeviceptr memory = 0;
    gpu_use();
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemAlloc(&memory, 0));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemAlloc(NULL, 16));
    EXPECT(CUDA_ERROR_OUT_OF_MEMORY, cuMemAlloc(&memory, (size_t)1 << 46));
    EXPECT(CUDA_ERROR_OUT_OF_MEMORY, cuMemAlloc(&memory, (size_t)-1));
    EXPECT(CUDA_SUCCESS, cuMemAlloc(&memory, 16));
    EXPECT(CUDA_SUCCESS, cuMemFree(memory));
}

static void refused_frees(void)
{
    CUdeviceptr memory = 0;
    gpu_use();
    REQUIRE(cuMemAlloc(&memory, MIB));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemFree(memory + 256));
    EXPECT(CUDA_SUCCESS, cuMemFree(memory));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemFree(memory));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemFree(0x1234567));
    NOTE(cuMemFree(0));
    EXPECT(CUDA_SUCCESS, cuCtxSynchronize());
}

static void pitch(void)
{
    CUdeviceptr memory = 0;
    size_t bytes = 0;
    gpu_use();
    EXPECT(CUDA_SUCCESS, cuMemAllocPitch(&memory, &bytes, 100, 10, 4));
    say("pitch %zu", bytes);
    CHECK(bytes >= 100 && bytes % 16 == 0);
    EXPECT(CUDA_SUCCESS, cuMemsetD8(memory, 1, bytes * 10));
    EXPECT(CUDA_SUCCESS, cuMemFree(memory));
    EXPECT(CUDA_SUCCESS, cuMemAllocPitch(&memory, &bytes, 1000, 7, 16));
    say("pitch %zu", bytes);
    EXPECT(CUDA_SUCCESS, cuMemFree(memory));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemAllocPitch(&memory, &bytes, 100, 10, 5));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemAllocPitch(&memory, &bytes, 0, 10, 4));
}

static void memory_information(void)
{
    size_t before = 0, during = 0, after = 0, total = 0, device_total = 0;
    CUdeviceptr memory;
    CUdevice device = gpu_use();
    EXPECT(CUDA_SUCCESS, cuMemGetInfo(&before, &total));
    REQUIRE(cuDeviceTotalMem(&device_total, device));
    CHECK(before > 0 && before <= total && total <= device_total);
    REQUIRE(cuMemAlloc(&memory, 128 * MIB));
    REQUIRE(cuMemGetInfo(&during, &total));
    CHECK(during + 128 * MIB <= before);
    REQUIRE(cuMemFree(memory));
    REQUIRE(cuMemGetInfo(&after, &total));
    CHECK(after >= during + 128 * MIB);
}

static void address_range(void)
{
    CUdeviceptr memory, base = 0;
    size_t bytes = 0;
    gpu_use();
    REQUIRE(cuMemAlloc(&memory, 3 * MIB));
    EXPECT(CUDA_SUCCESS, cuMemGetAddressRange(&base, &bytes, memory + 12345));
    say("%zu bytes, offset %llu", bytes, memory - base);
    CHECK(base == memory && bytes == 3 * MIB);
    EXPECT(CUDA_SUCCESS, cuMemGetAddressRange(&base, NULL, memory));
    EXPECT(CUDA_SUCCESS, cuMemGetAddressRange(NULL, &bytes, memory));
    NOTE(cuMemGetAddressRange(&base, &bytes, 0x1234567));
    REQUIRE(cuMemFree(memory));
}

static void pointer_attributes(void)
{
    CUdeviceptr memory, seen = 0;
    CUcontext context = NULL, current = NULL;
    unsigned type = 0, managed = 9;
    int ordinal = -1;
    void *host = NULL;
    size_t bytes = 0;
    int on_stack = 0;
    gpu_use();
    REQUIRE(cuCtxGetCurrent(&current));
    REQUIRE(cuMemAlloc(&memory, MIB));
    EXPECT(CUDA_SUCCESS, cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, memory + 100));
    say("memory type %u", type);
    EXPECT(CUDA_SUCCESS, cuPointerGetAttribute(&context, CU_POINTER_ATTRIBUTE_CONTEXT, memory));
    CHECK(context == current);
    EXPECT(CUDA_SUCCESS, cuPointerGetAttribute(&seen, CU_POINTER_ATTRIBUTE_DEVICE_POINTER, memory + 100));
    CHECK(seen == memory + 100);
    EXPECT(CUDA_SUCCESS, cuPointerGetAttribute(&managed, CU_POINTER_ATTRIBUTE_IS_MANAGED, memory));
    say("managed %u", managed);
    EXPECT(CUDA_SUCCESS, cuPointerGetAttribute(&ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, memory));
    say("device %d", ordinal);
    EXPECT(CUDA_SUCCESS, cuPointerGetAttribute(&seen, CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, memory + 100));
    CHECK(seen == memory);
    EXPECT(CUDA_SUCCESS, cuPointerGetAttribute(&bytes, CU_POINTER_ATTRIBUTE_RANGE_SIZE, memory + 100));
    say("range %zu", bytes);
    NOTE(cuPointerGetAttribute(&host, CU_POINTER_ATTRIBUTE_HOST_POINTER, memory));
    EXPECT(CUDA_ERROR_INVALID_VALUE,
           cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, (CUdeviceptr)(uintptr_t)&on_stack));
    CUpointer_attribute wanted[] = {CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL};
    EXPECT(CUDA_SUCCESS, cuPointerGetAttributes(2, wanted, ((void *[]){&type, &ordinal}), memory));
    say("memory type %u, device %d", type, ordinal);
    EXPECT(CUDA_SUCCESS, cuPointerGetAttributes(2, wanted, ((void *[]){&type, &ordinal}),
                                                (CUdeviceptr)(uintptr_t)&on_stack));
    say("memory type %u, device %d", type, ordinal);
    CHECK(type == 0 && ordinal == -2);
    REQUIRE(cuMemFree(memory));
}

/* Of the attributes only this one can be set. */
static void pointer_attribute_set(void)
{
    CUdeviceptr memory;
    int flag = 1, seen = 9, ordinal = 0;
    gpu_use();
    REQUIRE(cuMemAlloc(&memory, MIB));
    EXPECT(CUDA_SUCCESS, cuPointerSetAttribute(&flag, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, memory));
    EXPECT(CUDA_SUCCESS, cuPointerGetAttribute(&seen, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, memory));
    CHECK(seen == 1);
    EXPECT(CUDA_ERROR_INVALID_VALUE,
           cuPointerSetAttribute(&ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, memory));
    EXPECT(CUDA_ERROR_INVALID_VALUE,
           cuPointerSetAttribute(&flag, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, (CUdeviceptr)(uintptr_t)&flag));
    REQUIRE(cuMemFree(memory));
}

/* A VM's one GPU has no peers. */
static void peers(void)
{
    CUatomicOperation operations[] = {CU_ATOMIC_OPERATION_INTEGER_ADD, CU_ATOMIC_OPERATION_CAS};
    unsigned capabilities[2] = {99, 99};
    CUcontext current = NULL;
    gpu_use();
    REQUIRE(cuCtxGetCurrent(&current));
    NOTE(cuCtxEnablePeerAccess(current, 0));
    NOTE(cuCtxDisablePeerAccess(current));
    CHECK(cuCtxEnablePeerAccess(NULL, 0) != CUDA_SUCCESS);
    EXPECT(CUDA_SUCCESS, cuDeviceGetHostAtomicCapabilities(capabilities, operations, 2, 0));
    say("host: %x %x", capabilities[0], capabilities[1]);
    CHECK(cuDeviceGetHostAtomicCapabilities(capabilities, operations, 2, 99) != CUDA_SUCCESS);
    NOTE(cuFlushGPUDirectRDMAWrites(CU_FLUSH_GPU_DIRECT_RDMA_WRITES_TARGET_CURRENT_CTX,
                                    CU_FLUSH_GPU_DIRECT_RDMA_WRITES_TO_OWNER));
}

static uint64_t device_checksum(CUdeviceptr memory, size_t bytes)
{
    void *copy = malloc(bytes);
    REQUIRE(cuMemcpyDtoH(copy, memory, bytes));
    uint64_t sum = checksum(copy, bytes);
    free(copy);
    return sum;
}

static void set_memory(void)
{
    enum { BYTES = 4096 };
    uint8_t expected[BYTES];
    CUdeviceptr memory;
    CUstream stream;
    gpu_use();
    REQUIRE(cuMemAlloc(&memory, BYTES));
    REQUIRE(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    EXPECT(CUDA_SUCCESS, cuMemsetD8(memory, 0x11, BYTES));
    memset(expected, 0x11, BYTES);
    EXPECT(CUDA_SUCCESS, cuMemsetD8(memory + 3, 0x22, 5));
    memset(expected + 3, 0x22, 5);
    EXPECT(CUDA_SUCCESS, cuMemsetD16(memory + 10, 0x3344, 7));
    for (int i = 0; i < 7; i++)
        memcpy(expected + 10 + 2 * i, &(uint16_t){0x3344}, 2);
    EXPECT(CUDA_SUCCESS, cuMemsetD32(memory + 100, 0x55667788, 200));
    for (int i = 0; i < 200; i++)
        memcpy(expected + 100 + 4 * i, &(uint32_t){0x55667788}, 4);
    CHECK(device_checksum(memory, BYTES) == checksum(expected, BYTES));
    EXPECT(CUDA_SUCCESS, cuMemsetD8Async(memory + 1001, 0x99, 333, stream));
    memset(expected + 1001, 0x99, 333);
    EXPECT(CUDA_SUCCESS, cuMemsetD16Async(memory + 2000, 0xabcd, 20, stream));
    for (int i = 0; i < 20; i++)
        memcpy(expected + 2000 + 2 * i, &(uint16_t){0xabcd}, 2);
    EXPECT(CUDA_SUCCESS, cuMemsetD32Async(memory + 3000, 1, 20, stream));
    for (int i = 0; i < 20; i++)
        memcpy(expected + 3000 + 4 * i, &(uint32_t){1}, 4);
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(stream));
    CHECK(device_checksum(memory, BYTES) == checksum(expected, BYTES));
    EXPECT(CUDA_SUCCESS, cuMemsetD8(memory, 7, 0));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemsetD32(memory + 2, 1, 1));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemsetD16(memory + 1, 1, 1));
    CHECK(device_checksum(memory, BYTES) == checksum(expected, BYTES));
    NOTE(cuMemsetD8(0x1234567, 1, 16));
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuMemFree(memory));
}

static void set_rectangles(void)
{
    enum { PITCH = 128, ROWS = 16, BYTES = PITCH * ROWS };
    uint8_t expected[BYTES];
    CUdeviceptr memory;
    gpu_use();
    REQUIRE(cuMemAlloc(&memory, BYTES));
    REQUIRE(cuMemsetD8(memory, 0, BYTES));
    memset(expected, 0, BYTES);
    EXPECT(CUDA_SUCCESS, cuMemsetD2D8(memory + 5, PITCH, 0x42, 33, 4));
    for (int row = 0; row < 4; row++)
        memset(expected + 5 + row * PITCH, 0x42, 33);
    EXPECT(CUDA_SUCCESS, cuMemsetD2D16(memory + 5 * PITCH, PITCH, 0x4321, 9, 3));
    for (int row = 5; row < 8; row++)
        for (int i = 0; i < 9; i++)
            memcpy(expected + row * PITCH + 2 * i, &(uint16_t){0x4321}, 2);
    EXPECT(CUDA_SUCCESS, cuMemsetD2D32(memory + 10 * PITCH + 8, PITCH, 0x87654321, 30, 6));
    for (int row = 10; row < 16; row++)
        for (int i = 0; i < 30; i++)
            memcpy(expected + row * PITCH + 8 + 4 * i, &(uint32_t){0x87654321}, 4);
    CHECK(device_checksum(memory, BYTES) == checksum(expected, BYTES));
    say("checksum %016llx", (unsigned long long)device_checksum(memory, BYTES));
    REQUIRE(cuMemFree(memory));
}

static void stream_ordered(void)
{
    CUdeviceptr memory;
    CUstream stream;
    uint32_t first = 5, count = 1000, last = 0;
    gpu_use();
    if (!gpu_attribute(CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED))
        SKIP("no memory pools on this device");
    REQUIRE(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    EXPECT(CUDA_SUCCESS, cuMemAllocAsync(&memory, count * 4, stream));
    gpu_launch(gpu_kernel(ptx_basics, "fill"), count, stream, ARGUMENTS(&memory, &first, &count));
    EXPECT(CUDA_SUCCESS, cuMemcpyDtoHAsync(&last, memory + 999 * 4, 4, stream));
    EXPECT(CUDA_SUCCESS, cuMemFreeAsync(memory, stream));
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(stream));
    CHECK(last == 1004);
    REQUIRE(cuStreamDestroy(stream));
}

/* All that is left, in pieces, until the driver refuses; then all of it is there again. */
static void exhaust(void)
{
    enum { PIECES_MAX = 1024 };
    static CUdeviceptr pieces[PIECES_MAX];
    size_t before = 0, total = 0, after = 0, piece, count = 0;
    CUresult result = CUDA_SUCCESS;
    gpu_use();
    REQUIRE(cuMemGetInfo(&before, &total));
    piece = before / 8;
    while (count < PIECES_MAX && piece >= 32 * MIB) {
        result = cuMemAlloc(&pieces[count], piece);
        if (result == CUDA_SUCCESS)
            count++;
        else
            piece /= 2;
    }
    say("at the end: %s", result_name(result));
    CHECK(result == CUDA_ERROR_OUT_OF_MEMORY && count >= 7);
    for (size_t i = 0; i < count; i++)
        REQUIRE(cuMemFree(pieces[i]));
    REQUIRE(cuMemGetInfo(&after, &total));
    CHECK(after + 2048 * MIB >= before); /* others may have made a context meanwhile */
}

/* Runs in a process of its own, uses most of the memory, and leaves without freeing anything. */
static int hoard_and_leave(void)
{
    size_t available = 0, total = 0;
    CUdeviceptr memory;
    CUcontext context;
    if (cuInit(0) || cuDevicePrimaryCtxRetain(&context, 0) || cuCtxSetCurrent(context) ||
        cuMemGetInfo(&available, &total))
        return 1;
    return cuMemAlloc(&memory, total / 4 * 3) == CUDA_SUCCESS ? 0 : 2;
}

static void freed_when_the_process_ends(void)
{
    for (int round = 0; round < 4; round++) {
        int status = 2 << 8;
        for (int attempt = 0; attempt < 600 && WEXITSTATUS(status) == 2; attempt++) {
            if (attempt > 0)
                usleep(100000); /* the last one's memory may still be on its way back */
            pid_t child = fork();
            if (child == 0)
                _exit(hoard_and_leave());
            CHECK(waitpid(child, &status, 0) == child);
        }
        say("round %d: status %d", round, WEXITSTATUS(status));
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}

static const struct test_case cases[] = {
    CASE(allocate_and_free),
    CASE(refused_allocations),
    CASE(refused_frees),
    CASE(pitch),
    CASE(memory_information),
    CASE(address_range),
    CASE(pointer_attributes),
    CASE(pointer_attribute_set),
    CASE(peers),
    CASE(set_memory),
    CASE(set_rectangles),
    CASE(stream_ordered),
    CASE_IN_OWN_PROCESS(exhaust),
    CASE_IN_OWN_PROCESS(freed_when_the_process_ends),
};

int main(int argc, char **argv)
{
    return suite_main("memory", cases, COUNT_OF(cases), argc, argv);
}

/* Host memory that the GPU can reach: allocated by the driver, or registered. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/gpu.h"

static void flags(void)
{
    void *memory;
    unsigned seen;
    gpu_use();
    EXPECT(CUDA_SUCCESS, cuMemAllocHost(&memory, 1000));
    EXPECT(CUDA_SUCCESS, cuMemHostGetFlags(&seen, memory));
    say("flags %u", seen);
    EXPECT(CUDA_SUCCESS, cuMemFreeHost(memory));
    for (unsigned asked = 0; asked < 8; asked++) {
        REQUIRE(cuMemHostAlloc(&memory, 5000, asked));
        REQUIRE(cuMemHostGetFlags(&seen, memory));
        say("asked for %u, flags %u", asked, seen);
        memset(memory, 1, 5000);
        REQUIRE(cuMemFreeHost(memory));
    }
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemHostAlloc(&memory, 1000, 0x80));
    EXPECT(CUDA_SUCCESS, cuMemHostAlloc(&memory, 0, 0));
    EXPECT(CUDA_SUCCESS, cuMemAllocHost(&memory, 0));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemHostAlloc(NULL, 1000, 0));
}

static void device_pointer(void)
{
    uint8_t *memory;
    CUdeviceptr device = 0;
    gpu_use();
    if (!host_memory_is_mapped())
        SKIP("guest and GPU share no memory here");
    REQUIRE(cuMemHostAlloc((void **)&memory, 4096, CU_MEMHOSTALLOC_DEVICEMAP));
    EXPECT(CUDA_SUCCESS, cuMemHostGetDevicePointer(&device, memory, 0));
    CHECK(device == (CUdeviceptr)(uintptr_t)memory);
    EXPECT(CUDA_SUCCESS, cuMemHostGetDevicePointer(&device, memory + 100, 0));
    CHECK(device == (CUdeviceptr)(uintptr_t)(memory + 100));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemHostGetDevicePointer(&device, memory, 1));
    EXPECT(CUDA_SUCCESS, cuMemFreeHost(memory));
    NOTE(cuMemHostGetDevicePointer(&device, &device, 0));
}

static void attributes(void)
{
    uint8_t *memory = NULL, *host = NULL;
    unsigned type = 0;
    CUdeviceptr device = 0;
    gpu_use();
    if (!host_memory_is_mapped())
        SKIP("guest and GPU share no memory here");
    memory = host_allocate_pinned(4096);
    EXPECT(CUDA_SUCCESS,
           cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, (CUdeviceptr)(uintptr_t)memory));
    say("memory type %u", type);
    EXPECT(CUDA_SUCCESS, cuPointerGetAttribute(&host, CU_POINTER_ATTRIBUTE_HOST_POINTER,
                                               (CUdeviceptr)(uintptr_t)(memory + 12)));
    CHECK(host == memory + 12);
    EXPECT(CUDA_SUCCESS, cuPointerGetAttribute(&device, CU_POINTER_ATTRIBUTE_DEVICE_POINTER,
                                               (CUdeviceptr)(uintptr_t)(memory + 12)));
    CHECK(device == (CUdeviceptr)(uintptr_t)(memory + 12));
    REQUIRE(cuMemFreeHost(memory));
}

static void kernels_use_it(uint32_t *words, uint32_t count)
{
    uint32_t first = 1000, factor = 2, term = 5, wrong = 0;
    CUdeviceptr mapped;
    CUdeviceptr copy = gpu_allocate(count * 4u);
    REQUIRE(cuMemHostGetDevicePointer(&mapped, words, 0));
    gpu_launch(gpu_kernel(ptx_basics, "fill"), count, NULL, ARGUMENTS(&mapped, &first, &count));
    REQUIRE(cuCtxSynchronize());
    for (uint32_t i = 0; i < count; i++)
        wrong += words[i] != 1000 + i;
    CHECK(wrong == 0);
    for (uint32_t i = 0; i < count; i++)
        words[i] = i * i;
    gpu_launch(gpu_kernel(ptx_basics, "affine"), count, NULL, ARGUMENTS(&mapped, &factor, &term, &count));
    gpu_launch(gpu_kernel(ptx_basics, "copy_words"), count, NULL, ARGUMENTS(&mapped, &copy, &count));
    REQUIRE(cuCtxSynchronize());
    for (uint32_t i = 0; i < count; i++)
        wrong += words[i] != 2 * i * i + 5;
    CHECK(wrong == 0);
    memset(words, 0, count * 4u);
    REQUIRE(cuMemcpyDtoH(words, copy, count * 4u));
    for (uint32_t i = 0; i < count; i++)
        wrong += words[i] != 2 * i * i + 5;
    CHECK(wrong == 0);
    say("checksum %016llx", (unsigned long long)checksum(words, count * 4u));
    REQUIRE(cuMemFree(copy));
}

static void kernels_on_allocated(void)
{
    gpu_use();
    if (!host_memory_is_mapped())
        SKIP("guest and GPU share no memory here");
    uint32_t *words = host_allocate_pinned(40000);
    kernels_use_it(words, 10000);
    REQUIRE(cuMemFreeHost(words));
}

static void kernels_on_registered(void)
{
    gpu_use();
    if (!host_memory_is_mapped())
        SKIP("guest and GPU share no memory here");
    uint32_t *words = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT(CUDA_SUCCESS, cuMemHostRegister(words, 65536, CU_MEMHOSTREGISTER_DEVICEMAP));
    kernels_use_it(words, 16384);
    EXPECT(CUDA_SUCCESS, cuMemHostUnregister(words));
    munmap(words, 65536);
}

/* Ordinary memory made known to the driver keeps what it held, serves asynchronous copies, and is ordinary
 * afterwards. */
static void registered(void)
{
    enum { BYTES = (3 << 20) + 123 };
    uint8_t *memory = malloc(BYTES + 64), *back = malloc(BYTES);
    uint64_t before;
    CUstream stream;
    gpu_use();
    REQUIRE(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    uint8_t *data = memory + 13;
    CUdeviceptr device = gpu_allocate(BYTES);
    fill_pattern(data, BYTES, 3);
    before = checksum(data, BYTES);
    EXPECT(CUDA_SUCCESS, cuMemHostRegister(data, BYTES, 0));
    CHECK(checksum(data, BYTES) == before);
    EXPECT(CUDA_SUCCESS, cuMemcpyHtoDAsync(device, data, BYTES, stream));
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(stream));
    memset(data, 0, BYTES);
    EXPECT(CUDA_SUCCESS, cuMemcpyDtoHAsync(data, device, BYTES, stream));
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(stream));
    CHECK(checksum(data, BYTES) == before);
    EXPECT(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED, cuMemHostRegister(data, BYTES, 0));
    EXPECT(CUDA_SUCCESS, cuMemHostUnregister(data));
    EXPECT(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, cuMemHostUnregister(data));
    CHECK(checksum(data, BYTES) == before);
    data[5] ^= 1;
    EXPECT(CUDA_SUCCESS, cuMemcpyHtoD(device, data, BYTES));
    EXPECT(CUDA_SUCCESS, cuMemcpyDtoH(back, device, BYTES));
    CHECK(memcmp(data, back, BYTES) == 0);
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuMemFree(device));
    free(memory);
    free(back);
}

/* Several ranges in one page, and one across two pages that others use too. */
static void registered_side_by_side(void)
{
    enum { PAGE = 4096 };
    gpu_use();
    if (!host_memory_is_mapped())
        SKIP("guest and GPU share no memory here");
    uint8_t *memory = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint32_t *first = (uint32_t *)(memory + 256), *second = (uint32_t *)(memory + 1024);
    uint32_t *across = (uint32_t *)(memory + PAGE - 1024), first_number = 9, count = 512, wrong = 0;
    CUdeviceptr device = 0;
    CUdeviceptr plain = gpu_allocate(2048);
    EXPECT(CUDA_SUCCESS, cuMemHostRegister(first, 512, 0));
    if (cuMemHostRegister(second, 512, 0) != CUDA_SUCCESS ||
        cuMemHostRegister(across, 2048, 0) != CUDA_SUCCESS) {
        cuMemHostUnregister(first);
        cuMemHostUnregister(second);
        SKIP("this driver registers a page once");
    }
    EXPECT(CUDA_SUCCESS, cuMemHostUnregister(first));
    EXPECT(CUDA_SUCCESS, cuMemHostGetDevicePointer(&device, across, 0));
    CHECK(device == (uintptr_t)across);
    gpu_launch(gpu_kernel(ptx_basics, "fill"), count, NULL, ARGUMENTS(&device, &first_number, &count));
    REQUIRE(cuCtxSynchronize());
    for (uint32_t i = 0; i < count; i++)
        wrong += across[i] != first_number + i;
    CHECK(wrong == 0);
    EXPECT(CUDA_SUCCESS, cuMemcpyHtoDAsync(plain, across, 2048, NULL));
    REQUIRE(cuStreamSynchronize(NULL));
    memset(across, 0, 2048);
    EXPECT(CUDA_SUCCESS, cuMemcpyDtoHAsync(across, plain, 2048, NULL));
    REQUIRE(cuStreamSynchronize(NULL));
    CHECK(across[0] == 9 && across[511] == 9 + 511);
    EXPECT(CUDA_SUCCESS, cuMemHostUnregister(second));
    EXPECT(CUDA_SUCCESS, cuMemHostUnregister(across));
    EXPECT(CUDA_SUCCESS, cuMemHostRegister(first, 512, 0));
    EXPECT(CUDA_SUCCESS, cuMemHostUnregister(first));
    CHECK(across[511] == 9 + 511);
    REQUIRE(cuMemFree(plain));
    munmap(memory, 4 * PAGE);
}

/* Memory that the program shares with another process stays shared. */
static void registered_shared_memory(void)
{
    enum { BYTES = 65536 };
    CUdeviceptr device = gpu_use() == 0 ? gpu_allocate(BYTES) : 0;
    uint8_t *shared = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    fill_pattern(shared, BYTES, 5);
    EXPECT(CUDA_SUCCESS, cuMemHostRegister(shared, BYTES, 0));
    EXPECT(CUDA_SUCCESS, cuMemcpyHtoD(device, shared, BYTES));
    pid_t child = fork();
    if (child == 0) {
        shared[7] = 42;
        _exit(0);
    }
    CHECK(waitpid(child, NULL, 0) == child && shared[7] == 42);
    uint64_t sum = checksum(shared, BYTES);
    EXPECT(CUDA_SUCCESS, cuMemcpyHtoDAsync(device, shared, BYTES, NULL));
    REQUIRE(cuStreamSynchronize(NULL));
    memset(shared, 0, BYTES);
    EXPECT(CUDA_SUCCESS, cuMemcpyDtoHAsync(shared, device, BYTES, NULL));
    REQUIRE(cuStreamSynchronize(NULL));
    CHECK(checksum(shared, BYTES) == sum);
    EXPECT(CUDA_SUCCESS, cuMemHostUnregister(shared));
    REQUIRE(cuMemFree(device));
    munmap(shared, BYTES);
}

static void refused(void)
{
    int on_stack;
    void *memory;
    gpu_use();
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemFreeHost(&on_stack));
    EXPECT(CUDA_SUCCESS, cuMemFreeHost(NULL));
    REQUIRE(cuMemHostAlloc(&memory, 4096, 0));
    EXPECT(CUDA_SUCCESS, cuMemFreeHost(memory));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemFreeHost(memory));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemHostRegister(NULL, 4096, 0));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemHostRegister(&on_stack, 0, 0));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemHostUnregister(NULL));
}

/* Many blocks, allocated and freed in another order, each keeping its bytes. */
static void many_blocks(void)
{
    enum { BLOCKS = 64 };
    uint8_t *blocks[BLOCKS];
    size_t bytes[BLOCKS];
    uint32_t wrong = 0;
    gpu_use();
    for (size_t i = 0; i < BLOCKS; i++) {
        bytes[i] = 100 + i * i * 257;
        REQUIRE(cuMemHostAlloc((void **)&blocks[i], bytes[i], 0));
        memset(blocks[i], (int)i, bytes[i]);
    }
    for (size_t i = 0; i < BLOCKS; i += 2)
        REQUIRE(cuMemFreeHost(blocks[i]));
    for (size_t i = 1; i < BLOCKS; i += 2) {
        for (size_t j = 0; j < bytes[i]; j++)
            wrong += blocks[i][j] != i;
        REQUIRE(cuMemFreeHost(blocks[i]));
    }
    CHECK(wrong == 0);
}

static const struct test_case cases[] = {
    CASE(flags),
    CASE(device_pointer),
    CASE(attributes),
    CASE(kernels_on_allocated),
    CASE(kernels_on_registered),
    CASE(registered),
    CASE(registered_side_by_side),
    CASE(registered_shared_memory),
    CASE(refused),
    CASE(many_blocks),
};

int main(int argc, char **argv)
{
    return suite_main("host_memory", cases, COUNT_OF(cases), argc, argv);
}

/* Memory of the simulated driver: allocating, copying, filling, asking. */
#include "fixture.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

const struct fixture_process fixture_processes[] = {{NULL, NULL}};

/* --- allocating --- */

static void memory_is_limited_to_the_card(void **state)
{
    CUdeviceptr first, second;
    size_t free_before, free_now, total;
    CHECK(cuMemGetInfo(&free_before, &total));
    CHECK(cuMemAlloc(&first, 40 * MIB));
    CHECK(cuMemGetInfo(&free_now, &total));
    assert_int_equal(free_before - free_now, 40 * MIB);
    CHECK_IS(cuMemAlloc(&second, 30 * MIB), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK(cuMemFree(first));
    CHECK(cuMemAlloc(&second, 50 * MIB));
    CHECK(cuMemFree(second));
    CHECK(cuMemGetInfo(&free_now, &total));
    assert_int_equal(free_before, free_now);
}

static void wrong_sizes_and_pointers_are_refused(void **state)
{
    CUdeviceptr memory;
    CHECK_IS(cuMemAlloc(&memory, 0), CUDA_ERROR_INVALID_VALUE);
    CHECK_IS(cuMemAlloc(NULL, 4), CUDA_ERROR_INVALID_VALUE);
    CHECK_IS(cuMemAlloc(&memory, SIZE_MAX), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK(cuMemAlloc(&memory, 1000));
    assert_int_equal(memory % 256, 0);
    CHECK_IS(cuMemFree(memory + 256), CUDA_ERROR_INVALID_VALUE);
    CHECK(cuMemFree(memory));
    CHECK_IS(cuMemFree(memory), CUDA_ERROR_INVALID_VALUE);
    CHECK(cuMemFree(0));
}

static void a_range_is_known_from_any_address_in_it(void **state)
{
    CUdeviceptr memory, base;
    size_t bytes;
    CHECK(cuMemAlloc(&memory, 1000));
    CHECK(cuMemGetAddressRange(&base, &bytes, memory + 999));
    assert_int_equal(base, memory);
    assert_int_equal(bytes, 1000);
    CHECK_IS(cuMemGetAddressRange(&base, &bytes, memory + 1000), CUDA_ERROR_NOT_FOUND);
    CHECK(cuMemFree(memory));
}

static void many_allocations_live_beside_each_other(void **state)
{
    static CUdeviceptr memory[3000];
    unsigned int value;
    for (unsigned int i = 0; i < 3000; i++) {
        CHECK(cuMemAlloc(&memory[i], 64));
        CHECK(cuMemcpyHtoD(memory[i], &i, sizeof i));
    }
    for (unsigned int i = 0; i < 3000; i += 2)
        CHECK(cuMemFree(memory[i]));
    for (unsigned int i = 1; i < 3000; i += 2) {
        CHECK(cuMemcpyDtoH(&value, memory[i], sizeof value));
        assert_int_equal(value, i);
        CHECK(cuMemFree(memory[i]));
    }
}

/* Pages of 4 KiB at that address that host memory stands behind. */
static size_t resident_pages(CUdeviceptr memory, size_t pages)
{
    unsigned char *is_resident = calloc(pages, 1);
    size_t count = 0;
    assert_int_equal(mincore((void *)(uintptr_t)memory, pages * 4096, is_resident), 0);
    for (size_t i = 0; i < pages; i++)
        count += is_resident[i] & 1;
    free(is_resident);
    return count;
}

static void memory_costs_the_host_only_what_is_touched_until_it_is_freed(void **state)
{
    CUdeviceptr memory;
    CHECK(cuMemAlloc(&memory, 8 * MIB));
    assert_int_equal(resident_pages(memory, 2048), 0);
    CHECK(cuMemsetD8(memory, 1, 8 * MIB));
    assert_int_equal(resident_pages(memory, 2048), 2048);
    CHECK(cuMemFree(memory));
    assert_int_equal(resident_pages(memory, 2048), 0);
}

static void *open_soon(void *word)
{
    struct timespec pause = {0, 10000000};
    nanosleep(&pause, NULL);
    open_gate((struct gate){word});
    return NULL;
}

static void freeing_waits_for_the_work_that_uses_the_memory(void **state)
{
    const struct gpu *gpu = *state;
    CUdeviceptr memory;
    CUstream stream;
    pthread_t opener;
    struct gate gate = make_gate();
    CHECK(cuMemAlloc(&memory, 4));
    CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    put_gate(gate, stream);
    CHECK(launch_store(gpu, memory, 1, stream));
    pthread_create(&opener, NULL, open_soon, gate.word);
    CHECK(cuMemFree(memory));
    CHECK(cuStreamQuery(stream));
    CHECK(cuCtxSynchronize());
    pthread_join(opener, NULL);
    CHECK(cuStreamDestroy(stream));
    free_gate(gate);
}

static void a_pitch_keeps_rows_aligned(void **state)
{
    CUdeviceptr memory;
    size_t pitch;
    CHECK(cuMemAllocPitch(&memory, &pitch, 1001, 7, 4));
    assert_true(pitch >= 1001 && pitch % 256 == 0);
    CHECK_IS(cuMemAllocPitch(&memory, &pitch, 1001, 7, 3), CUDA_ERROR_INVALID_VALUE);
    CHECK(cuMemFree(memory));
}

static void managed_memory_is_touched_from_both_sides(void **state)
{
    const struct gpu *gpu = *state;
    CUdeviceptr memory;
    CHECK(cuMemAllocManaged(&memory, 4, CU_MEM_ATTACH_GLOBAL));
    *(unsigned int *)(uintptr_t)memory = 5;
    CHECK(launch_store(gpu, memory, 6, NULL));
    CHECK(cuCtxSynchronize());
    assert_int_equal(*(unsigned int *)(uintptr_t)memory, 6);
    CHECK(cuMemFree(memory));
}

static void memory_freed_in_a_stream_is_there_for_the_next_in_it(void **state)
{
    CUdeviceptr memory;
    CUstream stream;
    struct gate gate = make_gate();
    CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    for (int i = 0; i < 8; i++) {
        CHECK(cuMemAllocAsync(&memory, 40 * MIB, stream));
        CHECK(cuMemsetD8Async(memory, 1, 4096, stream));
        CHECK(cuMemFreeAsync(memory, stream));
    }
    CHECK(cuStreamSynchronize(stream));
    CHECK_IS(cuMemFree(memory), CUDA_ERROR_INVALID_VALUE);
    free_gate(gate);
    CHECK(cuStreamDestroy(stream));
}

/* --- copying --- */

static void copies_go_every_way(void **state)
{
    unsigned int from[64], to[64];
    CUdeviceptr first, second;
    for (unsigned int i = 0; i < 64; i++)
        from[i] = i * 7;
    CHECK(cuMemAlloc(&first, sizeof from));
    CHECK(cuMemAlloc(&second, sizeof from));
    CHECK(cuMemcpyHtoD(first, from, sizeof from));
    CHECK(cuMemcpyDtoD(second, first, sizeof from));
    CHECK(cuMemcpyDtoH(to, second, sizeof to));
    assert_memory_equal(from, to, sizeof from);
    memset(to, 0, sizeof to);
    CHECK(cuMemcpy((CUdeviceptr)(uintptr_t)to, first, sizeof to));
    assert_memory_equal(from, to, sizeof from);
    CHECK(cuMemcpyHtoD(first, from, 0));
    CHECK(cuMemFree(first));
    CHECK(cuMemFree(second));
}

static void copies_outside_an_allocation_are_refused(void **state)
{
    char bytes[128] = {0};
    CUdeviceptr memory;
    CHECK(cuMemAlloc(&memory, 100));
    CHECK_IS(cuMemcpyHtoD(memory, bytes, 101), CUDA_ERROR_INVALID_VALUE);
    CHECK_IS(cuMemcpyHtoD(memory + 50, bytes, 51), CUDA_ERROR_INVALID_VALUE);
    CHECK_IS(cuMemcpyDtoH(bytes, memory - 1, 2), CUDA_ERROR_INVALID_VALUE);
    CHECK_IS(cuMemcpyHtoD(0, bytes, 4), CUDA_ERROR_INVALID_VALUE);
    CHECK_IS(cuMemcpyHtoD(memory, NULL, 4), CUDA_ERROR_INVALID_VALUE);
    CHECK_IS(cuMemsetD8(memory, 1, 101), CUDA_ERROR_INVALID_VALUE);
    CHECK_IS(cuMemsetD32(memory + 2, 1, 1), CUDA_ERROR_INVALID_VALUE);
    CHECK(cuMemcpyHtoD(memory, bytes, 100));
    CHECK(cuMemFree(memory));
    CHECK_IS(cuMemcpyDtoH(bytes, memory, 1), CUDA_ERROR_INVALID_VALUE);
}

static void an_asynchronous_copy_from_pageable_memory_takes_what_was_there_at_the_call(void **state)
{
    unsigned int value = 1, seen = 0;
    CUdeviceptr memory;
    CUstream stream;
    struct gate gate = make_gate();
    CHECK(cuMemAlloc(&memory, sizeof value));
    CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    put_gate(gate, stream);
    CHECK(cuMemcpyHtoDAsync(memory, &value, sizeof value, stream));
    value = 2;
    open_gate(gate);
    CHECK(cuStreamSynchronize(stream));
    CHECK(cuMemcpyDtoH(&seen, memory, sizeof seen));
    assert_int_equal(seen, 1);
    CHECK(cuMemcpyDtoHAsync(&value, memory, sizeof value, stream)); /* into pageable memory: done on return */
    assert_int_equal(value, 1);
    CHECK(cuStreamDestroy(stream));
    CHECK(cuMemFree(memory));
    free_gate(gate);
}

static void rectangles_and_boxes_land_in_their_place(void **state)
{
    unsigned char source[8 * 4 * 2], back[8 * 4 * 2];
    CUdeviceptr memory;
    for (unsigned int i = 0; i < sizeof source; i++)
        source[i] = (unsigned char)i;
    CHECK(cuMemAlloc(&memory, 16 * 4 * 2));
    CHECK(cuMemsetD8(memory, 0xee, 16 * 4 * 2));
    CUDA_MEMCPY2D flat = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                          .srcHost = source,
                          .srcPitch = 8,
                          .srcXInBytes = 1,
                          .srcY = 1,
                          .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                          .dstDevice = memory,
                          .dstPitch = 16,
                          .dstXInBytes = 3,
                          .dstY = 0,
                          .WidthInBytes = 5,
                          .Height = 3};
    CHECK(cuMemcpy2D(&flat));
    unsigned char all[128];
    CHECK(cuMemcpyDtoH(all, memory, 128));
    for (unsigned int y = 0; y < 4; y++)
        for (unsigned int x = 0; x < 16; x++)
            assert_int_equal(all[y * 16 + x], y < 3 && x >= 3 && x < 8 ? (y + 1) * 8 + x - 2 : 0xee);
    flat.dstPitch = 7;
    CHECK_IS(cuMemcpy2D(&flat), CUDA_ERROR_INVALID_VALUE);
    flat.dstPitch = 16;
    flat.dstY = 6;
    CHECK_IS(cuMemcpy2D(&flat), CUDA_ERROR_INVALID_VALUE);
    flat.dstMemoryType = CU_MEMORYTYPE_ARRAY;
    assert_int_not_equal(cuMemcpy2D(&flat), CUDA_SUCCESS);

    CUDA_MEMCPY3D box = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                         .srcHost = source,
                         .srcPitch = 8,
                         .srcHeight = 4,
                         .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                         .dstDevice = memory,
                         .dstPitch = 16,
                         .dstHeight = 4,
                         .WidthInBytes = 8,
                         .Height = 4,
                         .Depth = 2};
    CHECK(cuMemcpy3D_v2(&box));
    CUDA_MEMCPY3D home = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                          .srcDevice = memory,
                          .srcPitch = 16,
                          .srcHeight = 4,
                          .dstMemoryType = CU_MEMORYTYPE_HOST,
                          .dstHost = back,
                          .dstPitch = 8,
                          .dstHeight = 4,
                          .WidthInBytes = 8,
                          .Height = 4,
                          .Depth = 2};
    CHECK(cuMemcpy3D_v2(&home));
    assert_memory_equal(source, back, sizeof source);
    home.Depth = 3;
    CHECK_IS(cuMemcpy3D_v2(&home), CUDA_ERROR_INVALID_VALUE);
    home.srcZ = SIZE_MAX;
    CHECK_IS(cuMemcpy3D_v2(&home), CUDA_ERROR_INVALID_VALUE);
    CHECK(cuMemFree(memory));
}

static void filling_writes_elements_of_each_size(void **state)
{
    unsigned char bytes[64];
    CUdeviceptr memory;
    CHECK(cuMemAlloc(&memory, sizeof bytes));
    CHECK(cuMemsetD8(memory, 0x11, 64));
    CHECK(cuMemsetD16(memory + 16, 0x2233, 4));
    CHECK(cuMemsetD32(memory + 32, 0x44556677, 2));
    CHECK(cuMemsetD2D8(memory + 48, 8, 0x99, 2, 2));
    CHECK(cuMemcpyDtoH(bytes, memory, sizeof bytes));
    assert_int_equal(bytes[0], 0x11);
    assert_memory_equal(bytes + 16, "\x33\x22\x33\x22\x33\x22\x33\x22\x11", 9);
    assert_memory_equal(bytes + 32, "\x77\x66\x55\x44\x77\x66\x55\x44\x11", 9);
    assert_memory_equal(bytes + 48, "\x99\x99\x11\x11\x11\x11\x11\x11\x99\x99\x11", 11);
    CHECK(cuMemFree(memory));
}

/* --- host memory and pointers --- */

static void host_memory_is_reached_by_kernels(void **state)
{
    const struct gpu *gpu = *state;
    unsigned int *pinned, plain[1024] = {0}, flags;
    CUdeviceptr address;
    CHECK(cuMemHostAlloc((void **)&pinned, 4096, CU_MEMHOSTALLOC_PORTABLE));
    CHECK(cuMemHostGetDevicePointer(&address, pinned, 0));
    CHECK(launch_store(gpu, address, 42, NULL));
    CHECK(cuCtxSynchronize());
    assert_int_equal(*pinned, 42);
    CHECK(cuMemHostGetFlags(&flags, pinned));
    assert_true(flags & CU_MEMHOSTALLOC_PORTABLE);
    CHECK(cuMemFreeHost(pinned));
    CHECK_IS(cuMemFreeHost(plain), CUDA_ERROR_INVALID_VALUE);

    CHECK_IS(cuMemHostUnregister(plain), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
    CHECK(cuMemHostRegister(plain, sizeof plain, 0));
    CHECK_IS(cuMemHostRegister(plain, 16, 0), CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
    CHECK_IS(cuMemFreeHost(plain), CUDA_ERROR_INVALID_VALUE);
    CHECK(launch_store(gpu, (CUdeviceptr)(uintptr_t)&plain[3], 43, NULL));
    CHECK(cuCtxSynchronize());
    assert_int_equal(plain[3], 43);
    CHECK(cuMemHostUnregister(plain));
}

static void a_pointer_tells_what_it_points_to(void **state)
{
    const struct gpu *gpu = *state;
    CUdeviceptr memory;
    unsigned int type;
    int ordinal, plain, is_managed;
    CUcontext context;
    CUmemorytype host_type;
    void *pinned;
    CHECK(cuMemAlloc(&memory, 4096));
    CHECK(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, memory + 5));
    assert_int_equal(type, CU_MEMORYTYPE_DEVICE);
    CHECK(cuPointerGetAttribute(&context, CU_POINTER_ATTRIBUTE_CONTEXT, memory));
    assert_ptr_equal(context, gpu->context);
    CHECK_IS(cuPointerGetAttribute(&pinned, CU_POINTER_ATTRIBUTE_HOST_POINTER, memory),
             CUDA_ERROR_INVALID_VALUE);
    CHECK(cuMemAllocHost(&pinned, 10));
    CHECK(
        cuPointerGetAttribute(&host_type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, (CUdeviceptr)(uintptr_t)pinned));
    assert_int_equal(host_type, CU_MEMORYTYPE_HOST);
    CHECK_IS(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, (CUdeviceptr)(uintptr_t)&plain),
             CUDA_ERROR_INVALID_VALUE);
    CUpointer_attribute attributes[] = {CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, CU_POINTER_ATTRIBUTE_IS_MANAGED};
    void *values[] = {&ordinal, &is_managed};
    CHECK(cuPointerGetAttributes(2, attributes, values, memory));
    assert_int_equal(ordinal, 0);
    assert_int_equal(is_managed, 0);
    CHECK(cuPointerGetAttributes(2, attributes, values, (CUdeviceptr)(uintptr_t)&plain));
    assert_int_equal(ordinal, CU_DEVICE_INVALID);
    CHECK(cuMemFreeHost(pinned));
    CHECK(cuMemFree(memory));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(int argc, char **argv)
{
    fixture_start(argc, argv);
    const struct CMUnitTest tests[] = {
        TEST(memory_is_limited_to_the_card),
        TEST(wrong_sizes_and_pointers_are_refused),
        TEST(a_range_is_known_from_any_address_in_it),
        TEST(many_allocations_live_beside_each_other),
        TEST(memory_costs_the_host_only_what_is_touched_until_it_is_freed),
        TEST(freeing_waits_for_the_work_that_uses_the_memory),
        TEST(a_pitch_keeps_rows_aligned),
        TEST(managed_memory_is_touched_from_both_sides),
        TEST(memory_freed_in_a_stream_is_there_for_the_next_in_it),
        TEST(copies_go_every_way),
        TEST(copies_outside_an_allocation_are_refused),
        TEST(an_asynchronous_copy_from_pageable_memory_takes_what_was_there_at_the_call),
        TEST(rectangles_and_boxes_land_in_their_place),
        TEST(filling_writes_elements_of_each_size),
        TEST(host_memory_is_reached_by_kernels),
        TEST(a_pointer_tells_what_it_points_to),
    };
    return fixture_end(cmocka_run_group_tests_name("memory", tests, NULL, NULL));
}

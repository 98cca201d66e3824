/* The images of code that the simulated driver takes: PTX, fatbins, what it linked; and those that it does
 * not. */
#include "fixture.h"

#include <lz4.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

const struct fixture_process fixture_processes[] = {{NULL, NULL}};

/* --- making fatbins as NVIDIA's tool lays them out --- */

enum { KIND_PTX = 1, KIND_CUBIN = 2 };
#define FLAG_LZ4  0x2000u
#define FLAG_ZSTD 0x8000u

struct buffer {
    unsigned char bytes[16384];
    size_t used;
};

static void put(struct buffer *buffer, uint64_t value, size_t bytes)
{
    memcpy(buffer->bytes + buffer->used, &value, bytes);
    buffer->used += bytes;
}

static void begin_fatbin(struct buffer *buffer)
{
    buffer->used = 0;
    put(buffer, 0xba55ed50, 4);
    put(buffer, 1, 2);
    put(buffer, 16, 2);
    put(buffer, 0, 8);
}

static void add_entry(struct buffer *buffer, int kind, unsigned int architecture, uint64_t flags,
                      const void *payload, size_t bytes, size_t unpacked_bytes)
{
    size_t padded = (bytes + 7) / 8 * 8;
    put(buffer, (uint64_t)kind, 2);
    put(buffer, 0x0101, 2);
    put(buffer, 64, 4);
    put(buffer, padded, 8);
    put(buffer, flags & (FLAG_LZ4 | FLAG_ZSTD) ? bytes : 0, 4);
    put(buffer, 0, 4);
    put(buffer, 0, 2);
    put(buffer, 7, 2);
    put(buffer, architecture, 4);
    put(buffer, 0, 8);
    put(buffer, 0x11 | flags, 8);
    put(buffer, 0, 8);
    put(buffer, unpacked_bytes, 8);
    memset(buffer->bytes + buffer->used, 0, padded);
    memcpy(buffer->bytes + buffer->used, payload, bytes);
    buffer->used += padded;
    uint64_t total = buffer->used - 16;
    memcpy(buffer->bytes + 8, &total, 8);
}

/* A text whose one kernel has that name, for that architecture. */
static const char *kernel_text(const char *name, unsigned int architecture)
{
    static char text[256];
    snprintf(text, sizeof text,
             ".version 7.0\n.target sm_%u\n.address_size 64\n.visible .entry %s()\n{\n    ret;\n}\n",
             architecture, name);
    return text;
}

static CUresult load(const void *image, const char *kernel)
{
    CUmodule module;
    CUfunction function;
    CUresult result = cuModuleLoadData(&module, image);
    if (result)
        return result;
    result = cuModuleGetFunction(&function, module, kernel);
    CHECK(cuModuleUnload(module));
    return result;
}

static void the_newest_ptx_that_the_device_can_run_is_taken(void **state)
{
    struct buffer fatbin;
    begin_fatbin(&fatbin);
    const unsigned int architectures[] = {75, 86, 80, 120};
    for (int i = 0; i < 4; i++) {
        char name[16];
        snprintf(name, sizeof name, "for_%u", architectures[i]);
        const char *text = kernel_text(name, architectures[i]);
        add_entry(&fatbin, KIND_PTX, architectures[i], 0, text, strlen(text) + 1, 0);
    }
    add_entry(&fatbin, KIND_CUBIN, 90, 0,
              "\x7f"
              "ELF",
              4, 0);
    CHECK(load(fatbin.bytes, "for_86"));
    struct {
        uint32_t magic, version;
        const void *data;
        void *files;
    } wrapper = {0x466243b1, 1, fatbin.bytes, NULL};
    CHECK(load(&wrapper, "for_86"));
}

static void compressed_ptx_is_unpacked(void **state)
{
    struct buffer fatbin;
    char packed[1024];
    const char *text = kernel_text("packed", 70);
    size_t length = strlen(text) + 1;
    int small = LZ4_compress_default(text, packed, (int)length, sizeof packed);
    begin_fatbin(&fatbin);
    add_entry(&fatbin, KIND_PTX, 70, FLAG_LZ4, packed, (size_t)small, length);
    CHECK(load(fatbin.bytes, "packed"));
    size_t smaller = ZSTD_compress(packed, sizeof packed, text, length, 3);
    begin_fatbin(&fatbin);
    add_entry(&fatbin, KIND_PTX, 70, FLAG_ZSTD, packed, smaller, length);
    CHECK(load(fatbin.bytes, "packed"));
    /* Not as long as the header says. */
    begin_fatbin(&fatbin);
    add_entry(&fatbin, KIND_PTX, 70, FLAG_ZSTD, packed, smaller, length + 1);
    CHECK_IS(load(fatbin.bytes, "packed"), CUDA_ERROR_INVALID_IMAGE);
    /* Damaged: a match from before the beginning; a frame that ends early. */
    begin_fatbin(&fatbin);
    add_entry(&fatbin, KIND_PTX, 70, FLAG_LZ4, "\x10x\xff\xff", 4, 100);
    CHECK_IS(load(fatbin.bytes, "packed"), CUDA_ERROR_INVALID_IMAGE);
    begin_fatbin(&fatbin);
    add_entry(&fatbin, KIND_PTX, 70, FLAG_ZSTD, packed, smaller - 1, length);
    CHECK_IS(load(fatbin.bytes, "packed"), CUDA_ERROR_INVALID_IMAGE);
}

static void what_cannot_run_says_why(void **state)
{
    struct buffer fatbin;
    CUmodule module;
    char log[400];
    CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    void *values[] = {log, (void *)(uintptr_t)sizeof log};
    begin_fatbin(&fatbin);
    add_entry(&fatbin, KIND_CUBIN, 90, 0,
              "\x7f"
              "ELF",
              4, 0);
    CHECK_IS(cuModuleLoadDataEx(&module, fatbin.bytes, 2, options, values), CUDA_ERROR_NO_BINARY_FOR_GPU);
    assert_non_null(strstr(log, "machine code only"));
    assert_int_equal((uintptr_t)values[1], strlen(log));
    begin_fatbin(&fatbin);
    CHECK_IS(load(fatbin.bytes, ""), CUDA_ERROR_NO_BINARY_FOR_GPU);
    memset(fatbin.bytes + 16, 0, 80); /* an entry of zeros */
    fatbin.bytes[8] = 80;
    CHECK_IS(load(fatbin.bytes, ""), CUDA_ERROR_INVALID_IMAGE);
    CHECK_IS(load("no code at all", ""), CUDA_ERROR_INVALID_IMAGE);
    CHECK_IS(load("", ""), CUDA_ERROR_INVALID_IMAGE);
    CHECK_IS(load(kernel_text("k", 120), "k"), CUDA_ERROR_NO_BINARY_FOR_GPU);
    CHECK_IS(load(".version 7.0\n.target sm_70\n.address_size 64\n.visible .entry k() { nonsense; }\n", "k"),
             CUDA_ERROR_INVALID_PTX);
    CHECK_IS(cuModuleLoadData(&module, NULL), CUDA_ERROR_INVALID_VALUE);
}

static void a_module_is_loaded_from_a_file(void **state)
{
    char path[] = "/tmp/vgpu-image-XXXXXX";
    CUmodule module;
    const char *text = kernel_text("from_file", 70);
    int fd = mkstemp(path);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    CHECK(cuModuleLoad(&module, path));
    CHECK(cuModuleUnload(module));
    unlink(path);
    CHECK_IS(cuModuleLoad(&module, path), CUDA_ERROR_FILE_NOT_FOUND);
}

static void texts_are_linked_into_one_image(void **state)
{
    static const char caller[] =
        ".version 7.0\n.target sm_70\n.address_size 64\n"
        ".extern .func (.param .u32 r) answer();\n"
        ".visible .entry ask(.param .u64 p)\n{\n"
        "    .reg .b32 %r<2>; .reg .b64 %rd<2>; .param .u32 back;\n"
        "    call (back), answer, ();\n"
        "    ld.param.u32 %r1, [back]; ld.param.u64 %rd1, [p]; st.global.u32 [%rd1], %r1; ret;\n}\n";
    static const char callee[] = ".version 7.0\n.target sm_70\n.address_size 64\n"
                                 ".visible .func (.param .u32 r) answer()\n{\n"
                                 "    .reg .b32 %r<2>; mov.u32 %r1, 42; st.param.u32 [r], %r1; ret;\n}\n";
    CUlinkState link;
    CUmodule module;
    CUfunction ask;
    CUdeviceptr memory;
    void *image;
    size_t bytes;
    unsigned int value = 0;
    CHECK_IS(load(caller, "ask"), CUDA_ERROR_INVALID_IMAGE);
    CHECK(cuLinkCreate(0, NULL, NULL, &link));
    CHECK(cuLinkAddData(link, CU_JIT_INPUT_PTX, (void *)(uintptr_t)caller, sizeof caller, "caller.ptx", 0,
                        NULL, NULL));
    CHECK(cuLinkAddData(link, CU_JIT_INPUT_PTX, (void *)(uintptr_t)callee, sizeof callee, "callee.ptx", 0,
                        NULL, NULL));
    CHECK_IS(
        cuLinkAddData(link, CU_JIT_INPUT_CUBIN, (void *)(uintptr_t)callee, sizeof callee, "x", 0, NULL, NULL),
        CUDA_ERROR_INVALID_IMAGE);
    CHECK(cuLinkComplete(link, &image, &bytes));
    unsigned char *copy = malloc(bytes);
    memcpy(copy, image, bytes);
    CHECK(cuLinkDestroy(link));
    CHECK(cuModuleLoadData(&module, copy));
    free(copy);
    CHECK(cuModuleGetFunction(&ask, module, "ask"));
    CHECK(cuMemAlloc(&memory, 4));
    void *params[] = {&memory};
    CHECK(cuLaunchKernel(ask, 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL));
    CHECK(cuMemcpyDtoH(&value, memory, 4));
    assert_int_equal(value, 42);
    CHECK(cuMemFree(memory));
    CHECK(cuModuleUnload(module));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(int argc, char **argv)
{
    fixture_start(argc, argv);
    const struct CMUnitTest tests[] = {
        TEST(the_newest_ptx_that_the_device_can_run_is_taken),
        TEST(compressed_ptx_is_unpacked),
        TEST(what_cannot_run_says_why),
        TEST(a_module_is_loaded_from_a_file),
        TEST(texts_are_linked_into_one_image),
    };
    return fixture_end(cmocka_run_group_tests_name("image", tests, NULL, NULL));
}

/* Modules, libraries, their functions and variables, and the compiler's options and logs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/gpu.h"

#define HEADER ".version 7.0\n.target sm_75\n.address_size 64\n"

static const char wrong_ptx[] = HEADER ".visible .entry broken() {\n    this is not an instruction;\n}\n";

static void load_and_find(void)
{
    CUmodule module = NULL;
    CUfunction function = NULL;
    CUdeviceptr address;
    size_t bytes;
    gpu_use();
    EXPECT(CUDA_SUCCESS, cuModuleLoadData(&module, ptx_module));
    EXPECT(CUDA_SUCCESS, cuModuleGetFunction(&function, module, "count_up"));
    EXPECT(CUDA_ERROR_NOT_FOUND, cuModuleGetFunction(&function, module, "no_such_kernel"));
    EXPECT(CUDA_ERROR_NOT_FOUND, cuModuleGetGlobal(&address, &bytes, module, "no_such_variable"));
    EXPECT(CUDA_ERROR_NOT_FOUND, cuModuleGetFunction(&function, module, "counter"));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuModuleGetFunction(&function, module, NULL));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuModuleGetFunction(NULL, module, "count_up"));
    EXPECT(CUDA_SUCCESS, cuModuleUnload(module));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuModuleLoadData(NULL, ptx_module));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuModuleLoadData(&module, NULL));
}

static void globals(void)
{
    CUmodule module;
    CUdeviceptr counter, table, coefficients, room, output = 0;
    size_t bytes = 0;
    uint32_t step = 5, values[5], set = 100, primes[4] = {11, 13, 17, 19};
    float floats[4];
    CUfunction count_up;
    gpu_use();
    output = gpu_allocate(sizeof values);
    REQUIRE(cuModuleLoadData(&module, ptx_module));
    REQUIRE(cuModuleGetFunction(&count_up, module, "count_up"));
    EXPECT(CUDA_SUCCESS, cuModuleGetGlobal(&counter, &bytes, module, "counter"));
    say("%zu bytes", bytes);
    EXPECT(CUDA_SUCCESS, cuModuleGetGlobal(&table, &bytes, module, "table"));
    say("%zu bytes", bytes);
    EXPECT(CUDA_SUCCESS, cuModuleGetGlobal(&coefficients, &bytes, module, "coefficients"));
    say("%zu bytes", bytes);
    EXPECT(CUDA_SUCCESS, cuModuleGetGlobal(&room, NULL, module, "room"));
    EXPECT(CUDA_SUCCESS, cuModuleGetGlobal(NULL, &bytes, module, "room"));
    say("%zu bytes", bytes);
    EXPECT(CUDA_SUCCESS, cuMemcpyDtoH(floats, table, sizeof floats));
    say("table %g %g %g %g", floats[0], floats[1], floats[2], floats[3]);
    CHECK(floats[0] == 1 && floats[3] == 4);

    REQUIRE(cuLaunchKernel(count_up, 1, 1, 1, 1, 1, 1, 0, NULL, ARGUMENTS(&step, &output), NULL));
    EXPECT(CUDA_SUCCESS, cuMemcpyDtoH(values, output, sizeof values));
    say("counted %u, coefficients %u %u %u %u", values[0], values[1], values[2], values[3], values[4]);
    CHECK(values[0] == 12 && values[1] == 2 && values[4] == 7);

    EXPECT(CUDA_SUCCESS, cuMemcpyHtoD(counter, &set, sizeof set));
    EXPECT(CUDA_SUCCESS, cuMemcpyHtoD(coefficients, primes, sizeof primes));
    REQUIRE(cuLaunchKernel(count_up, 1, 1, 1, 1, 1, 1, 0, NULL, ARGUMENTS(&step, &output), NULL));
    EXPECT(CUDA_SUCCESS, cuMemcpyDtoH(values, output, sizeof values));
    say("counted %u, coefficients %u %u %u %u", values[0], values[1], values[2], values[3], values[4]);
    CHECK(values[0] == 105 && values[1] == 11 && values[4] == 19);
    EXPECT(CUDA_SUCCESS, cuModuleUnload(module));
    EXPECT(CUDA_SUCCESS, cuMemFree(output));
}

/* Two loads of one source are two modules with variables of their own. */
static void loaded_twice(void)
{
    CUmodule first, second;
    CUdeviceptr a, b;
    uint32_t set = 1, value = 0;
    gpu_use();
    REQUIRE(cuModuleLoadData(&first, ptx_module));
    REQUIRE(cuModuleLoadData(&second, ptx_module));
    REQUIRE(cuModuleGetGlobal(&a, NULL, first, "counter"));
    REQUIRE(cuModuleGetGlobal(&b, NULL, second, "counter"));
    CHECK(first != second && a != b);
    REQUIRE(cuMemcpyHtoD(a, &set, sizeof set));
    EXPECT(CUDA_SUCCESS, cuMemcpyDtoH(&value, b, sizeof value));
    CHECK(value == 7);
    EXPECT(CUDA_SUCCESS, cuModuleUnload(first));
    EXPECT(CUDA_SUCCESS, cuMemcpyDtoH(&value, b, sizeof value));
    EXPECT(CUDA_SUCCESS, cuModuleUnload(second));
}

static void bad_ptx(void)
{
    static char errors[8192], information[8192];
    CUmodule module = NULL;
    CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
                              CU_JIT_INFO_LOG_BUFFER, CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES};
    void *values[] = {errors, (void *)(uintptr_t)sizeof errors, information,
                      (void *)(uintptr_t)sizeof information};
    gpu_use();
    EXPECT(CUDA_ERROR_INVALID_PTX, cuModuleLoadData(&module, wrong_ptx));
    EXPECT(CUDA_ERROR_INVALID_PTX, cuModuleLoadDataEx(&module, wrong_ptx, 4, options, values));
    CHECK(strlen(errors) > 0);
    CHECK((uintptr_t)values[1] > 0 && (uintptr_t)values[1] < sizeof errors);
    CHECK(strlen(information) == 0);
    EXPECT(CUDA_ERROR_UNSUPPORTED_PTX_VERSION,
           cuModuleLoadData(&module, ".version 99.0\n.target sm_75\n.address_size 64\n"));
    NOTE(cuModuleLoadData(&module, ".target sm_75\n.address_size 64\n"));
    NOTE(cuModuleLoadData(&module, "this is neither an image nor PTX"));
    NOTE(cuModuleLoadData(&module, ""));
    NOTE(cuModuleLoadData(&module, ".version 7.0\n.target sm_9999\n.address_size 64\n"));
    EXPECT(CUDA_SUCCESS, cuModuleLoadData(&module, HEADER ".visible .entry fine() { ret; }\n"));
    EXPECT(CUDA_SUCCESS, cuModuleUnload(module));
}

/* A log too small for the message is filled to its end, and no further. */
static void short_log(void)
{
    char errors[16];
    CUmodule module = NULL;
    CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    void *values[] = {errors, (void *)(uintptr_t)8};
    gpu_use();
    memset(errors, 'x', sizeof errors);
    EXPECT(CUDA_ERROR_INVALID_PTX, cuModuleLoadDataEx(&module, wrong_ptx, 2, options, values));
    CHECK(memchr(errors, 0, 8) != NULL);
    CHECK(errors[8] == 'x' && errors[15] == 'x');
}

static void jit_options(void)
{
    static char information[8192];
    CUmodule module = NULL;
    CUfunction function = NULL;
    float milliseconds = -1;
    int registers = 0;
    CUjit_option options[] = {CU_JIT_INFO_LOG_BUFFER, CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES, CU_JIT_LOG_VERBOSE,
                              CU_JIT_MAX_REGISTERS,   CU_JIT_OPTIMIZATION_LEVEL,         CU_JIT_WALL_TIME};
    void *values[] = {information,          (void *)(uintptr_t)sizeof information,
                      (void *)(uintptr_t)1, (void *)(uintptr_t)24,
                      (void *)(uintptr_t)3, NULL};
    gpu_use();
    EXPECT(CUDA_SUCCESS, cuModuleLoadDataEx(&module, ptx_compute, 6, options, values));
    memcpy(&milliseconds, &values[5], sizeof milliseconds);
    CHECK(milliseconds >= 0);
    CHECK((uintptr_t)values[1] <= sizeof information);
    REQUIRE(cuModuleGetFunction(&function, module, "matrix_multiply"));
    REQUIRE(cuFuncGetAttribute(&registers, CU_FUNC_ATTRIBUTE_NUM_REGS, function));
    CHECK(registers > 0 && registers <= 24);
    EXPECT(CUDA_SUCCESS, cuModuleUnload(module));
    NOTE(cuModuleLoadDataEx(&module, ptx_compute, 1, (CUjit_option[]){(CUjit_option)9999},
                            (void *[]){(void *)(uintptr_t)1}));
}

static void from_file(void)
{
    char path[] = "/tmp/vgpu-module-XXXXXX";
    CUmodule module = NULL;
    CUfunction function = NULL;
    CUlibrary library = NULL;
    gpu_use();
    int file = mkstemp(path);
    CHECK(file >= 0 && write(file, ptx_basics, strlen(ptx_basics)) == (ssize_t)strlen(ptx_basics));
    close(file);
    EXPECT(CUDA_SUCCESS, cuModuleLoad(&module, path));
    EXPECT(CUDA_SUCCESS, cuModuleGetFunction(&function, module, "affine"));
    EXPECT(CUDA_SUCCESS, cuModuleUnload(module));
    EXPECT(CUDA_SUCCESS, cuLibraryLoadFromFile(&library, path, NULL, NULL, 0, NULL, NULL, 0));
    EXPECT(CUDA_SUCCESS, cuLibraryUnload(library));
    unlink(path);
    EXPECT(CUDA_ERROR_FILE_NOT_FOUND, cuModuleLoad(&module, "/nonexistent/module.ptx"));
    EXPECT(CUDA_ERROR_FILE_NOT_FOUND,
           cuLibraryLoadFromFile(&library, "/nonexistent/module.ptx", NULL, NULL, 0, NULL, NULL, 0));
    NOTE(cuModuleLoad(&module, NULL));
}

static void libraries(void)
{
    CUlibrary library = NULL;
    CUkernel kernel = NULL;
    CUmodule module = NULL;
    CUfunction function = NULL, same = NULL;
    CUdeviceptr counter, output;
    size_t bytes = 0;
    unsigned count = 0;
    uint32_t step = 1, value = 0;
    const char *name = NULL;
    CUdevice device = gpu_use();
    output = gpu_allocate(64);
    EXPECT(CUDA_SUCCESS, cuLibraryLoadData(&library, ptx_module, NULL, NULL, 0, NULL, NULL, 0));
    EXPECT(CUDA_SUCCESS, cuLibraryGetKernelCount(&count, library));
    say("%u kernels", count);
    EXPECT(CUDA_SUCCESS, cuLibraryGetKernel(&kernel, library, "count_up"));
    EXPECT(CUDA_ERROR_NOT_FOUND, cuLibraryGetKernel(&kernel, library, "no_such_kernel"));
    EXPECT(CUDA_SUCCESS, cuLibraryGetModule(&module, library));
    EXPECT(CUDA_SUCCESS, cuModuleGetFunction(&same, module, "count_up"));
    EXPECT(CUDA_SUCCESS, cuKernelGetFunction(&function, kernel));
    EXPECT(CUDA_SUCCESS, cuKernelGetName(&name, kernel));
    say("%s", name);
    EXPECT(CUDA_SUCCESS, cuLibraryGetGlobal(&counter, &bytes, library, "counter"));
    say("%zu bytes", bytes);
    EXPECT(CUDA_ERROR_NOT_FOUND, cuLibraryGetGlobal(&counter, &bytes, library, "no_such_variable"));
    REQUIRE(cuLaunchKernel((CUfunction)kernel, 1, 1, 1, 1, 1, 1, 0, NULL, ARGUMENTS(&step, &output), NULL));
    REQUIRE(cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, NULL, ARGUMENTS(&step, &output), NULL));
    REQUIRE(cuLaunchKernel(same, 1, 1, 1, 1, 1, 1, 0, NULL, ARGUMENTS(&step, &output), NULL));
    REQUIRE(cuLibraryGetGlobal(&counter, NULL, library, "counter"));
    EXPECT(CUDA_SUCCESS, cuMemcpyDtoH(&value, counter, sizeof value));
    say("counter %u", value);
    CHECK(value == 10);
    int threads = 0;
    EXPECT(CUDA_SUCCESS,
           cuKernelGetAttribute(&threads, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, kernel, device));
    say("%d threads a block", threads);
    EXPECT(CUDA_SUCCESS, cuLibraryUnload(library));
}

/* A library is compiled when something of it is asked for: only then does bad PTX show. */
static void bad_library(void)
{
    CUlibrary library = NULL;
    CUkernel kernel = NULL;
    CUfunction function = NULL;
    CUmodule module = NULL;
    gpu_use();
    EXPECT(CUDA_SUCCESS, cuLibraryLoadData(&library, wrong_ptx, NULL, NULL, 0, NULL, NULL, 0));
    if (NOTE(cuLibraryGetKernel(&kernel, library, "broken")) == CUDA_SUCCESS)
        NOTE(cuKernelGetFunction(&function, kernel));
    NOTE(cuLibraryGetModule(&module, library));
    NOTE(cuLibraryUnload(library));
}

static void function_attributes(void)
{
    static const CUfunction_attribute asked[] = {
        CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK,
        CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES,
        CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES,
        CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES,
        CU_FUNC_ATTRIBUTE_NUM_REGS,
        CU_FUNC_ATTRIBUTE_PTX_VERSION,
        CU_FUNC_ATTRIBUTE_BINARY_VERSION,
        CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
        CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT,
    };
    int value = 0;
    gpu_use();
    CUfunction function = gpu_kernel(ptx_module, "uses_memory");
    for (size_t i = 0; i < COUNT_OF(asked); i++) {
        REQUIRE(cuFuncGetAttribute(&value, asked[i], function));
        say("attribute %d: %d", (int)asked[i], value);
    }
    REQUIRE(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, function));
    CHECK(value == 2048);
    REQUIRE(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_PTX_VERSION, function));
    CHECK(value == 75);
    REQUIRE(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK,
                               gpu_kernel(ptx_launch, "bounded")));
    CHECK(value == 256);
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuFuncGetAttribute(&value, (CUfunction_attribute)999, function));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuFuncGetAttribute(NULL, CU_FUNC_ATTRIBUTE_NUM_REGS, function));
    NOTE(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_NUM_REGS, NULL));
}

static void set_function_attributes(void)
{
    int opt_in, value = 0;
    gpu_use();
    CUfunction function = gpu_kernel(ptx_launch, "reverse_in_shared");
    opt_in = gpu_attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
    EXPECT(CUDA_SUCCESS,
           cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, opt_in));
    EXPECT(CUDA_SUCCESS,
           cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, function));
    CHECK(value == opt_in);
    EXPECT(CUDA_ERROR_INVALID_VALUE,
           cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, opt_in + 1));
    EXPECT(CUDA_ERROR_INVALID_VALUE,
           cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, -1));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_NUM_REGS, 10));
    EXPECT(CUDA_SUCCESS,
           cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT, 50));
    EXPECT(CUDA_SUCCESS, cuFuncSetCacheConfig(function, CU_FUNC_CACHE_PREFER_L1));
}

static void function_identity(void)
{
    CUmodule module, owner = NULL;
    CUfunction function;
    const char *name = NULL;
    size_t offset = 0, bytes = 0;
    gpu_use();
    REQUIRE(cuModuleLoadData(&module, ptx_launch));
    REQUIRE(cuModuleGetFunction(&function, module, "parameters_mixed"));
    EXPECT(CUDA_SUCCESS, cuFuncGetModule(&owner, function));
    CHECK(owner == module);
    EXPECT(CUDA_SUCCESS, cuFuncGetName(&name, function));
    say("%s", name);
    for (size_t i = 0; i < 8; i++) {
        REQUIRE(cuFuncGetParamInfo(function, i, &offset, &bytes));
        say("parameter %zu: offset %zu, %zu bytes", i, offset, bytes);
    }
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuFuncGetParamInfo(function, 8, &offset, &bytes));
    EXPECT(CUDA_SUCCESS, cuModuleUnload(module));
}

static const struct test_case cases[] = {
    CASE(load_and_find),
    CASE(globals),
    CASE(loaded_twice),
    CASE(bad_ptx),
    CASE(short_log),
    CASE(jit_options),
    CASE(from_file),
    CASE(libraries),
    CASE(bad_library),
    CASE(function_attributes),
    CASE(set_function_attributes),
    CASE(function_identity),
};

int main(int argc, char **argv)
{
    return suite_main("module", cases, COUNT_OF(cases), argc, argv);
}

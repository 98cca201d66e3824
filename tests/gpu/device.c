/* Initialisation, versions, devices and their properties, names of errors, cuGetProcAddress. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "support/gpu.h"

static void before_init(void)
{
    int count = -1, version = 0;
    CUdevice device;
    CUcontext context;
    CUdeviceptr memory;
    const char *name = NULL;
    EXPECT(CUDA_ERROR_NOT_INITIALIZED, cuDeviceGetCount(&count));
    EXPECT(CUDA_ERROR_NOT_INITIALIZED, cuDeviceGet(&device, 0));
    EXPECT(CUDA_ERROR_NOT_INITIALIZED, cuCtxGetCurrent(&context));
    EXPECT(CUDA_ERROR_NOT_INITIALIZED, cuMemAlloc(&memory, 16));
    EXPECT(CUDA_SUCCESS, cuDriverGetVersion(&version));
    CHECK(version >= 12000);
    EXPECT(CUDA_SUCCESS, cuGetErrorName(CUDA_ERROR_NOT_INITIALIZED, &name));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuInit(1));
    EXPECT(CUDA_ERROR_NOT_INITIALIZED, cuDeviceGetCount(&count));
    EXPECT(CUDA_SUCCESS, cuInit(0));
    EXPECT(CUDA_SUCCESS, cuInit(0));
    EXPECT(CUDA_SUCCESS, cuDeviceGetCount(&count));
    CHECK(count >= 1);
    EXPECT(CUDA_SUCCESS, cuCtxGetCurrent(&context));
    CHECK(context == NULL);
}

static void version(void)
{
    int value = 0;
    EXPECT(CUDA_SUCCESS, cuDriverGetVersion(&value));
    say("version %d", value);
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuDriverGetVersion(NULL));
}

static void devices(void)
{
    int count = 0;
    CUdevice device = -1;
    REQUIRE(cuInit(0));
    EXPECT(CUDA_SUCCESS, cuDeviceGetCount(&count));
    say("%d devices", count);
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuDeviceGetCount(NULL));
    EXPECT(CUDA_SUCCESS, cuDeviceGet(&device, 0));
    say("device %d", device);
    EXPECT(CUDA_ERROR_INVALID_DEVICE, cuDeviceGet(&device, count));
    EXPECT(CUDA_ERROR_INVALID_DEVICE, cuDeviceGet(&device, -1));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuDeviceGet(NULL, 0));
}

static void name_and_memory(void)
{
    char name[256] = "";
    size_t bytes = 0;
    CUdevice device = gpu_use();
    EXPECT(CUDA_SUCCESS, cuDeviceGetName(name, sizeof name, device));
    say("%s", name);
    CHECK(strlen(name) > 0);
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuDeviceGetName(NULL, sizeof name, device));
    EXPECT(CUDA_ERROR_INVALID_DEVICE, cuDeviceGetName(name, sizeof name, 77));
    EXPECT(CUDA_SUCCESS, cuDeviceTotalMem(&bytes, device));
    say("%zu MiB", bytes >> 20);
    CHECK(bytes > 1u << 30);
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuDeviceTotalMem(NULL, device));
    EXPECT(CUDA_ERROR_INVALID_DEVICE, cuDeviceTotalMem(&bytes, 77));
}

static void identity(void)
{
    static const CUuuid none;
    CUuuid uuid = none;
    CUdevice device = gpu_use(), same = -1;
    char bus_id[32] = "", wrong[] = "not a bus id";
    EXPECT(CUDA_SUCCESS, cuDeviceGetUuid(&uuid, device));
    CHECK(memcmp(&uuid, &none, sizeof uuid) != 0);
    say("uuid %016llx", (unsigned long long)checksum(&uuid, sizeof uuid));
    EXPECT(CUDA_SUCCESS, cuDeviceGetPCIBusId(bus_id, sizeof bus_id, device));
    say("%s", bus_id);
    EXPECT(CUDA_SUCCESS, cuDeviceGetByPCIBusId(&same, bus_id));
    CHECK(same == device);
    NOTE(cuDeviceGetByPCIBusId(&same, wrong));
}

static void attributes(void)
{
    /* Those that depend on nothing but the model and the driver: not on where guest and GPU are. */
    static const CUdevice_attribute fixed[] = {
        CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK,
        CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X,
        CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y,
        CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z,
        CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X,
        CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y,
        CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z,
        CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK,
        CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY,
        CU_DEVICE_ATTRIBUTE_WARP_SIZE,
        CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK,
        CU_DEVICE_ATTRIBUTE_CLOCK_RATE,
        CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT,
        CU_DEVICE_ATTRIBUTE_KERNEL_EXEC_TIMEOUT,
        CU_DEVICE_ATTRIBUTE_INTEGRATED,
        CU_DEVICE_ATTRIBUTE_COMPUTE_MODE,
        CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS,
        CU_DEVICE_ATTRIBUTE_ECC_ENABLED,
        CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE,
        CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH,
        CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE,
        CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR,
        CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT,
        CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING,
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
        CU_DEVICE_ATTRIBUTE_STREAM_PRIORITIES_SUPPORTED,
        CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR,
        CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR,
        CU_DEVICE_ATTRIBUTE_MULTI_GPU_BOARD,
        CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH,
        CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN,
        CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR,
        CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK,
        CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED,
    };
    int value = 0;
    CUdevice device = gpu_use();
    for (size_t i = 0; i < COUNT_OF(fixed); i++) {
        REQUIRE(cuDeviceGetAttribute(&value, fixed[i], device));
        say("attribute %d: %d", (int)fixed[i], value);
    }
    CHECK(gpu_attribute(CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY) == host_memory_is_mapped());
    CHECK(gpu_attribute(CU_DEVICE_ATTRIBUTE_WARP_SIZE) == 32);
    CHECK(gpu_attribute(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK) == 1024);
    CHECK(gpu_attribute(CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING) == 1);
    CHECK(gpu_attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) >= 7);
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuDeviceGetAttribute(&value, (CUdevice_attribute)99999, device));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuDeviceGetAttribute(NULL, CU_DEVICE_ATTRIBUTE_WARP_SIZE, device));
    EXPECT(CUDA_ERROR_INVALID_DEVICE, cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_WARP_SIZE, 77));
}

static void error_names(void)
{
    const char *name, *text;
    for (int code = 0; code < 1000; code++) {
        name = text = "untouched";
        CUresult named = cuGetErrorName((CUresult)code, &name);
        CUresult told = cuGetErrorString((CUresult)code, &text);
        CHECK(named == told);
        if (named == CUDA_SUCCESS)
            say("%d: %s: %s", code, name, text);
        else
            CHECK(named == CUDA_ERROR_INVALID_VALUE && name == NULL && text == NULL);
    }
    REQUIRE(cuGetErrorName(CUDA_ERROR_ILLEGAL_ADDRESS, &name));
    CHECK(strcmp(name, "CUDA_ERROR_ILLEGAL_ADDRESS") == 0);
    REQUIRE(cuGetErrorString(CUDA_ERROR_OUT_OF_MEMORY, &text));
    CHECK(strcmp(text, "out of memory") == 0);
}

static void show_lookup(const char *symbol, int version, cuuint64_t flags)
{
    void *found = NULL;
    CUdriverProcAddressQueryResult status = CU_GET_PROC_ADDRESS_SUCCESS;
    CUresult result = cuGetProcAddress(symbol, &found, version, flags, &status);
    say("%s, %d, flags %d -> %s, status %d, %s", symbol, version, (int)flags, result_name(result),
        (int)status, found ? "found" : "none");
}

static void entry_points(void)
{
    show_lookup("cuInit", 13000, 0);
    show_lookup("cuInit", 2000, 0);
    show_lookup("cuMemAlloc", 3020, 0);
    show_lookup("cuMemAlloc", 2000, 0);
    show_lookup("cuMemAlloc", 13000, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM);
    show_lookup("cuMemcpyHtoD", 7000, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM);
    show_lookup("cuLaunchKernel", 7000, CU_GET_PROC_ADDRESS_LEGACY_STREAM);
    show_lookup("cuLaunchKernel", 3000, CU_GET_PROC_ADDRESS_LEGACY_STREAM);
    show_lookup("cuCtxCreate", 13000, 0);
    show_lookup("cuCtxCreate", 11040, 0);
    show_lookup("cuCtxCreate", 3020, 0);
    show_lookup("cuMemAlloc_v2", 13000, 0);
    show_lookup("cuGraphLaunch", 9000, 0);
    show_lookup("cuNoSuchFunction", 13000, 0);
    show_lookup("", 13000, 0);
    show_lookup("cuInit", 13000, 64);
    show_lookup("cuGetProcAddress", 11030, 0);
    show_lookup("cuGetProcAddress", 12000, 0);
    show_lookup("cuEventElapsedTime", 12080, 0);
    void *found = NULL;
    EXPECT(CUDA_SUCCESS, cuGetProcAddress("cuInit", &found, 13000, 0, NULL));
}

/* What the runtime library does: everything through addresses it asked for, at versions it chooses. */
static void call_through_entry_points(void)
{
    CUresult (*allocate)(CUdeviceptr *, size_t) = NULL;
    CUresult (*release)(CUdeviceptr) = NULL;
    CUresult (*create_context)(CUcontext *, unsigned, CUdevice) = NULL;
    CUresult (*lookup)(const char *, void **, int, cuuint64_t) = NULL;
    CUdeviceptr memory = 0;
    CUcontext context = NULL;
    CUdevice device = gpu_use();
    REQUIRE(cuGetProcAddress("cuMemAlloc", (void **)&allocate, 3020, 0, NULL));
    REQUIRE(cuGetProcAddress("cuMemFree", (void **)&release, 3020, 0, NULL));
    REQUIRE(cuGetProcAddress("cuCtxCreate", (void **)&create_context, 3020, 0, NULL));
    REQUIRE(cuGetProcAddress("cuGetProcAddress", (void **)&lookup, 11030, 0, NULL));
    EXPECT(CUDA_SUCCESS, create_context(&context, 0, device));
    EXPECT(CUDA_SUCCESS, allocate(&memory, 4096));
    EXPECT(CUDA_SUCCESS, release(memory));
    EXPECT(CUDA_SUCCESS, cuCtxDestroy(context));
    EXPECT(CUDA_SUCCESS, lookup("cuMemAlloc", (void **)&allocate, 3020, 0));
    NOTE(lookup("cuNoSuchFunction", (void **)&allocate, 12000, 0));
}

static const struct test_case cases[] = {
    CASE_IN_OWN_PROCESS(before_init),
    CASE(version),
    CASE(devices),
    CASE(name_and_memory),
    CASE(identity),
    CASE(attributes),
    CASE(error_names),
    CASE(entry_points),
    CASE(call_through_entry_points),
};

int main(int argc, char **argv)
{
    return suite_main("device", cases, COUNT_OF(cases), argc, argv);
}

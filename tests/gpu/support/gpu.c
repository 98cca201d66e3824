#include "support/gpu.h"

#include <pthread.h>
#include <string.h>

#define MODULES_MAX 8

/* Minutes of looking on a GPU, tens of seconds on a simulated one: a test that cannot open its gate ends. */
#define GATE_LOOKS 200000000u

static pthread_mutex_t modules_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    const char *ptx;
    CUmodule module;
} modules[MODULES_MAX];

CUdevice gpu_use(void)
{
    static CUcontext context;
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    CUdevice device;
    REQUIRE(cuInit(0));
    REQUIRE(cuDeviceGet(&device, 0));
    pthread_mutex_lock(&lock);
    if (!context)
        REQUIRE(cuDevicePrimaryCtxRetain(&context, device));
    pthread_mutex_unlock(&lock);
    REQUIRE(cuCtxSetCurrent(context));
    return device;
}

CUfunction gpu_kernel(const char *ptx, const char *name)
{
    CUfunction function;
    size_t slot = 0;
    pthread_mutex_lock(&modules_lock);
    while (modules[slot].ptx && modules[slot].ptx != ptx)
        slot++;
    if (!modules[slot].ptx) {
        REQUIRE(cuModuleLoadData(&modules[slot].module, ptx));
        modules[slot].ptx = ptx;
    }
    pthread_mutex_unlock(&modules_lock);
    REQUIRE(cuModuleGetFunction(&function, modules[slot].module, name));
    return function;
}

void gpu_launch(CUfunction function, uint32_t elements, CUstream stream, void **arguments)
{
    REQUIRE(cuLaunchKernel(function, (elements + 255) / 256, 1, 1, 256, 1, 1, 0, stream, arguments, NULL));
}

CUdeviceptr gpu_allocate(size_t bytes)
{
    CUdeviceptr memory;
    REQUIRE(cuMemAlloc(&memory, bytes));
    return memory;
}

void *host_allocate_pinned(size_t bytes)
{
    void *memory;
    REQUIRE(cuMemHostAlloc(&memory, bytes, CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP));
    return memory;
}

int gpu_attribute(CUdevice_attribute attribute)
{
    int value = 0;
    CUdevice device;
    REQUIRE(cuDeviceGet(&device, 0));
    REQUIRE(cuDeviceGetAttribute(&value, attribute, device));
    return value;
}

int host_memory_is_mapped(void)
{
    CUdeviceptr address;
    void *memory = host_allocate_pinned(4096);
    CUresult result = cuMemHostGetDevicePointer(&address, memory, 0);
    REQUIRE(cuMemFreeHost(memory));
    return result != CUDA_ERROR_NOT_SUPPORTED;
}

struct gate gate_create(void)
{
    struct gate gate = {0};
    if (host_memory_is_mapped()) {
        gate.host = host_allocate_pinned(2 * sizeof(uint32_t));
        gate.host[0] = gate.host[1] = 0;
        REQUIRE(cuMemHostGetDevicePointer(&gate.words, (void *)gate.host, 0));
        return gate;
    }
    gate.words = gpu_allocate(2 * sizeof(uint32_t));
    REQUIRE(cuMemsetD32(gate.words, 0, 2));
    REQUIRE(cuStreamCreate(&gate.opener, CU_STREAM_NON_BLOCKING));
    REQUIRE(cuCtxSynchronize());
    return gate;
}

void gate_close_stream(struct gate *gate, CUstream stream)
{
    uint32_t looks = GATE_LOOKS;
    CUdeviceptr passed = gate->words + sizeof(uint32_t);
    REQUIRE(cuLaunchKernel(gpu_kernel(ptx_basics, "wait_for_gate"), 1, 1, 1, 1, 1, 1, 0, stream,
                           ARGUMENTS(&gate->words, &passed, &looks), NULL));
}

void gate_open(struct gate *gate)
{
    if (gate->host)
        __atomic_store_n(&gate->host[0], 1, __ATOMIC_SEQ_CST);
    else
        REQUIRE(cuMemsetD32Async(gate->words, 1, 1, gate->opener));
}

int gate_passed(struct gate *gate)
{
    uint32_t passed = 0;
    if (gate->host)
        return gate->host[1] == 1;
    REQUIRE(cuMemcpyDtoH(&passed, gate->words + sizeof passed, sizeof passed));
    return passed == 1;
}

void gate_destroy(struct gate *gate)
{
    if (gate->host) {
        REQUIRE(cuMemFreeHost((void *)gate->host));
    } else {
        REQUIRE(cuMemFree(gate->words));
        REQUIRE(cuStreamDestroy(gate->opener));
    }
    *gate = (struct gate){0};
}

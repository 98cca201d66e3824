/* Contexts: primary and plain ones, the stack of each thread, limits. */
#include <pthread.h>

#include "support/gpu.h"

static CUcontext current(void)
{
    CUcontext context;
    REQUIRE(cuCtxGetCurrent(&context));
    return context;
}

static void no_context(void)
{
    CUcontext context;
    CUdevice device;
    CUdeviceptr memory;
    CUmodule module;
    CUstream stream;
    REQUIRE(cuInit(0));
    CHECK(current() == NULL);
    EXPECT(CUDA_ERROR_INVALID_CONTEXT, cuCtxPopCurrent(&context));
    EXPECT(CUDA_ERROR_INVALID_CONTEXT, cuCtxGetDevice(&device));
    EXPECT(CUDA_ERROR_INVALID_CONTEXT, cuCtxSynchronize());
    EXPECT(CUDA_ERROR_INVALID_CONTEXT, cuMemAlloc(&memory, 16));
    EXPECT(CUDA_ERROR_INVALID_CONTEXT, cuModuleLoadData(&module, ptx_basics));
    EXPECT(CUDA_ERROR_INVALID_CONTEXT, cuStreamCreate(&stream, 0));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuCtxPushCurrent(NULL));
    EXPECT(CUDA_SUCCESS, cuCtxSetCurrent(NULL));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuCtxGetCurrent(NULL));
}

static void stack(void)
{
    CUcontext first, second, popped;
    CUdevice device;
    REQUIRE(cuInit(0));
    EXPECT(CUDA_SUCCESS, cuCtxCreate(&first, NULL, 0, 0));
    CHECK(current() == first);
    EXPECT(CUDA_SUCCESS, cuCtxCreate(&second, NULL, 0, 0));
    CHECK(current() == second && second != first);
    EXPECT(CUDA_SUCCESS, cuCtxPopCurrent(&popped));
    CHECK(popped == second && current() == first);
    EXPECT(CUDA_SUCCESS, cuCtxPushCurrent(second));
    EXPECT(CUDA_SUCCESS, cuCtxPushCurrent(first));
    CHECK(current() == first);
    EXPECT(CUDA_SUCCESS, cuCtxGetDevice(&device));
    say("device %d", device);
    EXPECT(CUDA_SUCCESS, cuCtxPopCurrent(NULL));
    CHECK(current() == second);
    EXPECT(CUDA_SUCCESS, cuCtxSetCurrent(first));
    CHECK(current() == first);
    EXPECT(CUDA_SUCCESS, cuCtxPopCurrent(&popped));
    CHECK(popped == first && current() == first);
    EXPECT(CUDA_SUCCESS, cuCtxPopCurrent(&popped));
    CHECK(popped == first && current() == NULL);
    EXPECT(CUDA_ERROR_INVALID_CONTEXT, cuCtxPopCurrent(&popped));
    EXPECT(CUDA_SUCCESS, cuCtxDestroy(second));
    EXPECT(CUDA_SUCCESS, cuCtxDestroy(first));
}

static void set_current_empties(void)
{
    CUcontext first, second;
    REQUIRE(cuInit(0));
    REQUIRE(cuCtxCreate(&first, NULL, 0, 0));
    REQUIRE(cuCtxCreate(&second, NULL, 0, 0));
    EXPECT(CUDA_SUCCESS, cuCtxSetCurrent(NULL));
    CHECK(current() == first);
    EXPECT(CUDA_SUCCESS, cuCtxSetCurrent(NULL));
    CHECK(current() == NULL);
    EXPECT(CUDA_SUCCESS, cuCtxSetCurrent(NULL));
    EXPECT(CUDA_SUCCESS, cuCtxDestroy(second));
    EXPECT(CUDA_SUCCESS, cuCtxDestroy(first));
}

static void destroy_current(void)
{
    CUcontext below, context;
    CUdeviceptr memory;
    REQUIRE(cuInit(0));
    REQUIRE(cuCtxCreate(&below, NULL, 0, 0));
    REQUIRE(cuCtxCreate(&context, NULL, 0, 0));
    EXPECT(CUDA_SUCCESS, cuMemAlloc(&memory, 4096));
    EXPECT(CUDA_SUCCESS, cuCtxDestroy(context));
    CHECK(current() == below);
    EXPECT(CUDA_SUCCESS, cuMemAlloc(&memory, 4096));
    EXPECT(CUDA_SUCCESS, cuMemFree(memory));
    EXPECT(CUDA_SUCCESS, cuCtxDestroy(below));
    CHECK(current() == NULL);
    EXPECT(CUDA_ERROR_INVALID_CONTEXT, cuMemAlloc(&memory, 4096));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuCtxDestroy(NULL));
}

struct visitor {
    pthread_t thread;
    pthread_barrier_t *barrier;
    CUcontext context;
    CUresult before, set, after_destroy, after_destroy_alloc;
    CUcontext seen_before, seen_after;
};

static void *visit(void *argument)
{
    struct visitor *visitor = argument;
    CUdeviceptr memory;
    visitor->before = cuCtxGetCurrent(&visitor->seen_before);
    visitor->set = cuCtxSetCurrent(visitor->context);
    pthread_barrier_wait(visitor->barrier);
    pthread_barrier_wait(visitor->barrier); /* the owner destroys it here */
    visitor->after_destroy = cuCtxSynchronize();
    visitor->after_destroy_alloc = cuMemAlloc(&memory, 16);
    return NULL;
}

static void destroyed_while_current_elsewhere(void)
{
    pthread_barrier_t barrier;
    struct visitor visitor = {.barrier = &barrier};
    REQUIRE(cuInit(0));
    REQUIRE(cuCtxCreate(&visitor.context, NULL, 0, 0));
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_create(&visitor.thread, NULL, visit, &visitor);
    pthread_barrier_wait(&barrier);
    EXPECT(CUDA_SUCCESS, cuCtxDestroy(visitor.context));
    pthread_barrier_wait(&barrier);
    pthread_join(visitor.thread, NULL);
    pthread_barrier_destroy(&barrier);
    CHECK(visitor.before == CUDA_SUCCESS && visitor.seen_before == NULL);
    EXPECT(CUDA_SUCCESS, visitor.set);
    EXPECT(CUDA_ERROR_CONTEXT_IS_DESTROYED, visitor.after_destroy);
    EXPECT(CUDA_ERROR_CONTEXT_IS_DESTROYED, visitor.after_destroy_alloc);
}

static void primary(void)
{
    CUcontext first = NULL, second = NULL;
    CUdeviceptr memory;
    unsigned flags = 99;
    int active = -1;
    REQUIRE(cuInit(0));
    EXPECT(CUDA_SUCCESS, cuDevicePrimaryCtxGetState(0, &flags, &active));
    say("flags %u, active %d", flags, active);
    EXPECT(CUDA_SUCCESS, cuDevicePrimaryCtxSetFlags(0, CU_CTX_SCHED_BLOCKING_SYNC));
    EXPECT(CUDA_SUCCESS, cuDevicePrimaryCtxRetain(&first, 0));
    EXPECT(CUDA_SUCCESS, cuDevicePrimaryCtxRetain(&second, 0));
    CHECK(first == second);
    CHECK(current() == NULL);
    EXPECT(CUDA_SUCCESS, cuDevicePrimaryCtxGetState(0, &flags, &active));
    say("flags %u, active %d", flags, active);
    EXPECT(CUDA_SUCCESS, cuCtxSetCurrent(first));
    EXPECT(CUDA_SUCCESS, cuMemAlloc(&memory, 4096));
    EXPECT(CUDA_SUCCESS, cuDevicePrimaryCtxRelease(0));
    EXPECT(CUDA_SUCCESS, cuMemsetD8(memory, 1, 4096));
    EXPECT(CUDA_SUCCESS, cuDevicePrimaryCtxRelease(0));
    EXPECT(CUDA_SUCCESS, cuDevicePrimaryCtxGetState(0, &flags, &active));
    say("flags %u, active %d", flags, active);
    NOTE(cuDevicePrimaryCtxRelease(0));
    EXPECT(CUDA_ERROR_INVALID_DEVICE, cuDevicePrimaryCtxRetain(&first, 77));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuDevicePrimaryCtxRetain(NULL, 0));
}

static void primary_reset(void)
{
    CUcontext context;
    CUdeviceptr memory;
    int active = -1;
    unsigned flags = 0;
    REQUIRE(cuInit(0));
    REQUIRE(cuDevicePrimaryCtxRetain(&context, 0));
    REQUIRE(cuCtxSetCurrent(context));
    REQUIRE(cuMemAlloc(&memory, 4096));
    EXPECT(CUDA_SUCCESS, cuDevicePrimaryCtxReset(0));
    EXPECT(CUDA_SUCCESS, cuDevicePrimaryCtxGetState(0, &flags, &active));
    say("active %d", active);
    EXPECT(CUDA_SUCCESS, cuDevicePrimaryCtxRetain(&context, 0));
    EXPECT(CUDA_SUCCESS, cuCtxSetCurrent(context));
    EXPECT(CUDA_SUCCESS, cuMemAlloc(&memory, 4096));
    EXPECT(CUDA_SUCCESS, cuMemFree(memory));
}

static void properties(void)
{
    CUcontext context, other;
    unsigned flags = 0, api_version = 0;
    unsigned long long id = 0, other_id = 0;
    int least = 99, greatest = 99;
    CUfunc_cache cache;
    REQUIRE(cuInit(0));
    EXPECT(CUDA_SUCCESS, cuCtxCreate(&context, NULL, CU_CTX_SCHED_YIELD, 0));
    EXPECT(CUDA_SUCCESS, cuCtxGetFlags(&flags));
    say("flags %u", flags);
    EXPECT(CUDA_SUCCESS, cuCtxGetApiVersion(context, &api_version));
    say("api version %u", api_version);
    EXPECT(CUDA_SUCCESS, cuCtxGetId(context, &id));
    REQUIRE(cuCtxCreate(&other, NULL, 0, 0));
    EXPECT(CUDA_SUCCESS, cuCtxGetId(other, &other_id));
    CHECK(id != other_id);
    EXPECT(CUDA_SUCCESS, cuCtxDestroy(other));
    EXPECT(CUDA_SUCCESS, cuCtxGetStreamPriorityRange(&least, &greatest));
    say("priorities %d to %d", least, greatest);
    EXPECT(CUDA_SUCCESS, cuCtxSetCacheConfig(CU_FUNC_CACHE_PREFER_SHARED));
    EXPECT(CUDA_SUCCESS, cuCtxGetCacheConfig(&cache));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuCtxCreate(&other, NULL, 0xffff, 0));
    EXPECT(CUDA_ERROR_INVALID_DEVICE, cuCtxCreate(&other, NULL, 0, 77));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuCtxCreate(NULL, NULL, 0, 0));
    EXPECT(CUDA_SUCCESS, cuCtxDestroy(context));
}

static void limits(void)
{
    size_t value = 0;
    gpu_use();
    EXPECT(CUDA_SUCCESS, cuCtxGetLimit(&value, CU_LIMIT_STACK_SIZE));
    say("stack %zu", value);
    EXPECT(CUDA_SUCCESS, cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 4096));
    EXPECT(CUDA_SUCCESS, cuCtxGetLimit(&value, CU_LIMIT_STACK_SIZE));
    say("stack %zu", value);
    CHECK(value >= 4096);
    EXPECT(CUDA_SUCCESS, cuCtxGetLimit(&value, CU_LIMIT_PRINTF_FIFO_SIZE));
    say("printf buffer %zu", value);
    EXPECT(CUDA_SUCCESS, cuCtxGetLimit(&value, CU_LIMIT_MALLOC_HEAP_SIZE));
    say("heap %zu", value);
    NOTE(cuCtxGetLimit(&value, (CUlimit)77));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuCtxGetLimit(NULL, CU_LIMIT_STACK_SIZE));
}

/* What belongs to one context is not seen from another. */
static void memory_of_two_contexts(void)
{
    CUcontext first, second;
    CUdeviceptr in_first, in_second;
    uint32_t value = 0;
    REQUIRE(cuInit(0));
    REQUIRE(cuCtxCreate(&first, NULL, 0, 0));
    REQUIRE(cuMemAlloc(&in_first, 4));
    REQUIRE(cuMemsetD32(in_first, 11, 1));
    REQUIRE(cuCtxCreate(&second, NULL, 0, 0));
    REQUIRE(cuMemAlloc(&in_second, 4));
    REQUIRE(cuMemsetD32(in_second, 22, 1));
    EXPECT(CUDA_SUCCESS, cuMemcpyDtoH(&value, in_second, 4));
    CHECK(value == 22);
    EXPECT(CUDA_SUCCESS, cuCtxSetCurrent(first));
    EXPECT(CUDA_SUCCESS, cuMemcpyDtoH(&value, in_first, 4));
    CHECK(value == 11);
    NOTE(cuMemcpyPeer(in_second, second, in_first, first, 4));
    EXPECT(CUDA_SUCCESS, cuCtxDestroy(second));
    EXPECT(CUDA_SUCCESS, cuCtxDestroy(first));
}

static const struct test_case cases[] = {
    CASE_IN_OWN_PROCESS(no_context),
    CASE(stack),
    CASE_IN_OWN_PROCESS(set_current_empties),
    CASE_IN_OWN_PROCESS(destroy_current),
    CASE(destroyed_while_current_elsewhere),
    CASE_IN_OWN_PROCESS(primary),
    CASE_IN_OWN_PROCESS(primary_reset),
    CASE(properties),
    CASE(limits),
    CASE(memory_of_two_contexts),
};

int main(int argc, char **argv)
{
    return suite_main("context", cases, COUNT_OF(cases), argc, argv);
}

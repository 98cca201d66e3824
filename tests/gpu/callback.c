/* Functions of the program that streams and graphs call, and user objects. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/graph.h"

/* A function that notes when it was called. */
struct note {
    _Atomic int *clock;
    int called_at; /* 0: never */
    int times;
};

static void take_note(void *data)
{
    struct note *note = data;
    note->called_at = atomic_fetch_add(note->clock, 1) + 1;
    note->times++;
}

/* A function that waits until it may return. */
static void wait_for_word(void *data)
{
    while (!atomic_load((_Atomic int *)data))
        usleep(100);
}

static void in_order(void)
{
    _Atomic int clock = 0;
    struct note notes[50];
    int wrong = 0;
    gpu_use();
    CUstream stream = stream_create(CU_STREAM_NON_BLOCKING);
    CUdeviceptr words = gpu_allocate(WORDS * 4);
    for (int i = 0; i < 50; i++) {
        notes[i] = (struct note){.clock = &clock};
        words_change(words, 1, 1, stream);
        REQUIRE(cuLaunchHostFunc(stream, take_note, &notes[i]));
    }
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(stream));
    for (int i = 0; i < 50; i++)
        wrong += notes[i].called_at != i + 1;
    say("%d out of order", wrong);
    CHECK(wrong == 0);
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuLaunchHostFunc(stream, NULL, NULL));
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuMemFree(words));
}

/* The function sees what the stream did before it, and the stream goes on only after it. */
struct step {
    uint32_t *memory, seen;
};

static void read_and_write(void *data)
{
    struct step *step = data;
    step->seen = step->memory[0];
    step->memory[0] = step->seen + 1000;
}

static void between_copies(void)
{
    gpu_use();
    if (!host_memory_is_mapped())
        SKIP("host memory is not shared here");
    uint32_t *memory = host_allocate_pinned(4), result = 0;
    struct step steps[3];
    CUstream stream = stream_create(CU_STREAM_NON_BLOCKING);
    CUdeviceptr words = gpu_allocate(WORDS * 4);
    REQUIRE(cuMemsetD32Async(words, 5, WORDS, stream));
    for (int i = 0; i < 3; i++) {
        steps[i] = (struct step){.memory = memory};
        REQUIRE(cuMemcpyDtoHAsync(memory, words, 4, stream));
        REQUIRE(cuLaunchHostFunc(stream, read_and_write, &steps[i]));
        REQUIRE(cuMemcpyHtoDAsync(words, memory, 4, stream));
        words_change(words, 2, 0, stream);
    }
    REQUIRE(cuMemcpyDtoHAsync(&result, words, 4, stream));
    REQUIRE(cuStreamSynchronize(stream));
    say("%u %u %u, %u", steps[0].seen, steps[1].seen, steps[2].seen, result);
    CHECK(result == ((((5 + 1000) * 2 + 1000) * 2) + 1000) * 2);
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuMemFree(words));
    REQUIRE(cuMemFreeHost(memory));
}

static void holds_its_stream(void)
{
    _Atomic int go = 0;
    gpu_use();
    CUstream held = stream_create(CU_STREAM_NON_BLOCKING), other = stream_create(CU_STREAM_NON_BLOCKING);
    CUdeviceptr words = gpu_allocate(WORDS * 4);
    gpu_kernel(ptx_basics, "affine");
    EXPECT(CUDA_SUCCESS, cuLaunchHostFunc(held, wait_for_word, &go));
    EXPECT(CUDA_ERROR_NOT_READY, cuStreamQuery(held));
    words_change(words, 1, 1, other);
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(other));
    EXPECT(CUDA_ERROR_NOT_READY, cuStreamQuery(held));
    atomic_store(&go, 1);
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(held));
    REQUIRE(cuStreamDestroy(held));
    REQUIRE(cuStreamDestroy(other));
    REQUIRE(cuMemFree(words));
}

/* Far more is given to the stream than it takes at a time; the function waits for a part of that. */
static void behind_much_work(void)
{
    _Atomic int go = 0, clock = 0;
    struct note note = {.clock = &clock};
    uint32_t expected = 1, word = 0;
    gpu_use();
    CUstream stream = stream_create(CU_STREAM_NON_BLOCKING);
    CUdeviceptr words = gpu_allocate(WORDS * 4);
    gpu_kernel(ptx_basics, "affine");
    REQUIRE(cuMemsetD32Async(words, 1, WORDS, stream));
    REQUIRE(cuLaunchHostFunc(stream, wait_for_word, &go));
    for (int i = 0; i < 3000; i++) {
        words_change(words, 3, 1, stream);
        expected = expected * 3 + 1;
        if (i == 300)
            atomic_store(&go, 1);
    }
    REQUIRE(cuLaunchHostFunc(stream, take_note, &note));
    REQUIRE(cuStreamSynchronize(stream));
    REQUIRE(cuMemcpyDtoH(&word, words, 4));
    CHECK(word == expected && note.times == 1);
    say("%u", word);
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuMemFree(words));
}

/* The function returns only when this thread has had much done in another stream: whoever waits for the
 * function before giving the GPU to others, and for the GPU before it lets this thread go on, waits for ever.
 */
static void waits_for_other_work(void)
{
    _Atomic int go = 0;
    gpu_use();
    CUstream held = stream_create(CU_STREAM_NON_BLOCKING), other = stream_create(CU_STREAM_NON_BLOCKING);
    CUdeviceptr words = gpu_allocate(WORDS * 4);
    gpu_kernel(ptx_basics, "affine");
    REQUIRE(cuLaunchHostFunc(held, wait_for_word, &go));
    words_change(words, 1, 1, held);
    for (int i = 0; i < 200; i++) {
        words_change(words, 1, 1, other);
        REQUIRE(cuStreamSynchronize(other));
        usleep(500);
    }
    EXPECT(CUDA_ERROR_NOT_READY, cuStreamQuery(held));
    atomic_store(&go, 1);
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(held));
    REQUIRE(cuStreamDestroy(held));
    REQUIRE(cuStreamDestroy(other));
    REQUIRE(cuMemFree(words));
}

struct attempt {
    CUresult allocate;
};

static void try_cuda(void *data)
{
    struct attempt *attempt = data;
    CUdeviceptr other = 0;
    attempt->allocate = cuMemAlloc(&other, 64);
}

static void no_cuda_inside(void)
{
    gpu_use();
    CUstream stream = stream_create(CU_STREAM_NON_BLOCKING);
    struct attempt attempt = {.allocate = CUDA_SUCCESS};
    REQUIRE(cuLaunchHostFunc(stream, try_cuda, &attempt));
    REQUIRE(cuStreamSynchronize(stream));
    say("%s", result_name(attempt.allocate));
    CHECK(attempt.allocate == CUDA_ERROR_NOT_PERMITTED);
    REQUIRE(cuStreamDestroy(stream));
}

struct told {
    CUstream stream;
    CUresult status;
    int times;
};

static void be_told(CUstream stream, CUresult status, void *data)
{
    struct told *told = data;
    told->stream = stream;
    told->status = status;
    told->times++;
}

static void stream_callbacks(void)
{
    struct told told = {.status = 99};
    gpu_use();
    CUstream stream = stream_create(CU_STREAM_NON_BLOCKING);
    EXPECT(CUDA_SUCCESS, cuStreamAddCallback(stream, be_told, &told, 0));
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(stream));
    say("%s, %d times", result_name(told.status), told.times);
    CHECK(told.stream == stream);
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuStreamAddCallback(stream, be_told, &told, 1));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuStreamAddCallback(stream, NULL, &told, 0));
    CUgraph graph = NULL;
    REQUIRE(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
    EXPECT(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuStreamAddCallback(stream, be_told, &told, 0));
    EXPECT(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(stream, &graph));
    REQUIRE(cuStreamDestroy(stream));
}

/* After an error callbacks are told of it; host functions are left out. */
static void after_an_error(void)
{
    _Atomic int clock = 0;
    struct note note = {.clock = &clock};
    struct told told = {.status = 99};
    CUdeviceptr nowhere = 0x10;
    gpu_use();
    CUstream stream = stream_create(CU_STREAM_NON_BLOCKING);
    words_change(nowhere, 1, 1, stream);
    NOTE(cuStreamSynchronize(stream));
    NOTE(cuLaunchHostFunc(stream, take_note, &note));
    NOTE(cuStreamAddCallback(stream, be_told, &told, 0));
    say("%d calls", note.times);
}

static void nodes(void)
{
    _Atomic int clock = 0;
    struct note captured = {.clock = &clock}, added = {.clock = &clock}, other = {.clock = &clock};
    CUgraph graph;
    CUgraphExec exec;
    CUgraphNode first, node;
    size_t count = 1;
    gpu_use();
    CUstream stream = stream_create(CU_STREAM_NON_BLOCKING);
    REQUIRE(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    EXPECT(CUDA_SUCCESS, cuLaunchHostFunc(stream, take_note, &captured));
    EXPECT(CUDA_SUCCESS, cuStreamEndCapture(stream, &graph));
    EXPECT(CUDA_SUCCESS, cuGraphGetNodes(graph, &first, &count));
    CUDA_HOST_NODE_PARAMS params = {.fn = take_note, .userData = &added};
    EXPECT(CUDA_SUCCESS, cuGraphAddHostNode(&node, graph, &first, 1, &params));
    memset(&params, 0, sizeof params);
    EXPECT(CUDA_SUCCESS, cuGraphHostNodeGetParams(node, &params));
    CHECK(params.fn == take_note && params.userData == &added);
    EXPECT(CUDA_SUCCESS, cuGraphHostNodeGetParams(first, &params));
    CHECK(params.fn == take_note && params.userData == &captured);
    REQUIRE(cuGraphInstantiateWithFlags(&exec, graph, 0));
    for (int i = 0; i < 3; i++) {
        REQUIRE(cuGraphLaunch(exec, stream));
        REQUIRE(cuStreamSynchronize(stream));
        say("captured %d, added %d", captured.called_at, added.called_at);
    }
    params.userData = &other;
    EXPECT(CUDA_SUCCESS, cuGraphExecHostNodeSetParams(exec, node, &params));
    REQUIRE(cuGraphDestroy(graph));
    REQUIRE(cuGraphLaunch(exec, stream));
    REQUIRE(cuStreamSynchronize(stream));
    say("captured %d times, added %d times, other %d times", captured.times, added.times, other.times);
    REQUIRE(cuGraphExecDestroy(exec));
    REQUIRE(cuStreamDestroy(stream));
}

static void count_up(void *data)
{
    atomic_fetch_add((_Atomic int *)data, 1);
}

/* Destructors run when they may, soon: not necessarily before the call that let go returns. */
static int comes_to(_Atomic int *word, int value)
{
    for (int i = 0; i < 60000 && atomic_load(word) != value; i++)
        usleep(1000);
    return atomic_load(word) == value;
}

static void user_objects(void)
{
    static _Atomic int destroyed[3];
    CUuserObject objects[3];
    CUgraph graph;
    CUgraphExec exec;
    gpu_use();
    REQUIRE(cuGraphCreate(&graph, 0));
    for (int i = 0; i < 3; i++)
        EXPECT(CUDA_SUCCESS, cuUserObjectCreate(&objects[i], &destroyed[i], count_up, 1,
                                                CU_USER_OBJECT_NO_DESTRUCTOR_SYNC));
    EXPECT(CUDA_SUCCESS, cuUserObjectRetain(objects[0], 2));
    EXPECT(CUDA_SUCCESS, cuUserObjectRelease(objects[0], 2));
    EXPECT(CUDA_SUCCESS, cuUserObjectRelease(objects[0], 1));
    CHECK(comes_to(&destroyed[0], 1));
    EXPECT(CUDA_SUCCESS, cuGraphRetainUserObject(graph, objects[1], 1, CU_GRAPH_USER_OBJECT_MOVE));
    EXPECT(CUDA_SUCCESS, cuGraphRetainUserObject(graph, objects[2], 1, 0));
    EXPECT(CUDA_SUCCESS, cuGraphReleaseUserObject(graph, objects[2], 1));
    EXPECT(CUDA_SUCCESS, cuUserObjectRelease(objects[2], 1));
    CHECK(comes_to(&destroyed[2], 1));
    REQUIRE(cuGraphInstantiateWithFlags(&exec, graph, 0));
    REQUIRE(cuGraphDestroy(graph));
    REQUIRE(cuGraphLaunch(exec, NULL));
    REQUIRE(cuCtxSynchronize());
    say("%d %d %d", destroyed[0], destroyed[1], destroyed[2]);
    REQUIRE(cuGraphExecDestroy(exec));
    CHECK(comes_to(&destroyed[1], 1));
    EXPECT(CUDA_ERROR_INVALID_VALUE,
           cuUserObjectCreate(&objects[0], NULL, NULL, 1, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuUserObjectCreate(&objects[0], NULL, count_up, 1, 0));
}

static void *launch_functions(void *data)
{
    gpu_use();
    CUstream stream = stream_create(CU_STREAM_NON_BLOCKING);
    for (int i = 0; i < 200; i++)
        REQUIRE(cuLaunchHostFunc(stream, count_up, data));
    REQUIRE(cuStreamSynchronize(stream));
    REQUIRE(cuStreamDestroy(stream));
    return NULL;
}

static void many_threads(void)
{
    static _Atomic int called;
    pthread_t threads[4];
    gpu_use();
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, launch_functions, (void *)&called);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    say("%d", atomic_load(&called));
    CHECK(called == 800);
}

static void attributes_of_streams(void)
{
    CUstreamAttrValue value;
    gpu_use();
    CUstream stream = stream_create(CU_STREAM_NON_BLOCKING), other = stream_create(CU_STREAM_NON_BLOCKING);
    memset(&value, 0, sizeof value);
    EXPECT(CUDA_SUCCESS, cuStreamGetAttribute(stream, CU_STREAM_ATTRIBUTE_SYNCHRONIZATION_POLICY, &value));
    say("policy %d", (int)value.syncPolicy);
    value.syncPolicy = CU_SYNC_POLICY_YIELD;
    EXPECT(CUDA_SUCCESS, cuStreamSetAttribute(stream, CU_STREAM_ATTRIBUTE_SYNCHRONIZATION_POLICY, &value));
    EXPECT(CUDA_SUCCESS, cuStreamCopyAttributes(other, stream));
    memset(&value, 0, sizeof value);
    EXPECT(CUDA_SUCCESS, cuStreamGetAttribute(other, CU_STREAM_ATTRIBUTE_SYNCHRONIZATION_POLICY, &value));
    say("policy %d", (int)value.syncPolicy);
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuStreamDestroy(other));
}

static void batches(void)
{
    CUstreamBatchMemOpParams operations[3] = {{.operation = CU_STREAM_MEM_OP_WRITE_VALUE_32},
                                              {.operation = CU_STREAM_MEM_OP_WAIT_VALUE_32},
                                              {.operation = CU_STREAM_MEM_OP_WRITE_VALUE_32}};
    uint32_t words[2] = {0};
    gpu_use();
    if (!gpu_attribute(CU_DEVICE_ATTRIBUTE_CAN_USE_64_BIT_STREAM_MEM_OPS))
        SKIP("no operations on words of memory");
    CUdeviceptr memory = gpu_allocate(WORDS * 4);
    CUstream stream = stream_create(CU_STREAM_NON_BLOCKING);
    REQUIRE(cuMemsetD32(memory, 0, WORDS));
    REQUIRE(cuCtxSynchronize());
    operations[0].writeValue.address = memory;
    operations[0].writeValue.value = 3;
    operations[1].waitValue.address = memory;
    operations[1].waitValue.value = 3;
    operations[1].waitValue.flags = CU_STREAM_WAIT_VALUE_GEQ;
    operations[2].writeValue.address = memory + 4;
    operations[2].writeValue.value = 4;
    EXPECT(CUDA_SUCCESS, cuStreamBatchMemOp(stream, 3, operations, 0));
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(stream));
    REQUIRE(cuMemcpyDtoH(words, memory, sizeof words));
    say("%u %u", words[0], words[1]);
    operations[0].operation = 77;
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuStreamBatchMemOp(stream, 3, operations, 0));
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuMemFree(memory));
}

static const struct test_case cases[] = {
    CASE(in_order),
    CASE(between_copies),
    CASE(holds_its_stream),
    CASE(behind_much_work),
    CASE(waits_for_other_work),
    CASE(no_cuda_inside),
    CASE(stream_callbacks),
    CASE_IN_OWN_PROCESS(after_an_error),
    CASE(nodes),
    CASE(user_objects),
    CASE(many_threads),
    CASE(attributes_of_streams),
    CASE(batches),
};

int main(int argc, char **argv)
{
    return suite_main("callback", cases, COUNT_OF(cases), argc, argv);
}

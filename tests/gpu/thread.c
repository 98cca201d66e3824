/* Threads: their own streams, their own context stack, and what one sees of another's work. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/gpu.h"

enum { THREADS = 8, ROUNDS = 60, WORDS = 512 };

struct worker {
    pthread_t thread;
    uint32_t number;
    uint32_t wrong;
    uint64_t sum;
};

/* Fills, changes, and fetches through the thread's own stream and memory, many times. */
static void *work_alone(void *argument)
{
    struct worker *worker = argument;
    uint32_t words[WORDS], count = WORDS, factor = worker->number + 2, term = 9;
    CUstream stream;
    gpu_use();
    CUfunction fill = gpu_kernel(ptx_basics, "fill"), affine = gpu_kernel(ptx_basics, "affine");
    CUdeviceptr memory = gpu_allocate(sizeof words);
    REQUIRE(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t first = worker->number * 100000 + round;
        gpu_launch(fill, count, stream, ARGUMENTS(&memory, &first, &count));
        gpu_launch(affine, count, stream, ARGUMENTS(&memory, &factor, &term, &count));
        REQUIRE(cuMemcpyDtoHAsync(words, memory, sizeof words, stream));
        REQUIRE(cuStreamSynchronize(stream));
        for (uint32_t i = 0; i < count; i++)
            worker->wrong += words[i] != (first + i) * factor + term;
        worker->sum = checksum(words, sizeof words);
    }
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuMemFree(memory));
    return NULL;
}

static void own_streams(void)
{
    struct worker workers[THREADS];
    gpu_use();
    for (uint32_t i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.number = i};
        pthread_create(&workers[i].thread, NULL, work_alone, &workers[i]);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        say("thread %u: %016llx", i, (unsigned long long)workers[i].sum);
        CHECK(workers[i].wrong == 0);
    }
}

static void *look_at_stack(void *argument)
{
    CUcontext context = (CUcontext)argument;
    uint32_t *wrong = calloc(1, sizeof *wrong);
    CUcontext seen;
    *wrong += cuCtxGetCurrent(&seen) != CUDA_SUCCESS || seen != NULL;
    *wrong += cuCtxPopCurrent(&seen) != CUDA_ERROR_INVALID_CONTEXT;
    *wrong += cuCtxPushCurrent(context) != CUDA_SUCCESS;
    *wrong += cuCtxPushCurrent(context) != CUDA_SUCCESS;
    *wrong += cuCtxPopCurrent(&seen) != CUDA_SUCCESS || seen != context;
    *wrong += cuCtxGetCurrent(&seen) != CUDA_SUCCESS || seen != context;
    return wrong;
}

/* Each thread starts with an empty stack, whatever the others have on theirs. */
static void own_context_stacks(void)
{
    pthread_t threads[THREADS];
    CUcontext context, seen;
    REQUIRE(cuInit(0));
    REQUIRE(cuCtxCreate(&context, NULL, 0, 0));
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, look_at_stack, context);
    for (int i = 0; i < THREADS; i++) {
        uint32_t *wrong;
        pthread_join(threads[i], (void **)&wrong);
        CHECK(*wrong == 0);
        free(wrong);
    }
    EXPECT(CUDA_SUCCESS, cuCtxGetCurrent(&seen));
    CHECK(seen == context);
    EXPECT(CUDA_SUCCESS, cuCtxDestroy(context));
}

/* A baton that two threads hand to each other. */
struct baton {
    pthread_mutex_t lock;
    pthread_cond_t passed;
    int holder;
};

static void baton_wait(struct baton *baton, int self)
{
    pthread_mutex_lock(&baton->lock);
    while (baton->holder != self)
        pthread_cond_wait(&baton->passed, &baton->lock);
    pthread_mutex_unlock(&baton->lock);
}

static void baton_pass(struct baton *baton, int to)
{
    pthread_mutex_lock(&baton->lock);
    baton->holder = to;
    pthread_cond_broadcast(&baton->passed);
    pthread_mutex_unlock(&baton->lock);
}

struct relay {
    struct baton baton;
    CUstream stream;
    CUevent event;
    CUdeviceptr memory;
    uint32_t rounds;
};

enum { LAUNCHER = 0, READER = 1 };

/* Only launches and records, never waits. */
static void *launch_and_hand_over(void *argument)
{
    struct relay *relay = argument;
    uint32_t count = WORDS;
    gpu_use();
    CUfunction fill = gpu_kernel(ptx_basics, "fill");
    for (uint32_t round = 0; round < relay->rounds; round++) {
        baton_wait(&relay->baton, LAUNCHER);
        uint32_t first = round * 7919;
        gpu_launch(fill, count, relay->stream, ARGUMENTS(&relay->memory, &first, &count));
        REQUIRE(cuEventRecord(relay->event, relay->stream));
        baton_pass(&relay->baton, READER);
    }
    return NULL;
}

static void wait_in_this_way(struct relay *relay, uint32_t way, uint32_t *words)
{
    switch (way % 5) {
    case 0:
        REQUIRE(cuStreamSynchronize(relay->stream));
        break;
    case 1:
        REQUIRE(cuCtxSynchronize());
        break;
    case 2:
        REQUIRE(cuEventSynchronize(relay->event));
        break;
    case 3:
        while (cuEventQuery(relay->event) == CUDA_ERROR_NOT_READY)
            usleep(50);
        break;
    case 4: /* ordered behind the launch by its stream, waited for in this thread */
        REQUIRE(cuMemcpyDtoHAsync(words, relay->memory, WORDS * 4, relay->stream));
        REQUIRE(cuStreamSynchronize(relay->stream));
        return;
    }
    REQUIRE(cuMemcpyDtoH(words, relay->memory, WORDS * 4));
}

/* One thread launches and hands over through a lock; the other waits for the GPU in each way there
 * is, and must then see what the first had launched. */
static void handed_over(void)
{
    struct relay relay = {.baton = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, LAUNCHER},
                          .rounds = 200};
    uint32_t words[WORDS], wrong = 0;
    pthread_t launcher;
    gpu_use();
    REQUIRE(cuStreamCreate(&relay.stream, CU_STREAM_NON_BLOCKING));
    REQUIRE(cuEventCreate(&relay.event, CU_EVENT_DISABLE_TIMING));
    relay.memory = gpu_allocate(sizeof words);
    pthread_create(&launcher, NULL, launch_and_hand_over, &relay);
    for (uint32_t round = 0; round < relay.rounds; round++) {
        baton_wait(&relay.baton, READER);
        wait_in_this_way(&relay, round, words);
        for (uint32_t i = 0; i < WORDS; i++)
            wrong += words[i] != round * 7919 + i;
        baton_pass(&relay.baton, LAUNCHER);
    }
    pthread_join(launcher, NULL);
    CHECK(wrong == 0);
    REQUIRE(cuStreamDestroy(relay.stream));
    REQUIRE(cuEventDestroy(relay.event));
    REQUIRE(cuMemFree(relay.memory));
}

static void *allocate_for_other(void *argument)
{
    CUdeviceptr *memory = argument;
    gpu_use();
    *memory = gpu_allocate(4096);
    REQUIRE(cuMemsetD8(*memory, 0x5c, 4096));
    return NULL;
}

/* Memory, streams and kernels belong to the context, not to the thread that made them. */
static void left_by_a_thread(void)
{
    uint8_t byte = 0;
    CUdeviceptr memory = 0;
    pthread_t thread;
    gpu_use();
    pthread_create(&thread, NULL, allocate_for_other, &memory);
    pthread_join(thread, NULL);
    EXPECT(CUDA_SUCCESS, cuMemcpyDtoH(&byte, memory + 4095, 1));
    CHECK(byte == 0x5c);
    EXPECT(CUDA_SUCCESS, cuMemFree(memory));
}

static void *visit_briefly(void *argument)
{
    uint32_t *word = argument;
    uint32_t count = 1;
    gpu_use();
    CUdeviceptr memory = gpu_allocate(4);
    CUfunction fill = gpu_kernel(ptx_basics, "fill");
    gpu_launch(fill, 1, NULL, ARGUMENTS(&memory, word, &count));
    uint32_t seen = 0;
    REQUIRE(cuMemcpyDtoH(&seen, memory, 4));
    REQUIRE(cuMemFree(memory));
    *word = seen == *word ? 0 : 1;
    return NULL;
}

static void come_and_go(void)
{
    enum { VISITORS = 200, AT_ONCE = 4 };
    uint32_t words[VISITORS], wrong = 0;
    pthread_t threads[AT_ONCE];
    gpu_use();
    for (uint32_t i = 0; i < VISITORS; i += AT_ONCE) {
        for (uint32_t j = 0; j < AT_ONCE; j++) {
            words[i + j] = i + j + 1;
            pthread_create(&threads[j], NULL, visit_briefly, &words[i + j]);
        }
        for (uint32_t j = 0; j < AT_ONCE; j++)
            pthread_join(threads[j], NULL);
    }
    for (uint32_t i = 0; i < VISITORS; i++)
        wrong += words[i];
    CHECK(wrong == 0);
}

/* A child process that does not use CUDA leaves its parent's alone, however it ends. */
static void forked_children(void)
{
    uint32_t value = 0;
    int status = -1;
    gpu_use();
    CUdeviceptr memory = gpu_allocate(4096);
    REQUIRE(cuMemsetD32(memory, 77, 1024));
    for (int round = 0; round < 4; round++) {
        pid_t child = fork();
        if (child == 0 && round % 2 == 0)
            _exit(round);
        if (child == 0)
            exit(round); /* runs what libraries have left to be run at exit */
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == round);
        EXPECT(CUDA_SUCCESS, cuMemcpyDtoH(&value, memory, sizeof value));
        CHECK(value == 77);
        EXPECT(CUDA_SUCCESS, cuCtxSynchronize());
    }
    REQUIRE(cuMemFree(memory));
}

/* One that does is refused, as CUDA cannot be used on both sides of a fork. */
static void forked_child_calls(void)
{
    int status = -1;
    gpu_use();
    CUdeviceptr memory = gpu_allocate(4096);
    pid_t child = fork();
    if (child == 0) {
        CUdeviceptr more;
        _exit((int)cuMemAlloc(&more, 4096));
    }
    CHECK(waitpid(child, &status, 0) == child);
    say("in the child: %s", result_name((CUresult)WEXITSTATUS(status)));
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == CUDA_ERROR_NOT_INITIALIZED);
    EXPECT(CUDA_SUCCESS, cuMemFree(memory));
}

static const struct test_case cases[] = {
    CASE(own_streams),
    CASE(own_context_stacks),
    CASE(handed_over),
    CASE(left_by_a_thread),
    CASE(come_and_go),
    CASE_IN_OWN_PROCESS(forked_children),
    CASE_IN_OWN_PROCESS(forked_child_calls),
};

int main(int argc, char **argv)
{
    return suite_main("thread", cases, COUNT_OF(cases), argc, argv);
}

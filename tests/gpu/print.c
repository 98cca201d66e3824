/* printf and assert of device code: the text comes to this process's stdout and stderr when it waits for the
 * work. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/gpu.h"

/* Catches what goes to a stream of stdio. */
struct catcher {
    FILE *stream;
    int file;  /* what stands in its place */
    int saved; /* the stream's own */
};

static struct catcher catch_stream(FILE *stream)
{
    struct catcher catcher = {stream, memfd_create("caught", 0), dup(fileno(stream))};
    fflush(stream);
    dup2(catcher.file, fileno(stream));
    return catcher;
}

/* What has come since the last time; at most bytes - 1 of it. */
static void caught(struct catcher *catcher, char *text, size_t bytes)
{
    fflush(catcher->stream);
    ssize_t got = pread(catcher->file, text, bytes - 1, 0);
    text[got > 0 ? got : 0] = '\0';
    CHECK(ftruncate(catcher->file, 0) == 0);
    lseek(catcher->file, 0, SEEK_SET);
}

static void catch_end(struct catcher *catcher)
{
    fflush(catcher->stream);
    dup2(catcher->saved, fileno(catcher->stream));
    close(catcher->saved);
    close(catcher->file);
}

static void launch_say(uint32_t blocks, uint32_t threads, uint32_t word, CUstream stream)
{
    REQUIRE(cuLaunchKernel(gpu_kernel(ptx_print, "say"), blocks, 1, 1, threads, 1, 1, 0, stream,
                           ARGUMENTS(&word), NULL));
}

static void text_comes_when_waited(void)
{
    char text[5][200];
    CUstream stream;
    CUevent event;
    uint32_t word;
    gpu_use();
    CUdeviceptr memory = gpu_allocate(sizeof word);
    REQUIRE(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    REQUIRE(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    struct catcher catcher = catch_stream(stdout);
    launch_say(1, 2, 1, NULL);
    REQUIRE(cuCtxSynchronize());
    caught(&catcher, text[0], sizeof text[0]);
    launch_say(1, 1, 2, stream);
    REQUIRE(cuStreamSynchronize(stream));
    caught(&catcher, text[1], sizeof text[1]);
    launch_say(1, 1, 3, NULL);
    REQUIRE(cuMemcpyDtoH(&word, memory, sizeof word));
    caught(&catcher, text[2], sizeof text[2]);
    launch_say(1, 1, 4, stream);
    REQUIRE(cuEventRecord(event, stream));
    REQUIRE(cuEventSynchronize(event));
    caught(&catcher, text[3], sizeof text[3]);
    REQUIRE(cuCtxSynchronize());
    caught(&catcher, text[4], sizeof text[4]);
    catch_end(&catcher);
    CHECK(strcmp(text[0], "thread 0 says 1\nthread 1 says 1\n") == 0);
    CHECK(strcmp(text[1], "thread 0 says 2\n") == 0);
    CHECK(strcmp(text[2], "thread 0 says 3\n") == 0);
    CHECK(strcmp(text[3], "thread 0 says 4\n") == 0);
    CHECK(strcmp(text[4], "") == 0);
}

/* What the program has printed before it waits comes before, also while that is still in stdio's buffer. */
static void text_keeps_its_place(void)
{
    char text[200];
    gpu_use();
    struct catcher catcher = catch_stream(stdout);
    printf("before\n");
    launch_say(1, 1, 7, NULL);
    REQUIRE(cuCtxSynchronize());
    printf("after\n");
    caught(&catcher, text, sizeof text);
    catch_end(&catcher);
    CHECK(strcmp(text, "before\nthread 0 says 7\nafter\n") == 0);
}

/* More than one answer of a worker holds. */
static void much_text_comes_whole(void)
{
    const uint32_t blocks = 32, threads = 256;
    size_t bytes = 1u << 20;
    char *text = malloc(bytes), *seen = calloc(blocks, threads);
    gpu_use();
    struct catcher catcher = catch_stream(stdout);
    launch_say(blocks, threads, 4000000000u, NULL);
    REQUIRE(cuCtxSynchronize());
    caught(&catcher, text, bytes);
    catch_end(&catcher);
    uint32_t lines = 0;
    for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        uint32_t thread;
        if (sscanf(line, "thread %u says -294967296\n", &thread) == 1 && thread < blocks * threads)
            lines += seen[thread]++ == 0;
    }
    CHECK(lines == blocks * threads);
    free(seen);
    free(text);
}

static void a_failed_assertion_says_so(void)
{
    char text[400];
    gpu_use();
    CUfunction claim = gpu_kernel(ptx_print, "claim");
    struct catcher catcher = catch_stream(stderr);
    REQUIRE(cuLaunchKernel(claim, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
    CUresult first = cuCtxSynchronize(), second = cuCtxSynchronize();
    caught(&catcher, text, sizeof text);
    catch_end(&catcher);
    EXPECT(CUDA_ERROR_ASSERT, first);
    EXPECT(CUDA_ERROR_ASSERT, second);
    CHECK(strcmp(text, "print.cu:12: of: block: [0,0,0], thread: [0,0,0] Assertion `claim` failed.\n") == 0);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        CASE_IN_OWN_PROCESS(text_comes_when_waited),
        CASE_IN_OWN_PROCESS(text_keeps_its_place),
        CASE_IN_OWN_PROCESS(much_text_comes_whole),
        CASE_IN_OWN_PROCESS(a_failed_assertion_says_so),
    };
    return suite_main("print", cases, COUNT_OF(cases), argc, argv);
}

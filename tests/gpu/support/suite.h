/* What the GPU tests share: cases, their transcript, and checks.
 *
 * A program is a suite of cases. Each prints one line for whatever a user can observe: a call with
 * its result, a value, a checksum. Nothing in it may differ from run to run (addresses, times, process ids),
 * so that two drivers, or one driver with and without the queue, can be compared line by line. Each case also
 * states what it expects; a line that starts with "!!" says what was not met.
 *
 * Cases run one after another in a child process; the one that dies, hangs or cannot go on costs only
 * itself, and a fresh child takes the next. Only a case's first thread prints. */
#ifndef VGPU_TESTS_GPU_SUITE_H
#define VGPU_TESTS_GPU_SUITE_H

#include <stddef.h>
#include <stdint.h>

#include <cuda.h>

enum case_flags {
    CASE_SHARED = 0,
    CASE_ALONE = 1, /* in a process of its own: it ruins its context, or needs one nobody has used */
};

struct test_case {
    const char *name;
    void (*run)(void);
    unsigned flags;
};

#define CASE(function)                                                                                       \
    {                                                                                                        \
        .name = #function, .run = (function), .flags = CASE_SHARED                                           \
    }
#define CASE_IN_OWN_PROCESS(function)                                                                        \
    {                                                                                                        \
        .name = #function, .run = (function), .flags = CASE_ALONE                                            \
    }
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Runs the cases named in argv, or all. Prints the transcript and a last line with the counts. Returns main's
 * value: 0 when nothing failed. `--list` prints the names. */
int suite_main(const char *suite, const struct test_case *cases, size_t count, int argc, char **argv);

/* One line of transcript. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Makes the call, prints it with its result, and fails the case if the result is another one. */
#define EXPECT(expected, call) expect_result(__FILE__, __LINE__, #call, (expected), (call))

/* Makes the call and prints it with its result: for what only a comparison of two drivers can judge. */
#define NOTE(call) note_result(#call, (call))

/* Makes the call, silently; ends the case if it does not succeed. From any thread. */
#define REQUIRE(call) require_result(__FILE__, __LINE__, #call, (call))

/* Fails the case, and goes on, if the condition does not hold. From any thread. */
#define CHECK(condition) check_condition(__FILE__, __LINE__, #condition, (condition))

/* Ends the case as not applicable here. */
#define SKIP(reason)                                                                                         \
    do {                                                                                                     \
        case_skip(reason);                                                                                   \
        return;                                                                                              \
    } while (0)

CUresult expect_result(const char *file, int line, const char *call, CUresult expected, CUresult actual);
CUresult note_result(const char *call, CUresult actual);
void require_result(const char *file, int line, const char *call, CUresult actual);
int check_condition(const char *file, int line, const char *text, int condition);
void case_skip(const char *reason);

/* "CUDA_SUCCESS", ...: from our own list, so that it does not depend on the driver that is tested. */
const char *result_name(CUresult result);

/* A number that changes with any byte (FNV-1a, 64 bit). */
uint64_t checksum(const void *data, size_t bytes);

/* Pseudo-random bytes, the same for the same seed. */
void fill_pattern(void *data, size_t bytes, uint32_t seed);

/* Seconds a case may take before it counts as hanging: 60, or VGPU_TEST_CASE_SECONDS. */
unsigned case_time_limit(void);

#endif

#include "support/suite.h"

#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cuda/error_names.h"

enum { CASES_MAX = 64 };

enum outcome { OUTCOME_PASSED, OUTCOME_FAILED, OUTCOME_SKIPPED };

/* Written by the child that runs the cases, read by the parent once the child is gone. */
struct progress {
    size_t finished; /* cases whose outcome has been counted */
    unsigned passed, failed, skipped;
};

static struct progress *progress;
static _Atomic enum outcome current_outcome;

void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
}

const char *result_name(CUresult result)
{
    const char *name = cuda_error_name(result);
    if (name)
        return name;
    static _Thread_local char number[32];
    snprintf(number, sizeof number, "CUresult %d", (int)result);
    return number;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

CUresult note_result(const char *call, CUresult actual)
{
    say("%s -> %s", call, result_name(actual));
    return actual;
}

CUresult expect_result(const char *file, int line, const char *call, CUresult expected, CUresult actual)
{
    note_result(call, actual);
    if (actual != expected) {
        current_outcome = OUTCOME_FAILED;
        say("!! %s:%d: expected %s", base_name(file), line, result_name(expected));
    }
    return actual;
}

/* Counts the case that runs now and leaves the next ones to a fresh process. The first thread to come does
 * it. */
static _Noreturn void case_abandon(void)
{
    static atomic_flag abandoned = ATOMIC_FLAG_INIT;
    while (atomic_flag_test_and_set(&abandoned))
        pause();
    say("-- failed, cannot go on");
    progress->failed++;
    progress->finished++;
    _exit(1);
}

void require_result(const char *file, int line, const char *call, CUresult actual)
{
    if (actual == CUDA_SUCCESS)
        return;
    say("!! %s:%d: %s -> %s", base_name(file), line, call, result_name(actual));
    case_abandon();
}

int check_condition(const char *file, int line, const char *text, int condition)
{
    if (!condition) {
        current_outcome = OUTCOME_FAILED;
        say("!! %s:%d: not true: %s", base_name(file), line, text);
    }
    return condition;
}

void case_skip(const char *reason)
{
    current_outcome = OUTCOME_SKIPPED;
    say("   skipped: %s", reason);
}

uint64_t checksum(const void *data, size_t bytes)
{
    const unsigned char *byte = data;
    uint64_t sum = 0xcbf29ce484222325u;
    for (size_t i = 0; i < bytes; i++)
        sum = (sum ^ byte[i]) * 0x100000001b3u;
    return sum;
}

void fill_pattern(void *data, size_t bytes, uint32_t seed)
{
    unsigned char *byte = data;
    uint64_t state = seed * 0x9e3779b97f4a7c15u + 1;
    for (size_t i = 0; i < bytes; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        byte[i] = (unsigned char)(state >> 24);
    }
}

unsigned case_time_limit(void)
{
    const char *text = getenv("VGPU_TEST_CASE_SECONDS");
    unsigned limit = text ? (unsigned)strtoul(text, NULL, 10) : 0;
    return limit ? limit : 240; /* only ends what hangs */
}

static void run_case(const char *suite, const struct test_case *test)
{
    say("== %s/%s", suite, test->name);
    current_outcome = OUTCOME_PASSED;
    alarm(case_time_limit());
    test->run();
    alarm(0);
    if (current_outcome == OUTCOME_PASSED)
        progress->passed++;
    else if (current_outcome == OUTCOME_FAILED)
        progress->failed++;
    else
        progress->skipped++;
    progress->finished++;
    say("-- %s", current_outcome == OUTCOME_PASSED   ? "passed"
                 : current_outcome == OUTCOME_FAILED ? "failed"
                                                     : "skipped");
}

/* Runs from first on for as long as one process may: a case that wants to be alone is alone. */
static void run_cases_in_child(const char *suite, const struct test_case *const *cases, size_t count)
{
    size_t end = progress->finished + 1;
    while (!(cases[progress->finished]->flags & CASE_ALONE) && end < count &&
           !(cases[end]->flags & CASE_ALONE))
        end++;
    pid_t child = fork();
    if (child == 0) {
        while (progress->finished < end)
            run_case(suite, cases[progress->finished]);
        exit(0);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) {
        perror("cannot run a case");
        exit(1);
    }
    bool died = WIFSIGNALED(status) || (progress->finished < end && WEXITSTATUS(status) != 1);
    if (!died)
        return;
    if (!WIFSIGNALED(status))
        say("!! the process ended with status %d", WEXITSTATUS(status));
    else if (WTERMSIG(status) == SIGALRM)
        say("!! still running after %u seconds", case_time_limit());
    else
        say("!! the process died of signal %d", WTERMSIG(status));
    if (progress->finished < end) {
        say("-- failed");
        progress->finished++;
    }
    progress->failed++;
}

static size_t select_cases(const struct test_case *cases, size_t count, int argc, char **argv,
                           const struct test_case **selected)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        bool wanted = argc == 1;
        for (int a = 1; a < argc; a++)
            wanted = wanted || strcmp(argv[a], cases[i].name) == 0;
        if (wanted)
            selected[found++] = &cases[i];
    }
    return found;
}

int suite_main(const char *suite, const struct test_case *cases, size_t count, int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (size_t i = 0; i < count; i++)
            puts(cases[i].name);
        return 0;
    }
    const struct test_case *selected[CASES_MAX];
    progress = mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (count > CASES_MAX || progress == MAP_FAILED) {
        perror(suite);
        return 1;
    }
    size_t chosen = select_cases(cases, count, argc, argv, selected);
    if (chosen == 0) {
        fprintf(stderr, "%s: no such case; --list names them\n", suite);
        return 2;
    }
    fflush(stdout);
    while (progress->finished < chosen)
        run_cases_in_child(suite, selected, chosen);
    say("%s: %u passed, %u failed, %u skipped", suite, progress->passed, progress->failed, progress->skipped);
    return progress->failed ? 1 : 0;
}

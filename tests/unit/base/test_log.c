/* A log line has a time and a process id of its own, unless stderr is the journal, which adds them. */
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a line looks like where JOURNAL_STREAM is stderr's device and inode, with so much added to the inode.
 */
static void log_into(char *text, size_t bytes, unsigned long long added)
{
    int pipe_fds[2], old = dup(STDERR_FILENO);
    char stream[64];
    struct stat info = {0};
    assert_int_equal(pipe(pipe_fds), 0);
    assert_true(old >= 0 && dup2(pipe_fds[1], STDERR_FILENO) >= 0 && fstat(STDERR_FILENO, &info) == 0);
    snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)info.st_dev, info.st_ino + added);
    setenv("JOURNAL_STREAM", stream, 1);
    log_init("program", LOG_LEVEL_INFO);
    log_warning("something is %s", "wrong");
    log_debug("too much detail");
    unsetenv("JOURNAL_STREAM");
    log_init("program", LOG_LEVEL_INFO);
    dup2(old, STDERR_FILENO);
    close(old);
    close(pipe_fds[1]);
    ssize_t got = read(pipe_fds[0], text, bytes - 1);
    close(pipe_fds[0]);
    assert_true(got > 0);
    text[got] = '\0';
}

static void the_journal_is_told_the_priority(void **state)
{
    char text[200];
    log_into(text, sizeof text, 0);
    assert_string_equal(text, "<4>something is wrong\n");
}

static void elsewhere_a_line_says_all_itself(void **state)
{
    char text[200], end[64];
    log_into(text, sizeof text, 1);
    snprintf(end, sizeof end, " program[%d] warning: something is wrong\n", (int)getpid());
    assert_non_null(strstr(text, end));
    assert_int_equal(text[2], ':');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_journal_is_told_the_priority),
        cmocka_unit_test(elsewhere_a_line_says_all_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

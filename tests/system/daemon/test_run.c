/* vgpu-run: the command it starts, and what it says when it cannot. */
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

/* Runs vgpu-run with these words (for the shell); what it printed, both streams, comes into output. */
static int run(const struct fixture *fixture, const char *words, char output[2048])
{
    char command[2048];
    snprintf(command, sizeof command,
             "VGPU_CONFIG=/dev/null VGPU_RUN_DIR=%s VGPU_GUEST_DIR=%s LD_LIBRARY_PATH=/before %s %s 2>&1",
             fixture->run_dir, fixture->dir, getenv("TEST_VGPU_RUN"), words);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    output[fread(output, 1, 2047, pipe)] = '\0';
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

static struct fixture *start(void **state)
{
    struct fixture *fixture = *state;
    vm_register(fixture, "abc123", 'A', VGPU_PRIORITY_LOW);
    daemon_start(fixture);
    return fixture;
}

static void the_command_finds_library_and_socket(void **state)
{
    const struct fixture *fixture = start(state);
    char output[2048];
    char expected[512];
    snprintf(expected, sizeof expected, "unix:%s/guests/abc123.sock %s:/before\n", fixture->run_dir,
             fixture->dir);
    const char *const forms[] = {"--vm-uuid=abc123 -- ", "--vm-uuid=abc123 ", "--vm-uuid abc123 -- "};
    for (size_t i = 0; i < 3; i++) {
        char words[200];
        snprintf(words, sizeof words, "%ssh -c 'echo $VGPU_SERVER $LD_LIBRARY_PATH'", forms[i]);
        assert_int_equal(run(fixture, words, output), 0);
        assert_string_equal(output, expected);
    }
}

static void the_status_is_the_commands_own(void **state)
{
    const struct fixture *fixture = start(state);
    char output[2048];
    assert_int_equal(run(fixture, "--vm-uuid=abc123 -- sh -c 'exit 7'", output), 7);
    assert_int_equal(run(fixture, "--vm-uuid=abc123 -- true --help", output), 0);
}

static void what_is_wrong_is_said_in_one_line(void **state)
{
    const struct fixture *fixture = start(state);
    static const struct {
        const char *words;
        int status;
        const char *message;
    } cases[] = {
        {"--vm-uuid=nobody -- true", 1, "vgpu-run: VM nobody has no socket "},
        {"--vm-uuid=abc123 -- /no/such/command", 1, "vgpu-run: there is no command '/no/such/command'"},
        {"--vm-uuid=abc123 -- /etc/passwd", 1, "vgpu-run: cannot run '/etc/passwd'"},
        {"--vm-uuid=abc123", 2, "vgpu-run: no command to run as VM abc123"},
        {"--vm-uuid=abc123 --", 2, "vgpu-run: no command to run as VM abc123"},
        {"-- true", 2, "vgpu-run: which VM? say --vm-uuid=VM"},
        {"", 2, "vgpu-run: which VM?"},
        {"--vm-uuid=../../etc/x -- true", 2, "vgpu-run: "},
        {"--vm-uuid= -- true", 2, "vgpu-run: "},
        {"--vm-name=abc -- true", 2, "vgpu-run: unknown option '--vm-name=abc'"},
        {"--quantum=7 --vm-uuid=abc123 -- true", 2, "vgpu-run: "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char output[2048];
        int status = run(fixture, cases[i].words, output);
        if (status != cases[i].status || strncmp(output, cases[i].message, strlen(cases[i].message)) != 0 ||
            strchr(output, '\n') != output + strlen(output) - 1)
            fail_msg("%s: %d '%s'", cases[i].words, status, output);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_command_finds_library_and_socket),
        TEST(the_status_is_the_commands_own),
        TEST(what_is_wrong_is_said_in_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

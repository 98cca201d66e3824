/* The command line: what is accepted, and that whatever is wrong is one line that says what to type, exit
 * status 2, before anything is opened. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "admin/command.h"
#include "admin/program.h"
#include "admin/text.h"
#include "fake_library.h"

static int reset(void **state)
{
    fake = (struct fake_library){0};
    return 0;
}

/* The words are refused as wrong usage, and the line names everything in expected. */
static void assert_refused(const char *const *words, const char *expected)
{
    char *out = NULL;
    char *errors = NULL;
    int status = fake_run_words(words, 0, &out, &errors);
    if (status != PROGRAM_WRONG_USAGE || strstr(errors, expected) == NULL)
        fail_msg("exit %d, said: %s, expected: %s", status, errors, expected);
    assert_string_equal(out, "");
    assert_memory_equal(errors, "vgpu-admin: ", 12);
    assert_ptr_equal(strchr(errors, '\n'), errors + strlen(errors) - 1);
    assert_true(text_is_printable(strtok(errors, "\n")));
    assert_int_equal(fake.opened, 0);
    free(out);
    free(errors);
}

#define REFUSED(expected, ...) assert_refused((const char *const[]){__VA_ARGS__, NULL}, expected)

static void wrong_commands(void **state)
{
    assert_refused((const char *const[]){NULL}, "no command is given; 'vgpu-admin --help'");
    REFUSED("unknown command 'stauts'; did you mean status?", "stauts");
    REFUSED("unknown command 'list'; did you mean list-gpus or list-vms or list-pools?", "list");
    REFUSED("unknown command 'list_gpus'; did you mean list-gpus?", "list_gpus");
    REFUSED("unknown command 'frobnicate'; 'vgpu-admin --help' lists", "frobnicate");
    REFUSED("unknown command ''; 'vgpu-admin --help' lists", "");
    REFUSED("unknown command 'a?b'", "a\nb");
    REFUSED("unknown command '?'", "\xff");
    REFUSED("'--pool=A' stands where the command should", "--pool=A", "list-gpus");
    REFUSED("unknown command 'stats'; did you mean status?", "help", "stats");
}

static void wrong_options(void **state)
{
    REFUSED("list-vms: unknown option '--pol'; did you mean --pool?", "list-vms", "--pol=A");
    REFUSED("list-vms: unknown option '--frobnicate'; 'vgpu-admin list-vms --help'", "list-vms",
            "--frobnicate");
    REFUSED("status: unknown option '--pool'", "status", "--pool=A");
    REFUSED("list-vms: unknown option '--'", "list-vms", "--=A");
    REFUSED("list-vms: 'A' is not an option; options are written --name=value", "list-vms", "A");
    REFUSED("list-vms: '-p' is not an option", "list-vms", "-p", "A");
    REFUSED("list-vms: '--' is not an option", "list-vms", "--");
    REFUSED("list-vms: --pool has no value; give --pool=<A|B>", "list-vms", "--pool");
    REFUSED("list-vms: --pool has no value", "list-vms", "--pool", "--priority=high");
    REFUSED("list-vms: --pool has an empty value; give --pool=<A|B>", "list-vms", "--pool=");
    REFUSED("list-vms: --pool has an empty value", "list-vms", "--pool", "");
    REFUSED("list-vms: --pool is given twice; give it once", "list-vms", "--pool=A", "--pool=A");
    REFUSED("list-vms: --pool is given twice", "list-vms", "--pool", "A", "--pool=B");
    REFUSED("show-gpu: --gpu-id is missing; add --gpu-id=<id>", "show-gpu");
    REFUSED("register-vm: --pool is missing", "register-vm", "--vm-uuid=abc123", "--priority=high");
    REFUSED("register-vm: --priority is missing", "register-vm", "--vm-uuid=abc123", "--pool=A");
    REFUSED("register-vm: --vm-uuid is missing", "register-vm", "--pool=A", "--priority=high");
    REFUSED("update-vm: nothing to change is given; add one of --pool, --priority, --vm-id", "update-vm",
            "--vm-uuid=abc123");
}

static void wrong_values(void **state)
{
    static const char *const bad_numbers[] = {
        "-1", "1.5",        "99999999999",          "abc",  "+1", "1e3", "0x1", " 1", "1 ",
        "٣",  "2147483648", "18446744073709551617", "\xff", "1\n"};
    static const char *const bad_pools[] = {"AB", "1", "*", "é", "\xff", "A "};
    static const char *const bad_priorities[] = {"urgent", "3", "-1", "hi", "\xff"};
    char option[80];
    for (size_t i = 0; i < sizeof bad_numbers / sizeof bad_numbers[0]; i++) {
        snprintf(option, sizeof option, "--gpu-id=%s", bad_numbers[i]);
        REFUSED("show-gpu: --gpu-id", "show-gpu", option);
        snprintf(option, sizeof option, "--vm-id=%s", bad_numbers[i]);
        REFUSED("set-vm-id: --vm-id", "set-vm-id", "--vm-uuid=abc123", option);
        snprintf(option, sizeof option, "--limit=%s", bad_numbers[i]);
        REFUSED("history: --limit", "history", option);
    }
    REFUSED("set-vm-id: --vm-id", "set-vm-id", "--vm-uuid=abc123", "--vm-id=0");
    REFUSED("set-vm-id: --vm-id", "set-vm-id", "--vm-uuid=abc123", "--vm-id", "-1");
    REFUSED("history: --limit", "history", "--limit=0");
    REFUSED("update-vm: --vsock-cid", "update-vm", "--vm-uuid=abc123", "--vsock-cid=2");
    REFUSED("update-vm: --vsock-cid", "update-vm", "--vm-uuid=abc123", "--vsock-cid=4294967295");
    for (size_t i = 0; i < sizeof bad_pools / sizeof bad_pools[0]; i++) {
        snprintf(option, sizeof option, "--pool=%s", bad_pools[i]);
        REFUSED("list-vms: --pool", "list-vms", option);
    }
    for (size_t i = 0; i < sizeof bad_priorities / sizeof bad_priorities[0]; i++) {
        snprintf(option, sizeof option, "--priority=%s", bad_priorities[i]);
        REFUSED("list-vms: --priority", "list-vms", option);
    }
    REFUSED("assign-gpu: --pool", "assign-gpu", "--gpu-id=0", "--pool=A,A");
    REFUSED("assign-gpu: --pool", "assign-gpu", "--gpu-id=0", "--pool=A,");
}

static void wrong_identifiers(void **state)
{
    static const char *const bad[] = {"a/b",  "..", ".hidden", "-dash", "a b",
                                      "a\nb", "é",  "\xff",    "a:b",   "*"};
    char option[400];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(option, sizeof option, "--vm-uuid=%s", bad[i]);
        REFUSED("show-vm: --vm-uuid", "show-vm", option);
    }
    snprintf(option, sizeof option, "--vm-uuid=%065d", 0);
    REFUSED("show-vm: --vm-uuid", "show-vm", option);
    snprintf(option, sizeof option, "--vm-name=%065d", 0);
    REFUSED("update-vm: --vm-name", "update-vm", "--vm-uuid=abc123", option);
    REFUSED("update-vm: --vm-name", "update-vm", "--vm-uuid=abc123", "--vm-name=\xff");
    REFUSED("update-vm: --vm-name", "update-vm", "--vm-uuid=abc123", "--vm-name=a\tb");
    REFUSED("update-vm: --vm-name", "update-vm", "--vm-uuid=abc123", "--vm-name=  ");
}

static void both_ways_to_write_an_option_mean_the_same(void **state)
{
    char *with_equals = NULL;
    char *with_space = NULL;
    char *errors = NULL;
    struct vgpu_pool pools[] = {{.pool = 'A'}, {.pool = 'B'}};
    fake.snapshot = (struct vgpu_snapshot){.pools = pools, .pool_count = 2};
    assert_int_equal(fake_run("list-gpus --pool=A", 0, &with_equals, &errors), PROGRAM_DONE);
    free(errors);
    assert_int_equal(fake_run("list-gpus --pool A", 0, &with_space, &errors), PROGRAM_DONE);
    free(errors);
    assert_string_equal(with_equals, with_space);
    assert_non_null(strstr(with_space, "Pool A has no GPU"));
    free(with_equals);
    free(with_space);
}

static void help_for_all_and_for_each(void **state)
{
    char *overview = NULL;
    char *errors = NULL;
    assert_int_equal(fake_run("--help", 0, &overview, &errors), PROGRAM_DONE);
    free(errors);
    for (size_t i = 0; i < command_count; i++) {
        char line[80];
        char *out = NULL;
        assert_non_null(strstr(overview, command_table[i].name));
        snprintf(line, sizeof line, "%s --help", command_table[i].name);
        assert_int_equal(fake_run(line, 0, &out, &errors), PROGRAM_DONE);
        snprintf(line, sizeof line, "Usage: vgpu-admin %s", command_table[i].name);
        assert_memory_equal(out, line, strlen(line));
        assert_non_null(strstr(out, "\nExample:\n  vgpu-admin "));
        assert_string_equal(errors, "");
        free(out);
        free(errors);
    }
    assert_int_equal(fake.opened, 0);
    free(overview);
}

/* Commands and options as the requirement's COMPLETE COMMAND LIST writes them. */
static void the_forms_of_the_requirement(void **state)
{
    static const char *const forms[][2] = {
        {"scan-gpus", "vgpu-admin scan-gpus\n"},
        {"show-gpu", "vgpu-admin show-gpu --gpu-id=<id>\n"},
        {"assign-gpu", "vgpu-admin assign-gpu --gpu-id=<id> --pool=<A|B>\n"},
        {"list-gpus", "vgpu-admin list-gpus [--pool=<A|B>]\n"},
        {"register-vm", "vgpu-admin register-vm --vm-uuid=<uuid> [--vm-name=<name>] --pool=<A|B> "
                        "--priority=<low|medium|high> [--vm-id=<id>]"},
        {"show-vm", "vgpu-admin show-vm --vm-uuid=<uuid>\n"},
        {"list-vms", "vgpu-admin list-vms [--pool=<A|B>] [--priority=<low|medium|high>]\n"},
        {"set-pool", "vgpu-admin set-pool --vm-uuid=<uuid> --pool=<A|B>\n"},
        {"set-priority", "vgpu-admin set-priority --vm-uuid=<uuid> --priority=<low|medium|high>\n"},
        {"set-vm-id", "vgpu-admin set-vm-id --vm-uuid=<uuid> --vm-id=<id>\n"},
        {"update-vm", "vgpu-admin update-vm --vm-uuid=<uuid> [--pool=<A|B>] [--priority=<low|medium|high>] "
                      "[--vm-id=<id>]"},
        {"remove-vm", "vgpu-admin remove-vm --vm-uuid=<uuid>\n"},
        {"status", "vgpu-admin status\n"},
        {"list-pools", "vgpu-admin list-pools\n"},
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        char line[80];
        char *out = NULL;
        char *errors = NULL;
        snprintf(line, sizeof line, "help %s", forms[i][0]);
        assert_int_equal(fake_run(line, 0, &out, &errors), PROGRAM_DONE);
        if (strncmp(out + strlen("Usage: "), forms[i][1], strlen(forms[i][1])) != 0)
            fail_msg("%s does not begin with %s", out, forms[i][1]);
        free(out);
        free(errors);
    }
}

static void version(void **state)
{
    char *out = NULL;
    char *errors = NULL;
    char expected[64];
    snprintf(expected, sizeof expected, "vgpu-admin %s\n", vgpu_version());
    assert_int_equal(fake_run("--version", 0, &out, &errors), PROGRAM_DONE);
    assert_string_equal(out, expected);
    free(out);
    free(errors);
}

static void a_failure_of_the_library_is_exit_status_1(void **state)
{
    char *out = NULL;
    char *errors = NULL;
    fake.open_status = VGPU_ERR_CORRUPT;
    assert_int_equal(fake_run("list-vms", 0, &out, &errors), PROGRAM_FAILED);
    assert_string_equal(errors, "vgpu-admin: list-vms: the fake said so\n");
    assert_string_equal(out, "");
    free(out);
    free(errors);
}

static void a_pool_that_does_not_exist_is_exit_status_1(void **state)
{
    char *out = NULL;
    char *errors = NULL;
    struct vgpu_pool pools[] = {{.pool = 'A'}, {.pool = 'B'}};
    fake.snapshot = (struct vgpu_snapshot){.pools = pools, .pool_count = 2};
    assert_int_equal(fake_run("list-vms --pool=Z", 0, &out, &errors), PROGRAM_FAILED);
    assert_string_equal(errors, "vgpu-admin: list-vms: there is no pool Z; choose one of A, B\n");
    free(out);
    free(errors);
}

static void output_that_cannot_be_written_is_a_failure(void **state)
{
    char *errors = NULL;
    size_t length = 0;
    FILE *full = fopen("/dev/full", "w");
    FILE *error_stream = open_memstream(&errors, &length);
    char *argv[] = {(char[]){"vgpu-admin"}, (char[]){"--version"}, NULL};
    assert_non_null(full);
    assert_int_equal(program_run(2, argv, full, &(struct terminal){0}, error_stream), PROGRAM_FAILED);
    fclose(error_stream);
    fclose(full);
    assert_non_null(strstr(errors, "No space left on device"));
    free(errors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(wrong_commands, reset),
        cmocka_unit_test_setup(wrong_options, reset),
        cmocka_unit_test_setup(wrong_values, reset),
        cmocka_unit_test_setup(wrong_identifiers, reset),
        cmocka_unit_test_setup(both_ways_to_write_an_option_mean_the_same, reset),
        cmocka_unit_test_setup(help_for_all_and_for_each, reset),
        cmocka_unit_test_setup(the_forms_of_the_requirement, reset),
        cmocka_unit_test_setup(version, reset),
        cmocka_unit_test_setup(a_failure_of_the_library_is_exit_status_1, reset),
        cmocka_unit_test_setup(a_pool_that_does_not_exist_is_exit_status_1, reset),
        cmocka_unit_test_setup(output_that_cannot_be_written_is_a_failure, reset),
    };
    text_init();
    return cmocka_run_group_tests_name("admin command line", tests, NULL, NULL);
}

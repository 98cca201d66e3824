#include "base/settings.h"
#include "support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char *folder;

static int enter(void **state)
{
    folder = scratch_enter();
    for (int key = 0; key < SETTING_COUNT; key++) {
        char variable[64] = "VGPU_";
        const char *name = settings_describe((enum setting_key)key)->name;
        for (size_t i = 0; name[i] != '\0'; i++)
            variable[5 + i] = (char)(name[i] >= 'a' && name[i] <= 'z' ? name[i] - 'a' + 'A' : name[i]);
        unsetenv(variable);
    }
    unsetenv("VGPU_CONFIG");
    return 0;
}

static int leave(void **state)
{
    scratch_leave();
    return 0;
}

static struct settings *load(const char *file_text)
{
    struct settings *settings = NULL;
    struct vgpu_error err = {0};
    scratch_write("vgpu.conf", file_text);
    if (settings_load(&settings, "vgpu.conf", &err) != VGPU_OK)
        fail_msg("refused: %s", err.message);
    return settings;
}

/* Expects the file to be refused with exactly this message. */
static void expect_refusal(const char *file_text, const char *message)
{
    struct settings *settings = NULL;
    struct vgpu_error err = {0};
    scratch_write("vgpu.conf", file_text);
    assert_int_equal(settings_load(&settings, "vgpu.conf", &err), VGPU_ERR_USAGE);
    assert_string_equal(err.message, message);
    assert_null(settings);
}

static void an_empty_file_leaves_the_defaults(void **state)
{
    struct settings *settings = load("");
    assert_string_equal(settings_text(settings, SETTING_STATE_DIR), "/var/lib/vgpu");
    assert_string_equal(settings_text(settings, SETTING_RUN_DIR), "/run/vgpu");
    assert_int_equal(settings_duration_us(settings, SETTING_QUANTUM), 20000);
    assert_int_equal(settings_mode(settings, SETTING_GUEST_SOCKET_MODE), 0660);
    assert_null(settings_list(settings, SETTING_LISTEN_TCP)[0]);
    assert_string_equal(settings_source(settings, SETTING_QUANTUM), "built-in default");
    settings_destroy(settings);
}

static void file_then_environment_then_option(void **state)
{
    setenv("VGPU_QUANTUM", "4ms", 1);
    setenv("VGPU_AGEING", "", 1); /* empty is not set */
    struct settings *settings = load("quantum = 3ms\nageing = 5s\nlog_level = debug\n");
    struct vgpu_error err = {0};
    assert_int_equal(settings_duration_us(settings, SETTING_QUANTUM), 4000);
    assert_string_equal(settings_source(settings, SETTING_QUANTUM), "VGPU_QUANTUM");
    assert_int_equal(settings_duration_us(settings, SETTING_AGEING), 5000000);
    assert_string_equal(settings_source(settings, SETTING_AGEING), "vgpu.conf:2");
    assert_int_equal(settings_choice(settings, SETTING_LOG_LEVEL), 3);
    assert_int_equal(settings_set_option(settings, "--quantum=5ms", &err), VGPU_OK);
    assert_int_equal(settings_duration_us(settings, SETTING_QUANTUM), 5000);
    assert_string_equal(settings_written(settings, SETTING_QUANTUM), "5ms");
    assert_string_equal(settings_source(settings, SETTING_QUANTUM), "--quantum");
    settings_destroy(settings);
}

static void the_file_is_forgiving_about_layout(void **state)
{
    struct settings *settings = load("# a comment\r\n\n   \t\n  quantum=1.5s   # for the tests\n"
                                     "listen_tcp = \"host:1 # 2\"  # quoted\n\tguest_socket_owner = a#b\n"
                                     "max_guests =12");
    assert_int_equal(settings_duration_us(settings, SETTING_QUANTUM), 1500000);
    assert_string_equal(settings_list(settings, SETTING_LISTEN_TCP)[0], "host:1 # 2");
    assert_string_equal(settings_text(settings, SETTING_GUEST_SOCKET_OWNER), "a#b");
    assert_int_equal(settings_integer(settings, SETTING_MAX_GUESTS), 12);
    settings_destroy(settings);
}

static void a_bad_line_is_named(void **state)
{
    expect_refusal("\nquantam = 1ms\n", "vgpu.conf:2: unknown setting 'quantam'; did you mean 'quantum'?");
    expect_refusal("colour = red\n",
                   "vgpu.conf:1: unknown setting 'colour'; remove it or see vgpu.conf for the names");
    expect_refusal("quantum\n", "vgpu.conf:1: 'quantum' is not of the form 'key = value'");
    expect_refusal("= 1\n", "vgpu.conf:1: '= 1' is not of the form 'key = value'");
    expect_refusal("quantum = 1ms\nquantum = 2ms\n",
                   "vgpu.conf:2: 'quantum' is set a second time; remove one of the two");
    expect_refusal("listen_tcp = \"a\n",
                   "vgpu.conf:1: listen_tcp: the value's quotes do not close at its end");
    expect_refusal("listen_tcp = \"a\" b\n",
                   "vgpu.conf:1: listen_tcp: the value's quotes do not close at its end");
}

static void a_bad_value_is_named(void **state)
{
    static const struct {
        const char *line, *complaint;
    } rows[] = {
        {"quantum = fast", "'fast' is not a duration; write for example 20ms or 1.5s"},
        {"quantum = 20", "'20' is not a duration; write for example 20ms or 1.5s"},
        {"quantum = -1ms", "'-1ms' is not a duration; write for example 20ms or 1.5s"},
        {"quantum = 1.2.3ms", "'1.2.3ms' is not a duration; write for example 20ms or 1.5s"},
        {"quantum = 1us", "'1us' is out of range; write 1ms to 60s"},
        {"quantum =", "'' is not a duration; write for example 20ms or 1.5s"},
        {"max_guests = 0", "'0' is out of range; write 1 to 65536"},
        {"max_guests = 12x", "'12x' is not a whole number"},
        {"max_guests = 99999999999999999999", "'99999999999999999999' is too large a number"},
        {"driver = nvidea", "'nvidea' is not one of nvidia or simulated; did you mean 'nvidia'?"},
        {"driver = amd", "'amd' is not one of nvidia or simulated"},
        {"guest_socket_mode = 0999", "'0999' is not a file mode; write octal digits, as 0660"},
        {"guest_socket_mode = 7777", "'7777' is out of range; write 0 to 0777"},
        {"state_dir = here", "'here' is not an absolute path"},
        {"state_dir =", "an empty path; write an absolute one"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char message[512];
        int name_length = (int)strcspn(rows[i].line, " ");
        snprintf(message, sizeof message, "vgpu.conf:1: %.*s: %s", name_length, rows[i].line,
                 rows[i].complaint);
        expect_refusal(rows[i].line, message);
    }
}

static void environment_and_options_name_themselves(void **state)
{
    struct settings *settings = NULL;
    struct vgpu_error err = {0};
    scratch_write("vgpu.conf", "");
    setenv("VGPU_LOG_LEVEL", "loud", 1);
    assert_int_equal(settings_load(&settings, "vgpu.conf", &err), VGPU_ERR_USAGE);
    assert_string_equal(err.message, "VGPU_LOG_LEVEL: 'loud' is not one of error, warning, info or debug");
    unsetenv("VGPU_LOG_LEVEL");

    settings = load("");
    assert_int_equal(settings_set_option(settings, "--quantum=x", &err), VGPU_ERR_USAGE);
    assert_string_equal(err.message, "--quantum: 'x' is not a duration; write for example 20ms or 1.5s");
    assert_int_equal(settings_set_option(settings, "--quantum", &err), VGPU_ERR_USAGE);
    assert_string_equal(err.message, "--quantum: needs a value; write --quantum=VALUE");
    assert_int_equal(settings_set_option(settings, "--quantun=1ms", &err), VGPU_ERR_USAGE);
    assert_string_equal(err.message, "--quantun: unknown setting 'quantun'; did you mean 'quantum'?");
    assert_int_equal(settings_duration_us(settings, SETTING_QUANTUM), 20000); /* unharmed */
    settings_destroy(settings);
}

static void options_take_either_dash_and_relative_paths(void **state)
{
    struct settings *settings = load("");
    struct vgpu_error err = {0};
    char expected[PATH_MAX];
    assert_true(settings_is_option("--state-dir=x"));
    assert_true(settings_is_option("--state_dir"));
    assert_false(settings_is_option("--state"));
    assert_false(settings_is_option("state_dir=x"));
    assert_int_equal(settings_set_option(settings, "--state-dir=here/", &err), VGPU_OK);
    snprintf(expected, sizeof expected, "%s/here", folder);
    assert_string_equal(settings_text(settings, SETTING_STATE_DIR), expected);
    settings_destroy(settings);
}

static void a_named_file_must_exist(void **state)
{
    struct settings *settings = NULL;
    struct vgpu_error err = {0};
    assert_int_equal(settings_load(&settings, "absent.conf", &err), VGPU_ERR_NOT_FOUND);
    assert_string_equal(err.message,
                        "absent.conf: cannot open the configuration file: No such file or directory");
    setenv("VGPU_CONFIG", "other.conf", 1);
    assert_int_equal(settings_load(&settings, NULL, &err), VGPU_ERR_NOT_FOUND);
    scratch_write("other.conf", "max_guests = 7\n");
    assert_int_equal(settings_load(&settings, NULL, &err), VGPU_OK);
    assert_int_equal(settings_integer(settings, SETTING_MAX_GUESTS), 7);
    settings_destroy(settings);
    assert_int_equal(settings_load(&settings, folder, &err), VGPU_ERR_IO); /* a folder */
}

static void a_file_of_bytes_is_refused(void **state)
{
    struct settings *settings = NULL;
    struct vgpu_error err = {0};
    FILE *file = fopen("vgpu.conf", "w");
    assert_non_null(file);
    fwrite("max_guests\0= 7\n", 1, 15, file);
    fclose(file);
    assert_int_equal(settings_load(&settings, "vgpu.conf", &err), VGPU_ERR_USAGE);
    assert_string_equal(err.message, "vgpu.conf:1: the line has a NUL byte; is this a text file?");
}

static void the_driver_is_found_by_its_traces(void **state)
{
    assert_false(settings_nvidia_driver_present(folder));
    scratch_write("proc/driver/nvidia/version", "");
    assert_true(settings_nvidia_driver_present(folder));
    assert_int_equal(unlink("proc/driver/nvidia/version"), 0);
    scratch_write("dev/nvidiactl", "");
    assert_true(settings_nvidia_driver_present(folder));
    struct settings *settings = load("");
    assert_int_equal(settings_choice(settings, SETTING_DRIVER),
                     settings_nvidia_driver_present("") ? SETTING_DRIVER_NVIDIA : SETTING_DRIVER_SIMULATED);
    settings_destroy(settings);
}

/* The example file is a copy of the table for people: each key once, commented out, with its default. */
static void the_example_file_shows_every_key(void **state)
{
    struct vgpu_error err = {0};
    struct settings *shipped = NULL;
    assert_int_equal(settings_load(&shipped, getenv("EXAMPLE_CONF"), &err), VGPU_OK);
    for (int key = 0; key < SETTING_COUNT; key++)
        assert_string_equal(settings_source(shipped, (enum setting_key)key), "built-in default");
    settings_destroy(shipped);

    FILE *example = fopen(getenv("EXAMPLE_CONF"), "r");
    FILE *bare = fopen("bare.conf", "w");
    assert_non_null(example);
    assert_non_null(bare);
    char line[512];
    while (fgets(line, sizeof line, example) != NULL)
        fputs(line[0] == '#' && line[1] >= 'a' && line[1] <= 'z' ? line + 1 : "\n", bare);
    fclose(example);
    fclose(bare);
    struct settings *settings = NULL;
    if (settings_load(&settings, "bare.conf", &err) != VGPU_OK)
        fail_msg("%s", err.message);
    for (int key = 0; key < SETTING_COUNT; key++) {
        const struct setting_description *description = settings_describe((enum setting_key)key);
        if (strncmp(settings_source(settings, (enum setting_key)key), "bare.conf:", 10) != 0)
            fail_msg("packaging/vgpu.conf lacks %s", description->name);
        if (description->default_text != NULL &&
            strcmp(settings_written(settings, (enum setting_key)key), description->default_text) != 0)
            fail_msg("packaging/vgpu.conf has another default of %s", description->name);
    }
    settings_destroy(settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_empty_file_leaves_the_defaults, enter, leave),
        cmocka_unit_test_setup_teardown(file_then_environment_then_option, enter, leave),
        cmocka_unit_test_setup_teardown(the_file_is_forgiving_about_layout, enter, leave),
        cmocka_unit_test_setup_teardown(a_bad_line_is_named, enter, leave),
        cmocka_unit_test_setup_teardown(a_bad_value_is_named, enter, leave),
        cmocka_unit_test_setup_teardown(environment_and_options_name_themselves, enter, leave),
        cmocka_unit_test_setup_teardown(options_take_either_dash_and_relative_paths, enter, leave),
        cmocka_unit_test_setup_teardown(a_named_file_must_exist, enter, leave),
        cmocka_unit_test_setup_teardown(a_file_of_bytes_is_refused, enter, leave),
        cmocka_unit_test_setup_teardown(the_driver_is_found_by_its_traces, enter, leave),
        cmocka_unit_test_setup_teardown(the_example_file_shows_every_key, enter, leave),
    };
    return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}

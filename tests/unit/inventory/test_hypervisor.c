/* VMs of hypervisors: libvirt's own test driver, a libvirt that fails as asked, and a fake xe. */
#include "inventory/hypervisor.h"
#include "inventory/hypervisor_vendor.h"

#include <dlfcn.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define QEMU "qemu:///system"

struct host {
    char directory[64];
    char run_dir[96];
    char xe[96];
    struct hypervisor_options options;
    struct hypervisor_scan scan; /* of the last ask() */
    struct vgpu_error err;
};

static int make_host(void **state)
{
    static const char *const none[] = {HYPERVISOR_NONE, NULL};
    struct host *host = calloc(1, sizeof *host);
    strcpy(host->directory, "/tmp/vgpu-hypervisor-XXXXXX");
    assert_non_null(mkdtemp(host->directory));
    snprintf(host->run_dir, sizeof host->run_dir, "%s/libvirt", host->directory);
    snprintf(host->xe, sizeof host->xe, "%s/xe", host->directory);
    assert_int_equal(mkdir(host->run_dir, 0755), 0);
    host->options = (struct hypervisor_options){
        .uris = none,
        .time_limit_ms = 20000,
        .libvirt_program = getenv("VGPU_LIBVIRT"),
        .libvirt_run_dir = host->run_dir,
        .xe_program = host->xe,
    };
    unsetenv("LIBVIRT_DEFAULT_URI");
    unsetenv("LD_LIBRARY_PATH");
    unsetenv("FAKE_LIBVIRT");
    *state = host;
    return 0;
}

static int remove_host(void **state)
{
    struct host *host = *state;
    char command[160];
    hypervisor_scan_fini(&host->scan);
    snprintf(command, sizeof command, "rm -rf '%s'", host->directory);
    assert_int_equal(system(command), 0);
    free(host);
    return 0;
}

static void use_fake_libvirt(const char *mode)
{
    setenv("LD_LIBRARY_PATH", getenv("FAKE_LIBVIRT_DIR"), 1);
    setenv("FAKE_LIBVIRT", mode, 1);
}

static enum vgpu_status ask(struct host *host, const char *const *uris)
{
    hypervisor_scan_fini(&host->scan);
    host->options.uris = uris;
    return hypervisor_scan(&host->options, &host->scan, &host->err);
}

#define ask_of(host, ...) ask(host, (const char *const[]){__VA_ARGS__, NULL})

static void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void make_xe(const struct host *host, const char *body)
{
    char script[4096];
    snprintf(script, sizeof script, "#!/bin/sh\n%s\n", body);
    write_file(host->xe, script, 0755);
}

static void make_socket(const struct host *host, const char *name)
{
    char path[192];
    snprintf(path, sizeof path, "%s/%s", host->run_dir, name);
    write_file(path, "", 0600);
}

static const struct hypervisor_vm *find_vm(const struct host *host, const char *name)
{
    for (size_t i = 0; i < host->scan.vm_count; i++)
        if (strcmp(host->scan.vms[i].vm_name, name) == 0)
            return &host->scan.vms[i];
    fail_msg("there is no VM %s", name);
    return NULL;
}

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- libvirt ---- */

/* libvirt's test driver is what these tests ask. */
static void need_libvirt(void)
{
    void *library = dlopen("libvirt.so.0", RTLD_LAZY);
    if (library == NULL)
        skip();
    else
        dlclose(library);
}

static void libvirts_test_driver_has_one_vm(void **state)
{
    struct host *host = *state;
    need_libvirt();
    assert_int_equal(ask_of(host, "test:///default"), VGPU_OK);
    assert_int_equal(host->scan.hypervisor_count, 1);
    assert_string_equal(host->scan.hypervisors[0].reason, "");
    assert_true(host->scan.hypervisors[0].answered);
    assert_int_equal(host->scan.hypervisors[0].vm_count, 1);
    assert_string_equal(host->scan.hypervisors[0].name, "test:///default");
    assert_int_equal(host->scan.vm_count, 1);
    assert_string_equal(host->scan.vms[0].vm_uuid, "6695eb01-f6a4-8304-79aa-97f2502e193f");
    assert_string_equal(host->scan.vms[0].vm_name, "test");
    assert_int_equal(host->scan.vms[0].power, VGPU_POWER_RUNNING);
}

#define DOMAIN(name, uuid, state)                                                                            \
    "<domain type='test'><name>" name "</name><uuid>" uuid                                                   \
    "</uuid><memory>8192</memory><os><type>hvm</type></os>"                                                  \
    "<test:runstate xmlns:test='http://libvirt.org/schemas/domain/test/1.0'>" state                          \
    "</test:runstate></domain>"

static void vms_of_every_state_are_listed(void **state)
{
    struct host *host = *state;
    char path[128];
    char uri[160];
    need_libvirt();
    snprintf(path, sizeof path, "%s/node.xml", host->directory);
    snprintf(uri, sizeof uri, "test://%s", path);
    write_file(path,
               "<node>" DOMAIN("web", "11111111-0000-0000-0000-00000000000A", "1")
                   DOMAIN("base", "11111111-0000-0000-0000-00000000000B", "3")
                       DOMAIN("Büro", "11111111-0000-0000-0000-00000000000C", "5") "</node>",
               0644);
    assert_int_equal(ask_of(host, uri), VGPU_OK);
    assert_string_equal(host->scan.hypervisors[0].reason, "");
    assert_int_equal(host->scan.vm_count, 3);
    assert_string_equal(find_vm(host, "web")->vm_uuid, "11111111-0000-0000-0000-00000000000a");
    assert_int_equal(find_vm(host, "web")->power, VGPU_POWER_RUNNING);
    assert_int_equal(find_vm(host, "base")->power, VGPU_POWER_PAUSED);
    assert_int_equal(find_vm(host, "Büro")->power, VGPU_POWER_SHUT_OFF);
}

static void a_uri_that_does_not_connect_says_why(void **state)
{
    struct host *host = *state;
    need_libvirt();
    assert_int_equal(ask_of(host, "test:///no/such/file.xml", "test:///default"), VGPU_OK);
    assert_false(host->scan.hypervisors[0].answered);
    assert_non_null(strstr(host->scan.hypervisors[0].reason, "libvirt does not connect"));
    assert_true(host->scan.hypervisors[1].answered);
    assert_int_equal(host->scan.vm_count, 1);
    assert_int_equal(host->scan.vms[0].hypervisor, 1);
}

static void each_state_has_its_word(void **state)
{
    static const enum vgpu_power expected[] = {
        VGPU_POWER_UNKNOWN, VGPU_POWER_RUNNING,       VGPU_POWER_RUNNING,
        VGPU_POWER_PAUSED,  VGPU_POWER_SHUTTING_DOWN, VGPU_POWER_SHUT_OFF,
        VGPU_POWER_CRASHED, VGPU_POWER_SUSPENDED,     VGPU_POWER_UNKNOWN,
    };
    struct host *host = *state;
    use_fake_libvirt("odd");
    assert_int_equal(ask_of(host, QEMU), VGPU_OK);
    assert_int_equal(host->scan.vm_count, 9);
    for (size_t i = 0; i < 9; i++)
        assert_int_equal(host->scan.vms[i].power, expected[i]);
    assert_string_equal(host->scan.vms[0].vm_uuid, "abcdef01-0000-0000-0000-000000000000");
    assert_string_equal(host->scan.vms[8].vm_name, "B\xc3\xbcro?\xff?x");
}

static void thousands_of_vms_are_listed(void **state)
{
    struct host *host = *state;
    use_fake_libvirt("many");
    assert_int_equal(ask_of(host, QEMU), VGPU_OK);
    assert_int_equal(host->scan.vm_count, 5000);
    for (size_t i = 1; i < host->scan.vm_count; i++)
        assert_true(strcmp(host->scan.vms[i - 1].vm_uuid, host->scan.vms[i].vm_uuid) < 0);
}

static void a_libvirt_that_hangs_costs_the_time_limit_and_no_more(void **state)
{
    struct host *host = *state;
    use_fake_libvirt("hang");
    make_xe(host, "echo 'uuid ( RO)    : 11111111-0000-0000-0000-000000000001'");
    host->options.time_limit_ms = 2000;
    double before = seconds_now();
    assert_int_equal(ask_of(host, QEMU, "qemu+ssh://far/system", "xe"), VGPU_OK);
    assert_true(seconds_now() - before < 60); /* both wait at the same time; a slow machine may be slow */
    assert_non_null(strstr(host->scan.hypervisors[0].reason, "does not answer within 2 s"));
    assert_non_null(strstr(host->scan.hypervisors[1].reason, "does not answer within 2 s"));
    assert_true(host->scan.hypervisors[2].answered);
    assert_int_equal(host->scan.vm_count, 1);
}

static void a_libvirt_that_crashes_or_refuses_is_said_to(void **state)
{
    struct host *host = *state;
    use_fake_libvirt("crash");
    assert_int_equal(ask_of(host, QEMU), VGPU_OK);
    assert_false(host->scan.hypervisors[0].answered);
    assert_non_null(strstr(host->scan.hypervisors[0].reason, "signal"));
    use_fake_libvirt("refuse");
    assert_int_equal(ask_of(host, QEMU), VGPU_OK);
    assert_string_equal(host->scan.hypervisors[0].reason, "libvirt does not connect: the fake refuses");
}

static void half_a_list_is_no_list(void **state)
{
    struct host *host = *state;
    use_fake_libvirt("half");
    assert_int_equal(ask_of(host, QEMU), VGPU_OK);
    assert_false(host->scan.hypervisors[0].answered);
    assert_int_equal(host->scan.vm_count, 0);
}

static void without_its_program_libvirt_does_not_answer(void **state)
{
    struct host *host = *state;
    host->options.libvirt_program = "/nowhere/vgpu-libvirt";
    assert_int_equal(ask_of(host, QEMU), VGPU_OK);
    assert_non_null(strstr(host->scan.hypervisors[0].reason, "install vgpu anew"));
}

/* ---- xe ---- */

#define XE_RECORDS                                                                                           \
    "cat <<'END'\n"                                                                                          \
    "uuid ( RO)                  : 5E2F0B7C-1111-4A52-9D0F-0123456789AB\n"                                   \
    "            name-label ( RW): web: first ( RO): one\n"                                                  \
    "           power-state ( RO): running\n"                                                                \
    "     is-control-domain ( RO): false\n\n\n"                                                              \
    "uuid ( RO)                  : 00000000-2222-4a52-9d0f-0123456789ab\n"                                   \
    "            name-label ( RW): Control domain on host: xcp\n"                                            \
    "           power-state ( RO): running\n"                                                                \
    "     is-control-domain ( RO): true\n\n\n"                                                               \
    "uuid ( RO)                  : 7e2f0b7c-3333-4a52-9d0f-0123456789ab\n"                                   \
    "            name-label ( RW): \n"                                                                       \
    "           power-state ( RO): halted\n"                                                                 \
    "     is-control-domain ( RO): false\n\n\n"                                                              \
    "uuid ( RO)                  : 8e2f0b7c-4444-4a52-9d0f-0123456789ab\n"                                   \
    "            name-label ( RW): db\n"                                                                     \
    "           power-state ( RO): suspended\n"                                                              \
    "     is-control-domain ( RO): false\n"                                                                  \
    "END\n"

static void xe_lists_its_vms_without_the_control_domain(void **state)
{
    struct host *host = *state;
    make_xe(host, "test \"$*\" = 'vm-list params=uuid,name-label,power-state,is-control-domain' || exit "
                  "1\n" XE_RECORDS);
    assert_int_equal(ask_of(host, "xe"), VGPU_OK);
    assert_string_equal(host->scan.hypervisors[0].reason, "");
    assert_int_equal(host->scan.vm_count, 3);
    assert_int_equal(host->scan.hypervisors[0].vm_count, 3);
    assert_string_equal(host->scan.vms[0].vm_uuid, "5e2f0b7c-1111-4a52-9d0f-0123456789ab");
    assert_string_equal(host->scan.vms[0].vm_name, "web: first ( RO): one");
    assert_int_equal(host->scan.vms[0].power, VGPU_POWER_RUNNING);
    assert_string_equal(host->scan.vms[1].vm_name, "");
    assert_int_equal(host->scan.vms[1].power, VGPU_POWER_SHUT_OFF);
    assert_int_equal(host->scan.vms[2].power, VGPU_POWER_SUSPENDED);
}

static void an_xe_that_fails_says_why(void **state)
{
    struct host *host = *state;
    make_xe(host, "echo 'Error: Connection refused (calling connect )' >&2; exit 1");
    assert_int_equal(ask_of(host, "xe"), VGPU_OK);
    assert_string_equal(host->scan.hypervisors[0].reason, "Error: Connection refused (calling connect )");
    make_xe(host, "exit 3");
    assert_int_equal(ask_of(host, "xe"), VGPU_OK);
    assert_string_equal(host->scan.hypervisors[0].reason, "it says nothing");
    unlink(host->xe);
    assert_int_equal(ask_of(host, "xe"), VGPU_OK);
    assert_non_null(strstr(host->scan.hypervisors[0].reason, "no program xe"));
}

static void what_an_ended_program_left_behind_is_ended_too(void **state)
{
    struct host *host = *state;
    make_xe(host, "sleep 1000 & echo $! > \"${0%/xe}/pid\"; wait");
    host->options.time_limit_ms = 500;
    assert_int_equal(ask_of(host, "xe"), VGPU_OK);
    assert_false(host->scan.hypervisors[0].answered);
    char path[160];
    int pid = 0;
    snprintf(path, sizeof path, "%s/pid", host->directory);
    FILE *file = fopen(path, "r");
    int got_pid = file == NULL ? 0 : fscanf(file, "%d", &pid);
    if (file != NULL)
        fclose(file);
    if (got_pid != 1)
        return; /* a machine so slow that the script did not come so far */
    for (int i = 0; i < 6000 && access(path, F_OK) == 0; i++) {
        char process[64];
        char line[256] = "";
        snprintf(process, sizeof process, "/proc/%d/stat", pid);
        FILE *stat_file = fopen(process, "r");
        if (stat_file == NULL)
            return;
        char *got = fgets(line, sizeof line, stat_file);
        fclose(stat_file);
        if (got == NULL || strstr(line, ") Z ") != NULL)
            return; /* ended; its parent has not looked yet */
        usleep(10000);
    }
    fail_msg("process %d still runs", pid);
}

static void rubbish_is_no_vm(void **state)
{
    struct host *host = *state;
    make_xe(host, "printf 'uuid\\n\\n: x\\nuuid ( RO) : nonsense\\nname-label ( RW): x\\n\\000\\377): \\n'");
    assert_int_equal(ask_of(host, "xe"), VGPU_OK);
    assert_true(host->scan.hypervisors[0].answered);
    assert_int_equal(host->scan.vm_count, 0);
}

/* ---- Whom to ask ---- */

static void none_asks_nobody(void **state)
{
    struct host *host = *state;
    make_xe(host, XE_RECORDS);
    assert_int_equal(ask_of(host, "none"), VGPU_OK);
    assert_int_equal(host->scan.hypervisor_count, 0);
}

static void a_host_without_a_hypervisor_has_none(void **state)
{
    struct host *host = *state;
    assert_int_equal(ask_of(host, "auto"), VGPU_OK);
    assert_int_equal(host->scan.hypervisor_count, 0);
    assert_int_equal(host->scan.vm_count, 0);
}

static void auto_finds_what_has_a_socket_or_an_xe(void **state)
{
    struct host *host = *state;
    use_fake_libvirt("odd");
    make_socket(host, "virtqemud-sock-ro");
    make_xe(host, XE_RECORDS);
    assert_int_equal(ask_of(host, "auto"), VGPU_OK);
    assert_int_equal(host->scan.hypervisor_count, 2);
    assert_string_equal(host->scan.hypervisors[0].name, QEMU);
    assert_string_equal(host->scan.hypervisors[1].name, "xe");
    assert_int_equal(host->scan.vm_count, 12);
}

static void of_the_one_daemon_only_drivers_that_answer_are_told(void **state)
{
    struct host *host = *state;
    use_fake_libvirt("odd");
    make_socket(host, "libvirt-sock-ro");
    assert_int_equal(ask_of(host, "auto"), VGPU_OK);
    assert_int_equal(host->scan.hypervisor_count, 1);
    assert_string_equal(host->scan.hypervisors[0].name, QEMU);
    use_fake_libvirt("refuse");
    assert_int_equal(ask_of(host, "auto"), VGPU_OK);
    assert_int_equal(host->scan.hypervisor_count, 1);
    assert_string_equal(host->scan.hypervisors[0].name, QEMU);
    assert_false(host->scan.hypervisors[0].answered);
}

static void libvirts_own_default_comes_first(void **state)
{
    struct host *host = *state;
    make_socket(host, "virtqemud-sock-ro");
    setenv("LIBVIRT_DEFAULT_URI", "test:///default", 1);
    assert_int_equal(ask_of(host, "auto"), VGPU_OK);
    assert_int_equal(host->scan.hypervisor_count, 1);
    assert_string_equal(host->scan.hypervisors[0].name, "test:///default");
}

static void a_vm_that_two_know_is_one(void **state)
{
    struct host *host = *state;
    need_libvirt();
    assert_int_equal(ask_of(host, "test:///default", "test:///default"), VGPU_OK);
    assert_int_equal(host->scan.hypervisor_count, 2);
    assert_int_equal(host->scan.vm_count, 1);
    assert_int_equal(host->scan.vms[0].hypervisor, 0);
}

static void a_word_that_names_no_hypervisor_is_refused(void **state)
{
    static const char *const words[] = {"qemu", ":///system", "libvirt", "auto2", "XE"};
    struct host *host = *state;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        assert_int_equal(ask_of(host, words[i]), VGPU_ERR_USAGE);
        assert_non_null(strstr(host->err.message, words[i]));
    }
    assert_int_equal(ask_of(host, "auto", "xe"), VGPU_ERR_USAGE);
    char endless[VGPU_HYPERVISOR_BYTES + 20];
    memset(endless, 'x', sizeof endless);
    memcpy(endless, "qemu:///", 8);
    endless[sizeof endless - 1] = '\0';
    assert_int_equal(ask_of(host, endless), VGPU_ERR_USAGE);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_host, remove_host)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(libvirts_test_driver_has_one_vm),
        TEST(vms_of_every_state_are_listed),
        TEST(a_uri_that_does_not_connect_says_why),
        TEST(each_state_has_its_word),
        TEST(thousands_of_vms_are_listed),
        TEST(a_libvirt_that_hangs_costs_the_time_limit_and_no_more),
        TEST(a_libvirt_that_crashes_or_refuses_is_said_to),
        TEST(half_a_list_is_no_list),
        TEST(without_its_program_libvirt_does_not_answer),
        TEST(xe_lists_its_vms_without_the_control_domain),
        TEST(an_xe_that_fails_says_why),
        TEST(what_an_ended_program_left_behind_is_ended_too),
        TEST(rubbish_is_no_vm),
        TEST(none_asks_nobody),
        TEST(a_host_without_a_hypervisor_has_none),
        TEST(auto_finds_what_has_a_socket_or_an_xe),
        TEST(of_the_one_daemon_only_drivers_that_answer_are_told),
        TEST(libvirts_own_default_comes_first),
        TEST(a_vm_that_two_know_is_one),
        TEST(a_word_that_names_no_hypervisor_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

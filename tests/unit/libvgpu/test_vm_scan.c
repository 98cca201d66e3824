/* VMs of hypervisors compared with those registered, and registered all at once. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define UUID(last) "aaaaaaaa-0000-4000-8000-00000000000" last

/* A vgpu-libvirt that prints what the file beside it, named after the URI's last part, has; without such a
 * file it fails. */
static void make_libvirt(const struct fixture *fixture)
{
    char path[128];
    snprintf(path, sizeof path, "%s/vgpu-libvirt", fixture->directory);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("#!/bin/sh\nif [ -f \"${0%/*}/${1##*/}\" ]; then cat \"${0%/*}/${1##*/}\"; else echo 'it is away'; "
          "exit 1; fi\n",
          file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0755), 0);
    setenv("VGPU_LIBVIRT", path, 1);
}

static void hypervisor_has(const struct fixture *fixture, const char *name, const char *lines)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", fixture->directory, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(lines, file);
    assert_int_equal(fclose(file), 0);
}

static int open_with(void **state, const char *uris)
{
    setenv("VGPU_HYPERVISOR_URIS", uris, 1);
    if (fixture_open(state) != 0)
        return -1;
    make_libvirt(*state);
    return 0;
}

static int open_two(void **state)
{
    return open_with(state, "qemu:///one, lxc:///two");
}

static int open_none(void **state)
{
    return open_with(state, "none");
}

static void register_vm(struct fixture *fixture, const char *vm_uuid)
{
    struct vgpu_vm_registration registration = {
        .vm_uuid = vm_uuid, .pool = 'A', .priority = VGPU_PRIORITY_LOW};
    assert_done(fixture, vgpu_register_vm(fixture->vgpu, &registration, NULL, &fixture->err));
}

static struct vgpu_vm_scan scan_vms(struct fixture *fixture)
{
    struct vgpu_vm_scan scan;
    assert_done(fixture, vgpu_scan_vms(fixture->vgpu, NULL, 0, &scan, &fixture->err));
    return scan;
}

static const struct vgpu_scanned_vm *find(const struct vgpu_vm_scan *scan, const char *vm_uuid)
{
    for (size_t i = 0; i < scan->vm_count; i++)
        if (strcmp(scan->vms[i].vm.vm_uuid, vm_uuid) == 0)
            return &scan->vms[i];
    fail_msg("%s is not in the scan", vm_uuid);
    return NULL;
}

static void each_vm_is_registered_or_not_or_gone(void **state)
{
    struct fixture *fixture = *state;
    hypervisor_has(fixture, "one", UUID("1") "\t1\tweb\n" UUID("A") "\t5\tVM-10\n");
    hypervisor_has(fixture, "two", UUID("3") "\t3\tVM-9\n");
    register_vm(fixture, "AAAAAAAA-0000-4000-8000-000000000001");
    register_vm(fixture, UUID("7"));
    register_vm(fixture, "abc123");
    struct vgpu_vm_scan scan = scan_vms(fixture);
    assert_int_equal(scan.hypervisor_count, 2);
    assert_int_equal(scan.hypervisors[0].vm_count, 2);
    assert_int_equal(scan.vm_count, 5);
    const struct vgpu_scanned_vm *web = &scan.vms[0];
    assert_int_equal(web->state, VGPU_VM_REGISTERED);
    assert_int_equal(web->power, VGPU_POWER_RUNNING);
    assert_string_equal(web->hypervisor, "qemu:///one");
    assert_string_equal(web->vm.vm_name, "VM-1"); /* as registered */
    assert_int_equal(find(&scan, UUID("7"))->state, VGPU_VM_VANISHED);
    assert_int_equal(find(&scan, "abc123")->state, VGPU_VM_REGISTERED); /* a word is nobody's UUID */
    assert_int_equal(find(&scan, "abc123")->power, VGPU_POWER_UNKNOWN);
    assert_string_equal(scan.vms[3].vm.vm_name, "VM-9"); /* by name, numbers as numbers */
    assert_int_equal(scan.vms[3].state, VGPU_VM_UNREGISTERED);
    assert_int_equal(scan.vms[3].power, VGPU_POWER_PAUSED);
    assert_string_equal(scan.vms[4].vm.vm_name, "VM-10");
    assert_string_equal(scan.vms[4].vm.vm_uuid, UUID("a"));
    vgpu_vm_scan_fini(&scan);
}

static void a_word_that_is_the_hypervisors_name_is_that_vm(void **state)
{
    struct fixture *fixture = *state;
    hypervisor_has(fixture, "one", UUID("1") "\t5\tweb\n");
    hypervisor_has(fixture, "two", "");
    register_vm(fixture, "web");
    struct vgpu_vm_scan scan = scan_vms(fixture);
    assert_int_equal(scan.vm_count, 1);
    assert_int_equal(scan.vms[0].state, VGPU_VM_REGISTERED);
    assert_int_equal(scan.vms[0].power, VGPU_POWER_SHUT_OFF);
    assert_string_equal(scan.vms[0].vm.vm_uuid, "web");
    vgpu_vm_scan_fini(&scan);
}

static void while_one_is_silent_no_vm_is_called_gone(void **state)
{
    struct fixture *fixture = *state;
    hypervisor_has(fixture, "one", UUID("1") "\t1\tweb\n");
    register_vm(fixture, UUID("7"));
    struct vgpu_vm_scan scan = scan_vms(fixture);
    assert_int_equal(find(&scan, UUID("7"))->state, VGPU_VM_REGISTERED);
    assert_true(scan.hypervisors[0].answered);
    assert_false(scan.hypervisors[1].answered);
    assert_string_equal(scan.hypervisors[1].reason, "it is away");
    vgpu_vm_scan_fini(&scan);
}

static void a_snapshot_serves_as_what_is_registered(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_snapshot snapshot;
    struct vgpu_vm_scan scan;
    hypervisor_has(fixture, "one", UUID("1") "\t1\tweb\n");
    hypervisor_has(fixture, "two", "");
    register_vm(fixture, UUID("1"));
    assert_done(fixture, vgpu_get_snapshot(fixture->vgpu, &snapshot, &fixture->err));
    assert_done(fixture, vgpu_remove_vm(fixture->vgpu, UUID("1"), NULL, &fixture->err));
    assert_done(fixture, vgpu_scan_vms(fixture->vgpu, &snapshot, 0, &scan, &fixture->err));
    assert_int_equal(scan.vm_count, 1);
    assert_int_equal(scan.vms[0].state, VGPU_VM_REGISTERED);
    vgpu_snapshot_fini(&snapshot);
    vgpu_vm_scan_fini(&scan);
}

static void without_hypervisors_there_is_what_is_registered(void **state)
{
    struct fixture *fixture = *state;
    register_vm(fixture, UUID("7"));
    struct vgpu_vm_scan scan = scan_vms(fixture);
    assert_int_equal(scan.hypervisor_count, 0);
    assert_int_equal(scan.vm_count, 1);
    assert_int_equal(scan.vms[0].state, VGPU_VM_REGISTERED);
    vgpu_vm_scan_fini(&scan);
    assert_null(scan.vms);
}

static void names_are_made_fit(void **state)
{
    static const char nine_umlauts[] = "üüüüüüüüü";
    struct fixture *fixture = *state;
    char lines[1024];
    char longest[600] = "";
    for (int i = 0; i < 9; i++)
        strcat(longest, nine_umlauts);
    snprintf(lines, sizeof lines,
             UUID("1") "\t1\t%s\n" UUID("2") "\t1\ta\x01\xff"
                                             "b\n" UUID("3") "\t1\t \n",
             longest);
    hypervisor_has(fixture, "one", lines);
    hypervisor_has(fixture, "two", "");
    struct vgpu_vm_scan scan = scan_vms(fixture);
    char name[VGPU_VM_NAME_BYTES];
    assert_int_equal(strlen(find(&scan, UUID("1"))->vm.vm_name), 128);
    assert_done(fixture, vgpu_parse_vm_name(find(&scan, UUID("1"))->vm.vm_name, name, &fixture->err));
    assert_string_equal(find(&scan, UUID("2"))->vm.vm_name, "ab");
    assert_string_equal(find(&scan, UUID("3"))->vm.vm_name, "");
    struct vgpu_vm *vms = NULL;
    size_t count = 0;
    assert_done(fixture, vgpu_register_scanned_vms(fixture->vgpu, &scan, 'A', VGPU_PRIORITY_HIGH, &vms,
                                                   &count, &fixture->err));
    assert_int_equal(count, 3);
    assert_string_equal(vms[0].vm_name, "VM-1"); /* the nameless one comes first */
    vgpu_free(vms);
    vgpu_vm_scan_fini(&scan);
}

static size_t registered_count(struct fixture *fixture)
{
    struct vgpu_vm *vms = NULL;
    size_t count = 0;
    assert_done(fixture, vgpu_list_vms(fixture->vgpu, NULL, &vms, &count, &fixture->err));
    vgpu_free(vms);
    return count;
}

static void all_unregistered_ones_are_registered_or_none(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_vm *vms = NULL;
    size_t count = 99;
    hypervisor_has(fixture, "one", UUID("1") "\t1\tweb\n" UUID("2") "\t5\tdb\n");
    hypervisor_has(fixture, "two", UUID("3") "\t3\tbox\n");
    register_vm(fixture, UUID("2"));
    struct vgpu_vm_scan scan = scan_vms(fixture);
    enum vgpu_status status =
        vgpu_register_scanned_vms(fixture->vgpu, &scan, 'Q', VGPU_PRIORITY_HIGH, &vms, &count, &fixture->err);
    assert_refused(fixture, status, VGPU_ERR_NOT_FOUND, "Q");
    assert_int_equal(registered_count(fixture), 1);
    assert_int_equal(count, 99);

    char *last = scan.vms[scan.vm_count - 1].vm.vm_uuid; /* one that is refused after one that is not */
    *last = '-';
    status =
        vgpu_register_scanned_vms(fixture->vgpu, &scan, 'B', VGPU_PRIORITY_HIGH, &vms, &count, &fixture->err);
    assert_refused(fixture, status, VGPU_ERR_USAGE, "identifier");
    assert_int_equal(registered_count(fixture), 1);
    *last = 'a';

    register_vm(fixture, UUID("3")); /* by somebody else, meanwhile */
    assert_done(fixture, vgpu_register_scanned_vms(fixture->vgpu, &scan, 'B', VGPU_PRIORITY_MEDIUM, &vms,
                                                   &count, &fixture->err));
    assert_int_equal(count, 1);
    assert_string_equal(vms[0].vm_uuid, UUID("1"));
    assert_string_equal(vms[0].vm_name, "web");
    assert_int_equal(vms[0].pool, 'B');
    assert_int_equal(vms[0].priority, VGPU_PRIORITY_MEDIUM);
    assert_int_equal(vms[0].vm_id, 3);
    vgpu_free(vms);
    vgpu_vm_scan_fini(&scan);

    scan = scan_vms(fixture);
    assert_done(fixture, vgpu_register_scanned_vms(fixture->vgpu, &scan, 'B', VGPU_PRIORITY_MEDIUM, &vms,
                                                   &count, &fixture->err));
    assert_int_equal(count, 0);
    assert_null(vms);
    vgpu_vm_scan_fini(&scan);
    assert_int_equal(registered_count(fixture), 3);
}

static int open_nonsense(void **state)
{
    return open_with(state, "everything");
}

static void a_setting_that_names_no_hypervisor_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_vm_scan scan;
    enum vgpu_status status = vgpu_scan_vms(fixture->vgpu, NULL, 0, &scan, &fixture->err);
    assert_refused(fixture, status, VGPU_ERR_USAGE, "hypervisor_uris: 'everything'");
}

#define WITH_TWO(function) cmocka_unit_test_setup_teardown(function, open_two, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TWO(each_vm_is_registered_or_not_or_gone),
        WITH_TWO(a_word_that_is_the_hypervisors_name_is_that_vm),
        WITH_TWO(while_one_is_silent_no_vm_is_called_gone),
        WITH_TWO(a_snapshot_serves_as_what_is_registered),
        WITH_TWO(names_are_made_fit),
        WITH_TWO(all_unregistered_ones_are_registered_or_none),
        cmocka_unit_test_setup_teardown(without_hypervisors_there_is_what_is_registered, open_none,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(a_setting_that_names_no_hypervisor_is_refused, open_nonsense,
                                        fixture_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

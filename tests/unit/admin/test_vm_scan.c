/* scan-vms and what the control panel says of unregistered VMs: the layout of the requirement to the letter.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "admin/program.h"
#include "admin/text.h"
#include "fake_library.h"

#define VM_MAX 300

static struct vgpu_gpu gpus[2];
static struct vgpu_scanned_vm vms[VM_MAX];
static struct vgpu_hypervisor hypervisors[2];

static struct vgpu_optional known(int64_t value)
{
    return (struct vgpu_optional){.known = true, .value = value};
}

static struct vgpu_scanned_vm *add_vm(enum vgpu_registration_state state, const char *vm_uuid,
                                      const char *vm_name)
{
    struct vgpu_scanned_vm *vm = &vms[fake.scan.vm_count++];
    *vm = (struct vgpu_scanned_vm){.state = state};
    snprintf(vm->vm.vm_uuid, sizeof vm->vm.vm_uuid, "%s", vm_uuid);
    snprintf(vm->vm.vm_name, sizeof vm->vm.vm_name, "%s", vm_name);
    return vm;
}

static void add_registered(const char *vm_uuid, int number, int gpu_id, enum vgpu_priority priority)
{
    char name[16];
    snprintf(name, sizeof name, "VM-%d", number > 2 ? 3 : number);
    struct vgpu_scanned_vm *vm = add_vm(VGPU_VM_REGISTERED, vm_uuid, name);
    vm->vm.vm_id = number;
    vm->vm.pool = (char)('A' + gpu_id);
    vm->vm.gpu_id = known(gpu_id);
    vm->vm.priority = priority;
}

static void add_hypervisor(const char *name, const char *reason)
{
    struct vgpu_hypervisor *hypervisor = &hypervisors[fake.scan.hypervisor_count++];
    *hypervisor = (struct vgpu_hypervisor){.answered = reason == NULL};
    snprintf(hypervisor->name, sizeof hypervisor->name, "%s", name);
    snprintf(hypervisor->reason, sizeof hypervisor->reason, "%s", reason == NULL ? "" : reason);
}

static void has_power(size_t vm, enum vgpu_power power, const char *hypervisor)
{
    vms[vm].power = power;
    snprintf(vms[vm].hypervisor, sizeof vms[vm].hypervisor, "%s", hypervisor);
}

/* The machine of the requirement's example. */
static int set_up(void **state)
{
    fake = (struct fake_library){.live_status = VGPU_ERR_UNAVAILABLE};
    for (int i = 0; i < 2; i++)
        gpus[i] = (struct vgpu_gpu){.gpu_id = i,
                                    .gpu_name = "NVIDIA H100 80GB PCIe",
                                    .pools = {(char)('A' + i)},
                                    .utilization_percent = known(i == 0 ? 45 : 30)};
    fake.snapshot = (struct vgpu_snapshot){.gpus = gpus, .gpu_count = 2};
    fake.scan = (struct vgpu_vm_scan){.vms = vms, .hypervisors = hypervisors};
    add_hypervisor("qemu:///system", NULL);
    add_registered("abc123", 1, 0, VGPU_PRIORITY_HIGH);
    add_registered("def456", 2, 0, VGPU_PRIORITY_MEDIUM);
    add_registered("ghi789", 8, 1, VGPU_PRIORITY_HIGH);
    add_vm(VGPU_VM_UNREGISTERED, "jkl012", "VM-4");
    return 0;
}

static void expect(const char *command_line, size_t width, const char *expected)
{
    char *out = NULL;
    char *errors = NULL;
    assert_int_equal(fake_run(command_line, width, &out, &errors), PROGRAM_DONE);
    assert_string_equal(errors, "");
    assert_string_equal(out, expected);
    free(out);
    free(errors);
}

static void expect_part(const char *command_line, size_t width, const char *part)
{
    char *out = NULL;
    char *errors = NULL;
    assert_int_equal(fake_run(command_line, width, &out, &errors), PROGRAM_DONE);
    if (strstr(out, part) == NULL)
        fail_msg("not in the output: %s\n--- output\n%s", part, out);
    free(out);
    free(errors);
}

#define GPU_LINES                                                                                            \
    "=== Physical GPUs ===\n"                                                                                \
    "GPU 0: NVIDIA H100 80GB PCIe | Pool: A | Status: Online | Utilization: 45%\n"                           \
    "GPU 1: NVIDIA H100 80GB PCIe | Pool: B | Status: Online | Utilization: 30%\n"                           \
    "\n"

static void the_requirements_layout_is_kept(void **state)
{
    expect("scan-vms", 0,
           GPU_LINES "=== Registered VMs (3) ===\n"
                     "UUID: abc123 | Name: VM-1 | Pool: A → GPU 0 | Priority: high | VM ID: 1\n"
                     "UUID: def456 | Name: VM-2 | Pool: A → GPU 0 | Priority: medium | VM ID: 2\n"
                     "UUID: ghi789 | Name: VM-3 | Pool: B → GPU 1 | Priority: high | VM ID: 8\n"
                     "\n"
                     "=== Unregistered VMs (1) ===\n"
                     "UUID: jkl012 | Name: VM-4 | Status: Not registered\n");
}

static void power_and_vanished_vms_are_added_behind(void **state)
{
    has_power(0, VGPU_POWER_RUNNING, "qemu:///system");
    has_power(3, VGPU_POWER_SHUT_OFF, "xe");
    vms[2].state = VGPU_VM_VANISHED;
    vms[1].vm.gpu_id.known = false;
    add_hypervisor("xe", NULL);
    expect("scan-vms", 0,
           GPU_LINES
           "=== Registered VMs (3) ===\n"
           "UUID: abc123 | Name: VM-1 | Pool: A → GPU 0 | Priority: high | VM ID: 1 | Power: running | "
           "Hypervisor: qemu:///system\n"
           "UUID: def456 | Name: VM-2 | Pool: A → no GPU | Priority: medium | VM ID: 2\n"
           "UUID: ghi789 | Name: VM-3 | Pool: B → GPU 1 | Priority: high | VM ID: 8\n"
           "\n"
           "=== Unregistered VMs (1) ===\n"
           "UUID: jkl012 | Name: VM-4 | Status: Not registered | Power: shut off | Hypervisor: xe\n"
           "\n"
           "=== Vanished VMs (1) ===\n"
           "UUID: ghi789 | Name: VM-3 | Status: Registered, but no hypervisor knows it\n");
}

static void without_a_hypervisor_the_registered_ones_are_listed(void **state)
{
    fake.scan.hypervisor_count = 0;
    fake.scan.vm_count = 1;
    expect("scan-vms", 0,
           GPU_LINES
           "=== Registered VMs (1) ===\n"
           "UUID: abc123 | Name: VM-1 | Pool: A → GPU 0 | Priority: high | VM ID: 1\n"
           "\n"
           "=== Unregistered VMs (0) ===\n"
           "No hypervisor is asked for its VMs: this host seems to have none, or hypervisor_uris in "
           "vgpu.conf says so\n");
    expect_part("status", 0, "\nUnregistered VMs: 0 known\n  (no hypervisor is asked for its VMs)\n\n");
}

static void a_hypervisor_that_is_silent_is_told(void **state)
{
    add_hypervisor("xe", "it does not answer within 10 s");
    expect_part("scan-vms", 0,
                "| Status: Not registered\nThe VMs of xe are not known: it does not answer within 10 s\n");
    expect_part("status", 0,
                "  VM-4 (not assigned to any pool)\n"
                "  The VMs of xe are not known: it does not answer within 10 s\n");
}

static void the_panel_names_unregistered_and_vanished_vms(void **state)
{
    fake.scan.vm_count = 0;
    add_vm(VGPU_VM_UNREGISTERED, "a", "VM-21");
    add_vm(VGPU_VM_UNREGISTERED, "b", "VM-22");
    add_vm(VGPU_VM_UNREGISTERED, "c-uuid", ""); /* one without a name is known by its UUID */
    expect_part("status", 0,
                "\nUnregistered VMs: 3\n  VM-21, VM-22, c-uuid (not assigned to any pool)\n\nQueue:");
    add_vm(VGPU_VM_VANISHED, "d", "VM-5");
    expect_part("status", 0,
                "(not assigned to any pool)\n\n"
                "Vanished VMs: 1\n  VM-5 (registered, but no hypervisor knows them)\n\nQueue:");
    fake.scan.vm_count = 0;
    expect_part("status", 0, "\nUnregistered VMs: 0\n\nQueue:");
}

static void many_names_wrap_on_a_terminal(void **state)
{
    char *out = NULL;
    char *errors = NULL;
    fake.scan.vm_count = 0;
    for (int i = 0; i < VM_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "VM-%d", i);
        add_vm(VGPU_VM_UNREGISTERED, name, name);
    }
    assert_int_equal(fake_run("status", 60, &out, &errors), PROGRAM_DONE);
    const char *line = strstr(out, "Unregistered VMs: 300\n");
    assert_non_null(line);
    for (const char *end; (end = strchr(line, '\n')) != NULL && strncmp(line, "Queue", 5) != 0;
         line = end + 1)
        assert_true(end - line <= 60);
    assert_non_null(strstr(out, "(not assigned to any pool)\n"));
    free(out);
    free(errors);
}

static void a_scan_that_fails_leaves_the_panel(void **state)
{
    fake.scan_status = VGPU_ERR_USAGE;
    expect_part("status", 0,
                "Unregistered VMs: 0 known\n  (no hypervisor is asked for its VMs)\n  the fake said so\n");
    char *out = NULL;
    char *errors = NULL;
    assert_int_equal(fake_run("scan-vms", 0, &out, &errors), PROGRAM_WRONG_USAGE);
    assert_string_equal(out, "");
    assert_string_equal(errors, "vgpu-admin: scan-vms: the fake said so\n");
    free(out);
    free(errors);
}

static void json_has_all_of_it(void **state)
{
    has_power(0, VGPU_POWER_RUNNING, "qemu:///system");
    expect_part("scan-vms --json", 0, "\"state\": \"registered\"");
    expect_part("scan-vms --json", 0, "\"power\": \"running\"");
    expect_part("scan-vms --json", 0,
                "\"vm_name\": \"VM-4\",\n      \"power\": null,\n      \"hypervisor\": null,\n"
                "      \"vm\": null");
    expect_part("scan-vms --json", 0, "\"name\": \"qemu:///system\",\n      \"answered\": true");
    expect_part("status --json", 0, "\"unregistered_vms\": [\n    {\n      \"state\": \"unregistered\"");
}

static void one_and_all_contradict(void **state)
{
    static const char *const lines[] = {
        "register-vm --all-unregistered --vm-uuid=a --pool=A --priority=low",
        "register-vm --all-unregistered --vm-name=a --pool=A --priority=low",
        "register-vm --all-unregistered --vm-id=7 --pool=A --priority=low",
        "register-vm --all-unregistered --vsock-cid=7 --pool=A --priority=low",
        "register-vm --all-unregistered=yes --pool=A --priority=low",
        "register-vm --all-unregistered --priority=low",
        "register-vm --all-unregistered --pool=A",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        char *out = NULL;
        char *errors = NULL;
        assert_int_equal(fake_run(lines[i], 0, &out, &errors), PROGRAM_WRONG_USAGE);
        assert_string_equal(out, "");
        free(out);
        free(errors);
    }
}

static void all_of_nobody_is_refused(void **state)
{
    char *out = NULL;
    char *errors = NULL;
    fake.scan.hypervisor_count = 0;
    assert_int_equal(fake_run("register-vm --all-unregistered --pool=A --priority=low", 0, &out, &errors),
                     PROGRAM_FAILED);
    assert_non_null(strstr(errors, "no hypervisor is found"));
    free(out);
    free(errors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_requirements_layout_is_kept, set_up),
        cmocka_unit_test_setup(power_and_vanished_vms_are_added_behind, set_up),
        cmocka_unit_test_setup(without_a_hypervisor_the_registered_ones_are_listed, set_up),
        cmocka_unit_test_setup(a_hypervisor_that_is_silent_is_told, set_up),
        cmocka_unit_test_setup(the_panel_names_unregistered_and_vanished_vms, set_up),
        cmocka_unit_test_setup(many_names_wrap_on_a_terminal, set_up),
        cmocka_unit_test_setup(a_scan_that_fails_leaves_the_panel, set_up),
        cmocka_unit_test_setup(json_has_all_of_it, set_up),
        cmocka_unit_test_setup(one_and_all_contradict, set_up),
        cmocka_unit_test_setup(all_of_nobody_is_refused, set_up),
    };
    text_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}

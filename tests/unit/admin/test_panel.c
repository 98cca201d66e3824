/* The control panel: the layout of the requirement to the letter, the queue, the log of grants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "admin/program.h"
#include "admin/text.h"
#include "fake_library.h"

static struct vgpu_gpu gpus[2];
static struct vgpu_vm vms[1000];
static struct vgpu_pool pools[2];

static struct vgpu_optional known(int64_t value)
{
    return (struct vgpu_optional){.known = true, .value = value};
}

static void add_vm(int number, char pool, enum vgpu_priority priority)
{
    struct vgpu_vm *vm = &vms[fake.snapshot.vm_count++];
    *vm = (struct vgpu_vm){.vm_id = number, .pool = pool, .priority = priority, .gpu_id = known(pool - 'A')};
    snprintf(vm->vm_uuid, sizeof vm->vm_uuid, "uuid-%d", number);
    snprintf(vm->vm_name, sizeof vm->vm_name, "VM-%d", number);
    pools[pool - 'A'].vm_count++;
    pools[pool - 'A'].vm_count_by_priority[priority]++;
}

/* The machine of the requirement: two GPUs, VMs 1-7 in pool A, 8-20 in pool B. */
static int set_up(void **state)
{
    fake = (struct fake_library){.live_status = VGPU_ERR_UNAVAILABLE};
    pools[0] = (struct vgpu_pool){.pool = 'A', .gpu_count = 1};
    pools[1] = (struct vgpu_pool){.pool = 'B', .gpu_count = 1};
    gpus[0] = (struct vgpu_gpu){.gpu_id = 0,
                                .gpu_uuid = "GPU-0",
                                .gpu_name = "NVIDIA H100 80GB PCIe",
                                .pci_address = "0000:01:00.0",
                                .pools = "A",
                                .memory_total_mib = known(81920),
                                .memory_used_mib = known(46080),
                                .utilization_percent = known(45),
                                .temperature_c = known(65)};
    gpus[1] = gpus[0];
    gpus[1].gpu_id = 1;
    snprintf(gpus[1].pci_address, sizeof gpus[1].pci_address, "%s", "0000:02:00.0");
    snprintf(gpus[1].pools, sizeof gpus[1].pools, "%s", "B");
    gpus[1].memory_used_mib = known(30720);
    gpus[1].utilization_percent = known(30);
    gpus[1].temperature_c = known(58);
    fake.snapshot =
        (struct vgpu_snapshot){.gpus = gpus, .gpu_count = 2, .vms = vms, .pools = pools, .pool_count = 2};
    for (int number = 1; number <= 20; number++) {
        bool in_a = number <= 7;
        int place = in_a ? number : number - 7;
        int high = in_a ? 3 : 5;
        int medium = in_a ? 2 : 6;
        add_vm(number, in_a ? 'A' : 'B',
               place <= high            ? VGPU_PRIORITY_HIGH
               : place <= high + medium ? VGPU_PRIORITY_MEDIUM
                                        : VGPU_PRIORITY_LOW);
    }
    return 0;
}

static void assert_output(const char *command_line, size_t width, const char *expected)
{
    char *out = NULL;
    char *errors = NULL;
    assert_int_equal(fake_run(command_line, width, &out, &errors), PROGRAM_DONE);
    assert_string_equal(out, expected);
    assert_string_equal(errors, "");
    free(out);
    free(errors);
}

static void assert_contains(const char *command_line, size_t width, const char *expected)
{
    char *out = NULL;
    char *errors = NULL;
    assert_int_equal(fake_run(command_line, width, &out, &errors), PROGRAM_DONE);
    if (strstr(out, expected) == NULL)
        fail_msg("%s is not in:\n%s", expected, out);
    free(out);
    free(errors);
}

#define PANEL_HEAD                                                                                           \
    "================================================================================\n"                     \
    "                    GPU Virtualization Control Panel\n"                                                 \
    "================================================================================\n"                     \
    "\n"                                                                                                     \
    "Physical GPUs:\n"                                                                                       \
    "--------------\n"

static void status_is_the_panel_of_the_requirement(void **state)
{
    assert_output("status", 0,
                  PANEL_HEAD "GPU 0: NVIDIA H100 80GB PCIe\n"
                             "  PCI: 0000:01:00.0\n"
                             "  Pool: A\n"
                             "  Status: Online\n"
                             "  Memory: 80GB (45GB used, 35GB free)\n"
                             "  Utilization: 45%\n"
                             "  Temperature: 65°C\n"
                             "  VMs Assigned: 7 (3 high, 2 medium, 2 low)\n"
                             "\n"
                             "GPU 1: NVIDIA H100 80GB PCIe\n"
                             "  PCI: 0000:02:00.0\n"
                             "  Pool: B\n"
                             "  Status: Online\n"
                             "  Memory: 80GB (30GB used, 50GB free)\n"
                             "  Utilization: 30%\n"
                             "  Temperature: 58°C\n"
                             "  VMs Assigned: 13 (5 high, 6 medium, 2 low)\n"
                             "\n"
                             "Pool Summary:\n"
                             "-------------\n"
                             "Pool A (GPU 0): 7 VMs\n"
                             "  High Priority: 3 VMs (VM-1, VM-2, VM-3)\n"
                             "  Medium Priority: 2 VMs (VM-4, VM-5)\n"
                             "  Low Priority: 2 VMs (VM-6, VM-7)\n"
                             "\n"
                             "Pool B (GPU 1): 13 VMs\n"
                             "  High Priority: 5 VMs (VM-8, VM-9, VM-10, VM-11, VM-12)\n"
                             "  Medium Priority: 6 VMs (VM-13, VM-14, VM-15, VM-16, VM-17, VM-18)\n"
                             "  Low Priority: 2 VMs (VM-19, VM-20)\n"
                             "\n"
                             "Unregistered VMs: 0 known\n"
                             "  (no hypervisor is asked for its VMs)\n"
                             "\n"
                             "Queue:\n"
                             "------\n"
                             "the fake said so\n");
}

static void status_of_an_empty_machine(void **state)
{
    fake.snapshot.gpu_count = 0;
    fake.snapshot.vm_count = 0;
    pools[0] = (struct vgpu_pool){.pool = 'A'};
    fake.snapshot.pool_count = 1;
    assert_output("status", 0,
                  PANEL_HEAD "None known; look for GPUs with 'vgpu-admin scan-gpus'\n"
                             "\n"
                             "Pool Summary:\n"
                             "-------------\n"
                             "Pool A (no GPU): 0 VMs\n"
                             "  High Priority: 0 VMs\n"
                             "  Medium Priority: 0 VMs\n"
                             "  Low Priority: 0 VMs\n"
                             "\n"
                             "Unregistered VMs: 0 known\n"
                             "  (no hypervisor is asked for its VMs)\n"
                             "\n"
                             "Queue:\n"
                             "------\n"
                             "the fake said so\n");
}

static void what_the_hardware_does_not_give_is_unknown(void **state)
{
    gpus[0].memory_used_mib.known = false;
    gpus[0].utilization_percent.known = false;
    gpus[0].temperature_c.known = false;
    gpus[0].status = VGPU_GPU_OFFLINE;
    snprintf(gpus[0].reason, sizeof gpus[0].reason, "%s", "no driver is loaded");
    assert_contains("status", 0,
                    "  Status: Offline (no driver is loaded)\n"
                    "  Memory: 80GB (use unknown)\n"
                    "  Utilization: unknown\n"
                    "  Temperature: unknown\n");
    assert_contains("list-gpus", 0, "Offline (no driver is loaded)\n");
}

static void values_that_may_be_stale_are_not_shown(void **state)
{
    fake.refresh_status = VGPU_ERR_UNAVAILABLE;
    assert_contains("status", 0, "Live values are unknown: the fake said so\n");
    set_up(state);
    fake.refresh_status = VGPU_ERR_UNAVAILABLE;
    assert_contains("status", 0,
                    "  Memory: 80GB (use unknown)\n  Utilization: unknown\n  Temperature: unknown\n");
}

static void a_thousand_names_wrap_and_none_is_lost(void **state)
{
    char *out = NULL;
    char *errors = NULL;
    for (int number = 21; number <= 1000; number++)
        add_vm(number, 'A', VGPU_PRIORITY_LOW);
    assert_int_equal(fake_run("status", 60, &out, &errors), PROGRAM_DONE);
    assert_non_null(strstr(out, "  Low Priority: 982 VMs (VM-6, VM-7, VM-21, "));
    assert_non_null(strstr(out, "VM-1000)\n"));
    for (int number = 1; number <= 1000; number++) {
        char name[16];
        size_t length = (size_t)snprintf(name, sizeof name, "VM-%d", number);
        const char *found = strstr(out, name);
        while (found != NULL && strspn(found + length, "0123456789") > 0)
            found = strstr(found + 1, name);
        if (found == NULL)
            fail_msg("%s is missing", name);
    }
    for (const char *line = strtok(out, "\n"); line != NULL; line = strtok(NULL, "\n"))
        if (text_width(line) > 60)
            fail_msg("wider than the terminal: %s", line);
    free(out);
    free(errors);
}

static struct vgpu_live_waiting waiting[] = {
    {.vm_uuid = "uuid-4", .priority = VGPU_PRIORITY_MEDIUM, .waiting_us = 3400},
    {.vm_uuid = "gone", .priority = VGPU_PRIORITY_LOW, .waiting_us = 900},
};
static struct vgpu_live_gpu live_gpus[] = {
    {.gpu_id = 0, .holder = "uuid-3", .held_us = 12000, .waiting = waiting, .waiting_count = 2},
    {.gpu_id = 1},
};

static void the_queue_in_the_panel(void **state)
{
    fake.live_status = VGPU_OK;
    fake.live.gpus = live_gpus;
    fake.live.gpu_count = 2;
    assert_contains("status", 0,
                    "\nQueue:\n"
                    "------\n"
                    "GPU 0: held by VM-3 (high) for 12 ms; 2 waiting: VM-4 (medium) 3 ms,\n"
                    "  gone (low) 900 µs\n"
                    "GPU 1: free; nobody waits\n");
    fake.live.gpu_count = 0;
    assert_contains("status", 0, "The daemon serves no GPU; look for GPUs with 'vgpu-admin scan-gpus'\n");
}

static void the_queue_as_a_table(void **state)
{
    char *out = NULL;
    char *errors = NULL;
    fake.live_status = VGPU_OK;
    fake.live.gpus = live_gpus;
    fake.live.gpu_count = 2;
    assert_int_equal(fake_run("queue", 0, &out, &errors), PROGRAM_DONE);
    assert_non_null(strstr(out, "GPU  STATE  VM    UUID    PRIORITY  SINCE            FOR\n"
                                "  0  holds  VM-3  uuid-3  high      "));
    assert_non_null(strstr(out, "  0  waits  VM-4  uuid-4  medium    "));
    assert_non_null(strstr(out, "  0  waits  gone  gone    low       "));
    assert_non_null(strstr(out, "  1  free   -     -       -         -                  -\n"));
    free(out);
    free(errors);
    fake.live_status = VGPU_ERR_UNAVAILABLE;
    assert_int_equal(fake_run("queue", 0, &out, &errors), PROGRAM_FAILED);
    assert_string_equal(errors, "vgpu-admin: queue: the fake said so\n");
    free(out);
    free(errors);
}

static void history_shows_asked_got_and_gave_back(void **state)
{
    static const struct vgpu_grant grants[] = {{.grant_id = 1,
                                                .vm_uuid = "uuid-3",
                                                .vm_name = "VM-3",
                                                .gpu_id = 0,
                                                .priority = VGPU_PRIORITY_HIGH,
                                                .asked_us = INT64_C(1768089600123456),
                                                .got_us = INT64_C(1768089600125956),
                                                .gave_back_us = INT64_C(1768089600145956),
                                                .reason = "idle"}};
    fake.grants = grants;
    fake.grant_count = 1;
    assert_output("history", 0,
                  "VM    UUID    GPU  PRIORITY  ASKED                    GOT           GAVE BACK     WAITED  "
                  " HELD  WHY\n"
                  "VM-3  uuid-3    0  high      2026-01-11 00:00:00.123  00:00:00.125  00:00:00.145    2 ms  "
                  "20 ms  idle\n");
    assert_int_equal(fake.last_filter.limit, 50);
    assert_int_equal(fake.last_filter.gpu_id, -1);
    assert_null(fake.last_filter.vm_uuid);
    assert_contains("history --limit=7 --gpu-id=0 --vm-uuid=uuid-3", 80, "VM-3");
    assert_int_equal(fake.last_filter.limit, 7);
    assert_int_equal(fake.last_filter.gpu_id, 0);
    assert_non_null(fake.last_filter.vm_uuid);
}

static void lists_filter_by_pool_and_priority(void **state)
{
    assert_output("list-vms --pool=A --priority=low", 0,
                  "VM ID  NAME  UUID    POOL  PRIORITY  GPU    GPU NAME               GPU STATUS\n"
                  "    6  VM-6  uuid-6  A     low       GPU 0  NVIDIA H100 80GB PCIe  Online\n"
                  "    7  VM-7  uuid-7  A     low       GPU 0  NVIDIA H100 80GB PCIe  Online\n");
    assert_output("list-gpus --pool=B", 0,
                  "GPU  NAME                   PCI           POOL  MEMORY  USED  UTIL  TEMP  VMS  STATUS\n"
                  "  1  NVIDIA H100 80GB PCIe  0000:02:00.0  B       80GB  30GB   30%  58°C   13  Online\n");
    assert_output("list-pools", 0,
                  "POOL  GPUS   VMS  HIGH  MEDIUM  LOW  MODE\n"
                  "A     GPU 0    7     3       2    2  exclusive\n"
                  "B     GPU 1   13     5       6    2  exclusive\n");
}

static void a_vm_without_a_gpu_says_so(void **state)
{
    vms[0].gpu_id.known = false;
    assert_contains("list-vms", 0,
                    "VM-1   uuid-1   A     high      -      -                      no GPU in the pool\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(status_is_the_panel_of_the_requirement, set_up),
        cmocka_unit_test_setup(status_of_an_empty_machine, set_up),
        cmocka_unit_test_setup(what_the_hardware_does_not_give_is_unknown, set_up),
        cmocka_unit_test_setup(values_that_may_be_stale_are_not_shown, set_up),
        cmocka_unit_test_setup(a_thousand_names_wrap_and_none_is_lost, set_up),
        cmocka_unit_test_setup(the_queue_in_the_panel, set_up),
        cmocka_unit_test_setup(the_queue_as_a_table, set_up),
        cmocka_unit_test_setup(history_shows_asked_got_and_gave_back, set_up),
        cmocka_unit_test_setup(lists_filter_by_pool_and_priority, set_up),
        cmocka_unit_test_setup(a_vm_without_a_gpu_says_so, set_up),
    };
    setenv("TZ", "UTC", 1);
    text_init();
    return cmocka_run_group_tests_name("admin panel", tests, NULL, NULL);
}

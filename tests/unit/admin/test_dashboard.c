/* What the dashboard shows: rates, the recent past, order, filter and states, from readings given by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "admin/dashboard_model.h"
#include "admin/text.h"

#define SECOND_US 1000000u
#define VMS       4

/* A machine of two GPUs and four VMs, and what its daemon says: copied anew for every reading. */
struct machine {
    struct dashboard_model model;
    struct vgpu_gpu gpus[2];
    struct vgpu_vm vms[VMS];
    struct vgpu_pool pools[2];
    struct vgpu_snapshot snapshot;
    struct vgpu_live_gpu live_gpus[2];
    struct vgpu_live_vm live_vms[VMS];
    struct vgpu_live_waiting waiting[2];
    struct vgpu_live live;
};

static struct vgpu_optional known(int64_t value)
{
    return (struct vgpu_optional){.known = true, .value = value};
}

static void add_vm(struct machine *machine, const char *vm_uuid, const char *vm_name, char pool,
                   enum vgpu_priority priority)
{
    size_t at = machine->snapshot.vm_count++;
    machine->vms[at] = (struct vgpu_vm){.vm_id = (int32_t)at + 1, .pool = pool, .priority = priority};
    snprintf(machine->vms[at].vm_uuid, sizeof machine->vms[at].vm_uuid, "%s", vm_uuid);
    snprintf(machine->vms[at].vm_name, sizeof machine->vms[at].vm_name, "%s", vm_name);
    snprintf(machine->live_vms[at].vm_uuid, sizeof machine->live_vms[at].vm_uuid, "%s", vm_uuid);
    machine->live_vms[at].processes = 1;
}

/* The identifiers fall as the numbers rise, so that one order is never the other by chance. */
static int set_up(void **state)
{
    static struct machine machine;
    memset(&machine, 0, sizeof machine);
    dashboard_model_init(&machine.model);
    for (int i = 0; i < 2; i++) {
        machine.gpus[i] = (struct vgpu_gpu){.gpu_id = i, .status = VGPU_GPU_ONLINE};
        snprintf(machine.gpus[i].gpu_uuid, sizeof machine.gpus[i].gpu_uuid, "GPU-%d", i);
        machine.live_gpus[i].gpu_id = i;
        snprintf(machine.live_gpus[i].gpu_uuid, sizeof machine.live_gpus[i].gpu_uuid, "GPU-%d", i);
        machine.pools[i].pool = (char)('A' + i);
    }
    machine.snapshot = (struct vgpu_snapshot){
        .gpus = machine.gpus, .gpu_count = 2, .vms = machine.vms, .pools = machine.pools, .pool_count = 2};
    add_vm(&machine, "u9", "Render", 'B', VGPU_PRIORITY_MEDIUM);
    add_vm(&machine, "u7", "train", 'A', VGPU_PRIORITY_HIGH);
    add_vm(&machine, "u5", "Zürich", 'B', VGPU_PRIORITY_LOW);
    add_vm(&machine, "u3", "batch", 'A', VGPU_PRIORITY_LOW);
    machine.live = (struct vgpu_live){
        .pid = 7, .gpus = machine.live_gpus, .gpu_count = 2, .vms = machine.live_vms, .vm_count = VMS};
    *state = &machine;
    return 0;
}

static int tear_down(void **state)
{
    dashboard_model_fini(&((struct machine *)*state)->model);
    return 0;
}

/* The model reads the machine as it is; at this time. */
static void update(struct machine *machine, uint64_t now_us)
{
    struct vgpu_live live = machine->live;
    struct vgpu_error error;
    assert_int_equal(dashboard_model_update(&machine->model, &machine->snapshot, &live, "", now_us, &error),
                     VGPU_OK);
    assert_null(live.vms); /* the model has it now */
}

static void update_without_daemon(struct machine *machine, uint64_t now_us)
{
    struct vgpu_error error;
    assert_int_equal(
        dashboard_model_update(&machine->model, &machine->snapshot, NULL, "vgpud is gone", now_us, &error),
        VGPU_OK);
}

static const struct dashboard_vm *vm_of(struct machine *machine, const char *vm_uuid)
{
    size_t row = dashboard_model_find_row(&machine->model, vm_uuid);
    const struct dashboard_vm *vm = dashboard_model_row(&machine->model, row);
    assert_non_null(vm);
    return vm;
}

/* The rows' identifiers in their order, as "u9 u7 ". */
static void assert_rows(struct machine *machine, const char *expected)
{
    char rows[512] = "";
    for (size_t row = 0; row < machine->model.row_count; row++) {
        size_t used = strlen(rows);
        snprintf(rows + used, sizeof rows - used, "%s ",
                 dashboard_model_row(&machine->model, row)->vm.vm_uuid);
    }
    assert_string_equal(rows, expected);
}

static void test_rates_are_totals_over_elapsed_time(void **state)
{
    struct machine *machine = *state;
    machine->live_vms[0].calls = 1000;
    machine->live_vms[0].hold_us = 5 * SECOND_US;
    update(machine, 100 * SECOND_US);
    assert_true(isnan(vm_of(machine, "u9")->gpu_share)); /* one reading is no rate */
    assert_true(isnan(vm_of(machine, "u9")->calls_per_second));
    machine->live_vms[0].calls = 7000;
    machine->live_vms[0].hold_us = 5 * SECOND_US + SECOND_US / 2;
    update(machine, 102 * SECOND_US);
    assert_float_equal(vm_of(machine, "u9")->gpu_share, 25.0, 1e-6);
    assert_float_equal(vm_of(machine, "u9")->calls_per_second, 3000.0, 1e-6);
    assert_float_equal(vm_of(machine, "u7")->gpu_share, 0.0, 1e-6); /* there, and did nothing */
    assert_float_equal(vm_of(machine, "u7")->calls_per_second, 0.0, 1e-6);
    machine->live_vms[0].hold_us += 3 * SECOND_US; /* the daemon's clock is not ours */
    update(machine, 104 * SECOND_US);
    assert_float_equal(vm_of(machine, "u9")->gpu_share, 100.0, 1e-6);
    /* What was used counts, where the daemon tells, and not what was held. */
    machine->live_vms[0].gpu_time_us = (struct vgpu_optional){.known = true, .value = 70 * SECOND_US};
    update(machine, 106 * SECOND_US);
    machine->live_vms[0].gpu_time_us.value += SECOND_US;
    machine->live_vms[0].hold_us += 4 * SECOND_US;
    update(machine, 110 * SECOND_US);
    assert_float_equal(vm_of(machine, "u9")->gpu_share, 25.0, 1e-6);
    machine->live_vms[0].gpu_time_us.known = false;
    machine->live_vms[0].hold_us = 9 * SECOND_US;
    update(machine, 110 * SECOND_US); /* no time has passed: not a number out of a division by zero */
    assert_true(isnan(vm_of(machine, "u9")->calls_per_second));
}

static void test_a_new_daemon_counts_anew(void **state)
{
    struct machine *machine = *state;
    machine->live_vms[0].calls = 1000;
    machine->live_vms[0].hold_us = SECOND_US;
    update(machine, 1 * SECOND_US);
    machine->live_vms[0].calls = 10;
    machine->live_vms[0].hold_us = 500;
    update(machine, 2 * SECOND_US);
    assert_true(isnan(vm_of(machine, "u9")->gpu_share));
    assert_true(isnan(vm_of(machine, "u9")->calls_per_second));
    machine->live_vms[0].calls = 110;
    update(machine, 3 * SECOND_US);
    assert_float_equal(vm_of(machine, "u9")->calls_per_second, 100.0, 1e-6);
    machine->live_vms[0].calls = 50; /* removed and registered again: its totals begin anew */
    machine->live_vms[0].hold_us = 700;
    update(machine, 3 * SECOND_US + 1);
    assert_true(isnan(vm_of(machine, "u9")->calls_per_second));
    machine->live.pid = 8; /* another daemon whose totals have overtaken those of the last already */
    machine->live_vms[0].calls = 5000;
    update(machine, 4 * SECOND_US);
    assert_true(isnan(vm_of(machine, "u9")->calls_per_second));
}

static void test_a_vm_seen_first_has_no_rate_yet(void **state)
{
    struct machine *machine = *state;
    machine->live.vm_count = 3;
    update(machine, 1 * SECOND_US);
    assert_false(vm_of(machine, "u3")->live);
    machine->live.vm_count = 4;
    machine->live_vms[3].calls = 1000; /* since when, nobody knows */
    update(machine, 2 * SECOND_US);
    assert_true(vm_of(machine, "u3")->live);
    assert_true(isnan(vm_of(machine, "u3")->calls_per_second));
}

static void test_without_a_daemon(void **state)
{
    struct machine *machine = *state;
    machine->live_vms[0].calls = 1000;
    snprintf(machine->live_gpus[0].holder, sizeof machine->live_gpus[0].holder, "u9");
    update(machine, 1 * SECOND_US);
    assert_true(machine->model.has_live);
    assert_true(machine->model.gpus[0].live);
    machine->vms[1].paused = true;
    update_without_daemon(machine, 2 * SECOND_US);
    assert_false(machine->model.has_live);
    assert_string_equal(machine->model.daemon_note, "vgpud is gone");
    assert_false(machine->model.gpus[0].live);
    assert_string_equal(machine->model.gpus[0].holder, "");
    assert_int_equal(machine->model.gpus[0].waiting_count, 0);
    const struct dashboard_vm *vm = vm_of(machine, "u9");
    assert_false(vm->live);
    assert_int_equal(vm->state, VM_STATE_NONE);
    assert_true(isnan(vm->gpu_share));
    assert_false(vm->wait_p99_us.known);
    assert_int_equal(vm_of(machine, "u7")->state, VM_STATE_PAUSED); /* that is configuration */
    machine->live_vms[0].calls = 9000; /* it is back: what passed in between is not one second's */
    update(machine, 3 * SECOND_US);
    assert_true(machine->model.has_live);
    assert_string_equal(machine->model.daemon_note, "");
    assert_true(isnan(vm_of(machine, "u9")->calls_per_second));
}

static void test_series_keep_the_recent_past(void **state)
{
    struct machine *machine = *state;
    machine->gpus[0].memory_total_mib = known(80000);
    for (int i = 0; i < SERIES_LENGTH + 5; i++) {
        machine->gpus[0].utilization_percent = i == SERIES_LENGTH ? (struct vgpu_optional){0} : known(i);
        machine->gpus[0].memory_used_mib = known(20000);
        machine->gpus[0].power_mw = known(250500);
        update(machine, (uint64_t)(i + 1) * SECOND_US);
        if (i == 0)
            assert_int_equal(machine->model.gpus[0].utilization.count, 1);
    }
    const struct dashboard_gpu *gpu = &machine->model.gpus[0];
    assert_int_equal(gpu->utilization.count, SERIES_LENGTH);
    assert_float_equal(gpu->utilization.values[0], 5.0f, 1e-3f); /* the oldest have gone */
    assert_float_equal(gpu->utilization.values[SERIES_LENGTH - 1], (float)(SERIES_LENGTH + 4), 1e-3f);
    assert_true(isnan(gpu->utilization.values[SERIES_LENGTH - 5])); /* not given then: not zero */
    assert_float_equal(gpu->memory.values[0], 25.0f, 1e-3f);
    assert_float_equal(gpu->power.values[0], 250.5f, 1e-3f);
    assert_true(isnan(gpu->temperature.values[0])); /* never given */
    assert_true(isnan(machine->model.gpus[1].memory.values[0]));
}

static void test_the_past_belongs_to_the_gpu_not_its_place(void **state)
{
    struct machine *machine = *state;
    machine->gpus[0].utilization_percent = known(10);
    machine->gpus[1].utilization_percent = known(90);
    update(machine, 1 * SECOND_US);
    machine->gpus[0] = machine->gpus[1]; /* the first has gone */
    machine->gpus[0].utilization_percent = known(80);
    machine->snapshot.gpu_count = 1;
    update(machine, 2 * SECOND_US);
    assert_int_equal(machine->model.gpu_count, 1);
    assert_int_equal(dashboard_model_find_gpu(&machine->model, 1), 0);
    assert_int_equal(dashboard_model_find_gpu(&machine->model, 0),
                     machine->model.gpu_count); /* no such GPU */
    assert_int_equal(machine->model.gpus[0].utilization.count, 2);
    assert_float_equal(machine->model.gpus[0].utilization.values[0], 90.0f, 1e-3f);
    assert_float_equal(machine->model.gpus[0].utilization.values[1], 80.0f, 1e-3f);
}

static void test_states(void **state)
{
    struct machine *machine = *state;
    snprintf(machine->live_gpus[1].holder, sizeof machine->live_gpus[1].holder, "u9");
    machine->live_gpus[1].held_us = 1234;
    snprintf(machine->waiting[0].vm_uuid, sizeof machine->waiting[0].vm_uuid, "u5");
    snprintf(machine->waiting[1].vm_uuid, sizeof machine->waiting[1].vm_uuid, "not-registered");
    machine->live_gpus[1].waiting = machine->waiting;
    machine->live_gpus[1].waiting_count = 2;
    machine->live_vms[3].processes = 0;
    update(machine, 1 * SECOND_US);
    assert_int_equal(vm_of(machine, "u9")->state, VM_STATE_HOLDING);
    assert_int_equal(vm_of(machine, "u5")->state, VM_STATE_WAITING);
    assert_int_equal(vm_of(machine, "u7")->state, VM_STATE_IDLE);
    assert_int_equal(vm_of(machine, "u3")->state, VM_STATE_NONE);
    assert_string_equal(machine->model.gpus[1].holder, "u9");
    assert_int_equal(machine->model.gpus[1].held_us, 1234);
    assert_int_equal(machine->model.gpus[1].waiting_count, 2);
    assert_string_equal(machine->model.gpus[0].holder, "");
    assert_string_equal(dashboard_model_vm_name(&machine->model, "u5"), "Zürich");
    assert_string_equal(dashboard_model_vm_name(&machine->model, "not-registered"), "not-registered");
    machine->vms[0].paused = true; /* whatever else it does at this moment */
    machine->vms[2].paused = true;
    update(machine, 2 * SECOND_US);
    assert_int_equal(vm_of(machine, "u9")->state, VM_STATE_PAUSED);
    assert_int_equal(vm_of(machine, "u5")->state, VM_STATE_PAUSED);
    machine->vms[2].quarantined = true; /* of what holds it back this is the stronger */
    update(machine, 3 * SECOND_US);
    assert_int_equal(vm_of(machine, "u5")->state, VM_STATE_QUARANTINED);
    for (int each = VM_STATE_NONE; each <= VM_STATE_QUARANTINED; each++)
        assert_non_null(dashboard_state_name((enum dashboard_vm_state)each));
    assert_string_equal(dashboard_state_name(VM_STATE_PAUSED), "paused");
}

/* Gives every column an order of its own; u5 has none of the values that may be absent. */
static void fill_columns(struct machine *machine)
{
    static const uint64_t hold_ms[VMS] = {300, 100, 0, 200}, calls[VMS] = {10, 30, 0, 20},
                          memory[VMS] = {1 << 20, 2 << 20, 0, 3 << 20};
    static const int64_t wait[VMS] = {200, 300, 0, 100};
    machine->live.vm_count = VMS;
    for (size_t i = 0; i < VMS; i++) {
        machine->live_vms[i].device_memory_bytes = memory[i];
        if (i != 2)
            machine->live_vms[i].wait.p99_us = known(wait[i]);
    }
    machine->live_vms[2] = machine->live_vms[3]; /* the daemon has not seen u5 */
    machine->live.vm_count = 3;
    update(machine, 1 * SECOND_US);
    for (size_t i = 0; i < VMS; i++) {
        size_t at = i < 2 ? i : 2;
        if (i == 2)
            continue;
        machine->live_vms[at].calls += calls[i];
        machine->live_vms[at].hold_us += hold_ms[i] * 1000;
    }
    update(machine, 2 * SECOND_US);
}

static void test_order_by_each_column_both_ways(void **state)
{
    /* What one presses first: names and numbers rise, quantities and classes fall. */
    static const struct {
        enum dashboard_sort sort;
        const char *first, *other_way;
    } cases[] = {
        {SORT_NAME, "u9 u5 u3 u7 ", "u7 u3 u5 u9 "}, /* as the bytes are: capitals first */
        {SORT_POOL, "u7 u3 u9 u5 ", "u9 u5 u7 u3 "}, /* equal ones by number, either way */
        {SORT_CLASS, "u7 u9 u5 u3 ", "u5 u3 u9 u7 "},
        {SORT_SHARE, "u9 u3 u7 u5 ", "u7 u3 u9 u5 "}, /* not known: last, either way */
        {SORT_MEMORY, "u3 u7 u9 u5 ", "u9 u7 u3 u5 "},
        {SORT_CALLS, "u7 u3 u9 u5 ", "u9 u3 u7 u5 "},
        {SORT_WAIT, "u7 u9 u3 u5 ", "u3 u9 u7 u5 "},
        {SORT_ID, "u9 u7 u5 u3 ", "u3 u5 u7 u9 "},
    };
    struct machine *machine = *state;
    fill_columns(machine);
    assert_rows(machine, "u9 u7 u5 u3 "); /* by number, to begin with */
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        dashboard_model_sort(&machine->model, cases[i].sort);
        assert_rows(machine, cases[i].first);
        dashboard_model_sort(&machine->model, cases[i].sort);
        assert_rows(machine, cases[i].other_way);
    }
}

static void test_filter(void **state)
{
    static const struct {
        const char *filter, *rows;
    } cases[] = {
        {"", "u9 u7 u5 u3 "}, {"RENDER", "u9 "},  {"rend", "u9 "},    {"ZÜR", "u5 "},    {"zür", "u5 "},
        {"u7", "u7 "},        {"a", "u7 u3 "},    /* a pool's letter is the pool, not part of "train" */
        {"B", "u9 u5 "},      {"t", "u9 u7 u3 "}, /* no pool T: part of train, batch, waiting */
        {"low", "u5 u3 "},    {"Medium", "u9 "},  {"waiting", "u9 "}, {"paused", "u3 "}, {"nobody", ""},
    };
    struct machine *machine = *state;
    snprintf(machine->waiting[0].vm_uuid, sizeof machine->waiting[0].vm_uuid, "u9");
    machine->live_gpus[1].waiting = machine->waiting;
    machine->live_gpus[1].waiting_count = 1;
    machine->vms[3].paused = true;
    update(machine, 1 * SECOND_US);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        dashboard_model_filter(&machine->model, cases[i].filter);
        assert_rows(machine, cases[i].rows);
    }
    dashboard_model_filter(&machine->model, "paused");
    machine->vms[3].paused = false;
    machine->vms[0].paused = true;
    update(machine, 2 * SECOND_US); /* a filter looks at what is now */
    assert_rows(machine, "u9 ");
}

static void test_a_row_is_found_by_its_vm(void **state)
{
    struct machine *machine = *state;
    update(machine, 1 * SECOND_US);
    assert_int_equal(dashboard_model_find_row(&machine->model, "u3"), 3);
    dashboard_model_sort(&machine->model, SORT_ID); /* the other way round */
    assert_int_equal(dashboard_model_find_row(&machine->model, "u3"), 0);
    dashboard_model_filter(&machine->model, "B");
    assert_int_equal(dashboard_model_find_row(&machine->model, "u3"), machine->model.row_count);
    assert_null(dashboard_model_row(&machine->model, machine->model.row_count));
    dashboard_model_filter(&machine->model, "");
    machine->snapshot.vm_count = 3; /* u3 is removed */
    update(machine, 2 * SECOND_US);
    assert_int_equal(dashboard_model_find_row(&machine->model, "u3"), 3);
    assert_rows(machine, "u5 u7 u9 "); /* the order stays */
    assert_string_equal(dashboard_model_vm_name(&machine->model, "u3"), "u3");
}

static void test_nothing_there(void **state)
{
    struct machine *machine = *state;
    assert_null(dashboard_model_row(&machine->model, 0));
    dashboard_model_sort(&machine->model, SORT_NAME);
    machine->snapshot.gpu_count = machine->snapshot.vm_count = machine->snapshot.pool_count = 0;
    update(machine, 1 * SECOND_US); /* the daemon still speaks of what was removed */
    assert_int_equal(machine->model.row_count, 0);
    assert_int_equal(machine->model.gpu_count, 0);
    assert_string_equal(machine->model.pools, "");
    dashboard_model_filter(&machine->model, "x");
    assert_int_equal(dashboard_model_find_row(&machine->model, "u9"), 0);
}

int main(void)
{
    text_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rates_are_totals_over_elapsed_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_new_daemon_counts_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_vm_seen_first_has_no_rate_yet, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_without_a_daemon, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_series_keep_the_recent_past, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_past_belongs_to_the_gpu_not_its_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_states, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_order_by_each_column_both_ways, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_filter, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_row_is_found_by_its_vm, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nothing_there, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("dashboard", tests, NULL, NULL);
}

/* How VGPU_SIM_* shapes the machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "simgpu/machine.h"

static int clear(void **state)
{
    const char *names[] = {"VGPU_SIM_GPUS", "VGPU_SIM_SEED",  "VGPU_SIM_MEMORY_MB", "VGPU_SIM_HIDE",
                           "VGPU_SIM_LOST", "VGPU_SIM_ERROR", "VGPU_SIM_MISSING",   "VGPU_SIM_PAUSES"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unsetenv(names[i]);
    return 0;
}

static struct machine load(void)
{
    struct machine machine;
    struct vgpu_error err = {0};
    if (machine_load(&machine, &err))
        fail_msg("%s", err.message);
    return machine;
}

static void by_default_there_are_the_two_gpus_of_the_requirement(void **state)
{
    struct machine machine = load();
    assert_int_equal(machine.gpu_count, 2);
    for (unsigned int i = 0; i < 2; i++) {
        assert_string_equal(machine.gpus[i].model->name, "NVIDIA H100 80GB PCIe");
        assert_int_equal(machine.gpus[i].pci_bus, i + 1);
        assert_int_equal(strlen(machine.gpus[i].uuid_text), 40);
        assert_int_equal(strncmp(machine.gpus[i].uuid_text, "GPU-", 4), 0);
    }
    assert_string_not_equal(machine.gpus[0].uuid_text, machine.gpus[1].uuid_text);
}

static void a_list_names_models_and_counts(void **state)
{
    setenv("VGPU_SIM_GPUS", "l40s, Tesla T4 * 2 ,NVIDIA H200*1", 1);
    struct machine machine = load();
    assert_int_equal(machine.gpu_count, 4);
    assert_string_equal(machine.gpus[0].model->name, "NVIDIA L40S");
    assert_string_equal(machine.gpus[1].model->name, "Tesla T4");
    assert_string_equal(machine.gpus[2].model->name, "Tesla T4");
    assert_string_equal(machine.gpus[3].model->name, "NVIDIA H200");
    setenv("VGPU_SIM_GPUS", "0", 1);
    machine = load();
    assert_int_equal(machine.gpu_count, 0);
}

static void a_gpu_is_the_same_each_time_and_another_with_another_seed(void **state)
{
    struct machine first = load(), again = load();
    assert_string_equal(first.gpus[1].uuid_text, again.gpus[1].uuid_text);
    assert_string_equal(first.gpus[1].serial, again.gpus[1].serial);
    setenv("VGPU_SIM_SEED", "other", 1);
    struct machine other = load();
    assert_string_not_equal(first.gpus[1].uuid_text, other.gpus[1].uuid_text);
    assert_true(first.gpus[1].key != other.gpus[1].key);
}

static void when_a_gpu_vanishes_the_others_stay_who_they_are(void **state)
{
    setenv("VGPU_SIM_GPUS", "3", 1);
    struct machine whole = load();
    setenv("VGPU_SIM_HIDE", "1", 1);
    struct machine rest = load();
    assert_int_equal(rest.gpu_count, 2);
    assert_string_equal(rest.gpus[0].uuid_text, whole.gpus[0].uuid_text);
    assert_string_equal(rest.gpus[1].uuid_text, whole.gpus[2].uuid_text);
    assert_int_equal(rest.gpus[1].pci_bus, 3);
}

static void faults_concern_the_gpus_named(void **state)
{
    setenv("VGPU_SIM_LOST", "0", 1);
    setenv("VGPU_SIM_ERROR", "1", 1);
    setenv("VGPU_SIM_MISSING", "power,1:temperature", 1);
    struct machine machine = load();
    assert_true(machine.gpus[0].lost && !machine.gpus[0].error);
    assert_true(!machine.gpus[1].lost && machine.gpus[1].error);
    assert_true(machine.gpus[0].missing[METRIC_POWER] && machine.gpus[1].missing[METRIC_POWER]);
    assert_true(!machine.gpus[0].missing[METRIC_TEMPERATURE] && machine.gpus[1].missing[METRIC_TEMPERATURE]);
}

static void memory_can_be_made_smaller(void **state)
{
    setenv("VGPU_SIM_MEMORY_MB", "64", 1);
    struct machine machine = load();
    assert_int_equal(machine.gpus[0].memory_bytes, 64u << 20);
    assert_true(machine.gpus[0].reserved_bytes + machine.gpus[0].context_bytes < 2u << 20);
}

static void pausing_has_no_limit_until_one_is_set(void **state)
{
    assert_int_equal(load().pauses, PAUSES_UNLIMITED);
    setenv("VGPU_SIM_PAUSES", "0", 1);
    assert_int_equal(load().pauses, 0);
    setenv("VGPU_SIM_PAUSES", "3", 1);
    assert_int_equal(load().pauses, 3);
}

static void what_makes_no_sense_is_named(void **state)
{
    static const struct {
        const char *variable;
        const char *value;
    } WRONG[] = {
        {"VGPU_SIM_GPUS", "H900"},      {"VGPU_SIM_GPUS", "T4*"},        {"VGPU_SIM_GPUS", "-1"},
        {"VGPU_SIM_GPUS", "17"},        {"VGPU_SIM_GPUS", "T4,,T4"},     {"VGPU_SIM_SEED", "a/b"},
        {"VGPU_SIM_MEMORY_MB", "0"},    {"VGPU_SIM_MEMORY_MB", "1g"},    {"VGPU_SIM_HIDE", "x"},
        {"VGPU_SIM_MISSING", "colour"}, {"VGPU_SIM_MISSING", "x:power"}, {"VGPU_SIM_ERROR", "16"},
        {"VGPU_SIM_PAUSES", "never"},
    };
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        struct machine machine;
        struct vgpu_error err = {0};
        clear(NULL);
        setenv(WRONG[i].variable, WRONG[i].value, 1);
        assert_int_equal(machine_load(&machine, &err), VGPU_ERR_USAGE);
        assert_non_null(strstr(err.message, WRONG[i].variable));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(by_default_there_are_the_two_gpus_of_the_requirement, clear),
        cmocka_unit_test_setup(a_list_names_models_and_counts, clear),
        cmocka_unit_test_setup(a_gpu_is_the_same_each_time_and_another_with_another_seed, clear),
        cmocka_unit_test_setup(when_a_gpu_vanishes_the_others_stay_who_they_are, clear),
        cmocka_unit_test_setup(faults_concern_the_gpus_named, clear),
        cmocka_unit_test_setup(memory_can_be_made_smaller, clear),
        cmocka_unit_test_setup(pausing_has_no_limit_until_one_is_set, clear),
        cmocka_unit_test_setup(what_makes_no_sense_is_named, clear),
    };
    return cmocka_run_group_tests_name("machine", tests, NULL, NULL);
}

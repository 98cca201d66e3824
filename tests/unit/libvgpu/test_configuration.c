/* VMs named as a person names them, and the whole configuration as one text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <vgpu/vgpu.h>

#include <cmocka.h>

#include "fixture.h"

static void register_vm(struct fixture *fixture, const char *vm_uuid, const char *vm_name)
{
    struct vgpu_vm_registration registration = {.vm_uuid = vm_uuid, .vm_name = vm_name, .pool = 'A'};
    assert_done(fixture, vgpu_register_vm(fixture->vgpu, &registration, NULL, &fixture->err));
}

/* The numbers of the VMs found, as "1 2 3". */
static const char *find(struct fixture *fixture, const struct vgpu_vm_selection *selection)
{
    static char numbers[200];
    struct vgpu_vm *vms = NULL;
    size_t count = 0;
    size_t used = 0;
    assert_done(fixture, vgpu_find_vms(fixture->vgpu, selection, &vms, &count, &fixture->err));
    for (size_t i = 0; i < count; i++)
        used +=
            (size_t)snprintf(numbers + used, sizeof numbers - used, "%s%d", i > 0 ? " " : "", vms[i].vm_id);
    vgpu_free(vms);
    return numbers;
}

static void assert_not_found(struct fixture *fixture, const struct vgpu_vm_selection *selection,
                             enum vgpu_status wanted, const char *words)
{
    struct vgpu_vm *vms = (struct vgpu_vm *)1;
    size_t count = 77;
    enum vgpu_status got = vgpu_find_vms(fixture->vgpu, selection, &vms, &count, &fixture->err);
    assert_refused(fixture, got, wanted, words);
    assert_int_equal(count, 77);
    assert_ptr_equal(vms, (struct vgpu_vm *)1);
}

#define UUID(text)  (&(struct vgpu_vm_selection){.vm_uuid = (text)})
#define NAMED(text) (&(struct vgpu_vm_selection){.vm_name = (text)})
#define IDS(text)   (&(struct vgpu_vm_selection){.vm_ids = (text)})

static void vms_are_found_by_what_a_person_knows(void **state)
{
    struct fixture *fixture = *state;
    register_vm(fixture, "6F9619FF-8B86-D011-B42D-00CF4FC964FF", "web");
    register_vm(fixture, "6F9619FF-9999-D011-B42D-00CF4FC964FF", NULL);
    register_vm(fixture, "abc", NULL);
    register_vm(fixture, "abc123", "web");
    assert_string_equal(find(fixture, UUID("abc")), "3");
    assert_string_equal(find(fixture, UUID("abc1")), "4");
    assert_string_equal(find(fixture, UUID("6F9619FF-8")), "1");
    assert_string_equal(find(fixture, UUID("6f9619ff-9")), "2");
    assert_string_equal(find(fixture, NAMED("VM-3")), "3");
    assert_string_equal(find(fixture, IDS("2-3,1,2")), "1 2 3");
    assert_not_found(fixture, UUID("6f96"), VGPU_ERR_AMBIGUOUS, "6f9619ff-8b86-d011-b42d-00cf4fc964ff (web");
    assert_not_found(fixture, UUID("ABC"), VGPU_ERR_NOT_FOUND, "ABC");
    assert_not_found(fixture, UUID("_"), VGPU_ERR_NOT_FOUND, "_");
    assert_not_found(fixture, UUID("a%"), VGPU_ERR_USAGE, "a%");
    assert_not_found(fixture, NAMED("web"), VGPU_ERR_AMBIGUOUS, "abc123");
    assert_not_found(fixture, NAMED("we"), VGPU_ERR_NOT_FOUND, "we");
    assert_not_found(fixture, IDS("1,9"), VGPU_ERR_NOT_FOUND, "9");
    assert_not_found(fixture, IDS("5-9"), VGPU_ERR_NOT_FOUND, "5 to 9");
    assert_not_found(fixture, &(struct vgpu_vm_selection){.vm_uuid = "abc", .vm_ids = "3"}, VGPU_ERR_USAGE,
                     "in one way");
    assert_not_found(fixture, &(struct vgpu_vm_selection){0}, VGPU_ERR_USAGE, "in one way");
}

static char *export_text(struct fixture *fixture)
{
    char *text = NULL;
    assert_done(fixture, vgpu_export(fixture->vgpu, &text, &fixture->err));
    return text;
}

static void an_import_is_made_whole_or_not_at_all(void **state)
{
    static const char file[] =
        "{\"format\": \"vgpu-configuration\", \"version\": 1, \"pools\": [\"A\", \"B\"],"
        " \"gpus\": [{\"gpu_uuid\": \"GPU-x\", \"gpu_id\": 3, \"pools\": [\"B\"]}],"
        " \"vms\": [{\"vm_uuid\": \"new\", \"vm_id\": 1, \"pool\": \"B\","
        " \"priority\": \"high\"}]}";
    struct fixture *fixture = *state;
    struct vgpu_change *changes = NULL;
    size_t count = 0;
    register_vm(fixture, "old", NULL);
    char *before = export_text(fixture);

    assert_done(fixture,
                vgpu_import(fixture->vgpu, file, strlen(file), true, &changes, &count, &fixture->err));
    assert_int_equal(count, 4);
    vgpu_free(changes);
    char *after = export_text(fixture);
    assert_string_equal(after, before);
    vgpu_free(after);

    assert_done(fixture,
                vgpu_import(fixture->vgpu, file, strlen(file), false, &changes, &count, &fixture->err));
    assert_int_equal(count, 4);
    assert_string_equal(changes[0].action, "register-gpu");
    assert_string_equal(changes[1].subject, "gpu 3");
    assert_string_equal(changes[2].action, "remove-vm");
    assert_string_equal(changes[3].subject, "vm new");
    vgpu_free(changes);
    struct vgpu_vm vm;
    assert_done(fixture, vgpu_get_vm(fixture->vgpu, "new", &vm, &fixture->err));
    assert_true(vm.gpu_id.known && vm.gpu_id.value == 3);

    /* Back to what it was, but that the GPU stays known. */
    assert_done(fixture,
                vgpu_import(fixture->vgpu, before, strlen(before), false, &changes, &count, &fixture->err));
    vgpu_free(changes);
    assert_done(fixture, vgpu_get_vm(fixture->vgpu, "old", &vm, &fixture->err));
    struct vgpu_gpu gpu;
    assert_done(fixture, vgpu_get_gpu(fixture->vgpu, 3, &gpu, &fixture->err));
    assert_string_equal(gpu.pools, "");
    assert_int_equal(gpu.status, VGPU_GPU_OFFLINE);
    vgpu_free(before);
}

static void an_import_is_refused_inside_a_transaction(void **state)
{
    struct fixture *fixture = *state;
    struct vgpu_change *changes = NULL;
    size_t count = 0;
    char *text = export_text(fixture);
    assert_done(fixture, vgpu_begin(fixture->vgpu, &fixture->err));
    register_vm(fixture, "mine", NULL);
    assert_refused(fixture,
                   vgpu_import(fixture->vgpu, text, strlen(text), false, &changes, &count, &fixture->err),
                   VGPU_ERR_USAGE, "transaction");
    assert_done(fixture, vgpu_commit(fixture->vgpu, &fixture->err));
    assert_string_equal(find(fixture, UUID("mine")), "1");
    vgpu_free(text);
}

/* Every beginning of a good file is refused, and nothing worse happens. */
static void a_file_that_is_cut_off_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    register_vm(fixture, "abc123", "Büro");
    char *text = export_text(fixture);
    for (size_t length = 0; length + 2 < strlen(text); length++) {
        struct vgpu_change *changes = NULL;
        size_t count = 0;
        assert_int_equal(vgpu_import(fixture->vgpu, text, length, false, &changes, &count, &fixture->err),
                         VGPU_ERR_CORRUPT);
    }
    char *after = export_text(fixture);
    assert_string_equal(after, text);
    vgpu_free(after);
    vgpu_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(vms_are_found_by_what_a_person_knows, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(an_import_is_made_whole_or_not_at_all, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(an_import_is_refused_inside_a_transaction, fixture_open,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(a_file_that_is_cut_off_changes_nothing, fixture_open, fixture_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* register-vm, set-pool, set-priority, set-vm-id, rename-vm, update-vm, remove-vm. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <vgpu/vgpu.h>

#include "admin/commands.h"
#include "admin/describe.h"
#include "admin/document.h"
#include "admin/selection.h"
#include "admin/text.h"
#include "admin/vm_change.h"
#include "base/error.h"

/* "VM-1 (abc123)". */
static void print_vm_label(FILE *out, const struct vgpu_vm *vm)
{
    text_put(out, vm->vm_name, SIZE_MAX);
    fprintf(out, " (%s)", vm->vm_uuid);
}

/* Ends the line with what serves the VM now, and says what is to be done where nothing does. */
static void print_served_by(const struct command_context *context, const struct vgpu_vm *vm)
{
    FILE *out = context->out;
    struct vgpu_gpu gpu;
    if (!vm->gpu_id.known) {
        fprintf(out,
                "\nPool %c has no GPU, so the VM cannot run yet; assign one with 'vgpu-admin assign-gpu "
                "--gpu-id=<id> --pool=%c'\n",
                vm->pool, vm->pool);
        return;
    }
    fprintf(out, ", served by GPU %" PRId64, vm->gpu_id.value);
    /* The change is made and told; that a name cannot be read is no failure of it. */
    if (vgpu_get_gpu(context->vgpu, (int32_t)vm->gpu_id.value, &gpu, NULL) == VGPU_OK) {
        fputs(" (", out);
        text_put(out, describe_gpu_name(&gpu), SIZE_MAX);
        fputc(')', out);
    }
    fputc('\n', out);
}

static enum vgpu_status print_changed(const struct command_context *context, const struct vgpu_vm *before,
                                      const struct vgpu_vm *after, size_t count, struct vgpu_error *err)
{
    return document_print(context, json_pack("{s:o}", "vms", document_vm_changes(before, after, count)), err);
}

enum vgpu_status run_register_vm(const struct command_context *context, struct vgpu_error *err)
{
    const struct arguments *arguments = context->arguments;
    struct vgpu_vm_registration registration = {
        .vm_uuid = arguments_text(arguments, OPTION_NEW_VM_UUID),
        .vm_name = arguments_text(arguments, OPTION_NEW_VM_NAME),
        .pool = arguments_letter(arguments, OPTION_POOL),
        .priority = (enum vgpu_priority)arguments_number(arguments, OPTION_PRIORITY),
        .vm_id = (int32_t)arguments_number(arguments, OPTION_VM_ID),
        .vsock_cid = (uint32_t)arguments_number(arguments, OPTION_VSOCK_CID),
        .limits = arguments_limits(arguments),
    };
    if (arguments_has(arguments, OPTION_ALL_UNREGISTERED))
        return run_register_all_unregistered(context, err);
    struct vgpu_vm vm;
    FILE *out = context->out;
    enum vgpu_status status = vgpu_register_vm(context->vgpu, &registration, &vm, err);
    if (status == VGPU_OK && context->output == OUTPUT_JSON) {
        status = print_changed(context, NULL, &vm, 1, err);
    } else if (status == VGPU_OK) {
        fputs("Registered ", out);
        print_vm_label(out, &vm);
        fprintf(out, ": VM ID %" PRId32 ", pool %c, priority %s", vm.vm_id, vm.pool,
                vgpu_priority_name(vm.priority));
        print_served_by(context, &vm);
    }
    return status;
}

/* One "pool B (was A)" after another; a field that was asked for and is the same is said to be so. */
struct change_list {
    FILE *out;
    bool any;
};

static void print_change(struct change_list *changes, const char *field, const char *now, const char *before)
{
    bool same = strcmp(now, before) == 0;
    fprintf(changes->out, "%s %s ", changes->any ? "," : ":", field);
    text_put(changes->out, now, SIZE_MAX);
    fputs(same ? " (as before)" : " (was ", changes->out);
    if (!same) {
        text_put(changes->out, before, SIZE_MAX);
        fputc(')', changes->out);
    }
    changes->any = true;
}

static void print_number_change(struct change_list *changes, const char *field, uint32_t now, uint32_t before)
{
    char now_text[16];
    char before_text[16] = "none";
    snprintf(now_text, sizeof now_text, "%" PRIu32, now);
    if (before != 0)
        snprintf(before_text, sizeof before_text, "%" PRIu32, before);
    print_change(changes, field, now_text, before_text);
}

/* "16G", "not set". Returns text or a constant. */
static const char *limit_text(const struct vgpu_limits *limits, enum vgpu_limit limit,
                              char text[VGPU_LIMIT_TEXT_BYTES])
{
    return (limits->set >> limit & 1u) != 0 ? vgpu_format_limit(limit, limits->values[limit], text)
                                            : "not set";
}

void vm_change_print_limits(FILE *out, const struct vgpu_limits *change, const struct vgpu_limits *before,
                            const struct vgpu_limits *now, bool *any)
{
    struct change_list changes = {.out = out, .any = *any};
    for (int number = 0; number < VGPU_LIMIT_COUNT; number++) {
        enum vgpu_limit limit = (enum vgpu_limit)number;
        char before_text[VGPU_LIMIT_TEXT_BYTES];
        char now_text[VGPU_LIMIT_TEXT_BYTES];
        if (((change->set | change->cleared) >> limit & 1u) != 0)
            print_change(&changes, vgpu_limit_name(limit), limit_text(now, limit, now_text),
                         limit_text(before, limit, before_text));
    }
    *any = changes.any;
}

static const char *quarantine_text(const struct vgpu_vm *vm)
{
    return !vm->quarantined ? "no" : vm->quarantine_reason[0] != '\0' ? vm->quarantine_reason : "yes";
}

static void print_update(const struct command_context *context, const struct vgpu_vm_update *wanted,
                         const struct vgpu_vm *before, const struct vgpu_vm *now)
{
    uint32_t fields = wanted->fields;
    FILE *out = context->out;
    struct change_list changes = {.out = out};
    print_vm_label(out, now);
    if (fields & VGPU_VM_POOL)
        print_change(&changes, "pool", (char[]){now->pool, '\0'}, (char[]){before->pool, '\0'});
    if (fields & VGPU_VM_PRIORITY)
        print_change(&changes, "priority", vgpu_priority_name(now->priority),
                     vgpu_priority_name(before->priority));
    if (fields & VGPU_VM_ID)
        print_number_change(&changes, "VM ID", (uint32_t)now->vm_id, (uint32_t)before->vm_id);
    if ((fields & VGPU_VM_NAME) != 0 || strcmp(now->vm_name, before->vm_name) != 0)
        print_change(&changes, "name", now->vm_name, before->vm_name);
    if (fields & VGPU_VM_VSOCK_CID)
        print_number_change(&changes, "vsock CID", now->vsock_cid, before->vsock_cid);
    if (fields & VGPU_VM_PAUSED)
        print_change(&changes, "paused", now->paused ? "yes" : "no", before->paused ? "yes" : "no");
    if (fields & VGPU_VM_QUARANTINE)
        print_change(&changes, "quarantine", quarantine_text(now), quarantine_text(before));
    if (fields & VGPU_VM_LIMITS)
        vm_change_print_limits(out, &wanted->limits, &before->limits, &now->limits, &changes.any);
    if (fields & VGPU_VM_POOL)
        print_served_by(context, now);
    else
        fputc('\n', out);
}

/* VMs as they were and as they are. */
struct vm_lists {
    struct vgpu_vm *before;
    struct vgpu_vm *after;
    size_t count;
};

static void lists_fini(struct vm_lists *lists)
{
    vgpu_free(lists->before);
    free(lists->after);
}

/* Between begin and commit: the VMs that are meant, with room for what becomes of them. */
static enum vgpu_status lists_find(const struct command_context *context, struct vm_lists *lists,
                                   struct vgpu_error *err)
{
    enum vgpu_status status = selection_find(context, &lists->before, &lists->count, err);
    if (status != VGPU_OK)
        return status;
    lists->after = calloc(lists->count, sizeof *lists->after);
    return lists->after != NULL ? VGPU_OK
                                : error_set(err, VGPU_ERR_MEMORY, "out of memory; name fewer VMs at once");
}

/* What is given is what changes; what selects the VMs is not. */
static struct vgpu_vm_update make_update(const struct arguments *arguments)
{
    static const struct {
        enum option_id option;
        uint32_t field;
    } fields[] = {{OPTION_POOL, VGPU_VM_POOL},        {OPTION_PRIORITY, VGPU_VM_PRIORITY},
                  {OPTION_VM_ID, VGPU_VM_ID},         {OPTION_VM_NAME, VGPU_VM_NAME},
                  {OPTION_NEW_VM_NAME, VGPU_VM_NAME}, {OPTION_VSOCK_CID, VGPU_VM_VSOCK_CID}};
    const char *new_name = arguments_text(arguments, OPTION_NEW_VM_NAME);
    struct vgpu_vm_update wanted = {
        .pool = arguments_letter(arguments, OPTION_POOL),
        .priority = (enum vgpu_priority)arguments_number(arguments, OPTION_PRIORITY),
        .vm_id = (int32_t)arguments_number(arguments, OPTION_VM_ID),
        .vm_name = new_name != NULL ? new_name : arguments_text(arguments, OPTION_VM_NAME),
        .vsock_cid = (uint32_t)arguments_number(arguments, OPTION_VSOCK_CID),
        .limits = arguments_limits(arguments),
    };
    if ((wanted.limits.set | wanted.limits.cleared) != 0)
        wanted.fields |= VGPU_VM_LIMITS;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (arguments_has(arguments, fields[i].option) && arguments->selector != fields[i].option)
            wanted.fields |= fields[i].field;
    return wanted;
}

enum vgpu_status vm_change_run(const struct command_context *context, struct vgpu_vm_update wanted,
                               struct vgpu_error *err)
{
    struct vm_lists lists = {0};
    enum vgpu_status status = vgpu_begin(context->vgpu, err);
    if (status != VGPU_OK)
        return status;
    status = lists_find(context, &lists, err);
    for (size_t i = 0; status == VGPU_OK && i < lists.count; i++)
        status = vgpu_update_vm(context->vgpu, lists.before[i].vm_uuid, &wanted, &lists.after[i], err);
    if (status == VGPU_OK)
        status = vgpu_commit(context->vgpu, err);
    else
        vgpu_rollback(context->vgpu);
    if (status == VGPU_OK && context->output == OUTPUT_JSON)
        status = print_changed(context, lists.before, lists.after, lists.count, err);
    else
        for (size_t i = 0; status == VGPU_OK && i < lists.count; i++)
            print_update(context, &wanted, &lists.before[i], &lists.after[i]);
    lists_fini(&lists);
    return status;
}

enum vgpu_status run_update_vm(const struct command_context *context, struct vgpu_error *err)
{
    return vm_change_run(context, make_update(context->arguments), err);
}

enum vgpu_status run_pause(const struct command_context *context, struct vgpu_error *err)
{
    return vm_change_run(context, (struct vgpu_vm_update){.fields = VGPU_VM_PAUSED, .paused = true}, err);
}

enum vgpu_status run_resume(const struct command_context *context, struct vgpu_error *err)
{
    return vm_change_run(context, (struct vgpu_vm_update){.fields = VGPU_VM_PAUSED, .paused = false}, err);
}

static void print_removed(FILE *out, const struct vgpu_vm *vm)
{
    fputs("Removed ", out);
    print_vm_label(out, vm);
    fprintf(out, ": it was VM ID %" PRId32 ", pool %c, priority %s\n", vm->vm_id, vm->pool,
            vgpu_priority_name(vm->priority));
}

enum vgpu_status run_remove_vm(const struct command_context *context, struct vgpu_error *err)
{
    struct vm_lists lists = {0};
    enum vgpu_status status = vgpu_begin(context->vgpu, err);
    if (status != VGPU_OK)
        return status;
    status = lists_find(context, &lists, err);
    for (size_t i = 0; status == VGPU_OK && i < lists.count; i++)
        status = vgpu_remove_vm(context->vgpu, lists.before[i].vm_uuid, NULL, err);
    if (status == VGPU_OK)
        status = vgpu_commit(context->vgpu, err);
    else
        vgpu_rollback(context->vgpu);
    if (status == VGPU_OK && context->output == OUTPUT_JSON)
        status = print_changed(context, lists.before, NULL, lists.count, err);
    else
        for (size_t i = 0; status == VGPU_OK && i < lists.count; i++)
            print_removed(context->out, &lists.before[i]);
    lists_fini(&lists);
    return status;
}

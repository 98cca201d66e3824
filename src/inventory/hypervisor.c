#include "inventory/hypervisor.h"

#include "base/error.h"
#include "inventory/hypervisor_vendor.h"
#include "inventory/program_run.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct hypervisor_vendor *const vendors[] = {&hypervisor_libvirt, &hypervisor_xe};
#define VENDOR_COUNT (sizeof vendors / sizeof vendors[0])

/* ---- Lists ---- */

bool hypervisor_add_target(struct hypervisor_target_list *list, const struct hypervisor_vendor *vendor,
                           const char *name, bool uncertain)
{
    struct hypervisor_target *larger = reallocarray(list->targets, list->count + 1, sizeof *larger);
    if (larger == NULL)
        return false;
    list->targets = larger;
    struct hypervisor_target *target = &larger[list->count++];
    *target = (struct hypervisor_target){.vendor = vendor, .uncertain = uncertain};
    snprintf(target->name, sizeof target->name, "%s", name);
    return true;
}

/* 8-4-4-4-12 hexadecimal digits. */
static bool canonical_uuid(const char *text, char uuid[VGPU_VM_UUID_BYTES])
{
    static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    size_t i = 0;
    for (; shape[i] != '\0'; i++) {
        if (shape[i] == 'x' ? !isxdigit((unsigned char)text[i]) : text[i] != '-')
            return false;
        uuid[i] = (char)tolower((unsigned char)text[i]);
    }
    uuid[i] = '\0';
    return text[i] == '\0';
}

bool hypervisor_add_vm(struct hypervisor_vm_list *list, const char *uuid, const char *name,
                       enum vgpu_power power)
{
    struct hypervisor_vm vm = {.power = power};
    if (!canonical_uuid(uuid, vm.vm_uuid))
        return true;
    snprintf(vm.vm_name, sizeof vm.vm_name, "%s", name);
    if (list->count == list->room) {
        size_t room = list->room * 2 + 16;
        struct hypervisor_vm *larger = reallocarray(list->vms, room, sizeof *larger);
        if (larger == NULL)
            return false;
        list->vms = larger;
        list->room = room;
    }
    list->vms[list->count++] = vm;
    return true;
}

/* ---- Whom to ask ---- */

static enum vgpu_status fail_memory(struct vgpu_error *err)
{
    return error_set(err, VGPU_ERR_MEMORY, "out of memory");
}

static enum vgpu_status add_named(const char *word, struct hypervisor_target_list *list,
                                  struct vgpu_error *err)
{
    if (strlen(word) >= VGPU_HYPERVISOR_BYTES)
        return error_set(err, VGPU_ERR_USAGE, "hypervisor_uris: a URI has at most %d characters",
                         VGPU_HYPERVISOR_BYTES - 1);
    for (size_t i = 0; i < VENDOR_COUNT; i++)
        if (vendors[i]->takes(word))
            return hypervisor_add_target(list, vendors[i], word, false) ? VGPU_OK : fail_memory(err);
    return error_set(err, VGPU_ERR_USAGE,
                     "hypervisor_uris: '%s' names no hypervisor; give libvirt's URIs like qemu:///system, or "
                     "xe, or " HYPERVISOR_AUTO " or " HYPERVISOR_NONE " alone",
                     word);
}

static enum vgpu_status choose_targets(const struct hypervisor_options *options,
                                       struct hypervisor_target_list *list, struct vgpu_error *err)
{
    const char *const *uris = options->uris;
    bool alone = uris[0] == NULL || uris[1] == NULL;
    if (uris[0] == NULL || (alone && strcmp(uris[0], HYPERVISOR_NONE) == 0))
        return VGPU_OK;
    enum vgpu_status status = VGPU_OK;
    if (alone && strcmp(uris[0], HYPERVISOR_AUTO) == 0) {
        for (size_t i = 0; status == VGPU_OK && i < VENDOR_COUNT; i++)
            status = vendors[i]->discover(options, list) ? VGPU_OK : fail_memory(err);
        return status;
    }
    for (size_t i = 0; status == VGPU_OK && uris[i] != NULL; i++)
        status = add_named(uris[i], list, err);
    return status;
}

/* ---- What they say ---- */

/* The first line that a failed program printed. */
static const char *first_line(char *output)
{
    if (output == NULL)
        return "it says nothing";
    output += strspn(output, "\r\n \t");
    output[strcspn(output, "\r\n")] = '\0';
    return output[0] != '\0' ? output : "it says nothing";
}

/* False, and the reason, where the program has not done what it should. */
static bool judge(struct program_run *run, const struct hypervisor_target *target, int time_limit_ms,
                  struct vgpu_hypervisor *hypervisor)
{
    char *reason = hypervisor->reason;
    size_t size = sizeof hypervisor->reason;
    if (run->start_errno == ENOENT || run->exit_status == 127)
        snprintf(reason, size, "%s", target->vendor->missing);
    else if (run->start_errno != 0)
        snprintf(reason, size, "%s cannot be run: %s", run->arguments[0], strerror(run->start_errno));
    else if (run->timed_out)
        snprintf(reason, size, "it does not answer within %g s; see whether its service is well",
                 time_limit_ms / 1000.0);
    else if (run->too_much)
        snprintf(reason, size, "its answer does not fit into memory");
    else if (run->exit_status == -1)
        snprintf(reason, size, "%s was ended by signal %d", run->arguments[0], run->signal);
    else if (run->exit_status != 0)
        snprintf(reason, size, "%s", first_line(run->output));
    else
        hypervisor->answered = true;
    return hypervisor->answered;
}

static bool read_answers(struct program_run *runs, const struct hypervisor_target_list *targets,
                         int time_limit_ms, struct hypervisor_scan *scan, struct hypervisor_vm_list *vms)
{
    for (size_t i = 0; i < targets->count; i++) {
        const struct hypervisor_target *target = &targets->targets[i];
        struct vgpu_hypervisor *hypervisor = &scan->hypervisors[i];
        size_t before = vms->count;
        memcpy(hypervisor->name, target->name, sizeof hypervisor->name);
        if (!judge(&runs[i], target, time_limit_ms, hypervisor))
            continue;
        if (runs[i].output != NULL && !target->vendor->read(runs[i].output, vms))
            return false;
        hypervisor->vm_count = (uint32_t)(vms->count - before);
        for (size_t j = before; j < vms->count; j++)
            vms->vms[j].hypervisor = i;
    }
    return true;
}

/* Takes those out that were only tried and are not there, unless all that is left to say is that. */
static void drop_uncertain(const struct hypervisor_target_list *targets, struct hypervisor_scan *scan,
                           struct hypervisor_vm_list *vms)
{
    size_t kept = 0;
    bool any_answer = false;
    for (size_t i = 0; i < scan->hypervisor_count; i++)
        any_answer |= scan->hypervisors[i].answered;
    for (size_t i = 0; i < scan->hypervisor_count; i++) {
        bool silent = targets->targets[i].uncertain && !scan->hypervisors[i].answered;
        if (silent && (any_answer || kept > 0))
            continue;
        for (size_t j = 0; j < vms->count; j++)
            if (vms->vms[j].hypervisor == i)
                vms->vms[j].hypervisor = kept;
        scan->hypervisors[kept++] = scan->hypervisors[i];
    }
    scan->hypervisor_count = kept;
}

static int compare_vms(const void *left, const void *right)
{
    const struct hypervisor_vm *a = left;
    const struct hypervisor_vm *b = right;
    int order = strcmp(a->vm_uuid, b->vm_uuid);
    if (order != 0)
        return order;
    return (a->hypervisor > b->hypervisor) - (a->hypervisor < b->hypervisor);
}

static size_t sort_and_unite(struct hypervisor_vm *vms, size_t count)
{
    size_t kept = 0;
    if (count > 0)
        qsort(vms, count, sizeof *vms, compare_vms);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || strcmp(vms[kept - 1].vm_uuid, vms[i].vm_uuid) != 0)
            vms[kept++] = vms[i];
    return kept;
}

/* ---- All of it ---- */

static enum vgpu_status ask_targets(const struct hypervisor_options *options,
                                    const struct hypervisor_target_list *targets,
                                    struct hypervisor_scan *scan, struct vgpu_error *err)
{
    const char *(*commands)[HYPERVISOR_MAX_ARGUMENTS + 1] = calloc(targets->count, sizeof *commands);
    struct program_run *runs = calloc(targets->count, sizeof *runs);
    struct hypervisor_vm_list vms = {.count = 0};
    enum vgpu_status status = VGPU_ERR_MEMORY;
    scan->hypervisors = calloc(targets->count, sizeof *scan->hypervisors);
    scan->hypervisor_count = targets->count;
    if (commands != NULL && runs != NULL && scan->hypervisors != NULL) {
        for (size_t i = 0; i < targets->count; i++) {
            targets->targets[i].vendor->command(options, &targets->targets[i], commands[i]);
            runs[i].arguments = commands[i];
        }
        program_run_all(runs, targets->count, options->time_limit_ms);
        if (read_answers(runs, targets, options->time_limit_ms, scan, &vms))
            status = VGPU_OK;
        for (size_t i = 0; i < targets->count; i++)
            program_run_fini(&runs[i]);
        drop_uncertain(targets, scan, &vms);
    }
    scan->vms = vms.vms;
    scan->vm_count = sort_and_unite(vms.vms, vms.count);
    free(runs);
    free(commands);
    return status == VGPU_OK ? VGPU_OK : fail_memory(err);
}

enum vgpu_status hypervisor_scan(const struct hypervisor_options *options, struct hypervisor_scan *scan,
                                 struct vgpu_error *err)
{
    struct hypervisor_target_list targets = {.count = 0};
    struct hypervisor_scan found = {.vm_count = 0};
    enum vgpu_status status = choose_targets(options, &targets, err);
    if (status == VGPU_OK && targets.count > 0)
        status = ask_targets(options, &targets, &found, err);
    free(targets.targets);
    if (status == VGPU_OK)
        *scan = found;
    else
        hypervisor_scan_fini(&found);
    return status;
}

void hypervisor_scan_fini(struct hypervisor_scan *scan)
{
    free(scan->hypervisors);
    free(scan->vms);
    *scan = (struct hypervisor_scan){.vm_count = 0};
}

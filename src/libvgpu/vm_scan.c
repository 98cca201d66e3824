/* The VMs that the hypervisors have, compared with those that are registered. */
#include "base/error.h"
#include "base/prefix.h"
#include "inventory/hypervisor.h"
#include "libvgpu/handle.h"
#include "libvgpu/words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_TIME_LIMIT_MS 10000
#define NOT_FOUND             SIZE_MAX

/* ---- Which VM is which ---- */

/* Index of the VM with this UUID, by which vms are sorted. */
static size_t find_by_uuid(const struct hypervisor_scan *found, const char *vm_uuid)
{
    size_t low = 0;
    size_t high = found->vm_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(found->vms[middle].vm_uuid, vm_uuid);
        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NOT_FOUND;
}

static size_t find_by_name(const struct hypervisor_scan *found, const char *vm_name)
{
    for (size_t i = 0; i < found->vm_count; i++)
        if (strcmp(found->vms[i].vm_name, vm_name) == 0)
            return i;
    return NOT_FOUND;
}

/* Whether a VM that nobody spoke of is one that nobody has. */
static bool all_answered(const struct hypervisor_scan *found)
{
    for (size_t i = 0; i < found->hypervisor_count; i++)
        if (!found->hypervisors[i].answered)
            return false;
    return found->hypervisor_count > 0;
}

static void take_hypervisor_view(struct vgpu_scanned_vm *vm, const struct hypervisor_scan *found,
                                 const struct hypervisor_vm *view)
{
    vm->power = view->power;
    memcpy(vm->hypervisor, found->hypervisors[view->hypervisor].name, sizeof vm->hypervisor);
}

/* taken[i]: VM i of the hypervisors is a registered one. */
static void add_registered(const struct hypervisor_scan *found, const struct vgpu_vm *registered,
                           size_t count, bool *taken, struct vgpu_vm_scan *scan)
{
    bool complete = all_answered(found);
    for (size_t i = 0; i < count; i++) {
        struct vgpu_scanned_vm *vm = &scan->vms[scan->vm_count++];
        bool real_uuid = words_is_real_uuid(registered[i].vm_uuid);
        size_t index = real_uuid ? find_by_uuid(found, registered[i].vm_uuid)
                                 : find_by_name(found, registered[i].vm_uuid);
        *vm = (struct vgpu_scanned_vm){.state = VGPU_VM_REGISTERED, .vm = registered[i]};
        if (index != NOT_FOUND) {
            taken[index] = true;
            take_hypervisor_view(vm, found, &found->vms[index]);
        } else if (real_uuid && complete) {
            vm->state = VGPU_VM_VANISHED;
        }
    }
}

/* VM-2 before VM-10. */
static int compare_by_name(const void *left, const void *right)
{
    const struct vgpu_scanned_vm *a = left;
    const struct vgpu_scanned_vm *b = right;
    int order = strverscmp(a->vm.vm_name, b->vm.vm_name);
    return order != 0 ? order : strcmp(a->vm.vm_uuid, b->vm.vm_uuid);
}

static void add_unregistered(const struct hypervisor_scan *found, const bool *taken,
                             struct vgpu_vm_scan *scan)
{
    size_t first = scan->vm_count;
    for (size_t i = 0; i < found->vm_count; i++) {
        if (taken[i])
            continue;
        struct vgpu_scanned_vm *vm = &scan->vms[scan->vm_count++];
        *vm = (struct vgpu_scanned_vm){.state = VGPU_VM_UNREGISTERED};
        memcpy(vm->vm.vm_uuid, found->vms[i].vm_uuid, sizeof vm->vm.vm_uuid);
        words_fit_vm_name(found->vms[i].vm_name, vm->vm.vm_name);
        take_hypervisor_view(vm, found, &found->vms[i]);
    }
    if (scan->vm_count > first)
        qsort(scan->vms + first, scan->vm_count - first, sizeof *scan->vms, compare_by_name);
}

/* Takes over the list of hypervisors. */
static enum vgpu_status compare(struct hypervisor_scan *found, const struct vgpu_vm *registered, size_t count,
                                struct vgpu_vm_scan *scan, struct vgpu_error *err)
{
    struct vgpu_vm_scan compared = {.vm_count = 0};
    bool *taken = calloc(found->vm_count + 1, sizeof *taken);
    compared.vms = calloc(found->vm_count + count + 1, sizeof *compared.vms);
    if (taken == NULL || compared.vms == NULL) {
        free(taken);
        free(compared.vms);
        return error_set(err, VGPU_ERR_MEMORY, "out of memory");
    }
    add_registered(found, registered, count, taken, &compared);
    add_unregistered(found, taken, &compared);
    free(taken);
    compared.hypervisors = found->hypervisors;
    compared.hypervisor_count = found->hypervisor_count;
    found->hypervisors = NULL;
    *scan = compared;
    return VGPU_OK;
}

/* ---- Scanning ---- */

enum vgpu_status vgpu_scan_vms(struct vgpu *handle, const struct vgpu_snapshot *snapshot,
                               uint32_t time_limit_ms, struct vgpu_vm_scan *scan, struct vgpu_error *err)
{
    char libvirt_program[PATH_MAX];
    struct hypervisor_scan found = {.vm_count = 0};
    struct vgpu_vm *registered = NULL;
    size_t count = 0;
    struct hypervisor_options options = {
        .uris = settings_list(handle->settings, SETTING_HYPERVISOR_URIS),
        .time_limit_ms = time_limit_ms == 0 ? DEFAULT_TIME_LIMIT_MS : (int)time_limit_ms,
    };
    if (prefix_find(PREFIX_LIBVIRT, libvirt_program, NULL) == VGPU_OK)
        options.libvirt_program = libvirt_program;
    enum vgpu_status status = hypervisor_scan(&options, &found, err);
    if (status == VGPU_OK && snapshot == NULL)
        status = store_list_vms(handle->store, 0, -1, &registered, &count, err);
    if (status == VGPU_OK)
        status = snapshot == NULL ? compare(&found, registered, count, scan, err)
                                  : compare(&found, snapshot->vms, snapshot->vm_count, scan, err);
    free(registered);
    hypervisor_scan_fini(&found);
    return status;
}

void vgpu_vm_scan_fini(struct vgpu_vm_scan *scan)
{
    free(scan->hypervisors);
    free(scan->vms);
    *scan = (struct vgpu_vm_scan){.vm_count = 0};
}

/* ---- Registering what was found ---- */

static enum vgpu_status register_one(struct vgpu *handle, const struct vgpu_vm *found, char pool,
                                     enum vgpu_priority priority, struct vgpu_vm *row, bool *added,
                                     struct vgpu_error *err)
{
    struct vgpu_vm_registration registration = {
        .vm_uuid = found->vm_uuid,
        .vm_name = found->vm_name[0] != '\0' ? found->vm_name : NULL,
        .pool = pool,
        .priority = priority,
    };
    struct vgpu_error why;
    struct vgpu_vm there;
    enum vgpu_status status = vgpu_register_vm(handle, &registration, row, &why);
    *added = status == VGPU_OK;
    if (status == VGPU_OK ||
        (status == VGPU_ERR_EXISTS && store_get_vm(handle->store, found->vm_uuid, &there, NULL) == VGPU_OK))
        return VGPU_OK;
    return error_set(err, status, "%s", why.message);
}

static enum vgpu_status register_all(struct vgpu *handle, const struct vgpu_vm_scan *scan, char pool,
                                     enum vgpu_priority priority, struct vgpu_vm *rows, size_t *count,
                                     struct vgpu_error *err)
{
    for (size_t i = 0; i < scan->vm_count; i++) {
        bool added = false;
        if (scan->vms[i].state != VGPU_VM_UNREGISTERED)
            continue;
        enum vgpu_status status =
            register_one(handle, &scan->vms[i].vm, pool, priority, &rows[*count], &added, err);
        if (status != VGPU_OK)
            return status;
        *count += added;
    }
    return VGPU_OK;
}

enum vgpu_status vgpu_register_scanned_vms(struct vgpu *handle, const struct vgpu_vm_scan *scan, char pool,
                                           enum vgpu_priority priority, struct vgpu_vm **registered,
                                           size_t *count, struct vgpu_error *err)
{
    size_t added = 0;
    struct vgpu_vm *rows = calloc(scan->vm_count + 1, sizeof *rows);
    if (rows == NULL)
        return error_set(err, VGPU_ERR_MEMORY, "out of memory");
    enum vgpu_status status = vgpu_begin(handle, err);
    if (status == VGPU_OK) {
        status = register_all(handle, scan, pool, priority, rows, &added, err);
        if (status == VGPU_OK)
            status = vgpu_commit(handle, err);
        else
            vgpu_rollback(handle);
    }
    if (status != VGPU_OK || added == 0 || registered == NULL) {
        free(rows);
        rows = NULL;
    }
    if (status == VGPU_OK && registered != NULL) {
        *registered = rows;
        *count = added;
    }
    return status;
}

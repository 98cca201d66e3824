/* VMs as a person names them. */
#include "base/error.h"
#include "libvgpu/handle.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CANDIDATES_MAX 5 /* that a message lists */

struct found {
    struct vgpu_vm *vms;
    size_t count;
};

/* "abc123 (VM-1, vm-id 1), abc124 (VM-2, vm-id 2) and 3 more". */
static void list_candidates(const struct found *found, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < found->count && i < CANDIDATES_MAX && used < size; i++)
        used +=
            (size_t)snprintf(text + used, size - used, "%s%s (%.40s, vm-id %" PRId32 ")", i > 0 ? ", " : "",
                             found->vms[i].vm_uuid, found->vms[i].vm_name, found->vms[i].vm_id);
    if (found->count > CANDIDATES_MAX && used < size)
        snprintf(text + used, size - used, " and %zu more", found->count - CANDIDATES_MAX);
}

static enum vgpu_status require_one(const struct found *found, const char *what, const char *word,
                                    const char *advice, struct vgpu_error *err)
{
    char candidates[360];
    if (found->count == 1)
        return VGPU_OK;
    if (found->count == 0)
        return error_set(err, VGPU_ERR_NOT_FOUND,
                         "no VM %s %s is registered: list-vms shows those that are, register-vm adds one",
                         what, word);
    list_candidates(found, candidates, sizeof candidates);
    return error_set(err, VGPU_ERR_AMBIGUOUS, "%zu VMs are meant by %s: %s; %s", found->count, word,
                     candidates, advice);
}

static enum vgpu_status find_by_uuid(struct vgpu *handle, const char *vm_uuid, struct found *found,
                                     struct vgpu_error *err)
{
    char checked[VGPU_VM_UUID_BYTES];
    enum vgpu_status status = vgpu_parse_vm_uuid(vm_uuid, checked, err);
    if (status == VGPU_OK)
        status = store_find_vms_by_uuid(handle->store, checked, &found->vms, &found->count, err);
    return status == VGPU_OK ? require_one(found, "with the identifier", checked, "give more of it", err)
                             : status;
}

static enum vgpu_status find_by_name(struct vgpu *handle, const char *vm_name, struct found *found,
                                     struct vgpu_error *err)
{
    char checked[VGPU_VM_NAME_BYTES];
    enum vgpu_status status = vgpu_parse_vm_name(vm_name, checked, err);
    if (status == VGPU_OK)
        status = store_find_vms_by_name(handle->store, checked, &found->vms, &found->count, err);
    return status == VGPU_OK
               ? require_one(found, "with the name", checked, "give the identifier of one instead", err)
               : status;
}

/* ---- Numbers ---- */

static int compare_ranges(const void *left, const void *right)
{
    const struct vgpu_vm_id_range *first = left;
    const struct vgpu_vm_id_range *second = right;
    return (first->first > second->first) - (first->first < second->first);
}

static enum vgpu_status refuse_empty(const struct vgpu_vm_id_range *range, struct vgpu_error *err)
{
    if (range->first == range->last)
        return error_set(err, VGPU_ERR_NOT_FOUND,
                         "no VM has the vm-id %" PRId32 ": list-vms shows the numbers of those there are",
                         range->first);
    return error_set(err, VGPU_ERR_NOT_FOUND,
                     "no VM has a vm-id from %" PRId32 " to %" PRId32 ": list-vms shows the numbers of those "
                     "there are",
                     range->first, range->last);
}

static enum vgpu_status append(struct found *found, const struct found *more, struct vgpu_error *err)
{
    struct vgpu_vm *larger =
        reallocarray(found->vms, found->count + more->count, sizeof *larger); /* more is not empty */
    if (larger == NULL)
        return error_set(err, VGPU_ERR_MEMORY, "out of memory");
    found->vms = larger;
    for (size_t i = 0; i < more->count; i++)
        if (found->count == 0 || more->vms[i].vm_id > found->vms[found->count - 1].vm_id)
            found->vms[found->count++] = more->vms[i]; /* ranges may overlap */
    return VGPU_OK;
}

static enum vgpu_status find_by_ids(struct vgpu *handle, const char *vm_ids, struct found *found,
                                    struct vgpu_error *err)
{
    struct vgpu_vm_id_range ranges[VGPU_VM_ID_RANGES];
    size_t range_count = 0;
    enum vgpu_status status = vgpu_parse_vm_ids(vm_ids, ranges, &range_count, err);
    if (status == VGPU_OK)
        qsort(ranges, range_count, sizeof ranges[0], compare_ranges);
    for (size_t i = 0; status == VGPU_OK && i < range_count; i++) {
        struct found more = {.vms = NULL};
        status =
            store_find_vms_by_id(handle->store, ranges[i].first, ranges[i].last, &more.vms, &more.count, err);
        if (status == VGPU_OK)
            status = more.count == 0 ? refuse_empty(&ranges[i], err) : append(found, &more, err);
        free(more.vms);
    }
    return status;
}

enum vgpu_status vgpu_find_vms(struct vgpu *handle, const struct vgpu_vm_selection *selection,
                               struct vgpu_vm **vms, size_t *count, struct vgpu_error *err)
{
    struct found found = {.vms = NULL};
    int given = (selection->vm_uuid != NULL) + (selection->vm_name != NULL) + (selection->vm_ids != NULL);
    if (given != 1)
        return error_set(err, VGPU_ERR_USAGE,
                         "VMs are named in one way: by identifier, by name or by number");
    enum vgpu_status status =
        selection->vm_uuid != NULL   ? find_by_uuid(handle, selection->vm_uuid, &found, err)
        : selection->vm_name != NULL ? find_by_name(handle, selection->vm_name, &found, err)
                                     : find_by_ids(handle, selection->vm_ids, &found, err);
    if (status != VGPU_OK) {
        free(found.vms);
        return status;
    }
    *vms = found.vms;
    *count = found.count;
    return VGPU_OK;
}

/* VMs by what a person knows of them. */
#include "store/vms.h"

#include <stdlib.h>
#include <string.h>

/* As a real UUID is kept: what may be the beginning of one, in lower case. */
static void lower(const char *text, char lowered[VGPU_VM_UUID_BYTES])
{
    size_t length = strnlen(text, VGPU_VM_UUID_BYTES - 1);
    for (size_t i = 0; i < length; i++)
        lowered[i] = text[i] >= 'A' && text[i] <= 'F' ? (char)(text[i] - 'A' + 'a') : text[i];
    lowered[length] = '\0';
}

static enum vgpu_status find_exact(struct store *store, const char *vm_uuid, struct vgpu_vm **vms,
                                   size_t *count, struct vgpu_error *err)
{
    struct query query = query_start(store, VM_SELECT "WHERE vm_uuid = ?1 ORDER BY vm_id");
    query_bind_text(&query, 1, vm_uuid);
    return vm_collect(&query, vms, count, err);
}

enum vgpu_status store_find_vms_by_uuid(struct store *store, const char *vm_uuid, struct vgpu_vm **vms,
                                        size_t *count, struct vgpu_error *err)
{
    struct vgpu_vm *found = NULL;
    size_t found_count = 0;
    char lowered[VGPU_VM_UUID_BYTES];
    enum vgpu_status status = find_exact(store, vm_uuid, &found, &found_count, err);
    if (status == VGPU_OK && found_count == 0) {
        struct query query =
            query_start(store, VM_SELECT "WHERE substr(vm_uuid, 1, length(?1)) = ?1"
                                         " OR (vm_uuid LIKE '________-____-____-____-____________'"
                                         " AND substr(vm_uuid, 1, length(?2)) = ?2) ORDER BY vm_id");
        lower(vm_uuid, lowered);
        query_bind_text(&query, 1, vm_uuid);
        query_bind_text(&query, 2, lowered);
        status = vm_collect(&query, &found, &found_count, err);
    }
    if (status == VGPU_OK) {
        *vms = found;
        *count = found_count;
    }
    return status;
}

enum vgpu_status store_find_vms_by_name(struct store *store, const char *vm_name, struct vgpu_vm **vms,
                                        size_t *count, struct vgpu_error *err)
{
    struct query query =
        query_start(store, VM_SELECT "WHERE coalesce(vm_name, 'VM-' || vm_id) = ?1 ORDER BY vm_id");
    query_bind_text(&query, 1, vm_name);
    return vm_collect(&query, vms, count, err);
}

enum vgpu_status store_find_vms_by_id(struct store *store, int32_t first, int32_t last, struct vgpu_vm **vms,
                                      size_t *count, struct vgpu_error *err)
{
    struct query query = query_start(store, VM_SELECT "WHERE vm_id BETWEEN ?1 AND ?2 ORDER BY vm_id");
    query_bind_int(&query, 1, first);
    query_bind_int(&query, 2, last);
    return vm_collect(&query, vms, count, err);
}

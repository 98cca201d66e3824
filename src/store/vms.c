#include "store/vms.h"
#include "base/error.h"
#include "base/limit.h"
#include "store/history.h"
#include "store/placement.h"
#include "store/pools.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const priority_words[] = {"low", "medium", "high"}; /* enum vgpu_priority */

/* ---- Reading ---- */

void vm_read(const struct query *query, struct vgpu_vm *vm)
{
    vm->vm_id = (int32_t)query_int(query, 0);
    query_text(query, 1, vm->vm_uuid, sizeof vm->vm_uuid);
    query_text(query, 2, vm->vm_name, sizeof vm->vm_name);
    vm->pool = query_pool(query, 3);
    vm->priority = (enum vgpu_priority)query_int(query, 4);
    vm->vsock_cid = (uint32_t)query_int(query, 5);
    vm->gpu_id = query_optional(query, 6);
    query_text(query, 7, vm->created_at, sizeof vm->created_at);
    query_text(query, 8, vm->updated_at, sizeof vm->updated_at);
    vm->paused = query_int(query, 9) != 0;
    query_text(query, 10, vm->quarantined_at, sizeof vm->quarantined_at);
    query_text(query, 11, vm->quarantine_reason, sizeof vm->quarantine_reason);
    vm->quarantined = vm->quarantined_at[0] != '\0';
    limits_read(query, 12, LIMIT_COUNT_OF_VM, &vm->limits);
}

enum vgpu_status vm_collect(struct query *query, struct vgpu_vm **vms, size_t *count, struct vgpu_error *err)
{
    void *list = NULL;
    size_t length = 0;
    while (query_row(query)) {
        struct vgpu_vm *vm = list_add(&list, &length, sizeof *vm);
        if (vm == NULL)
            query_set_result(query, SQLITE_NOMEM);
        else
            vm_read(query, vm);
    }
    enum vgpu_status status = query_end(query, err);
    if (status != VGPU_OK) {
        free(list);
        return status;
    }
    *vms = list;
    *count = length;
    return VGPU_OK;
}

enum vgpu_status store_list_vms(struct store *store, char pool, int priority, struct vgpu_vm **vms,
                                size_t *count, struct vgpu_error *err)
{
    struct query query =
        query_start(store, VM_SELECT "WHERE (?1 IS NULL OR coalesce(further_pool_id, pool_id) = ?1)"
                                     " AND (?2 < 0 OR priority = ?2) ORDER BY vm_id");
    query_bind_pool(&query, 1, pool);
    query_bind_int(&query, 2, priority);
    return vm_collect(&query, vms, count, err);
}

/* Ends the query. *found says whether there was a row. */
static enum vgpu_status vm_fetch(struct query *query, struct vgpu_vm *vm, bool *found, struct vgpu_error *err)
{
    *found = false;
    while (query_row(query)) {
        vm_read(query, vm);
        *found = true;
    }
    return query_end(query, err);
}

static enum vgpu_status find_by_uuid(struct store *store, const char *vm_uuid, struct vgpu_vm *vm,
                                     bool *found, struct vgpu_error *err)
{
    struct query query = query_start(store, VM_SELECT "WHERE vm_uuid = ?1");
    query_bind_text(&query, 1, vm_uuid);
    return vm_fetch(&query, vm, found, err);
}

enum vgpu_status store_get_vm(struct store *store, const char *vm_uuid, struct vgpu_vm *vm,
                              struct vgpu_error *err)
{
    struct vgpu_vm row;
    bool found = false;
    enum vgpu_status status = find_by_uuid(store, vm_uuid, &row, &found, err);
    if (status != VGPU_OK)
        return status;
    if (!found)
        return error_set(err, VGPU_ERR_NOT_FOUND,
                         "no VM %s is registered: list-vms shows those that are, register-vm adds one",
                         vm_uuid);
    *vm = row;
    return VGPU_OK;
}

/* ---- What must be unique ---- */

static enum vgpu_status check_uuid_free(struct store *store, const char *vm_uuid, struct vgpu_error *err)
{
    struct vgpu_vm taken;
    bool found = false;
    enum vgpu_status status = find_by_uuid(store, vm_uuid, &taken, &found, err);
    if (status == VGPU_OK && found)
        return error_set(err, VGPU_ERR_EXISTS,
                         "VM %s is registered already (%s, vm-id %" PRId32
                         "): change it with update-vm, or remove it first",
                         vm_uuid, taken.vm_name, taken.vm_id);
    return status;
}

static enum vgpu_status check_id_free(struct store *store, int32_t vm_id, struct vgpu_error *err)
{
    struct vgpu_vm taken;
    bool found = false;
    struct query query = query_start(store, VM_SELECT "WHERE vm_id = ?1");
    query_bind_int(&query, 1, vm_id);
    enum vgpu_status status = vm_fetch(&query, &taken, &found, err);
    if (status == VGPU_OK && found)
        return error_set(err, VGPU_ERR_EXISTS, "vm-id %" PRId32 " is taken by VM %s (%s): choose another",
                         vm_id, taken.vm_uuid, taken.vm_name);
    return status;
}

static enum vgpu_status check_cid_free(struct store *store, uint32_t vsock_cid, struct vgpu_error *err)
{
    struct vgpu_vm taken;
    bool found = false;
    struct query query = query_start(store, VM_SELECT "WHERE vsock_cid = ?1");
    query_bind_int(&query, 1, vsock_cid);
    enum vgpu_status status = vm_fetch(&query, &taken, &found, err);
    if (status == VGPU_OK && found)
        return error_set(err, VGPU_ERR_EXISTS,
                         "vsock CID %" PRIu32 " is taken by VM %s (%s): a CID belongs to one VM", vsock_cid,
                         taken.vm_uuid, taken.vm_name);
    return status;
}

static enum vgpu_status lowest_free_id(struct store *store, int32_t *vm_id, struct vgpu_error *err)
{
    int64_t lowest = 0;
    struct query query = query_start(
        store, "SELECT CASE WHEN NOT EXISTS (SELECT 1 FROM vms WHERE vm_id = ?1) THEN ?1 ELSE"
               " (SELECT v.vm_id + 1 FROM vms v WHERE v.vm_id >= ?1 AND NOT EXISTS"
               " (SELECT 1 FROM vms w WHERE w.vm_id = v.vm_id + 1) ORDER BY v.vm_id LIMIT 1) END");
    query_bind_int(&query, 1, store->free_vm_id_from);
    while (query_row(&query))
        lowest = query_int(&query, 0);
    enum vgpu_status status = query_end(&query, err);
    if (status != VGPU_OK)
        return status;
    if (lowest > VGPU_VM_ID_MAX)
        return error_set(err, VGPU_ERR_EXISTS, "no vm-id is free above the highest: choose one with --vm-id");
    store->free_vm_id_from = lowest;
    *vm_id = (int32_t)lowest;
    return VGPU_OK;
}

/* ---- Registering ---- */

static enum vgpu_status vm_insert(struct store *store, const struct vgpu_vm *vm, struct vgpu_error *err)
{
    struct query query = query_start(
        store,
        "INSERT INTO vms (vm_id, vm_uuid, vm_name, pool_id, further_pool_id, priority, vsock_cid, gpu_id,"
        " paused, quarantined_at, quarantine_reason, " LIMIT_COLUMNS_OF_VM
        ") VALUES (?1, ?2, ?3, coalesce(?4, 'A'), ?5, ?6, nullif(?7, 0), ?8, ?9,"
        " CASE WHEN ?10 THEN CURRENT_TIMESTAMP END, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, "
        "?22)");
    bool first_two = pool_is_first_two(vm->pool);
    query_bind_int(&query, 1, vm->vm_id);
    query_bind_text(&query, 2, vm->vm_uuid);
    query_bind_text(&query, 3, vm->vm_name);
    query_bind_pool(&query, 4, first_two ? vm->pool : '\0');
    query_bind_pool(&query, 5, first_two ? '\0' : vm->pool);
    query_bind_int(&query, 6, vm->priority);
    query_bind_int(&query, 7, vm->vsock_cid);
    query_bind_optional(&query, 8, vm->gpu_id);
    query_bind_int(&query, 9, vm->paused);
    query_bind_int(&query, 10, vm->quarantined);
    query_bind_text(&query, 11, vm->quarantined ? vm->quarantine_reason : NULL);
    limits_bind(&query, 12, LIMIT_COUNT_OF_VM, &vm->limits);
    return query_run(&query, err);
}

/* "vm-id 3, pool A, high": for the history. */
static void describe(const struct vgpu_vm *vm, char *text, size_t size)
{
    snprintf(text, size, "vm-id %" PRId32 ", pool %c, %s", vm->vm_id, vm->pool, priority_words[vm->priority]);
}

static void make_subject(char subject[VGPU_VM_UUID_BYTES + 4], const char *vm_uuid)
{
    snprintf(subject, VGPU_VM_UUID_BYTES + 4, "vm %s", vm_uuid);
}

static enum vgpu_status register_vm(struct store *store, const struct vgpu_vm *vm, struct vgpu_vm *row,
                                    struct vgpu_error *err)
{
    static const struct vgpu_optional nowhere = {.known = false};
    struct vgpu_vm added = *vm;
    enum vgpu_status status = pool_check(store, vm->pool, err);
    if (status == VGPU_OK)
        status = check_uuid_free(store, vm->vm_uuid, err);
    if (status == VGPU_OK)
        status =
            vm->vm_id == 0 ? lowest_free_id(store, &added.vm_id, err) : check_id_free(store, vm->vm_id, err);
    if (status == VGPU_OK && vm->vsock_cid != 0)
        status = check_cid_free(store, vm->vsock_cid, err);
    if (status == VGPU_OK)
        status = placement_choose(store, vm->pool, nowhere, &added.gpu_id, err);
    if (status == VGPU_OK)
        status = vm_insert(store, &added, err);
    if (status != VGPU_OK)
        return status;
    char subject[VGPU_VM_UUID_BYTES + 4];
    char what[64];
    make_subject(subject, vm->vm_uuid);
    describe(&added, what, sizeof what);
    status = history_record(store, "register-vm", subject, NULL, NULL, what, err);
    return status == VGPU_OK && row != NULL ? store_get_vm(store, vm->vm_uuid, row, err) : status;
}

enum vgpu_status store_register_vm(struct store *store, const struct vgpu_vm *vm, struct vgpu_vm *registered,
                                   struct vgpu_error *err)
{
    struct vgpu_vm row;
    enum vgpu_status status = change_begin(store, err);
    if (status != VGPU_OK)
        return status;
    status = change_end(store, register_vm(store, vm, registered != NULL ? &row : NULL, err), err);
    if (status == VGPU_OK && registered != NULL)
        *registered = row;
    return status;
}

/* ---- Changing ---- */

/* Checks the new values and writes each that differs into the history. *after begins as a copy of *before and
 * becomes the row as it will be, but for its name and its GPU. */
static enum vgpu_status update_check(struct store *store, uint32_t fields, const struct vgpu_vm *values,
                                     const struct vgpu_vm *before, struct vgpu_vm *after,
                                     struct vgpu_error *err)
{
    enum vgpu_status status = VGPU_OK;
    if ((fields & VGPU_VM_POOL) != 0 && values->pool != before->pool) {
        after->pool = values->pool;
        status = pool_check(store, values->pool, err);
    }
    if (status == VGPU_OK && (fields & VGPU_VM_ID) != 0 && values->vm_id != before->vm_id) {
        after->vm_id = values->vm_id;
        status = check_id_free(store, values->vm_id, err);
    }
    if (status == VGPU_OK && (fields & VGPU_VM_VSOCK_CID) != 0 && values->vsock_cid != before->vsock_cid) {
        after->vsock_cid = values->vsock_cid;
        if (values->vsock_cid != 0)
            status = check_cid_free(store, values->vsock_cid, err);
    }
    if ((fields & VGPU_VM_PRIORITY) != 0)
        after->priority = values->priority;
    if ((fields & VGPU_VM_PAUSED) != 0)
        after->paused = values->paused;
    if ((fields & VGPU_VM_LIMITS) != 0)
        limits_apply(&after->limits, &values->limits);
    if ((fields & VGPU_VM_QUARANTINE) != 0) {
        after->quarantined = values->quarantined;
        snprintf(after->quarantine_reason, sizeof after->quarantine_reason, "%s",
                 values->quarantined ? values->quarantine_reason : "");
    }
    return status;
}

static enum vgpu_status vm_write(struct store *store, uint32_t fields, const char *vm_name,
                                 const struct vgpu_vm *after, struct vgpu_error *err)
{
    struct query query = query_start(
        store,
        "UPDATE vms SET vm_id = ?2, pool_id = coalesce(?3, pool_id), further_pool_id = ?4, priority = ?5,"
        " vsock_cid = nullif(?6, 0), gpu_id = ?7, vm_name = CASE WHEN ?8 THEN ?9 ELSE vm_name END,"
        " paused = ?10, quarantined_at = CASE WHEN ?11 THEN coalesce(quarantined_at, CURRENT_TIMESTAMP) END,"
        " quarantine_reason = ?12, updated_at = CURRENT_TIMESTAMP, (" LIMIT_COLUMNS_OF_VM
        ") = (?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23) WHERE vm_uuid = ?1");
    bool first_two = pool_is_first_two(after->pool);
    query_bind_text(&query, 1, after->vm_uuid);
    query_bind_int(&query, 2, after->vm_id);
    query_bind_pool(&query, 3, first_two ? after->pool : '\0');
    query_bind_pool(&query, 4, first_two ? '\0' : after->pool);
    query_bind_int(&query, 5, after->priority);
    query_bind_int(&query, 6, after->vsock_cid);
    query_bind_optional(&query, 7, after->gpu_id);
    query_bind_int(&query, 8, (fields & VGPU_VM_NAME) != 0);
    query_bind_text(&query, 9, vm_name);
    query_bind_int(&query, 10, after->paused);
    query_bind_int(&query, 11, after->quarantined);
    query_bind_text(&query, 12, after->quarantine_reason);
    limits_bind(&query, 13, LIMIT_COUNT_OF_VM, &after->limits);
    return query_run(&query, err);
}

static enum vgpu_status record_field(struct store *store, const char *vm_uuid, const char *field,
                                     const char *old_value, const char *new_value, struct vgpu_error *err)
{
    if (strcmp(old_value, new_value) == 0)
        return VGPU_OK;
    char subject[VGPU_VM_UUID_BYTES + 4];
    make_subject(subject, vm_uuid);
    return history_record(store, "update-vm", subject, field, old_value, new_value, err);
}

/* NULL where the VM is in none: the history has nothing there. */
static const char *quarantine_text(const struct vgpu_vm *vm)
{
    return !vm->quarantined ? NULL : vm->quarantine_reason[0] != '\0' ? vm->quarantine_reason : "yes";
}

static enum vgpu_status record_quarantine(struct store *store, const struct vgpu_vm *before,
                                          const struct vgpu_vm *after, struct vgpu_error *err)
{
    char subject[VGPU_VM_UUID_BYTES + 4];
    if (before->quarantined == after->quarantined &&
        strcmp(before->quarantine_reason, after->quarantine_reason) == 0)
        return VGPU_OK;
    make_subject(subject, before->vm_uuid);
    return history_record(store, "update-vm", subject, "quarantine", quarantine_text(before),
                          quarantine_text(after), err);
}

static enum vgpu_status record_number(struct store *store, const char *vm_uuid, const char *field,
                                      int64_t old_value, int64_t new_value, struct vgpu_error *err)
{
    char old_text[24];
    char new_text[24];
    snprintf(old_text, sizeof old_text, "%" PRId64, old_value);
    snprintf(new_text, sizeof new_text, "%" PRId64, new_value);
    return record_field(store, vm_uuid, field, old_text, new_text, err);
}

static enum vgpu_status record_update(struct store *store, const struct vgpu_vm *before,
                                      const struct vgpu_vm *after, struct vgpu_error *err)
{
    const char *vm_uuid = before->vm_uuid;
    char old_pool[2] = {before->pool, '\0'};
    char new_pool[2] = {after->pool, '\0'};
    enum vgpu_status status = record_field(store, vm_uuid, "pool", old_pool, new_pool, err);
    if (status == VGPU_OK)
        status = record_field(store, vm_uuid, "priority", priority_words[before->priority],
                              priority_words[after->priority], err);
    if (status == VGPU_OK)
        status = record_number(store, vm_uuid, "vm-id", before->vm_id, after->vm_id, err);
    if (status == VGPU_OK)
        status = record_number(store, vm_uuid, "vsock-cid", before->vsock_cid, after->vsock_cid, err);
    if (status == VGPU_OK)
        status = record_field(store, vm_uuid, "paused", before->paused ? "yes" : "no",
                              after->paused ? "yes" : "no", err);
    if (status == VGPU_OK)
        status = record_field(store, vm_uuid, "name", before->vm_name, after->vm_name, err);
    if (status == VGPU_OK)
        status = record_quarantine(store, before, after, err);
    if (status == VGPU_OK) {
        char subject[VGPU_VM_UUID_BYTES + 4];
        make_subject(subject, vm_uuid);
        status = limits_record(store, "update-vm", subject, &before->limits, &after->limits, err);
    }
    return status;
}

static bool differs(uint32_t fields, const struct vgpu_vm *values, const struct vgpu_vm *before,
                    const struct vgpu_vm *after)
{
    return after->pool != before->pool || after->priority != before->priority ||
           after->vm_id != before->vm_id || after->vsock_cid != before->vsock_cid ||
           after->paused != before->paused || after->quarantined != before->quarantined ||
           strcmp(after->quarantine_reason, before->quarantine_reason) != 0 ||
           !limits_equal(&after->limits, &before->limits) ||
           ((fields & VGPU_VM_NAME) != 0 && strcmp(values->vm_name, before->vm_name) != 0);
}

enum vgpu_status vm_change(struct store *store, uint32_t fields, const struct vgpu_vm *values,
                           const struct vgpu_vm *before, struct vgpu_vm *row, struct vgpu_error *err)
{
    struct vgpu_vm after = *before;
    enum vgpu_status status = update_check(store, fields, values, before, &after, err);
    if (status == VGPU_OK && !differs(fields, values, before, &after)) {
        *row = *before;
        return VGPU_OK;
    }
    if (status == VGPU_OK && after.pool != before->pool)
        status = placement_choose(store, after.pool, before->gpu_id, &after.gpu_id, err);
    if (status == VGPU_OK)
        status = vm_write(store, fields, values->vm_name, &after, err);
    if (status == VGPU_OK)
        status = store_get_vm(store, before->vm_uuid, &after, err);
    if (status == VGPU_OK)
        status = record_update(store, before, &after, err);
    if (after.vm_id != before->vm_id)
        store->free_vm_id_from = 1;
    *row = after;
    return status;
}

static enum vgpu_status update_vm(struct store *store, const char *vm_uuid, uint32_t fields,
                                  const struct vgpu_vm *values, struct vgpu_vm *row, struct vgpu_error *err)
{
    struct vgpu_vm before;
    enum vgpu_status status = store_get_vm(store, vm_uuid, &before, err);
    return status == VGPU_OK ? vm_change(store, fields, values, &before, row, err) : status;
}

enum vgpu_status store_update_vm(struct store *store, const char *vm_uuid, uint32_t fields,
                                 const struct vgpu_vm *values, struct vgpu_vm *updated,
                                 struct vgpu_error *err)
{
    struct vgpu_vm row;
    enum vgpu_status status = change_begin(store, err);
    if (status != VGPU_OK)
        return status;
    status = change_end(store, update_vm(store, vm_uuid, fields, values, &row, err), err);
    if (status == VGPU_OK && updated != NULL)
        *updated = row;
    return status;
}

/* ---- Removing ---- */

static enum vgpu_status remove_vm(struct store *store, const char *vm_uuid, struct vgpu_vm *row,
                                  struct vgpu_error *err)
{
    enum vgpu_status status = store_get_vm(store, vm_uuid, row, err);
    if (status != VGPU_OK)
        return status;
    struct query query = query_start(store, "DELETE FROM vms WHERE vm_uuid = ?1");
    query_bind_text(&query, 1, vm_uuid);
    status = query_run(&query, err);
    if (status != VGPU_OK)
        return status;
    placement_leave(store, row->gpu_id);
    store->free_vm_id_from = 1;
    char subject[VGPU_VM_UUID_BYTES + 4];
    char what[64];
    make_subject(subject, vm_uuid);
    describe(row, what, sizeof what);
    return history_record(store, "remove-vm", subject, NULL, what, NULL, err);
}

enum vgpu_status store_remove_vm(struct store *store, const char *vm_uuid, struct vgpu_vm *removed,
                                 struct vgpu_error *err)
{
    struct vgpu_vm row;
    enum vgpu_status status = change_begin(store, err);
    if (status != VGPU_OK)
        return status;
    status = change_end(store, remove_vm(store, vm_uuid, &row, err), err);
    if (status == VGPU_OK && removed != NULL)
        *removed = row;
    return status;
}

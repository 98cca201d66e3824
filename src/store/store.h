/* The database: all of the project's SQL is in this folder, behind these typed functions.
 *
 * SQLite in WAL mode, foreign keys on, synchronous=FULL: an answered change is on disk. Several processes
 * use one database at once; a write takes the lock at its start (BEGIN IMMEDIATE), so it either
 * waits (busy timeout) or goes through, and never fails half-way for another's sake.
 *
 * A struct store belongs to one thread at a time and does not survive fork(). Lists are arrays from malloc,
 * freed with free(); an empty list is NULL with count 0. On failure out parameters are untouched and
 * nothing has changed.
 *
 * What can come back from any of these, beside what stands at the function: VGPU_ERR_BUSY (locked beyond the
 * timeout), VGPU_ERR_PERMISSION (read-only), VGPU_ERR_CORRUPT, VGPU_ERR_IO (disk full, ...), VGPU_ERR_MEMORY.
 *
 * Identifiers passed in are taken as checked (vgpu_parse_vm_uuid and its like in <vgpu/vgpu.h>). */
#ifndef VGPU_STORE_STORE_H
#define VGPU_STORE_STORE_H

#include <vgpu/error.h>
#include <vgpu/types.h>

struct store;

/* How long a lock held by another process is waited for, unless store_set_busy_timeout() says otherwise. */
#define STORE_BUSY_TIMEOUT_MS 20000

/* Opens, or makes, the database file. Its directory is made with mode 0750 when absent (one level), the file
 * with mode 0640. Migrates an older schema, each step in a transaction of its own.
 * VGPU_ERR_VERSION: made by a newer version. VGPU_ERR_CORRUPT: not a vgpu database. */
enum vgpu_status store_open(const char *path, struct store **store, struct vgpu_error *err);
void store_close(struct store *store); /* NULL is fine; rolls back */

/* Reads all of it. VGPU_ERR_CORRUPT: it is not whole, the message has the first complaint. */
enum vgpu_status store_check(struct store *store, struct vgpu_error *err);

/* Who is written into the history of changes; without it getuid() and its name. */
void store_set_actor(struct store *store, int64_t uid, const char *user_name);

/* For who must not wait long, as an event loop. */
void store_set_busy_timeout(struct store *store, int timeout_ms);

/* True when another connection (another process) has committed since the last call, or at the first
 * call. Costs one pragma, no disk access: fit for polling several times a second. */
enum vgpu_status store_changed(struct store *store, bool *changed, struct vgpu_error *err);

/* One transaction around several changes. Does not nest: VGPU_ERR_USAGE. A change that fails inside
 * undoes itself alone. */
enum vgpu_status store_begin(struct store *store, struct vgpu_error *err);
enum vgpu_status store_commit(struct store *store, struct vgpu_error *err); /* failed: rolled back */
void store_rollback(struct store *store);                                   /* none open: does nothing */

/* ---- GPUs ---------------------------------------------------------------------------------------- */

/* What a scan found, as the inventory gives it: gpu_id is the driver's index or -1, pools and timestamps do
 * not count. Stored GPUs that are not among them become offline ("not found ..."); their live values
 * become unknown. A GPU with a known UUID replaces the stand-in "PCI-..." of the same address. VMs are
 * placed anew where needed. gpu_ids (may be NULL) has room for count and gets the number of each GPU found.
 */
enum vgpu_status store_apply_scan(struct store *store, const struct vgpu_gpu *found, size_t count,
                                  int32_t *gpu_ids, struct vgpu_error *err);
/* As for one GPU found, and leaves the others alone. registered may be NULL. */
enum vgpu_status store_register_gpu(struct store *store, const struct vgpu_gpu *gpu,
                                    struct vgpu_gpu *registered, struct vgpu_error *err);
/* By gpu_id. pool: those that serve it; 0: all. */
enum vgpu_status store_list_gpus(struct store *store, char pool, struct vgpu_gpu **gpus, size_t *count,
                                 struct vgpu_error *err);
enum vgpu_status store_get_gpu(struct store *store, int32_t gpu_id, struct vgpu_gpu *gpu,
                               struct vgpu_error *err); /* VGPU_ERR_NOT_FOUND */
/* Makes the GPU serve exactly these pools, the first as the primary one; "" for none. VMs are placed anew
 * where needed. VGPU_ERR_NOT_FOUND: no such GPU or pool. */
enum vgpu_status store_set_gpu_pools(struct store *store, int32_t gpu_id, const char *pools,
                                     struct vgpu_error *err);

/* ---- Pools --------------------------------------------------------------------------------------- */

enum vgpu_status store_list_pools(struct store *store, struct vgpu_pool **pools, size_t *count,
                                  struct vgpu_error *err);
enum vgpu_status store_add_pool(struct store *store, char pool, struct vgpu_error *err); /* VGPU_ERR_EXISTS */
enum vgpu_status store_remove_pool(struct store *store, char pool,
                                   struct vgpu_error *err); /* VGPU_ERR_BUSY */
/* What change sets and clears (taken as checked); the other limits stay. updated (may be NULL) gets those
 * there are then. VGPU_ERR_NOT_FOUND. */
enum vgpu_status store_set_pool_limits(struct store *store, char pool, const struct vgpu_limits *change,
                                       struct vgpu_limits *updated, struct vgpu_error *err);

/* ---- VMs ----------------------------------------------------------------------------------------- */

/* Of *vm: vm_uuid, vm_name (empty: the default name), pool, priority, vm_id (0: lowest free), vsock_cid (0:
 * none), paused, limits, quarantined with its reason. registered may be NULL. VGPU_ERR_EXISTS names the VM
 * that has it; VGPU_ERR_NOT_FOUND: no such pool.
 */
enum vgpu_status store_register_vm(struct store *store, const struct vgpu_vm *vm, struct vgpu_vm *registered,
                                   struct vgpu_error *err);
enum vgpu_status store_get_vm(struct store *store, const char *vm_uuid, struct vgpu_vm *vm,
                              struct vgpu_error *err); /* VGPU_ERR_NOT_FOUND */
/* By vm_id. pool 0: any; priority -1: any. */
enum vgpu_status store_list_vms(struct store *store, char pool, int priority, struct vgpu_vm **vms,
                                size_t *count, struct vgpu_error *err);
/* Finding VMs by what a person knows of them, by vm_id; no match is an empty list. By identifier: the VM that
 * has it, else those whose identifier begins with it (a real UUID in any case). */
enum vgpu_status store_find_vms_by_uuid(struct store *store, const char *vm_uuid, struct vgpu_vm **vms,
                                        size_t *count, struct vgpu_error *err);
enum vgpu_status store_find_vms_by_name(struct store *store, const char *vm_name, struct vgpu_vm **vms,
                                        size_t *count, struct vgpu_error *err);
/* vm_id from first to last, both included. */
enum vgpu_status store_find_vms_by_id(struct store *store, int32_t first, int32_t last, struct vgpu_vm **vms,
                                      size_t *count, struct vgpu_error *err);
/* fields: enum vgpu_vm_field, which members of *values count. updated may be NULL. */
enum vgpu_status store_update_vm(struct store *store, const char *vm_uuid, uint32_t fields,
                                 const struct vgpu_vm *values, struct vgpu_vm *updated,
                                 struct vgpu_error *err);
/* removed (may be NULL) gets the row as it was. */
enum vgpu_status store_remove_vm(struct store *store, const char *vm_uuid, struct vgpu_vm *removed,
                                 struct vgpu_error *err);

/* ---- All of it ----------------------------------------------------------------------------------- */

/* Read in one transaction: the lists fit together. The three arrays are the caller's, freed by _fini. */
enum vgpu_status store_get_snapshot(struct store *store, struct vgpu_snapshot *snapshot,
                                    struct vgpu_error *err);
void store_snapshot_fini(struct vgpu_snapshot *snapshot);

/* Makes the configuration the one wanted: its pools (A and B stay in any case), the pools of its GPUs (by
 * gpu_uuid; one that is not known yet is added as offline, one that is not wanted serves no pool afterwards)
 * and its VMs (by vm_uuid). vm_name "" is the default name. What is wanted must be consistent in itself. Only
 * between store_begin and its end: the caller keeps it, or rolls it back, whatever came back.
 * VGPU_ERR_EXISTS: the gpu_id of a new GPU is taken. */
enum vgpu_status store_apply_configuration(struct store *store, const struct vgpu_snapshot *wanted,
                                           struct vgpu_error *err);

/* ---- History ------------------------------------------------------------------------------------- */

/* Appends grants that have ended in one transaction and forgets the oldest beyond `keep`. grant_id
 * of the input does not count. Not fsynced: a power cut may lose the newest, never damage the rest. */
enum vgpu_status store_append_grants(struct store *store, const struct vgpu_grant *grants, size_t count,
                                     size_t keep, struct vgpu_error *err);
/* Which grants or changes: vm_uuid NULL: of any VM; gpu_id -1: of any GPU; from since_us on; the newest
 * `limit` (0: all). A change is of a VM or of a GPU: with both given, those of either. */
struct store_history_filter {
    const char *vm_uuid;
    int32_t gpu_id;
    int64_t since_us;
    size_t limit;
};
/* Oldest first. */
enum vgpu_status store_list_grants(struct store *store, const struct store_history_filter *filter,
                                   struct vgpu_grant **grants, size_t *count, struct vgpu_error *err);
enum vgpu_status store_list_changes(struct store *store, const struct store_history_filter *filter,
                                    struct vgpu_change **changes, size_t *count, struct vgpu_error *err);
/* The highest change_id there is; 0: none. */
enum vgpu_status store_last_change_id(struct store *store, int64_t *change_id, struct vgpu_error *err);

#endif

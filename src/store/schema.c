#include "store/schema.h"

#include "base/error.h"

#include <inttypes.h>
#include <stdio.h>

/* Step n makes version n + 1. A step that has been released is never changed. */
static const char *const steps[] = {
    /* 1. gpus and vms: the requirement's columns first, in its order and with its checks; ours after them.
     *
     * The checks know the pools A and B only. What belongs to a later pool therefore stands elsewhere:
     * - gpu_pools: every pool a GPU serves that is not in gpus.pool_id. Where the primary pool is a later
     *   one, gpus.pool_id is NULL and its row has is_primary.
     * - vms.further_pool_id: the pool of a VM that is in a later one; vms.pool_id is then the one of A and B
     *   it was in last (A if none). A VM's pool is coalesce(further_pool_id, pool_id).
     *
     * vm_name NULL: "VM-<vm_id>". A value that the hardware does not give is NULL. */
    "CREATE TABLE gpus ("
    " gpu_id INTEGER PRIMARY KEY,"
    " gpu_uuid TEXT UNIQUE NOT NULL,"
    " gpu_name TEXT,"
    " pci_address TEXT,"
    " pool_id CHAR(1) CHECK(pool_id IN ('A', 'B', NULL)),"
    " memory_total INTEGER,"
    " memory_used INTEGER,"
    " utilization INTEGER,"
    " temperature INTEGER,"
    " status TEXT,"
    " created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,"
    " updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,"
    " power_mw INTEGER,"
    " status_reason TEXT,"
    " last_seen_at TIMESTAMP);"
    "CREATE INDEX idx_gpu_pool ON gpus(pool_id);"
    "CREATE TABLE pools ("
    " pool_id CHAR(1) PRIMARY KEY NOT NULL CHECK(pool_id GLOB '[A-Z]'),"
    " created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);"
    "INSERT INTO pools (pool_id) VALUES ('A'), ('B');"
    "CREATE TABLE gpu_pools ("
    " gpu_id INTEGER NOT NULL REFERENCES gpus(gpu_id) ON DELETE CASCADE,"
    " pool_id CHAR(1) NOT NULL REFERENCES pools(pool_id),"
    " is_primary INTEGER NOT NULL DEFAULT 0 CHECK(is_primary IN (0, 1)),"
    " PRIMARY KEY (gpu_id, pool_id)) WITHOUT ROWID;"
    "CREATE TABLE vms ("
    " vm_id INTEGER NOT NULL UNIQUE,"
    " vm_uuid TEXT UNIQUE NOT NULL,"
    " vm_name TEXT,"
    " pool_id CHAR(1) NOT NULL CHECK(pool_id IN ('A', 'B')),"
    " priority INTEGER NOT NULL CHECK(priority IN (0, 1, 2)),"
    " created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,"
    " updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,"
    " further_pool_id CHAR(1) REFERENCES pools(pool_id),"
    " vsock_cid INTEGER UNIQUE CHECK(vsock_cid BETWEEN 3 AND 4294967294),"
    " gpu_id INTEGER REFERENCES gpus(gpu_id) ON DELETE SET NULL);"
    /* Grants that have ended. No references: the history outlives what it speaks of. */
    "CREATE TABLE grants ("
    " grant_id INTEGER PRIMARY KEY,"
    " vm_uuid TEXT NOT NULL,"
    " vm_name TEXT,"
    " gpu_id INTEGER NOT NULL,"
    " priority INTEGER NOT NULL CHECK(priority IN (0, 1, 2)),"
    " asked_us INTEGER NOT NULL,"
    " got_us INTEGER NOT NULL,"
    " gave_back_us INTEGER NOT NULL,"
    " reason TEXT NOT NULL);"
    /* Changes of the configuration, written in the transaction of the change itself. */
    "CREATE TABLE changes ("
    " change_id INTEGER PRIMARY KEY,"
    " at_us INTEGER NOT NULL,"
    " uid INTEGER NOT NULL,"
    " user_name TEXT,"
    " action TEXT NOT NULL,"
    " subject TEXT NOT NULL,"
    " field TEXT,"
    " old_value TEXT,"
    " new_value TEXT);"
    "PRAGMA application_id = 1447514197;", /* SCHEMA_APPLICATION_ID */
    /* 2. VMs that are held back. */
    "ALTER TABLE vms ADD COLUMN paused INTEGER NOT NULL DEFAULT 0 CHECK(paused IN (0, 1));",
    /* 3. Limits, NULL where none is set: what counts then is the pool's, then vgpu.conf's. Quarantine, NULL
     * where a VM is in none. */
    "ALTER TABLE vms ADD COLUMN weight INTEGER CHECK(weight BETWEEN 1 AND 1000);"
    "ALTER TABLE vms ADD COLUMN time_limit_us INTEGER CHECK(time_limit_us >= 0);"
    "ALTER TABLE vms ADD COLUMN calls_per_second INTEGER CHECK(calls_per_second >= 0);"
    "ALTER TABLE vms ADD COLUMN call_burst INTEGER CHECK(call_burst >= 0);"
    "ALTER TABLE vms ADD COLUMN bytes_per_second INTEGER CHECK(bytes_per_second >= 0);"
    "ALTER TABLE vms ADD COLUMN burst_bytes INTEGER CHECK(burst_bytes >= 0);"
    "ALTER TABLE vms ADD COLUMN queue_depth INTEGER CHECK(queue_depth >= 0);"
    "ALTER TABLE vms ADD COLUMN memory_limit_bytes INTEGER CHECK(memory_limit_bytes >= 0);"
    "ALTER TABLE vms ADD COLUMN process_limit INTEGER CHECK(process_limit >= 1);"
    "ALTER TABLE vms ADD COLUMN fault_limit INTEGER CHECK(fault_limit >= 0);"
    "ALTER TABLE vms ADD COLUMN fault_window_us INTEGER CHECK(fault_window_us >= 1);"
    "ALTER TABLE vms ADD COLUMN quarantined_at TIMESTAMP;"
    "ALTER TABLE vms ADD COLUMN quarantine_reason TEXT;"
    "ALTER TABLE pools ADD COLUMN weight INTEGER CHECK(weight BETWEEN 1 AND 1000);"
    "ALTER TABLE pools ADD COLUMN time_limit_us INTEGER CHECK(time_limit_us >= 0);"
    "ALTER TABLE pools ADD COLUMN calls_per_second INTEGER CHECK(calls_per_second >= 0);"
    "ALTER TABLE pools ADD COLUMN call_burst INTEGER CHECK(call_burst >= 0);"
    "ALTER TABLE pools ADD COLUMN bytes_per_second INTEGER CHECK(bytes_per_second >= 0);"
    "ALTER TABLE pools ADD COLUMN burst_bytes INTEGER CHECK(burst_bytes >= 0);"
    "ALTER TABLE pools ADD COLUMN queue_depth INTEGER CHECK(queue_depth >= 0);"
    "ALTER TABLE pools ADD COLUMN memory_limit_bytes INTEGER CHECK(memory_limit_bytes >= 0);"
    "ALTER TABLE pools ADD COLUMN process_limit INTEGER CHECK(process_limit >= 1);"
    "ALTER TABLE pools ADD COLUMN fault_limit INTEGER CHECK(fault_limit >= 0);"
    "ALTER TABLE pools ADD COLUMN fault_window_us INTEGER CHECK(fault_window_us >= 1);"
    "ALTER TABLE pools ADD COLUMN shared_vms INTEGER CHECK(shared_vms BETWEEN 1 AND 64);"
    "ALTER TABLE pools ADD COLUMN ageing_us INTEGER CHECK(ageing_us >= 0);",
};
_Static_assert(SCHEMA_APPLICATION_ID == 1447514197, "the number in step 1");

#define STEP_COUNT ((int64_t)(sizeof steps / sizeof steps[0]))

int64_t schema_version(void)
{
    return STEP_COUNT;
}

/* What a database says of itself, read at one moment. */
struct identity {
    int64_t version;
    int64_t application_id;
    int64_t object_count;
};

static enum vgpu_status identity_read(struct store *store, struct identity *identity, struct vgpu_error *err)
{
    *identity = (struct identity){.version = 0};
    struct query query = query_start(store, "SELECT (SELECT user_version FROM pragma_user_version),"
                                            " (SELECT application_id FROM pragma_application_id),"
                                            " (SELECT count(*) FROM sqlite_schema)");
    if (query_row(&query)) {
        identity->version = query_int(&query, 0);
        identity->application_id = query_int(&query, 1);
        identity->object_count = query_int(&query, 2);
    }
    return query_end(&query, err);
}

static enum vgpu_status identity_check(struct store *store, const struct identity *identity,
                                       struct vgpu_error *err)
{
    bool fresh = identity->version == 0 && identity->application_id == 0 && identity->object_count == 0;
    if (!fresh && identity->application_id != SCHEMA_APPLICATION_ID)
        return error_set(err, VGPU_ERR_CORRUPT,
                         "database %s belongs to another program: name another state directory", store->path);
    if (identity->version > STEP_COUNT)
        return error_set(err, VGPU_ERR_VERSION,
                         "database %s was made by a newer vgpu (its version is %" PRId64
                         ", this program knows up to %" PRId64 "): update this installation",
                         store->path, identity->version, STEP_COUNT);
    return VGPU_OK;
}

/* One step, if it is still needed: another process may have been faster. */
static enum vgpu_status step_apply(struct store *store, int64_t step, struct vgpu_error *err)
{
    enum vgpu_status status = change_begin(store, err);
    if (status != VGPU_OK)
        return status;
    struct identity identity;
    status = identity_read(store, &identity, err);
    if (status == VGPU_OK)
        status = identity_check(store, &identity, err);
    if (status == VGPU_OK && identity.version == step) {
        char set_version[48];
        snprintf(set_version, sizeof set_version, "PRAGMA user_version = %" PRId64, step + 1);
        status = store_execute(store, steps[step], err);
        if (status == VGPU_OK)
            status = store_execute(store, set_version, err);
    }
    return change_end(store, status, err);
}

enum vgpu_status schema_check(struct store *store, struct vgpu_error *err)
{
    struct identity identity;
    enum vgpu_status status = identity_read(store, &identity, err);
    return status == VGPU_OK ? identity_check(store, &identity, err) : status;
}

enum vgpu_status schema_migrate(struct store *store, struct vgpu_error *err)
{
    struct identity identity;
    enum vgpu_status status = identity_read(store, &identity, err);
    for (int64_t step = identity.version; status == VGPU_OK && step < STEP_COUNT; step++)
        status = step_apply(store, step, err);
    return status;
}

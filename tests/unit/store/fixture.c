#include "fixture.h"

#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int fixture_bare(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    const char *base = getenv("TMPDIR");
    snprintf(fixture->directory, sizeof fixture->directory, "%s/vgpu-store-XXXXXX",
             base != NULL ? base : "/tmp");
    if (mkdtemp(fixture->directory) == NULL)
        return -1;
    snprintf(fixture->path, sizeof fixture->path, "%s/state/vgpu.db", fixture->directory);
    *state = fixture;
    return 0;
}

int fixture_open(void **state)
{
    if (fixture_bare(state) != 0)
        return -1;
    struct fixture *fixture = *state;
    return store_open(fixture->path, &fixture->store, &fixture->err) == VGPU_OK ? 0 : -1;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *position)
{
    return remove(path);
}

int fixture_close(void **state)
{
    struct fixture *fixture = *state;
    store_close(fixture->store);
    nftw(fixture->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    free(fixture);
    return 0;
}

void fixture_reopen(struct fixture *fixture)
{
    store_close(fixture->store);
    fixture->store = NULL;
    assert_done(fixture, store_open(fixture->path, &fixture->store, &fixture->err));
}

void assert_refused(const struct fixture *fixture, enum vgpu_status got, enum vgpu_status wanted,
                    const char *words)
{
    assert_int_equal(got, wanted);
    assert_int_equal(fixture->err.status, wanted);
    if (strstr(fixture->err.message, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", fixture->err.message, words);
    assert_null(strchr(fixture->err.message, '\n'));
}

static sqlite3 *connect_plain(const struct fixture *fixture)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open_v2(fixture->path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL),
                     SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    return db;
}

void fixture_sql(const struct fixture *fixture, const char *sql)
{
    sqlite3 *db = connect_plain(fixture);
    char *message = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
    sqlite3_close(db);
}

const char *fixture_sql_value(const struct fixture *fixture, const char *sql)
{
    static char value[4096];
    sqlite3 *db = connect_plain(fixture);
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    const char *text = (const char *)sqlite3_column_text(statement, 0);
    snprintf(value, sizeof value, "%s", text == NULL ? "(null)" : text);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return value;
}

struct vgpu_gpu make_gpu(int32_t gpu_id, const char *gpu_uuid, const char *pci_address)
{
    struct vgpu_gpu gpu = {.gpu_id = gpu_id, .status = VGPU_GPU_ONLINE};
    snprintf(gpu.gpu_uuid, sizeof gpu.gpu_uuid, "%s", gpu_uuid);
    snprintf(gpu.pci_address, sizeof gpu.pci_address, "%s", pci_address);
    snprintf(gpu.gpu_name, sizeof gpu.gpu_name, "NVIDIA H100 80GB PCIe");
    gpu.memory_total_mib = (struct vgpu_optional){.known = true, .value = 81559};
    gpu.memory_used_mib = (struct vgpu_optional){.known = true, .value = 4};
    gpu.temperature_c = (struct vgpu_optional){.known = true, .value = 33};
    return gpu;
}

struct vgpu_vm make_vm(int32_t vm_id, const char *vm_uuid, char pool, enum vgpu_priority priority)
{
    struct vgpu_vm vm = {.vm_id = vm_id, .pool = pool, .priority = priority};
    snprintf(vm.vm_uuid, sizeof vm.vm_uuid, "%s", vm_uuid);
    return vm;
}

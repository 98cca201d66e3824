#include "store/store.h"

#include "base/clock.h"
#include "base/error.h"
#include "store/database.h"
#include "store/schema.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIRECTORY_MODE 0750
#define FILE_MODE      0640

static enum vgpu_status status_of_errno(void)
{
    return errno == EACCES || errno == EPERM || errno == EROFS ? VGPU_ERR_PERMISSION : VGPU_ERR_IO;
}

static enum vgpu_status make_directory(const char *path, struct vgpu_error *err)
{
    char *copy = strdup(path);
    if (copy == NULL)
        return error_set(err, VGPU_ERR_MEMORY, "out of memory");
    enum vgpu_status status = VGPU_OK;
    const char *directory = dirname(copy);
    if (mkdir(directory, DIRECTORY_MODE) != 0 && errno != EEXIST) {
        status = status_of_errno();
        error_set_errno(err, status, "cannot make the state directory %s (name another with VGPU_STATE_DIR)",
                        directory);
    }
    free(copy);
    return status;
}

/* SQLite would make the file with the mode that the umask leaves; its -wal and -shm files take the mode of
 * the file itself. Only a new file is opened here: closing a descriptor of an open database would drop the
 * locks that this process has on it. */
static enum vgpu_status make_file(struct store *store, struct vgpu_error *err)
{
    int fd = open(store->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    if (fd >= 0) {
        close(fd);
        return VGPU_OK;
    }
    if (errno == EEXIST)
        return VGPU_OK;
    if (status_of_errno() == VGPU_ERR_PERMISSION)
        return store_fail(store, SQLITE_PERM, err);
    return error_set_errno(err, VGPU_ERR_IO, "cannot make database %s", store->path);
}

/* Writers of other processes are waited for with short, uneven sleeps, so that of many waiting none is
 * always the last to look. */
static int wait_for_lock(void *context, int calls)
{
    struct store *store = context;
    uint64_t now_ns = clock_monotonic_ns();
    if (calls == 0)
        store->lock_deadline_ns = now_ns + (uint64_t)store->busy_timeout_ms * 1000000u;
    if (now_ns >= store->lock_deadline_ns)
        return 0;
    unsigned sleep_us = calls < 4 ? 500 : 1000 + (unsigned)(now_ns / 1024 % 4096);
    usleep(sleep_us);
    return 1;
}

/* WAL stands in the file, so this changes a new database only. The change needs the file alone, and SQLite
 * does not wait for that by itself. */
static enum vgpu_status use_wal(struct store *store, struct vgpu_error *err)
{
    for (int tries = 0;; tries++) {
        char mode[8] = "";
        struct query query = query_start(store, "PRAGMA journal_mode = WAL");
        while (query_row(&query))
            query_text(&query, 0, mode, sizeof mode);
        bool busy = (query.result & 0xff) == SQLITE_BUSY;
        bool retry = busy && wait_for_lock(store, tries) != 0;
        enum vgpu_status status = query_end(&query, retry ? NULL : err);
        if (retry)
            continue;
        if (status == VGPU_OK && strcmp(mode, "wal") != 0 && sqlite3_db_readonly(store->db, "main") != 1)
            return error_set(
                err, VGPU_ERR_IO,
                "database %s cannot use a write-ahead log: put the state directory on a local file "
                "system",
                store->path);
        return status;
    }
}

static enum vgpu_status configure(struct store *store, struct vgpu_error *err)
{
    sqlite3_extended_result_codes(store->db, 1);
    sqlite3_busy_handler(store->db, wait_for_lock, store);
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    enum vgpu_status status =
        store_execute(store, "PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL;", err);
    if (status == VGPU_OK)
        status = schema_check(store, err);
    if (status == VGPU_OK)
        status = use_wal(store, err);
    if (status == VGPU_OK)
        status = schema_migrate(store, err);
    return status;
}

enum vgpu_status store_open(const char *path, struct store **store, struct vgpu_error *err)
{
    struct store *opened = calloc(1, sizeof *opened);
    char *path_copy = strdup(path);
    if (opened == NULL || path_copy == NULL) {
        free(opened);
        free(path_copy);
        return error_set(err, VGPU_ERR_MEMORY, "out of memory");
    }
    opened->path = path_copy;
    opened->busy_timeout_ms = STORE_BUSY_TIMEOUT_MS;
    opened->free_vm_id_from = 1;
    enum vgpu_status status = VGPU_OK;
    if (access(path, F_OK) != 0 && errno == ENOENT)
        status = make_directory(path, err);
    if (status == VGPU_OK)
        status = make_file(opened, err);
    if (status == VGPU_OK) {
        int result = sqlite3_open_v2(path, &opened->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
        status = result == SQLITE_OK ? configure(opened, err) : store_fail(opened, result, err);
    }
    if (status != VGPU_OK) {
        store_close(opened);
        return status;
    }
    *store = opened;
    return VGPU_OK;
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    if (store->db != NULL)
        store_rollback(store);
    for (size_t i = 0; i < store->statement_count; i++)
        sqlite3_finalize(store->statements[i].handle);
    sqlite3_close(store->db);
    free(store->path);
    free(store);
}

void store_set_busy_timeout(struct store *store, int timeout_ms)
{
    store->busy_timeout_ms = timeout_ms;
}

enum vgpu_status store_changed(struct store *store, bool *changed, struct vgpu_error *err)
{
    int64_t version = 0;
    struct query query = query_start(store, "PRAGMA data_version");
    while (query_row(&query))
        version = query_int(&query, 0);
    enum vgpu_status status = query_end(&query, err);
    if (status != VGPU_OK)
        return status;
    *changed = !store->data_version_known || version != store->data_version;
    store->data_version_known = true;
    store->data_version = version;
    return VGPU_OK;
}

#include "store/database.h"

#include "base/error.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- Errors ---- */

static enum vgpu_status fail_no_space(struct store *store, struct vgpu_error *err)
{
    return error_set(err, VGPU_ERR_IO,
                     "no space left for database %s: nothing was changed; free space on its file system",
                     store->path);
}

static enum vgpu_status fail_permission(struct store *store, struct vgpu_error *err)
{
    return error_set(err, VGPU_ERR_PERMISSION,
                     "database %s or its directory is closed to this user, or read-only: run as root or as a "
                     "user who may write there, or make it writable",
                     store->path);
}

static enum vgpu_status fail_corrupt(struct store *store, struct vgpu_error *err)
{
    return error_set(
        err, VGPU_ERR_CORRUPT,
        "database %s is damaged or no database: restore it from a copy, or move it away to begin "
        "with an empty one",
        store->path);
}

/* SQLITE_CANTOPEN and SQLITE_IOERR: the operating system refused, and errno says what. */
static enum vgpu_status fail_system(struct store *store, struct vgpu_error *err)
{
    int number = sqlite3_system_errno(store->db);
    if (number == 0)
        number = store->step_errno;
    if (number == EACCES || number == EPERM || number == EROFS)
        return fail_permission(store, err);
    if (number == ENOSPC || number == EDQUOT || number == EFBIG)
        return fail_no_space(store, err);
    if (number != 0)
        return error_set(err, VGPU_ERR_IO, "cannot use database %s: %s", store->path, strerror(number));
    return error_set(err, VGPU_ERR_IO, "cannot use database %s: %s", store->path, sqlite3_errmsg(store->db));
}

enum vgpu_status store_fail(struct store *store, int result, struct vgpu_error *err)
{
    switch (result & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return error_set(err, VGPU_ERR_BUSY,
                         "database %s is locked by another program: nothing was changed; try again, or end "
                         "the program that holds it",
                         store->path);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return fail_permission(store, err);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
        return fail_corrupt(store, err);
    case SQLITE_FULL:
        return fail_no_space(store, err);
    case SQLITE_NOMEM:
        return error_set(err, VGPU_ERR_MEMORY, "out of memory while using database %s", store->path);
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
        return fail_system(store, err);
    case SQLITE_CONSTRAINT:
    case SQLITE_ERROR:
    case SQLITE_SCHEMA:
        /* Our statements are right for our schema: somebody has changed the schema or the rows. */
        return error_set(err, VGPU_ERR_CORRUPT,
                         "database %s is not as vgpu made it (%s): restore it from a copy", store->path,
                         sqlite3_errmsg(store->db));
    default:
        return error_set(err, VGPU_ERR_IO, "cannot use database %s: %s", store->path,
                         sqlite3_errmsg(store->db));
    }
}

enum vgpu_status store_execute(struct store *store, const char *sql, struct vgpu_error *err)
{
    errno = 0;
    int result = sqlite3_exec(store->db, sql, NULL, NULL, NULL);
    store->step_errno = errno;
    return result == SQLITE_OK ? VGPU_OK : store_fail(store, result, err);
}

/* ---- Transactions ---- */

/* What is only true while the write lock is held. */
static void forget_cached(struct store *store)
{
    store->placement.loaded = false;
    store->free_vm_id_from = 1;
}

/* A full disk or an I/O error can make SQLite end the whole transaction by itself. */
static bool transaction_lost(const struct store *store)
{
    return store->explicit_transaction && sqlite3_get_autocommit(store->db) != 0;
}

static enum vgpu_status fail_lost(struct store *store, struct vgpu_error *err)
{
    return error_set(err, VGPU_ERR_IO,
                     "the changes to database %s were undone after an error in one of them: begin anew",
                     store->path);
}

static enum vgpu_status begin_immediate(struct store *store, struct vgpu_error *err)
{
    forget_cached(store);
    struct query query = query_start(store, "BEGIN IMMEDIATE");
    return query_run(&query, err);
}

static enum vgpu_status commit(struct store *store, struct vgpu_error *err)
{
    struct query query = query_start(store, "COMMIT");
    return query_run(&query, err);
}

static void rollback(struct store *store)
{
    forget_cached(store);
    if (sqlite3_get_autocommit(store->db) != 0)
        return;
    struct query query = query_start(store, "ROLLBACK");
    query_run(&query, NULL); /* what cannot be rolled back now is, when the file is next opened */
}

enum vgpu_status change_begin(struct store *store, struct vgpu_error *err)
{
    if (!store->explicit_transaction)
        return begin_immediate(store, err);
    if (transaction_lost(store))
        return fail_lost(store, err);
    struct query query = query_start(store, "SAVEPOINT change");
    return query_run(&query, err);
}

enum vgpu_status change_end(struct store *store, enum vgpu_status status, struct vgpu_error *err)
{
    if (!store->explicit_transaction) {
        if (status == VGPU_OK)
            status = commit(store, err);
        if (status != VGPU_OK)
            rollback(store);
        return status;
    }
    if (transaction_lost(store))
        return status == VGPU_OK ? fail_lost(store, err) : status;
    if (status != VGPU_OK) {
        forget_cached(store);
        struct query back = query_start(store, "ROLLBACK TO change");
        query_run(&back, NULL);
    }
    struct query release = query_start(store, "RELEASE change");
    enum vgpu_status released = query_run(&release, status == VGPU_OK ? err : NULL);
    return status == VGPU_OK ? released : status;
}

enum vgpu_status store_begin(struct store *store, struct vgpu_error *err)
{
    if (store->explicit_transaction)
        return error_set(err, VGPU_ERR_USAGE, "a transaction on database %s is open already: end it first",
                         store->path);
    enum vgpu_status status = begin_immediate(store, err);
    if (status == VGPU_OK)
        store->explicit_transaction = true;
    return status;
}

enum vgpu_status store_commit(struct store *store, struct vgpu_error *err)
{
    if (!store->explicit_transaction)
        return error_set(err, VGPU_ERR_USAGE, "no transaction on database %s is open: begin one first",
                         store->path);
    bool lost = transaction_lost(store);
    store->explicit_transaction = false;
    if (lost)
        return fail_lost(store, err);
    enum vgpu_status status = commit(store, err);
    if (status != VGPU_OK)
        rollback(store);
    forget_cached(store);
    return status;
}

void store_rollback(struct store *store)
{
    if (!store->explicit_transaction)
        return;
    store->explicit_transaction = false;
    rollback(store);
}

/* ---- Queries ---- */

static int statement_find(struct store *store, const char *sql, sqlite3_stmt **handle)
{
    for (size_t i = 0; i < store->statement_count; i++) {
        if (store->statements[i].sql == sql) {
            *handle = store->statements[i].handle;
            return SQLITE_OK;
        }
    }
    assert(store->statement_count < STORE_STATEMENTS_MAX);
    int result = sqlite3_prepare_v3(store->db, sql, -1, SQLITE_PREPARE_PERSISTENT, handle, NULL);
    if (result == SQLITE_OK)
        store->statements[store->statement_count++] = (struct statement){sql, *handle};
    return result;
}

struct query query_start(struct store *store, const char *sql)
{
    struct query query = {.store = store};
    query.result = statement_find(store, sql, &query.statement);
    return query;
}

void query_bind_int(struct query *query, int parameter, int64_t value)
{
    if (query->result == SQLITE_OK)
        query->result = sqlite3_bind_int64(query->statement, parameter, value);
}

void query_bind_text(struct query *query, int parameter, const char *text)
{
    if (query->result != SQLITE_OK)
        return;
    if (text == NULL || text[0] == '\0')
        query->result = sqlite3_bind_null(query->statement, parameter);
    else
        query->result = sqlite3_bind_text(query->statement, parameter, text, -1, SQLITE_TRANSIENT);
}

void query_bind_optional(struct query *query, int parameter, struct vgpu_optional value)
{
    if (query->result != SQLITE_OK)
        return;
    if (value.known)
        query->result = sqlite3_bind_int64(query->statement, parameter, value.value);
    else
        query->result = sqlite3_bind_null(query->statement, parameter);
}

void query_bind_pool(struct query *query, int parameter, char pool)
{
    char text[2] = {pool, '\0'};
    query_bind_text(query, parameter, text);
}

bool query_row(struct query *query)
{
    if (query->result != SQLITE_OK && query->result != SQLITE_ROW)
        return false;
    errno = 0;
    query->result = sqlite3_step(query->statement);
    query->store->step_errno = errno;
    return query->result == SQLITE_ROW;
}

void query_set_result(struct query *query, int result)
{
    query->result = result;
}

enum vgpu_status query_end(struct query *query, struct vgpu_error *err)
{
    int result = query->result;
    bool good = result == SQLITE_OK || result == SQLITE_ROW || result == SQLITE_DONE;
    enum vgpu_status status = good ? VGPU_OK : store_fail(query->store, result, err);
    if (query->statement != NULL) {
        sqlite3_reset(query->statement);
        sqlite3_clear_bindings(query->statement);
    }
    return status;
}

enum vgpu_status query_run(struct query *query, struct vgpu_error *err)
{
    while (query_row(query)) {
    }
    return query_end(query, err);
}

int64_t query_int(const struct query *query, int column)
{
    return sqlite3_column_int64(query->statement, column);
}

struct vgpu_optional query_optional(const struct query *query, int column)
{
    struct vgpu_optional value = {.known = false};
    if (sqlite3_column_type(query->statement, column) != SQLITE_NULL) {
        value.known = true;
        value.value = sqlite3_column_int64(query->statement, column);
    }
    return value;
}

char query_pool(const struct query *query, int column)
{
    const unsigned char *text = sqlite3_column_text(query->statement, column);
    return text == NULL ? '\0' : (char)text[0];
}

void query_text(const struct query *query, int column, char *text, size_t size)
{
    const char *value = (const char *)sqlite3_column_text(query->statement, column);
    if (value == NULL) {
        text[0] = '\0';
        return;
    }
    size_t length = strnlen(value, size);
    if (length == size) {
        length--;
        while (length > 0 && ((unsigned char)value[length] & 0xC0) == 0x80)
            length--;
    }
    memcpy(text, value, length);
    text[length] = '\0';
}

/* ---- Lists ---- */

void *list_add(void **array, size_t *count, size_t size)
{
    bool full = (*count & (*count - 1)) == 0; /* 0 and the powers of two */
    if (full) {
        size_t room = *count == 0 ? 1 : *count * 2;
        void *larger = reallocarray(*array, room, size);
        if (larger == NULL)
            return NULL;
        *array = larger;
    }
    void *element = (char *)*array + *count * size;
    memset(element, 0, size);
    (*count)++;
    return element;
}

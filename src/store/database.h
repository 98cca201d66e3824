/* Inside of the store: the connection, and queries as its parts write them. */
#ifndef VGPU_STORE_DATABASE_H
#define VGPU_STORE_DATABASE_H

#include "store/store.h"

#include <sqlite3.h>

#define STORE_STATEMENTS_MAX 64
#define STORE_PLACES_MAX     256 /* GPUs that VMs can be placed on */

/* Where VMs can be placed, see placement.h. */
struct placement {
    bool loaded;
    size_t count;
    struct place {
        int32_t gpu_id;
        bool online;
        char pools[VGPU_POOLS_BYTES];
        int64_t vm_count;
    } places[STORE_PLACES_MAX];
};

struct store {
    sqlite3 *db;
    char *path;

    /* Prepared statements, found by the address of their text. */
    struct statement {
        const char *sql;
        sqlite3_stmt *handle;
    } statements[STORE_STATEMENTS_MAX];
    size_t statement_count;

    int busy_timeout_ms;
    int step_errno;            /* of the last statement: SQLite keeps none of its own where COMMIT fails */
    uint64_t lock_deadline_ns; /* of the wait going on, CLOCK_MONOTONIC */
    bool explicit_transaction; /* between store_begin and its end */

    bool data_version_known;
    int64_t data_version;

    bool actor_known;
    int64_t actor_uid;
    char actor_name[VGPU_USER_BYTES];

    /* True while this connection holds the write lock, so that nobody else can change them: */
    struct placement placement;
    int64_t free_vm_id_from; /* no vm_id below it is free */
};

/* ---- Errors ---- */

/* Turns an SQLite result (with the connection's own details) into a status and a line for the user. */
enum vgpu_status store_fail(struct store *store, int result, struct vgpu_error *err);

/* ---- Transactions ---- */

/* Around every change: a transaction of its own, or a savepoint where the caller has begun one. */
enum vgpu_status change_begin(struct store *store, struct vgpu_error *err);
/* Keeps the change when status is VGPU_OK, else undoes it. Returns status, or why it could not be kept. */
enum vgpu_status change_end(struct store *store, enum vgpu_status status, struct vgpu_error *err);

/* ---- Queries ----
 *
 *     struct query query = query_start(store, "SELECT ... WHERE vm_uuid = ?1");
 *     query_bind_text(&query, 1, vm_uuid);
 *     while (query_row(&query))
 *         ... query_int(&query, 0) ...
 *     return query_end(&query, err);
 *
 * Errors stick: after the first one the rest does nothing, and query_end reports it. The text must be a
 * constant: the statement is prepared once and kept. */
struct query {
    struct store *store;
    sqlite3_stmt *statement;
    int result;
};

struct query query_start(struct store *store, const char *sql);
void query_bind_int(struct query *query, int parameter, int64_t value);
void query_bind_text(struct query *query, int parameter, const char *text); /* NULL or "": NULL */
void query_bind_optional(struct query *query, int parameter, struct vgpu_optional value);
void query_bind_pool(struct query *query, int parameter, char pool); /* 0: NULL */

/* True: a row is there. False: the end, or an error. */
bool query_row(struct query *query);
/* Makes the query fail, as for a list that cannot grow. */
void query_set_result(struct query *query, int result);
enum vgpu_status query_end(struct query *query, struct vgpu_error *err);
/* For a statement without rows: runs it and ends it. */
enum vgpu_status query_run(struct query *query, struct vgpu_error *err);

int64_t query_int(const struct query *query, int column);
struct vgpu_optional query_optional(const struct query *query, int column);
char query_pool(const struct query *query, int column); /* NULL: 0 */
/* Copies at most size - 1 bytes, cut at a character; NULL gives "". */
void query_text(const struct query *query, int column, char *text, size_t size);

/* Runs constant SQL without parameters or rows. */
enum vgpu_status store_execute(struct store *store, const char *sql, struct vgpu_error *err);

/* ---- Lists ---- */

/* Makes room for one more element of `size` bytes in *array and returns it, zeroed; NULL when out of memory.
 * *count is raised. The room doubles, so *count alone says how much there is. */
void *list_add(void **array, size_t *count, size_t size);

#endif

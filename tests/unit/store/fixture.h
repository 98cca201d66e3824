/* A database of its own for each test, in a directory of its own. */
#ifndef VGPU_TESTS_STORE_FIXTURE_H
#define VGPU_TESTS_STORE_FIXTURE_H

#include "store/store.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

struct fixture {
    char directory[PATH_MAX / 2];
    char path[PATH_MAX]; /* the database; its directory does not exist before store_open */
    struct store *store;
    struct vgpu_error err;
};

/* For cmocka_unit_test_setup_teardown: a fixture with an open store; one where nothing is open yet. */
int fixture_open(void **state);
int fixture_bare(void **state);
int fixture_close(void **state);

/* Opens the database anew. */
void fixture_reopen(struct fixture *fixture);

/* Asserts VGPU_OK and prints the message otherwise. */
#define assert_done(fixture, call)                                                                           \
    do {                                                                                                     \
        if ((call) != VGPU_OK)                                                                               \
            fail_msg("%s: %s", #call, (fixture)->err.message);                                               \
    } while (0)

/* Asserts this status, with a one-line message that contains `words`. */
void assert_refused(const struct fixture *fixture, enum vgpu_status got, enum vgpu_status wanted,
                    const char *words);

/* Runs SQL over a connection of its own, as the sqlite3 program would. */
void fixture_sql(const struct fixture *fixture, const char *sql);
/* The one value that a query gives, as text; "(null)" for NULL. For one assertion: the next call overwrites
 * it. */
const char *fixture_sql_value(const struct fixture *fixture, const char *sql);

/* A GPU as the inventory finds it. */
struct vgpu_gpu make_gpu(int32_t gpu_id, const char *gpu_uuid, const char *pci_address);
/* A VM to register. */
struct vgpu_vm make_vm(int32_t vm_id, const char *vm_uuid, char pool, enum vgpu_priority priority);

#endif

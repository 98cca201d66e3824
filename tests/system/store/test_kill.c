/* kill -9 at any moment: every change that was answered is there, none is there in part, and the database is
 * whole. A writer in a process of its own makes random changes and reports each one answered; it is killed
 * wherever it happens to be; the database must then be what the reports say, or that and one change more. */
#include "store/store.h"

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define ROUNDS       300
#define FRESH_ROUNDS 100
#define VM_COUNT     40
#define BATCH_MAX    4

/* What should be in the database. vm_id 0: not registered. */
struct model {
    struct {
        int32_t vm_id;
        char pool;
        enum vgpu_priority priority;
    } vms[VM_COUNT];
    uint64_t random; /* state of the generator: writer and checker draw the same changes */
};

static uint64_t draw(struct model *model, uint64_t below)
{
    model->random ^= model->random << 13;
    model->random ^= model->random >> 7;
    model->random ^= model->random << 17;
    return (model->random >> 11) % below;
}

/* One change of a random VM in the model, and, unless store is NULL, in the database. */
static void change_one(struct model *model, struct store *store)
{
    size_t index = draw(model, VM_COUNT);
    bool remove = draw(model, 3) == 0;
    struct vgpu_vm vm = {.vm_id = (int32_t)index + 1,
                         .pool = draw(model, 2) == 0 ? 'A' : 'B',
                         .priority = (enum vgpu_priority)draw(model, 3)};
    struct vgpu_error err;
    enum vgpu_status status = VGPU_OK;
    bool registered = model->vms[index].vm_id != 0;
    snprintf(vm.vm_uuid, sizeof vm.vm_uuid, "vm%zu", index);
    if (store != NULL) {
        if (!registered)
            status = store_register_vm(store, &vm, NULL, &err);
        else if (remove)
            status = store_remove_vm(store, vm.vm_uuid, NULL, &err);
        else
            status = store_update_vm(store, vm.vm_uuid, VGPU_VM_POOL | VGPU_VM_PRIORITY, &vm, NULL, &err);
    }
    if (status != VGPU_OK) {
        fprintf(stderr, "%s\n", err.message);
        _exit(3);
    }
    model->vms[index].vm_id = registered && remove ? 0 : vm.vm_id;
    model->vms[index].pool = vm.pool;
    model->vms[index].priority = vm.priority;
}

/* What is answered at once: one change, or a transaction of several. */
static void change_some(struct model *model, struct store *store)
{
    size_t count = draw(model, 2) == 0 ? 1 : 1 + draw(model, BATCH_MAX);
    struct vgpu_error err;
    if (store != NULL && count > 1 && store_begin(store, &err) != VGPU_OK)
        _exit(4);
    for (size_t i = 0; i < count; i++)
        change_one(model, store);
    if (store != NULL && count > 1 && store_commit(store, &err) != VGPU_OK)
        _exit(5);
}

/* Does not return. */
static void write_until_killed(const char *path, struct model *model, int reports)
{
    struct store *store = NULL;
    struct vgpu_error err;
    if (store_open(path, &store, &err) != VGPU_OK) {
        fprintf(stderr, "%s\n", err.message);
        _exit(6);
    }
    for (;;) {
        change_some(model, store);
        if (write(reports, "x", 1) != 1)
            _exit(7);
    }
}

static bool is_as_modelled(struct store *store, const struct model *model)
{
    struct vgpu_vm *vms = NULL;
    size_t count = 0;
    struct vgpu_error err;
    if (store_list_vms(store, 0, -1, &vms, &count, &err) != VGPU_OK)
        fail_msg("%s", err.message);
    size_t expected = 0;
    bool same = true;
    for (size_t i = 0; i < VM_COUNT; i++)
        expected += model->vms[i].vm_id != 0;
    for (size_t i = 0; i < count; i++) {
        size_t index = (size_t)vms[i].vm_id - 1;
        same = same && index < VM_COUNT && model->vms[index].vm_id == vms[i].vm_id &&
               model->vms[index].pool == vms[i].pool && model->vms[index].priority == vms[i].priority;
    }
    free(vms);
    return same && count == expected;
}

static void assert_value(const char *path, const char *sql, const char *expected)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(statement, 0), expected);
    sqlite3_finalize(statement);
    sqlite3_close(db);
}

/* Opens what the killed writer left; *model becomes what is there. answered: changes it reported. */
static void check(const char *path, struct model *model, size_t answered)
{
    struct store *store = NULL;
    struct vgpu_error err;
    if (store_open(path, &store, &err) != VGPU_OK)
        fail_msg("%s", err.message);
    for (size_t i = 0; i < answered; i++)
        change_some(model, NULL);
    if (!is_as_modelled(store, model)) {
        change_some(model, NULL); /* done, and killed before the report */
        if (!is_as_modelled(store, model))
            fail_msg(
                "after %zu answered changes the database is neither what they made nor that and the next",
                answered);
    }
    store_close(store);
    assert_value(path, "PRAGMA integrity_check", "ok");
    /* The history was written in the transactions of the changes. */
    assert_value(path,
                 "SELECT (SELECT count(*) FROM changes WHERE action = 'register-vm') - (SELECT count(*) FROM "
                 "changes WHERE action = 'remove-vm') = (SELECT count(*) FROM vms)",
                 "1");
}

/* Lets the writer answer some changes, then a moment more, and kills it. Returns the changes answered. */
static size_t run_and_kill(const char *path, const struct model *model, size_t wanted, long more_us)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t writer = fork();
    assert_true(writer >= 0);
    if (writer == 0) {
        struct model own = *model;
        close(ends[0]);
        write_until_killed(path, &own, ends[1]);
    }
    close(ends[1]);
    size_t answered = 0;
    char report;
    while (answered < wanted && read(ends[0], &report, 1) == 1)
        answered++;
    struct timespec pause = {.tv_nsec = more_us * 1000};
    nanosleep(&pause, NULL);
    assert_int_equal(kill(writer, SIGKILL), 0);
    int status = 0;
    assert_int_equal(waitpid(writer, &status, 0), writer);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL); /* it did not end by itself */
    while (read(ends[0], &report, 1) == 1)
        answered++;
    close(ends[0]);
    return answered;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *position)
{
    return remove(path);
}

static void make_directory(char directory[PATH_MAX / 2])
{
    const char *base = getenv("TMPDIR");
    snprintf(directory, PATH_MAX / 2, "%s/vgpu-kill-XXXXXX", base != NULL ? base : "/tmp");
    assert_non_null(mkdtemp(directory));
}

static void no_answered_change_is_lost(void **state)
{
    char directory[PATH_MAX / 2];
    char path[PATH_MAX];
    struct model model = {.random = 0x9E3779B97F4A7C15u};
    struct model moments = {.random = 42};
    make_directory(directory);
    snprintf(path, sizeof path, "%s/vgpu.db", directory);
    for (int round = 0; round < ROUNDS; round++) {
        size_t wanted = draw(&moments, 12);
        long more_us = (long)draw(&moments, 3000);
        size_t answered = run_and_kill(path, &model, wanted, more_us);
        check(path, &model, answered);
    }
    nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void a_database_killed_while_it_is_made_opens(void **state)
{
    struct model moments = {.random = 4711};
    for (int round = 0; round < FRESH_ROUNDS; round++) {
        char directory[PATH_MAX / 2];
        char path[PATH_MAX];
        struct model model = {.random = (uint64_t)round + 1};
        make_directory(directory);
        snprintf(path, sizeof path, "%s/state/vgpu.db", directory);
        size_t answered = run_and_kill(path, &model, 0, (long)draw(&moments, 4000));
        check(path, &model, answered);
        nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_answered_change_is_lost),
        cmocka_unit_test(a_database_killed_while_it_is_made_opens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

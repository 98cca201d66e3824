/* What stands in the way of the database is said in one line, and nothing is changed or lost by it. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static enum vgpu_status try_open(struct fixture *fixture)
{
    return store_open(fixture->path, &fixture->store, &fixture->err);
}

static enum vgpu_status try_register(struct fixture *fixture, const char *vm_uuid)
{
    struct vgpu_vm vm = make_vm(0, vm_uuid, 'A', VGPU_PRIORITY_LOW);
    return store_register_vm(fixture->store, &vm, NULL, &fixture->err);
}

/* Makes a database with one VM and closes it. */
static void make_database(struct fixture *fixture)
{
    assert_done(fixture, try_open(fixture));
    assert_done(fixture, try_register(fixture, "abc123"));
    store_close(fixture->store);
    fixture->store = NULL;
}

/* What a child process saw; assertions do not cross processes. */
struct outcome {
    enum vgpu_status open_status;
    enum vgpu_status write_status;
    size_t written; /* VMs registered before write_status */
    struct vgpu_error err;
};

/* Runs body in a child, which ends after it. */
static struct outcome in_child(struct fixture *fixture, void (*body)(struct fixture *, struct outcome *))
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        struct outcome outcome = {.open_status = VGPU_OK};
        body(fixture, &outcome);
        _exit(write(ends[1], &outcome, sizeof outcome) == (ssize_t)sizeof outcome ? 0 : 1);
    }
    struct outcome outcome = {.open_status = VGPU_OK};
    close(ends[1]);
    assert_int_equal(read(ends[0], &outcome, sizeof outcome), sizeof outcome);
    close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    fixture->err = outcome.err;
    return outcome;
}

static void the_state_directory_and_file_are_private(void **state)
{
    struct fixture *fixture = *state;
    mode_t before = umask(022);
    assert_done(fixture, try_open(fixture));
    umask(before);
    char directory[PATH_MAX + 8];
    struct stat info;
    snprintf(directory, sizeof directory, "%s/state", fixture->directory);
    assert_int_equal(stat(directory, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0750);
    assert_int_equal(stat(fixture->path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0640);
    snprintf(directory, sizeof directory, "%s-wal", fixture->path);
    assert_int_equal(stat(directory, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0640);
}

static void the_tables_are_those_of_the_requirement(void **state)
{
    struct fixture *fixture = *state;
    make_database(fixture);
    const char *columns =
        "SELECT group_concat(c, ', ') FROM (SELECT name || ' ' || type || CASE WHEN \"notnull\" "
        "THEN ' NOT NULL' ELSE '' END AS c FROM pragma_table_info('%s') LIMIT %d)";
    char sql[400];
    snprintf(sql, sizeof sql, columns, "gpus", 12);
    assert_string_equal(fixture_sql_value(fixture, sql),
                        "gpu_id INTEGER, gpu_uuid TEXT NOT NULL, gpu_name TEXT, pci_address TEXT, "
                        "pool_id CHAR(1), memory_total INTEGER, memory_used INTEGER, utilization INTEGER, "
                        "temperature INTEGER, status TEXT, created_at TIMESTAMP, updated_at TIMESTAMP");
    snprintf(sql, sizeof sql, columns, "vms", 7);
    assert_string_equal(fixture_sql_value(fixture, sql),
                        "vm_id INTEGER NOT NULL, vm_uuid TEXT NOT NULL, vm_name TEXT, "
                        "pool_id CHAR(1) NOT NULL, priority INTEGER NOT NULL, created_at TIMESTAMP, "
                        "updated_at TIMESTAMP");
    assert_string_equal(
        fixture_sql_value(fixture, "SELECT sql FROM sqlite_schema WHERE name = 'idx_gpu_pool'"),
        "CREATE INDEX idx_gpu_pool ON gpus(pool_id)");
    const char *checks =
        "SELECT (SELECT sql LIKE '%CHECK(pool_id IN (''A'', ''B'', NULL))%' FROM sqlite_schema "
        "WHERE name = 'gpus') + (SELECT sql LIKE '%CHECK(pool_id IN (''A'', ''B''))%' AND sql "
        "LIKE '%CHECK(priority IN (0, 1, 2))%' FROM sqlite_schema WHERE name = 'vms')";
    assert_string_equal(fixture_sql_value(fixture, checks), "2");
    assert_string_equal(fixture_sql_value(fixture, "PRAGMA journal_mode"), "wal");
}

static void a_newer_database_is_refused(void **state)
{
    struct fixture *fixture = *state;
    make_database(fixture);
    fixture_sql(fixture, "PRAGMA user_version = 99");
    assert_refused(fixture, try_open(fixture), VGPU_ERR_VERSION, "newer vgpu");
    assert_string_equal(fixture_sql_value(fixture, "SELECT count(*) FROM vms"), "1");
}

static void another_programs_database_is_left_alone(void **state)
{
    struct fixture *fixture = *state;
    snprintf(fixture->path, sizeof fixture->path, "%s/other.db", fixture->directory);
    fixture_sql(fixture, "CREATE TABLE songs (title TEXT)");
    assert_refused(fixture, try_open(fixture), VGPU_ERR_CORRUPT, "another program");
    assert_string_equal(fixture_sql_value(fixture, "SELECT count(*) FROM sqlite_schema"), "1");
    assert_string_equal(fixture_sql_value(fixture, "PRAGMA journal_mode"), "delete");
}

static void write_file(const char *path, const char *text, off_t offset)
{
    int fd = open(path, O_WRONLY | O_CREAT, 0640);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, text, strlen(text), offset), strlen(text));
    close(fd);
}

static void what_is_no_database_is_refused(void **state)
{
    struct fixture *fixture = *state;
    snprintf(fixture->path, sizeof fixture->path, "%s/notes.txt", fixture->directory);
    write_file(fixture->path,
               "Dear diary, this is not a database but a text that somebody put here instead.\n", 0);
    assert_refused(fixture, try_open(fixture), VGPU_ERR_CORRUPT, "notes.txt");
}

static void a_damaged_database_is_said_to_be_so(void **state)
{
    struct fixture *fixture = *state;
    make_database(fixture);
    struct stat info;
    assert_int_equal(stat(fixture->path, &info), 0);
    char garbage[512];
    memset(garbage, 'x', sizeof garbage);
    garbage[sizeof garbage - 1] = '\0';
    for (off_t offset = 4096; offset < info.st_size; offset += 4096)
        write_file(fixture->path, garbage, offset);
    enum vgpu_status status = try_open(fixture);
    if (status == VGPU_OK) {
        struct vgpu_vm vm;
        status = store_get_vm(fixture->store, "abc123", &vm, &fixture->err);
    }
    assert_refused(fixture, status, VGPU_ERR_CORRUPT, "vgpu.db is damaged");
}

static void an_empty_file_becomes_a_database(void **state)
{
    struct fixture *fixture = *state;
    snprintf(fixture->path, sizeof fixture->path, "%s/vgpu.db", fixture->directory);
    write_file(fixture->path, "", 0);
    assert_done(fixture, try_open(fixture));
    assert_done(fixture, try_register(fixture, "abc123"));
}

static void a_directory_that_cannot_be_made_is_named(void **state)
{
    struct fixture *fixture = *state;
    snprintf(fixture->path, sizeof fixture->path, "%s/no/such/vgpu.db", fixture->directory);
    assert_refused(fixture, try_open(fixture), VGPU_ERR_IO, "/no/such");
    char file[PATH_MAX];
    snprintf(file, sizeof file, "%s/file", fixture->directory);
    write_file(file, "x", 0);
    snprintf(fixture->path, sizeof fixture->path, "%s/file/vgpu.db", fixture->directory);
    assert_refused(fixture, try_open(fixture), VGPU_ERR_IO, "vgpu.db");
}

static void a_locked_database_is_busy_and_then_goes_on(void **state)
{
    struct fixture *fixture = *state;
    assert_done(fixture, try_open(fixture));
    store_set_busy_timeout(fixture->store, 30);
    struct store *other = NULL;
    assert_done(fixture, store_open(fixture->path, &other, &fixture->err));
    assert_done(fixture, store_begin(other, &fixture->err));
    assert_refused(fixture, try_register(fixture, "abc123"), VGPU_ERR_BUSY, "locked by another program");
    /* Readers do not wait. */
    struct vgpu_snapshot snapshot;
    assert_done(fixture, store_get_snapshot(fixture->store, &snapshot, &fixture->err));
    assert_int_equal(snapshot.vm_count, 0);
    store_snapshot_fini(&snapshot);
    store_close(other);
    assert_done(fixture, try_register(fixture, "abc123"));
}

static void changes_of_others_are_noticed(void **state)
{
    struct fixture *fixture = *state;
    assert_done(fixture, try_open(fixture));
    struct store *other = NULL;
    assert_done(fixture, store_open(fixture->path, &other, &fixture->err));
    bool changed = false;
    assert_done(fixture, store_changed(other, &changed, &fixture->err));
    assert_true(changed);
    assert_done(fixture, store_changed(other, &changed, &fixture->err));
    assert_false(changed);
    assert_done(fixture, try_register(fixture, "abc123"));
    assert_done(fixture, store_changed(other, &changed, &fixture->err));
    assert_true(changed);
    struct vgpu_vm vm;
    assert_done(fixture, store_remove_vm(other, "abc123", &vm, &fixture->err));
    assert_done(fixture, store_changed(other, &changed, &fixture->err));
    assert_false(changed); /* its own */
    store_close(other);
}

static void read_only_body(struct fixture *fixture, struct outcome *outcome)
{
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
        _exit(2);
    outcome->open_status = try_open(fixture);
    outcome->write_status =
        outcome->open_status == VGPU_OK ? try_register(fixture, "def456") : outcome->open_status;
    outcome->err = fixture->err;
}

static void a_read_only_database_takes_no_change(void **state)
{
    struct fixture *fixture = *state;
    make_database(fixture);
    char directory[PATH_MAX + 8];
    snprintf(directory, sizeof directory, "%s/state", fixture->directory);
    assert_int_equal(chmod(fixture->path, 0444), 0);
    assert_int_equal(chmod(directory, 0555), 0);
    assert_int_equal(chmod(fixture->directory, 0755), 0);
    struct outcome outcome = in_child(fixture, read_only_body);
    assert_refused(fixture, outcome.write_status, VGPU_ERR_PERMISSION, "read-only");
    assert_int_equal(chmod(directory, 0755), 0);
    assert_int_equal(chmod(fixture->path, 0644), 0);
    assert_string_equal(fixture_sql_value(fixture, "SELECT count(*) FROM vms"), "1");
}

static void a_database_of_others_is_closed(void **state)
{
    struct fixture *fixture = *state;
    make_database(fixture);
    if (geteuid() != 0)
        skip();                                           /* only root can make one that is somebody else's */
    assert_int_equal(chmod(fixture->directory, 0755), 0); /* the state directory stays as it was made */
    struct outcome outcome = in_child(fixture, read_only_body);
    assert_refused(fixture, outcome.open_status, VGPU_ERR_PERMISSION, "closed to this user");
}

/* Registers until it fails. */
static void fill(struct fixture *fixture, struct outcome *outcome)
{
    outcome->open_status = try_open(fixture);
    outcome->write_status = outcome->open_status;
    while (outcome->write_status == VGPU_OK && outcome->written < 100000) {
        char vm_uuid[32];
        snprintf(vm_uuid, sizeof vm_uuid, "full%zu", outcome->written);
        outcome->write_status = try_register(fixture, vm_uuid);
        if (outcome->write_status == VGPU_OK)
            outcome->written++;
    }
    outcome->err = fixture->err;
}

static void assert_all_written_is_there(struct fixture *fixture, const struct outcome *outcome)
{
    char expected[32];
    snprintf(expected, sizeof expected, "%zu", outcome->written);
    assert_string_equal(fixture_sql_value(fixture, "SELECT count(*) FROM vms WHERE vm_uuid LIKE 'full%'"),
                        expected);
    assert_string_equal(fixture_sql_value(fixture, "PRAGMA integrity_check"), "ok");
}

static void file_size_body(struct fixture *fixture, struct outcome *outcome)
{
    struct rlimit limit = {.rlim_cur = 120000, .rlim_max = 120000};
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        _exit(2);
    fill(fixture, outcome);
}

static void no_more_space_loses_nothing_that_was_answered(void **state)
{
    struct fixture *fixture = *state;
    make_database(fixture);
    struct outcome outcome = in_child(fixture, file_size_body);
    assert_refused(fixture, outcome.write_status, VGPU_ERR_IO, "no space left");
    assert_true(outcome.written > 0);
    assert_all_written_is_there(fixture, &outcome);
    assert_done(fixture, try_open(fixture)); /* space again: it goes on */
    assert_done(fixture, try_register(fixture, "afterwards"));
}

/* A file system of 256 KiB over the state directory, seen by the child alone; all is checked in there. */
static void full_disk_body(struct fixture *fixture, struct outcome *outcome)
{
    char directory[PATH_MAX + 8];
    snprintf(directory, sizeof directory, "%s/state", fixture->directory);
    outcome->write_status = VGPU_ERR_UNAVAILABLE;
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("full", directory, "tmpfs", 0, "size=256k") != 0)
        return;
    fill(fixture, outcome);
    store_close(fixture->store);
    fixture->store = NULL;
    char expected[32];
    snprintf(expected, sizeof expected, "%zu", outcome->written);
    if (strcmp(fixture_sql_value(fixture, "SELECT count(*) FROM vms"), expected) != 0 ||
        strcmp(fixture_sql_value(fixture, "PRAGMA integrity_check"), "ok") != 0)
        outcome->write_status = VGPU_ERR_CORRUPT;
}

static void a_full_disk_loses_nothing_that_was_answered(void **state)
{
    struct fixture *fixture = *state;
    make_database(fixture);
    struct outcome outcome = in_child(fixture, full_disk_body);
    if (outcome.write_status == VGPU_ERR_UNAVAILABLE)
        skip(); /* only root may mount */
    assert_refused(fixture, outcome.write_status, VGPU_ERR_IO, "no space left");
    assert_true(outcome.written > 0);
}

static void many_may_open_a_new_database_at_once(void **state)
{
    struct fixture *fixture = *state;
    enum { OPENERS = 12 };
    pid_t children[OPENERS];
    for (int i = 0; i < OPENERS; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            char vm_uuid[16];
            snprintf(vm_uuid, sizeof vm_uuid, "vm%d", i);
            bool good = try_open(fixture) == VGPU_OK && try_register(fixture, vm_uuid) == VGPU_OK;
            if (!good)
                fprintf(stderr, "%s\n", fixture->err.message);
            _exit(good ? 0 : 1);
        }
    }
    for (int i = 0; i < OPENERS; i++) {
        int status = -1;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    assert_string_equal(fixture_sql_value(fixture, "SELECT count(*) || ' ' || max(vm_id) FROM vms"), "12 12");
}

/* Each of them registers VMs, moves them, and removes every third. */
static bool administrate(struct fixture *fixture, int number)
{
    for (int i = 0; i < 12; i++) {
        char vm_uuid[32];
        struct vgpu_vm values = {.pool = 'B'};
        snprintf(vm_uuid, sizeof vm_uuid, "vm%d-%d", number, i);
        if (try_register(fixture, vm_uuid) != VGPU_OK ||
            store_update_vm(fixture->store, vm_uuid, VGPU_VM_POOL, &values, NULL, &fixture->err) != VGPU_OK)
            return false;
        if (i % 3 == 0 && store_remove_vm(fixture->store, vm_uuid, NULL, &fixture->err) != VGPU_OK)
            return false;
    }
    return true;
}

static void many_administrators_at_once_lose_and_double_nothing(void **state)
{
    struct fixture *fixture = *state;
    enum { ADMINISTRATORS = 10 };
    pid_t children[ADMINISTRATORS];
    for (int i = 0; i < ADMINISTRATORS; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            bool good = try_open(fixture) == VGPU_OK;
            if (good)
                store_set_busy_timeout(fixture->store, 60000); /* however slow the machine */
            good = good && administrate(fixture, i);
            if (!good)
                fprintf(stderr, "%s\n", fixture->err.message);
            _exit(good ? 0 : 1);
        }
    }
    for (int i = 0; i < ADMINISTRATORS; i++) {
        int status = -1;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    assert_string_equal(fixture_sql_value(fixture,
                                          "SELECT count(*) || ' ' || count(DISTINCT vm_id) || ' ' || "
                                          "min(pool_id) FROM vms"),
                        "80 80 B");
    assert_string_equal(fixture_sql_value(fixture, "SELECT count(*) FROM changes"), "280");
    assert_string_equal(fixture_sql_value(fixture, "PRAGMA integrity_check"), "ok");
}

static void a_crash_before_the_first_table_leaves_a_database_that_opens(void **state)
{
    struct fixture *fixture = *state;
    snprintf(fixture->path, sizeof fixture->path, "%s/vgpu.db", fixture->directory);
    fixture_sql(fixture, "PRAGMA journal_mode = WAL");
    assert_done(fixture, try_open(fixture));
    assert_done(fixture, try_register(fixture, "abc123"));
}

/* SQL by another hand, without the checks that the store switches on. */
static void meddle(const struct fixture *fixture, const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(fixture->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void a_check_finds_what_another_hand_broke(void **state)
{
    struct fixture *fixture = *state;
    make_database(fixture);
    assert_done(fixture, try_open(fixture));
    assert_done(fixture, store_check(fixture->store, &fixture->err));
    meddle(fixture, "UPDATE vms SET gpu_id = 77");
    assert_int_equal(store_check(fixture->store, &fixture->err), VGPU_ERR_CORRUPT);
    assert_non_null(strstr(fixture->err.message, "a row of vms refers to one of gpus that is not there"));
    meddle(fixture, "UPDATE vms SET gpu_id = NULL");
    assert_done(fixture, store_check(fixture->store, &fixture->err));
    meddle(fixture, "PRAGMA ignore_check_constraints = ON; UPDATE vms SET priority = 7");
    assert_int_equal(store_check(fixture->store, &fixture->err), VGPU_ERR_CORRUPT);
    assert_non_null(strstr(fixture->err.message, "vms"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_bare, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(the_state_directory_and_file_are_private),
        TEST(the_tables_are_those_of_the_requirement),
        TEST(a_newer_database_is_refused),
        TEST(another_programs_database_is_left_alone),
        TEST(what_is_no_database_is_refused),
        TEST(a_damaged_database_is_said_to_be_so),
        TEST(a_check_finds_what_another_hand_broke),
        TEST(an_empty_file_becomes_a_database),
        TEST(a_directory_that_cannot_be_made_is_named),
        TEST(a_locked_database_is_busy_and_then_goes_on),
        TEST(changes_of_others_are_noticed),
        TEST(a_read_only_database_takes_no_change),
        TEST(a_database_of_others_is_closed),
        TEST(no_more_space_loses_nothing_that_was_answered),
        TEST(a_full_disk_loses_nothing_that_was_answered),
        TEST(many_may_open_a_new_database_at_once),
        TEST(many_administrators_at_once_lose_and_double_nothing),
        TEST(a_crash_before_the_first_table_leaves_a_database_that_opens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

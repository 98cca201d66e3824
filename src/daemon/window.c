#include "daemon/window.h"

#include "base/error.h"
#include "base/log.h"
#include "base/settings.h"
#include "daemon/host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Guest processes of one VM that live on without their worker and are waited for. */
#define LEAVERS_PER_VM 64

/* What such a one may still send before it counts as gone. */
#define LEAVER_BYTES (16u << 20)

#define FILE_PREFIX "vgpu-" /* and the vm_uuid */

struct window {
    struct windows *windows;
    unsigned users; /* the VM, and those that leave */
    unsigned leaver_count;
    uint32_t last_number;
    int fd, table_fd, lock_fd;
    bool is_new; /* the file was not there before */
    struct window_table *table;
    char path[PATH_MAX];
};

struct window_leaver {
    LIST_ENTRY(window_leaver) in_list;
    struct window *window;
    uv_poll_t poll;
    uv_work_t work;
    int connection;
    uint32_t number;
    uint64_t bytes_read;
};

enum vgpu_status windows_init(struct windows *windows, uv_loop_t *loop, const struct settings *settings,
                              const struct socket_access *access, struct vgpu_error *err)
{
    uint64_t bytes = settings_size_bytes(settings, SETTING_WINDOW_SIZE);
    if (bytes != 0 && (bytes < WINDOW_MIN_BYTES || (bytes & (bytes - 1)) != 0))
        return error_set(err, VGPU_ERR_USAGE,
                         "window_size = %s: memory of a PCI device has a size of 64M, 128M, 256M, ..., 1T",
                         settings_written(settings, SETTING_WINDOW_SIZE));
    windows->loop = loop;
    windows->bytes = bytes;
    windows->access = *access;
    snprintf(windows->folder, sizeof windows->folder, "%s", settings_text(settings, SETTING_WINDOW_DIR));
    return VGPU_OK;
}

/* ---- The file ---- */

/* Whoever else owns it could make it smaller under everybody's feet. */
static enum vgpu_status file_check(const struct window *window, const struct stat *info,
                                   struct vgpu_error *err)
{
    if (!S_ISREG(info->st_mode))
        return error_set(err, VGPU_ERR_EXISTS, "%s is no plain file; remove it", window->path);
    if (info->st_uid != geteuid() && info->st_uid != window->windows->access.uid)
        return error_set(
            err, VGPU_ERR_PERMISSION,
            "%s belongs to user %u; stop that VM, remove the file, have vgpud make it, and start "
            "the VM after that",
            window->path, (unsigned)info->st_uid);
    return VGPU_OK;
}

static enum vgpu_status file_lock(struct window *window, struct vgpu_error *err)
{
    window->lock_fd = open(window->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (window->lock_fd < 0)
        return error_set_errno(err, VGPU_ERR_IO, "cannot open %s", window->path);
    if (flock(window->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return error_set(err, VGPU_ERR_BUSY, "%s is another vgpud's", window->path);
    return VGPU_OK;
}

/* One that is larger stays so: a hypervisor may have it mapped. What workers have had of it goes. */
static enum vgpu_status file_open(struct window *window, struct vgpu_error *err)
{
    struct stat info;
    const struct windows *windows = window->windows;
    /* O_CREAT alone would be refused for one that is there and the hypervisor's: fs.protected_regular. */
    window->fd = open(window->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (window->fd < 0 && errno == ENOENT) {
        window->fd = open(window->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        window->is_new = window->fd >= 0;
    }
    if (window->fd < 0 || fstat(window->fd, &info) < 0)
        return error_set_errno(err, VGPU_ERR_IO, "cannot open %s", window->path);
    enum vgpu_status status = file_check(window, &info, err);
    if (status == VGPU_OK)
        status = file_lock(window, err);
    if (status != VGPU_OK)
        return status;
    if ((uint64_t)info.st_size < windows->bytes && ftruncate(window->fd, (off_t)windows->bytes) < 0)
        return error_set_errno(err, VGPU_ERR_IO, "cannot size %s", window->path);
    if (fallocate(window->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)WINDOW_SECOND_HEAD,
                  (off_t)(windows->bytes - WINDOW_SECOND_HEAD)) < 0)
        return error_set_errno(err, VGPU_ERR_IO, "%s cannot be emptied (is window_dir a tmpfs?)",
                               window->path);
    if (fchown(window->fd, windows->access.uid, windows->access.gid) < 0 ||
        fchmod(window->fd, windows->access.mode) < 0)
        return error_set_errno(err, VGPU_ERR_PERMISSION, "cannot set owner and permissions of %s",
                               window->path);
    return VGPU_OK;
}

static enum vgpu_status table_create(struct window *window, struct vgpu_error *err)
{
    uint64_t bytes = window->windows->bytes;
    window->table_fd = memfd_create("vgpu-window", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (window->table_fd < 0 || ftruncate(window->table_fd, (off_t)window_table_bytes(bytes)) < 0 ||
        fcntl(window->table_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return error_set_errno(err, VGPU_ERR_MEMORY, "cannot make the table of %s", window->path);
    void *table =
        mmap(NULL, window_table_bytes(bytes), PROT_READ | PROT_WRITE, MAP_SHARED, window->table_fd, 0);
    if (table == MAP_FAILED)
        return error_set_errno(err, VGPU_ERR_MEMORY, "cannot map the table of %s", window->path);
    window->table = table;
    window_table_begin(window->table, bytes);
    if (getrandom(window->table->key, WINDOW_KEY_BYTES, 0) != (ssize_t)WINDOW_KEY_BYTES)
        return error_set_errno(err, VGPU_ERR_IO, "cannot make a key for %s", window->path);
    return VGPU_OK;
}

static enum vgpu_status heads_write(const struct window *window, struct vgpu_error *err)
{
    static const uint64_t offsets[] = {0, WINDOW_SECOND_HEAD};
    struct window_head head = {.bytes = window->windows->bytes};
    memcpy(head.magic, WINDOW_MAGIC, sizeof head.magic);
    memcpy(head.key, window->table->key, sizeof head.key);
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
        head.offset = offsets[i];
        if (pwrite(window->fd, &head, sizeof head, (off_t)offsets[i]) != (ssize_t)sizeof head)
            return error_set_errno(err, VGPU_ERR_IO, "cannot write to %s", window->path);
    }
    return VGPU_OK;
}

static void window_give_back(struct window *window)
{
    if (--window->users > 0)
        return;
    const int fds[] = {window->fd, window->table_fd, window->lock_fd};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    if (window->table)
        munmap(window->table, window_table_bytes(window->table->bytes));
    free(window);
}

struct window *window_create(struct windows *windows, const char *vm_uuid, struct vgpu_error *err)
{
    struct window *window = calloc(1, sizeof *window);
    if (!window) {
        error_set(err, VGPU_ERR_MEMORY, "out of memory");
        return NULL;
    }
    window->windows = windows;
    window->users = 1;
    window->fd = window->table_fd = window->lock_fd = -1;
    snprintf(window->path, sizeof window->path, "%.*s/" FILE_PREFIX "%s", PATH_MAX - 128, windows->folder,
             vm_uuid);
    enum vgpu_status status = file_open(window, err);
    if (status == VGPU_OK)
        status = table_create(window, err);
    if (status == VGPU_OK)
        status = heads_write(window, err);
    if (status == VGPU_OK)
        return window;
    if (window->is_new)
        unlink(window->path); /* memory that a hypervisor would find there might not be had */
    window_give_back(window);
    return NULL;
}

/* One that a daemon has made, of this user or the hypervisor's, and that no living one holds. */
static bool is_left_over(const struct windows *windows, const char *path)
{
    struct stat info;
    char magic[sizeof(struct window_head){0}.magic];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return false;
    bool is = fstat(fd, &info) == 0 && S_ISREG(info.st_mode) &&
              (info.st_uid == geteuid() || info.st_uid == windows->access.uid) &&
              pread(fd, magic, sizeof magic, 0) == (ssize_t)sizeof magic &&
              memcmp(magic, WINDOW_MAGIC, sizeof magic) == 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
    close(fd);
    return is;
}

void windows_sweep(const struct windows *windows, const struct host *host)
{
    size_t before = strlen(FILE_PREFIX);
    DIR *folder = opendir(windows->folder);
    const struct dirent *entry;
    while (folder && (entry = readdir(folder))) {
        char path[PATH_MAX];
        if (strncmp(entry->d_name, FILE_PREFIX, before) != 0 ||
            (windows->bytes != 0 && host_find_vm(host, entry->d_name + before)) ||
            snprintf(path, sizeof path, "%s/%s", windows->folder, entry->d_name) >= (int)sizeof path ||
            !is_left_over(windows, path))
            continue;
        log_info("removing %s: it is no VM's window any more", path);
        unlink(path);
    }
    if (folder)
        closedir(folder);
}

void window_unlink(struct window *window)
{
    if (unlink(window->path) < 0 && errno != ENOENT)
        log_warning("cannot remove %s: %s", window->path, strerror(errno));
}

void window_destroy(struct window *window)
{
    if (window)
        window_give_back(window);
}

int window_fd(const struct window *window)
{
    return window->fd;
}

int window_table_fd(const struct window *window)
{
    return window->table_fd;
}

uint32_t window_next_number(struct window *window)
{
    do {
        window->last_number++;
    } while (window->last_number == WINDOW_FREE || window->last_number == WINDOW_RESERVED);
    return window->last_number;
}

/* ---- Who leaves ---- */

static void leaver_free(struct window_leaver *leaver)
{
    struct window *window = leaver->window;
    free(leaver);
    window_give_back(window);
}

/* A thread of the pool: pages by the gigabyte take a while to be given back. */
static void reclaim(uv_work_t *work)
{
    struct window_leaver *leaver = work->data;
    const struct window *window = leaver->window;
    uint64_t offset = 0;
    uint64_t bytes;
    while (window_find(window->table, leaver->number, &offset, &bytes)) {
        (void)!fallocate(window->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)bytes);
        window_give(window->table, leaver->number, offset, bytes);
    }
}

static void reclaimed(uv_work_t *work, int status)
{
    leaver_free(work->data);
}

static void reclaim_begin(struct window_leaver *leaver)
{
    leaver->work.data = leaver;
    if (uv_queue_work(leaver->window->windows->loop, &leaver->work, reclaim, reclaimed) != 0) {
        reclaim(&leaver->work);
        leaver_free(leaver);
    }
}

static void poll_closed(uv_handle_t *handle)
{
    struct window_leaver *leaver = handle->data;
    close(leaver->connection);
    if (leaver->window->windows->closed)
        leaver_free(leaver);
    else
        reclaim_begin(leaver);
}

static void leaver_end(struct window_leaver *leaver)
{
    LIST_REMOVE(leaver, in_list);
    leaver->window->leaver_count--;
    uv_close((uv_handle_t *)&leaver->poll, poll_closed);
}

static void leaver_readable(uv_poll_t *poll, int status, int events)
{
    struct window_leaver *leaver = poll->data;
    char buffer[4096];
    ssize_t got = recv(leaver->connection, buffer, sizeof buffer, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    leaver->bytes_read += got > 0 ? (uint64_t)got : 0;
    if (got <= 0 || leaver->bytes_read > LEAVER_BYTES)
        leaver_end(leaver);
}

/* The oldest makes room. */
static void leavers_limit(struct window *window)
{
    struct window_leaver *leaver, *oldest = NULL;
    if (window->leaver_count < LEAVERS_PER_VM)
        return;
    LIST_FOREACH(leaver, &window->windows->leavers, in_list)
    {
        if (leaver->window == window)
            oldest = leaver;
    }
    if (oldest)
        leaver_end(oldest);
}

void window_guest_gone(struct window *window, uint32_t number, int connection)
{
    struct windows *windows = window->windows;
    struct window_leaver *leaver = windows->closed ? NULL : calloc(1, sizeof *leaver);
    if (!leaver) {
        if (connection >= 0)
            close(connection);
        return;
    }
    *leaver = (struct window_leaver){.window = window, .connection = connection, .number = number};
    window->users++;
    if (connection >= 0 && uv_poll_init(windows->loop, &leaver->poll, connection) != 0) {
        close(connection);
        connection = -1;
    }
    if (connection < 0) {
        reclaim_begin(leaver);
        return;
    }
    shutdown(connection, SHUT_WR); /* it learns that nobody answers any more */
    leavers_limit(window);
    LIST_INSERT_HEAD(&windows->leavers, leaver, in_list);
    window->leaver_count++;
    leaver->poll.data = leaver;
    uv_poll_start(&leaver->poll, UV_READABLE | UV_DISCONNECT, leaver_readable);
}

void windows_close(struct windows *windows)
{
    struct window_leaver *leaver;
    windows->closed = true;
    while ((leaver = LIST_FIRST(&windows->leavers)))
        leaver_end(leaver);
}

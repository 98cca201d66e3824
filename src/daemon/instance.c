#include "daemon/instance.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static enum vgpu_status directory_make(const char *path, mode_t mode, struct vgpu_error *err)
{
    if (mkdir(path, mode) == 0) {
        if (chmod(path, mode) < 0) /* whatever the umask is */
            return error_set_errno(err, VGPU_ERR_IO, "cannot set the permissions of %s", path);
        return VGPU_OK;
    }
    struct stat info;
    if (errno == EEXIST && stat(path, &info) == 0) {
        if (S_ISDIR(info.st_mode))
            return VGPU_OK;
        return error_set(err, VGPU_ERR_IO, "%s is not a directory; move it away or set VGPU_RUN_DIR", path);
    }
    return error_set_errno(err, errno == EACCES || errno == EROFS ? VGPU_ERR_PERMISSION : VGPU_ERR_IO,
                           "cannot make the directory %s; set VGPU_RUN_DIR to one that can be made", path);
}

/* The directories above path. */
static enum vgpu_status parents_make(const char *path, struct vgpu_error *err)
{
    char parent[PATH_MAX];
    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(parent, sizeof parent, "%.*s", (int)(slash - path), path);
        enum vgpu_status status = directory_make(parent, 0755, err);
        if (status != VGPU_OK)
            return status;
    }
    return VGPU_OK;
}

static enum vgpu_status lock_refused(int fd, const char *path, const char *run_dir, struct vgpu_error *err)
{
    char pid[16] = "";
    if (errno != EWOULDBLOCK)
        return error_set_errno(err, VGPU_ERR_IO, "cannot lock %s", path);
    ssize_t got = pread(fd, pid, sizeof pid - 1, 0);
    pid[strspn(pid, "0123456789")] = '\0';
    return error_set(err, VGPU_ERR_BUSY,
                     "%s: a daemon is running there already (process %s); stop it first, or set VGPU_RUN_DIR",
                     run_dir, got > 0 && pid[0] ? pid : "unknown");
}

static enum vgpu_status lock_take(const char *run_dir, int *lock_fd, struct vgpu_error *err)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/vgpud.pid", run_dir) >= (int)sizeof path)
        return error_set(err, VGPU_ERR_USAGE, "%s: the path is too long", run_dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return error_set_errno(err, errno == EACCES || errno == EROFS ? VGPU_ERR_PERMISSION : VGPU_ERR_IO,
                               "cannot open %s", path);
    enum vgpu_status status = VGPU_OK;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        status = lock_refused(fd, path, run_dir, err);
    else if (ftruncate(fd, 0) < 0 || dprintf(fd, "%d\n", (int)getpid()) < 0)
        status = error_set_errno(err, VGPU_ERR_IO, "cannot write %s", path);
    if (status != VGPU_OK)
        close(fd);
    else
        *lock_fd = fd;
    return status;
}

enum vgpu_status instance_claim(const char *run_dir, int *lock_fd, struct vgpu_error *err)
{
    char guests[PATH_MAX];
    if (snprintf(guests, sizeof guests, "%s/guests", run_dir) >= (int)sizeof guests)
        return error_set(err, VGPU_ERR_USAGE, "%s: the path is too long", run_dir);
    enum vgpu_status status = parents_make(run_dir, err);
    if (status == VGPU_OK)
        status = directory_make(run_dir, 0755, err);
    if (status == VGPU_OK)
        status = lock_take(run_dir, lock_fd, err);
    if (status == VGPU_OK && (status = directory_make(guests, 0711, err)) != VGPU_OK)
        close(*lock_fd);
    return status;
}

void instance_release(int lock_fd)
{
    if (ftruncate(lock_fd, 0) < 0) {
        /* the lock, not the number, is what counts */
    }
    close(lock_fd);
}

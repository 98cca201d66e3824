/* Preloaded into a program: every write to a file below the directory FULL_DISK_BELOW fails as on a full
 * disk. */
#undef _FILE_OFFSET_BITS /* pwrite and pwrite64 are two functions here, each to be replaced */

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_full(int fd)
{
    char link[64];
    char path[PATH_MAX];
    const char *below = getenv("FULL_DISK_BELOW");
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (below == NULL || length < 0)
        return false;
    path[length] = '\0';
    return strncmp(path, below, strlen(below)) == 0;
}

static ssize_t refuse(void)
{
    errno = ENOSPC;
    return -1;
}

ssize_t write(int fd, const void *buf, size_t n)
{
    ssize_t (*next)(int, const void *, size_t);
    *(void **)&next = dlsym(RTLD_NEXT, "write");
    return is_full(fd) ? refuse() : next(fd, buf, n);
}

ssize_t pwrite(int fd, const void *buf, size_t n, off_t offset)
{
    ssize_t (*next)(int, const void *, size_t, off_t);
    *(void **)&next = dlsym(RTLD_NEXT, "pwrite");
    return is_full(fd) ? refuse() : next(fd, buf, n, offset);
}

ssize_t pwrite64(int fd, const void *buf, size_t n, off64_t offset)
{
    ssize_t (*next)(int, const void *, size_t, off64_t);
    *(void **)&next = dlsym(RTLD_NEXT, "pwrite64");
    return is_full(fd) ? refuse() : next(fd, buf, n, offset);
}

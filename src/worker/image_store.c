#include "worker/image_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

/* A single image takes at most this part of the store. */
#define LARGEST_PART 4

static int folder = -1;
static uint64_t limit;

struct name {
    char text[2 * BLAKE2B_BYTES + 1];
};

static struct name name_of(const uint8_t digest[BLAKE2B_BYTES])
{
    struct name name;
    for (unsigned i = 0; i < BLAKE2B_BYTES; i++)
        snprintf(name.text + (size_t)2 * i, 3, "%02x", digest[i]);
    return name;
}

static void digest_of(const uint8_t *image, uint64_t bytes, uint8_t digest[BLAKE2B_BYTES])
{
    struct blake2b blake2b;
    blake2b_begin(&blake2b);
    blake2b_add(&blake2b, image, bytes);
    blake2b_end(&blake2b, digest);
}

void image_store_open(const char *run_dir, uint64_t limit_bytes)
{
    char path[4096];
    if (limit_bytes == 0)
        return;
    int length = snprintf(path, sizeof path, "%s/images", run_dir);
    if (length < 0 || (size_t)length >= sizeof path)
        return;
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (folder < 0)
        log_warning("%s: %s; images of code are not kept", path, strerror(errno));
    limit = limit_bytes;
}

static bool read_all(int fd, uint8_t *to, uint64_t bytes)
{
    while (bytes > 0) {
        ssize_t got = read(fd, to, bytes);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        to += got;
        bytes -= (uint64_t)got;
    }
    return true;
}

static bool write_all(int fd, const uint8_t *from, uint64_t bytes)
{
    while (bytes > 0) {
        ssize_t put = write(fd, from, bytes);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        from += put;
        bytes -= (uint64_t)put;
    }
    return true;
}

bool image_store_has(const uint8_t digest[BLAKE2B_BYTES], uint64_t bytes)
{
    struct name name = name_of(digest);
    struct stat status;
    return folder >= 0 && fstatat(folder, name.text, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           (uint64_t)status.st_size == bytes;
}

bool image_store_read(const uint8_t digest[BLAKE2B_BYTES], uint8_t *to, uint64_t bytes)
{
    struct name name = name_of(digest);
    struct stat status;
    uint8_t found[BLAKE2B_BYTES];
    int fd = folder < 0 ? -1 : openat(folder, name.text, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return false;
    bool good = fstat(fd, &status) == 0 && (uint64_t)status.st_size == bytes && read_all(fd, to, bytes);
    close(fd);
    if (!good)
        return false;
    digest_of(to, bytes, found);
    if (memcmp(found, digest, sizeof found) != 0) {
        log_warning("image %s is not what its name says and is removed", name.text);
        unlinkat(folder, name.text, 0);
        return false;
    }
    utimensat(folder, name.text, NULL, 0); /* used now */
    return true;
}

/* --- room --- */

struct kept {
    struct name name;
    struct timespec used;
    uint64_t bytes;
};

static int older(const void *left, const void *right)
{
    const struct kept *a = left, *b = right;
    if (a->used.tv_sec != b->used.tv_sec)
        return a->used.tv_sec < b->used.tv_sec ? -1 : 1;
    return (a->used.tv_nsec > b->used.tv_nsec) - (a->used.tv_nsec < b->used.tv_nsec);
}

/* All images, the longest unused first. NULL for none; the caller frees. */
static struct kept *list_kept(size_t *count, uint64_t *bytes)
{
    struct kept *list = NULL;
    *count = 0;
    *bytes = 0;
    int again = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = again < 0 ? NULL : fdopendir(again);
    if (entries == NULL)
        return NULL;
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        struct stat status;
        if (strlen(entry->d_name) != 2 * BLAKE2B_BYTES ||
            fstatat(folder, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        struct kept *larger = realloc(list, (*count + 1) * sizeof *list);
        if (larger == NULL)
            break;
        list = larger;
        struct kept *kept = &list[(*count)++];
        memcpy(kept->name.text, entry->d_name, sizeof kept->name.text);
        kept->used = status.st_mtim;
        kept->bytes = (uint64_t)status.st_size;
        *bytes += kept->bytes;
    }
    closedir(entries);
    if (list != NULL)
        qsort(list, *count, sizeof *list, older);
    return list;
}

/* Two workers at once may keep a little more than the limit, until the next one looks. */
static void make_room(uint64_t bytes)
{
    size_t count;
    uint64_t used;
    struct kept *list = list_kept(&count, &used);
    for (size_t i = 0; i < count && used + bytes > limit; i++) {
        unlinkat(folder, list[i].name.text, 0);
        used -= list[i].bytes;
    }
    free(list);
}

void image_store_add(const uint8_t *image, uint64_t bytes)
{
    if (folder < 0 || bytes > limit / LARGEST_PART)
        return;
    uint8_t digest[BLAKE2B_BYTES];
    digest_of(image, bytes, digest);
    struct name name = name_of(digest);
    if (faccessat(folder, name.text, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return;
    make_room(bytes);
    /* Complete before it has a name. */
    int fd = openat(folder, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0400);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (fd >= 0 && write_all(fd, image, bytes) &&
        linkat(AT_FDCWD, path, folder, name.text, AT_SYMLINK_FOLLOW) != 0 && errno != EEXIST)
        log_debug("image %s cannot be kept: %s", name.text, strerror(errno));
    if (fd >= 0)
        close(fd);
}

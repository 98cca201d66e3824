#include "worker/shared_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
    int fd; /* -1: the VM has none */
    struct window_table *table;
    uint32_t number;
    bool used;
} window = {.fd = -1};

bool shared_memory_bind_window(int window_fd, int table_fd, uint32_t number)
{
    struct stat info;
    if (fstat(table_fd, &info) != 0)
        return false;
    void *table = mmap(NULL, (size_t)info.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, table_fd, 0);
    if (table == MAP_FAILED)
        return false;
    close(table_fd);
    window.fd = window_fd;
    window.table = table;
    window.number = number;
    return true;
}

bool shared_memory_use_window(const uint8_t key[WINDOW_KEY_BYTES])
{
    window.used = window.fd >= 0 && memcmp(key, window.table->key, WINDOW_KEY_BYTES) == 0;
    return window.used;
}

bool shared_memory_window_has(uint64_t bytes)
{
    uint64_t offset;
    bool there_is = window_take(window.table, window.number, bytes, &offset);
    if (there_is)
        window_give(window.table, window.number, offset, bytes);
    return there_is;
}

void shared_memory_leave_window(void)
{
    window.used = false;
}

bool shared_memory_in_window(void)
{
    return window.used;
}

static bool make_memfd(const char *name, uint64_t bytes, struct shared_memory *memory)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return false;
    if (ftruncate(fd, (off_t)bytes) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0) {
        *memory = (struct shared_memory){.fd = fd, .bytes = bytes};
        return true;
    }
    int saved = errno;
    close(fd);
    errno = saved;
    return false;
}

/* Drops what the part holds and has the file system promise its pages: a page that cannot be had would be
 * found out by a signal, here or in the virtual machine. A file system that has no such promise to give makes
 * none. */
static bool renew(uint64_t offset, uint64_t bytes)
{
    if (fallocate(window.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)bytes) != 0)
        return false;
    return fallocate(window.fd, 0, (off_t)offset, (off_t)bytes) == 0 || errno == EOPNOTSUPP;
}

static bool take_part(uint64_t bytes, struct shared_memory *memory)
{
    uint64_t offset;
    if (!window_take(window.table, window.number, bytes, &offset)) {
        errno = ENOMEM;
        return false;
    }
    *memory = (struct shared_memory){.fd = window.fd, .offset = offset, .bytes = bytes};
    if (renew(offset, bytes))
        return true;
    int saved = errno;
    shared_memory_free(memory);
    errno = saved;
    return false;
}

bool shared_memory_make(const char *name, uint64_t bytes, struct shared_memory *memory)
{
    return window.used ? take_part(bytes, memory) : make_memfd(name, bytes, memory);
}

void shared_memory_passed(struct shared_memory *memory)
{
    if (!window.used && memory->fd >= 0)
        close(memory->fd);
    memory->fd = -1;
}

void shared_memory_free(const struct shared_memory *memory)
{
    if (!window.used || memory->bytes == 0)
        return;
    fallocate(window.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)memory->offset,
              (off_t)memory->bytes);
    window_give(window.table, window.number, memory->offset, memory->bytes);
}

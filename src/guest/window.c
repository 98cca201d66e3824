#include "guest/window.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/clock.h"
#include "guest/diagnostics.h"
#include "guest/pages.h"

/* Linux: Documentation/PCI/sysfs-pci.rst. Memory of a device is a file of its own, which can be mapped. */
#define PCI_DEVICES "/sys/bus/pci/devices"

/* Device-dax: /dev/dax0.0, ... */
#define DEVICES    "/dev"
#define DAX_PREFIX "dax"

static struct {
    int fd;
    uint64_t start; /* of the device in the window */
    dev_t device;
    ino_t inode;
} window = {.fd = -1};

/* By the kernel's names, as this glibc's for them are newer than 2.18. */
static int descriptor_again(int fd)
{
    return (int)syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 0);
}
static bool file_status(int fd, struct stat *info)
{
    return syscall(SYS_fstat, fd, info) == 0;
}

static void say(const char *path, const char *what)
{
    if (diagnostics_wanted())
        diagnostics_say("%s: %s; calls go over the connection", path, what);
}

/* The best of a few times that it takes to read a page: the first time brings it in. */
static uint64_t page_read_ns(const void *page)
{
    const volatile uint64_t *words = page;
    uint64_t best_ns = UINT64_MAX;
    for (int i = 0; i < 8; i++) {
        uint64_t start_ns = clock_monotonic_ns();
        for (size_t word = 0; word < PAGE_BYTES / sizeof *words; word++)
            (void)words[word];
        uint64_t took_ns = clock_monotonic_ns() - start_ns;
        best_ns = took_ns < best_ns ? took_ns : best_ns;
    }
    return best_ns;
}

/* Whether the processor caches the memory. The kernel maps a device uncached; on Intel's processors KVM takes
 * no notice of that where the device is memory of the host, elsewhere the mapping is as the kernel has it:
 * then each word comes from memory, a hundred times slower than from a cache. */
static bool is_cached(const void *page)
{
    static const uint8_t own_page[PAGE_BYTES];
    return page_read_ns(page) < 10 * page_read_ns(own_page) + 1000;
}

/* Reads the head. Its size stands in the head and must be there: the device can be smaller, if the virtual
 * machine was started before the host's setting was changed. */
static bool read_head(const char *path, int fd, bool must_be_cached, uint8_t key[WINDOW_KEY_BYTES])
{
    struct stat info;
    bool good = file_status(fd, &info);
    const struct window_head *head =
        good ? mmap(NULL, WINDOW_BLOCK_BYTES, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (head == MAP_FAILED) {
        say(path, strerror(errno));
        return false;
    }
    bool known = memcmp(head->magic, WINDOW_MAGIC, sizeof head->magic) == 0;
    bool fits = info.st_size == 0 || (uint64_t)info.st_size >= head->bytes - head->offset;
    bool cached = !must_be_cached || is_cached(head);
    memcpy(key, head->key, WINDOW_KEY_BYTES);
    window.start = head->offset;
    munmap((void *)(uintptr_t)head, WINDOW_BLOCK_BYTES);
    if (!known)
        say(path, "this is no memory of vgpu's");
    else if (!fits)
        say(path, "this is smaller than on the host; restart the virtual machine");
    else if (!cached)
        say(path, "this virtual machine does not cache the memory shared with the host");
    window.device = info.st_dev;
    window.inode = info.st_ino;
    return known && fits && cached;
}

static bool open_file(const char *path, bool must_be_cached, uint8_t key[WINDOW_KEY_BYTES])
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        say(path,
            errno == EACCES ? "this user may not open the memory shared with the host" : strerror(errno));
        return false;
    }
    if (!read_head(path, fd, must_be_cached, key)) {
        close(fd);
        return false;
    }
    window.fd = fd;
    return true;
}

/* The number in a device's file, 0 where there is none. */
static unsigned long read_number(const char *device, const char *name)
{
    char path[300], text[32] = "";
    snprintf(path, sizeof path, PCI_DEVICES "/%s/%s", device, name);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    size_t got = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[got] = '\0';
    return strtoul(text, NULL, 16);
}

static bool open_pci(uint8_t key[WINDOW_KEY_BYTES])
{
    DIR *devices = opendir(PCI_DEVICES);
    const struct dirent *entry;
    bool found = false;
    while (!found && devices != NULL && (entry = readdir(devices)) != NULL) {
        char path[300];
        if (entry->d_name[0] == '.' || read_number(entry->d_name, "vendor") != WINDOW_PCI_VENDOR ||
            read_number(entry->d_name, "device") != WINDOW_PCI_DEVICE)
            continue;
        snprintf(path, sizeof path, PCI_DEVICES "/%s/resource2", entry->d_name);
        found = open_file(path, true, key);
    }
    if (devices != NULL)
        closedir(devices);
    return found;
}

static bool open_dax(uint8_t key[WINDOW_KEY_BYTES])
{
    DIR *devices = opendir(DEVICES);
    const struct dirent *entry;
    bool found = false;
    while (!found && devices != NULL && (entry = readdir(devices)) != NULL) {
        char path[sizeof DEVICES + sizeof entry->d_name];
        if (strncmp(entry->d_name, DAX_PREFIX, strlen(DAX_PREFIX)) != 0)
            continue;
        snprintf(path, sizeof path, DEVICES "/%s", entry->d_name);
        found = open_file(path, true, key);
    }
    if (devices != NULL)
        closedir(devices);
    return found;
}

bool window_open(uint8_t key[WINDOW_KEY_BYTES])
{
    const char *named = getenv("VGPU_WINDOW");
    window_close();
    if (named == NULL || named[0] == '\0')
        return open_dax(key) || open_pci(key);
    return strcmp(named, "none") != 0 && open_file(named, false, key);
}

void window_close(void)
{
    if (window.fd >= 0)
        close(window.fd);
    window.fd = -1;
}

bool window_is_open(void)
{
    return window.fd >= 0;
}

int window_descriptor(uint64_t *offset)
{
    if (*offset < window.start)
        return -1;
    *offset -= window.start;
    return descriptor_again(window.fd);
}

bool window_has_mapping(unsigned major_number, unsigned minor_number, uint64_t inode)
{
    return window_is_open() && inode == window.inode && makedev(major_number, minor_number) == window.device;
}

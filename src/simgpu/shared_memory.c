#include "simgpu/shared_memory.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_FORMAT "vgpu-sim-memory-%016" PRIx64 /* the key of the GPU */

int shared_memory_create(const struct sim_device *device, uint64_t bytes)
{
    char name[64];
    snprintf(name, sizeof name, NAME_FORMAT, device->gpu->key);
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -1;
    if (ftruncate(fd, (off_t)bytes) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        return fd;
    close(fd);
    return -1;
}

bool shared_memory_identify(int fd, struct sim_device **device, uint64_t *bytes)
{
    char path[64], target[128];
    struct stat status;
    uint64_t key = 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length < 0 || fstat(fd, &status) != 0)
        return false;
    target[length] = 0;
    if (sscanf(target,
               "/memfd:"
               "vgpu-sim-memory-%" SCNx64,
               &key) != 1)
        return false;
    *bytes = (uint64_t)status.st_size;
    for (int i = 0; i < driver_device_count(); i++) {
        *device = driver_device(i);
        if ((*device)->gpu->key == key)
            return true;
    }
    return false;
}

bool shared_memory_map(int fd, uint64_t address, uint64_t bytes, uint64_t offset)
{
    return mmap((void *)(uintptr_t)address, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
                (off_t)offset) != MAP_FAILED;
}

int shared_memory_open_of(int pid, int number)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, number);
    return open(path, O_RDWR | O_CLOEXEC);
}

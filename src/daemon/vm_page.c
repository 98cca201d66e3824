#include "daemon/vm_page.h"

#include "base/error.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

enum vgpu_status vm_page_create(struct vm_page **page, int *memfd, struct vgpu_error *err)
{
    int fd = memfd_create("vgpu-vm", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return error_set_errno(err, VGPU_ERR_IO, "cannot make a VM's page");
    if (ftruncate(fd, VM_SEGMENT_BYTES) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        error_set_errno(err, VGPU_ERR_IO, "cannot size a VM's page");
        close(fd);
        return VGPU_ERR_IO;
    }
    void *mapped = mmap(NULL, VM_SEGMENT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED) {
        error_set_errno(err, VGPU_ERR_MEMORY, "cannot map a VM's page");
        close(fd);
        return VGPU_ERR_MEMORY;
    }
    *page = mapped;
    *memfd = fd;
    return VGPU_OK;
}

void vm_page_destroy(struct vm_page *page)
{
    if (page)
        munmap(page, VM_SEGMENT_BYTES);
}

static bool set(_Atomic uint64_t *word, uint64_t value)
{
    return atomic_exchange_explicit(word, value, memory_order_relaxed) != value;
}

void vm_page_set_limits(struct vm_page *page, const struct vm_limits *limits)
{
    set(&page->memory_quota_bytes, limits->memory_quota_bytes);
    set(&page->time_limit_us, limits->time_limit_us);
    set(&page->queue_depth, limits->queue_depth);
    set(&page->calls_burst, limits->calls_burst);
    set(&page->bytes_burst, limits->bytes_burst);
    if (set(&page->calls_per_second, limits->calls_per_second))
        set(&page->calls_bucket.full_at_ns, 0);
    if (set(&page->bytes_per_second, limits->bytes_per_second))
        set(&page->bytes_bucket.full_at_ns, 0);
}

void vm_page_forget_memory(struct vm_page *page)
{
    set(&page->memory_used_bytes, 0);
}

void vm_page_forget_exports(struct vm_page *page, int pid)
{
    vm_exports_forget(&((struct vm_segment *)page)->exports, (uint32_t)pid);
}

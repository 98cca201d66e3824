#include "worker/vm.h"

#include <sys/mman.h>
#include <unistd.h>

#include "worker/gate.h"

static struct vm_page nobodys;
struct vm_page *vm_page = &nobodys;

bool vm_bind(int fd)
{
    void *page = mmap(NULL, VM_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED)
        return false;
    close(fd);
    vm_page = page;
    return true;
}

bool vm_reserve_memory(uint64_t bytes)
{
    if (!vm_page_reserve_memory(vm_page, bytes))
        return false;
    gate_count_memory((int64_t)bytes);
    return true;
}

void vm_settle_memory(uint64_t reserved_bytes, uint64_t given_bytes)
{
    if (given_bytes < reserved_bytes) {
        vm_release_memory(reserved_bytes - given_bytes);
    } else if (given_bytes > reserved_bytes) {
        vm_page_count(&vm_page->memory_used_bytes, given_bytes - reserved_bytes);
        gate_count_memory((int64_t)(given_bytes - reserved_bytes));
    }
}

void vm_release_memory(uint64_t bytes)
{
    vm_page_release_memory(vm_page, bytes);
    gate_count_memory(-(int64_t)bytes);
}

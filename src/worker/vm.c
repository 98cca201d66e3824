#include "worker/vm.h"

#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "worker/gate.h"

static struct vm_segment nobodys;
struct vm_page *vm_page = &nobodys.page;
struct vm_exports *vm_exports = &nobodys.exports;

bool vm_bind(int fd)
{
    struct vm_segment *segment = mmap(NULL, VM_SEGMENT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (segment == MAP_FAILED)
        return false;
    close(fd);
    vm_page = &segment->page;
    vm_exports = &segment->exports;
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

#define CALLS_ON_CREDIT 256u

/* A lane that waits looks so often whether the limit is still the same. */
#define LOOK_NS 20000000u

uint32_t vm_calls_on_credit(void)
{
    uint64_t a_hundredth = vm_page_read(&vm_page->calls_per_second) / 100;
    if (vm_page_read(&vm_page->calls_per_second) == 0 || a_hundredth > CALLS_ON_CREDIT)
        return CALLS_ON_CREDIT;
    return a_hundredth > 0 ? (uint32_t)a_hundredth : 1;
}

static void sleep_ns(uint64_t ns)
{
    struct timespec time = {.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
    nanosleep(&time, NULL);
}

void vm_pay(uint64_t calls, uint64_t bytes)
{
    uint64_t calls_rate = vm_page_read(&vm_page->calls_per_second);
    uint64_t bytes_rate = vm_page_read(&vm_page->bytes_per_second);
    if ((calls_rate == 0 || calls == 0) && (bytes_rate == 0 || bytes == 0))
        return;
    uint64_t start_ns = clock_monotonic_ns(), now_ns = start_ns;
    uint64_t for_calls = calls == 0 ? 0
                                    : vm_bucket_take(&vm_page->calls_bucket, calls, calls_rate,
                                                     vm_page_read(&vm_page->calls_burst), now_ns);
    uint64_t for_bytes = bytes == 0 ? 0
                                    : vm_bucket_take(&vm_page->bytes_bucket, bytes, bytes_rate,
                                                     vm_page_read(&vm_page->bytes_burst), now_ns);
    uint64_t until_ns = for_calls > for_bytes ? for_calls : for_bytes;
    if (until_ns <= now_ns)
        return;
    vm_page_count(&vm_page->limited_calls, calls);
    while (now_ns < until_ns && vm_page_read(&vm_page->calls_per_second) == calls_rate &&
           vm_page_read(&vm_page->bytes_per_second) == bytes_rate) {
        sleep_ns(until_ns - now_ns < LOOK_NS ? until_ns - now_ns : LOOK_NS);
        now_ns = clock_monotonic_ns();
    }
    vm_page_count(&vm_page->limited_ns, now_ns - start_ns);
}

/* Errors after which a context is of no more use, all by what its kernels did. */
static bool is_fault(CUresult result)
{
    switch (result) {
    case CUDA_ERROR_ILLEGAL_ADDRESS:
    case CUDA_ERROR_ASSERT:
    case CUDA_ERROR_HARDWARE_STACK_ERROR:
    case CUDA_ERROR_ILLEGAL_INSTRUCTION:
    case CUDA_ERROR_MISALIGNED_ADDRESS:
    case CUDA_ERROR_INVALID_ADDRESS_SPACE:
    case CUDA_ERROR_INVALID_PC:
    case CUDA_ERROR_LAUNCH_FAILED:
        return true;
    default:
        return false;
    }
}

void vm_note_result(CUresult result)
{
    static atomic_bool noted;
    if (is_fault(result) && !atomic_exchange(&noted, true))
        vm_page_count(&vm_page->faults, 1);
}

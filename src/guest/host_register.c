/* The program's own memory made known to CUDA. Where memory is shared, its pages are exchanged for pages of a
 * segment that the worker has registered, at the same address: then kernels reach them, and copies move no
 * bytes on the processor. Pages that must stay what they are (those of files or of memory that the program
 * shares with others, the stack that is in use) are left alone: copies from and to them work, kernels do not
 * reach them. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cuda_api.h"
#include "guest/call.h"
#include "guest/connection.h"
#include "guest/context.h"
#include "guest/export.h"
#include "guest/host_memory.h"
#include "guest/lock.h"
#include "guest/pages.h"
#include "guest/ranges.h"
#include "guest/window.h"
#include "wire/own_calls.h"

/* Every page of the range can be read and written by the program: asks the kernel instead of trying. */
static bool range_is_mapped(uint64_t address, uint64_t bytes)
{
    uint64_t start = page_floor(address);
    return msync((void *)(uintptr_t)start, page_ceiling(address + bytes) - start, MS_ASYNC) == 0;
}

/* --- segments: a page is in one, however many registered ranges lie in it --- */

struct span {
    uint64_t start, end;
    uint32_t uses; /* registered ranges with bytes in it */
};

static struct lock lock;
static struct span *spans; /* by address, disjoint */
static size_t span_count, span_room;

/* Under the lock, all below. Index of the first span that ends beyond address. */
static size_t span_at(uint64_t address)
{
    size_t i = 0;
    while (i < span_count && spans[i].end <= address)
        i++;
    return i;
}

static bool span_insert(struct span span)
{
    if (span_count == span_room) {
        size_t room = span_room ? span_room * 2 : 16;
        struct span *grown = realloc(spans, room * sizeof *grown);
        if (grown == NULL)
            return false;
        spans = grown;
        span_room = room;
    }
    size_t at = span_at(span.start);
    memmove(&spans[at + 1], &spans[at], (span_count - at) * sizeof span);
    spans[at] = span;
    span_count++;
    return true;
}

/* The pages stay what the worker has made them, but those of a window, which others may have next: they
 * become the program's own. */
static CUresult segment_free(uint64_t start, uint64_t end)
{
    struct request_host_free request = {.address = start};
    if (window_is_open() && !pages_leave_window(start, end))
        return CUDA_ERROR_OUT_OF_MEMORY;
    return call_wait(CALL_host_free, &request, sizeof request, NULL, 0, NULL, 0);
}

/* Exchanges pages that are in no segment. CUDA_ERROR_ALREADY_MAPPED: the worker has something there. */
static CUresult segment_make(uint64_t start, uint64_t end, unsigned flags)
{
    struct request_host_alloc request = {.address = start, .bytes = end - start, .flags = flags};
    struct reply_host_alloc reply;
    int fd;
    CUresult result = host_segment_open(CALL_host_alloc, &request, sizeof request, &reply, &fd);
    if (result != CUDA_SUCCESS)
        return result;
    bool done = pages_move_into(fd, reply.window_offset, start, end - start) &&
                span_insert((struct span){start, end, 0});
    close(fd);
    if (done)
        return CUDA_SUCCESS;
    segment_free(start, end);
    return CUDA_ERROR_OUT_OF_MEMORY;
}

/* One range less uses the spans of [start, end). */
static CUresult release(uint64_t start, uint64_t end)
{
    CUresult result = CUDA_SUCCESS;
    for (size_t i = span_at(start); i < span_count && spans[i].start < end;) {
        if (spans[i].uses > 1) {
            spans[i++].uses--;
            continue;
        }
        CUresult freed = segment_free(spans[i].start, spans[i].end);
        result = result == CUDA_SUCCESS ? freed : result;
        memmove(&spans[i], &spans[i + 1], (span_count - i - 1) * sizeof *spans);
        span_count--;
    }
    return result;
}

/* Sees to it that all pages of [start, end) are in segments. */
static CUresult acquire(uint64_t start, uint64_t end, unsigned flags)
{
    CUresult result = CUDA_SUCCESS;
    for (uint64_t at = start; at < end && result == CUDA_SUCCESS;) {
        size_t i = span_at(at);
        bool held = i < span_count && spans[i].start <= at;
        uint64_t next = held ? spans[i].end : i < span_count && spans[i].start < end ? spans[i].start : end;
        if (!held) {
            result = segment_make(at, next, flags);
            i = span_at(at);
        }
        if (result == CUDA_SUCCESS)
            spans[i].uses++;
        else
            release(start, at);
        at = next;
    }
    return result;
}

/* Makes the pages around [address, address + bytes) shared, if they can be. */
static CUresult register_shared(uint64_t address, uint64_t bytes, unsigned flags, bool *shared)
{
    uint64_t start = page_floor(address), end = page_ceiling(address + bytes);
    *shared = false;
    if (!pages_can_move(start, end))
        return CUDA_SUCCESS;
    lock_take(&lock);
    CUresult result = acquire(start, end, flags);
    lock_give(&lock);
    *shared = result == CUDA_SUCCESS;
    return result == CUDA_ERROR_ALREADY_MAPPED ? CUDA_SUCCESS : result;
}

VGPU_EXPORT CUresult cuMemHostRegister_v2(void *p, size_t bytesize, unsigned int Flags)
{
    const unsigned known = CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP |
                           CU_MEMHOSTREGISTER_IOMEMORY | CU_MEMHOSTREGISTER_READ_ONLY;
    uint64_t address = (uintptr_t)p;
    struct range range = {.address = address, .bytes = bytesize, .kind = RANGE_REGISTERED, .flags = Flags};
    struct range overlap;
    CUresult result = context_required();
    if (result != CUDA_SUCCESS)
        return result;
    if (p == NULL || bytesize == 0 || (Flags & ~known) != 0 || address + bytesize < address)
        return CUDA_ERROR_INVALID_VALUE;
    if (Flags & (CU_MEMHOSTREGISTER_IOMEMORY | CU_MEMHOSTREGISTER_READ_ONLY))
        return CUDA_ERROR_NOT_SUPPORTED;
    if (ranges_find(address, 1, &overlap))
        return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
    if (!range_is_mapped(address, bytesize))
        return CUDA_ERROR_INVALID_VALUE;
    if (connection_shares_memory())
        result = register_shared(address, bytesize, Flags, &range.shared);
    range.segment_bytes = page_ceiling(address + bytesize) - page_floor(address);
    if (result == CUDA_SUCCESS && !ranges_add(&range))
        result = CUDA_ERROR_OUT_OF_MEMORY;
    return result;
}

VGPU_EXPORT CUresult cuMemHostRegister(void *p, size_t bytesize, unsigned int Flags)
{
    return cuMemHostRegister_v2(p, bytesize, Flags);
}

VGPU_EXPORT CUresult cuMemHostUnregister(void *p)
{
    CUresult result = context_required();
    if (result != CUDA_SUCCESS)
        return result;
    struct range range;
    if (p == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    if (window_is_open()) /* its pages move: the GPU must be done with them */
        result = cuCtxSynchronize();
    if (result != CUDA_SUCCESS)
        return result;
    if (!ranges_remove(RANGE_REGISTERED, (uintptr_t)p, &range))
        return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
    if (!range.shared)
        return CUDA_SUCCESS;
    lock_take(&lock);
    result = release(page_floor(range.address), page_ceiling(range.address + range.bytes));
    lock_give(&lock);
    return result;
}

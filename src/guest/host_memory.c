/* Host memory that the GPU reaches. With shared memory the worker makes a segment, registers it with the
 * driver and passes it here, mapped at the same address on both sides: a pointer into it is valid in the
 * program, in the worker and in a kernel. Over a stream socket there is only the program's own memory: copies
 * work, kernels cannot reach it (docs/limits.md). */
#include "guest/host_memory.h"
#include "cuda_api.h"
#include "guest/arena.h"
#include "guest/call.h"
#include "guest/connection.h"
#include "guest/context.h"
#include "guest/export.h"
#include "guest/pages.h"
#include "guest/ranges.h"
#include "guest/window.h"
#include "wire/own_calls.h"

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

CUresult host_segment_open(enum call_number call, const void *request, size_t request_bytes,
                           struct reply_host_alloc *reply, int *fd)
{
    *fd = -1;
    connection_lock();
    CUresult result = call_wait(call, request, request_bytes, NULL, 0, reply, sizeof *reply);
    struct frame_header header;
    if (result == CUDA_SUCCESS && !window_is_open() &&
        connection_receive_descriptor(FRAME_SEGMENT, &header, fd) != 0)
        result = connection_state();
    connection_unlock();
    if (result == CUDA_SUCCESS && window_is_open() && (*fd = window_descriptor(&reply->window_offset)) < 0)
        result = CUDA_ERROR_OUT_OF_MEMORY;
    return result;
}

/* The program's own pages, for a connection without shared memory. */
static CUresult allocate_private(void **pp, size_t bytes, unsigned flags)
{
    uint64_t segment = page_ceiling(bytes);
    void *memory = mmap(NULL, segment, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return CUDA_ERROR_OUT_OF_MEMORY;
    struct range range = {.address = (uintptr_t)memory,
                          .bytes = bytes,
                          .segment_bytes = segment,
                          .kind = RANGE_HOST,
                          .flags = flags};
    if (!ranges_add(&range)) {
        munmap(memory, segment);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *pp = memory;
    return CUDA_SUCCESS;
}

CUresult host_memory_allocate(enum range_kind kind, void **memory, size_t bytes, unsigned flags)
{
    struct request_host_alloc request = {.bytes = bytes, .flags = flags};
    struct reply_host_alloc reply;
    int fd;
    CUresult result = host_segment_open(CALL_host_alloc, &request, sizeof request, &reply, &fd);
    if (result != CUDA_SUCCESS)
        return result;
    struct range range = {.address = reply.address,
                          .bytes = bytes,
                          .segment_bytes = reply.segment_bytes,
                          .kind = kind,
                          .flags = flags,
                          .shared = true};
    if (arena_map(fd, reply.window_offset, reply.address, reply.segment_bytes) && ranges_add(&range)) {
        *memory = (void *)(uintptr_t)reply.address;
        return CUDA_SUCCESS;
    }
    struct request_host_free undo = {.address = reply.address};
    arena_unmap(reply.address, reply.segment_bytes);
    call_wait(CALL_host_free, &undo, sizeof undo, NULL, 0, NULL, 0);
    return CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult host_memory_free(enum range_kind kind, void *memory)
{
    struct range range;
    if (!ranges_remove(kind, (uintptr_t)memory, &range))
        return CUDA_ERROR_INVALID_VALUE;
    if (!range.shared) {
        munmap(memory, range.segment_bytes);
        return CUDA_SUCCESS;
    }
    /* Once the worker has freed it, another thread may be given the place. */
    struct request_host_free request = {.address = range.address};
    arena_unmap(range.address, range.segment_bytes);
    return call_wait(CALL_host_free, &request, sizeof request, NULL, 0, NULL, 0);
}

VGPU_EXPORT CUresult cuMemHostAlloc(void **pp, size_t bytesize, unsigned int Flags)
{
    const unsigned known =
        CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP | CU_MEMHOSTALLOC_WRITECOMBINED;
    CUresult result = context_required();
    if (result != CUDA_SUCCESS)
        return result;
    if (pp == NULL || (Flags & ~known) != 0)
        return CUDA_ERROR_INVALID_VALUE;
    *pp = NULL;
    if (bytesize == 0)
        return CUDA_SUCCESS;
    if (!connection_shares_memory())
        return allocate_private(pp, bytesize, Flags);
    return host_memory_allocate(RANGE_HOST, pp, bytesize, Flags);
}

VGPU_EXPORT CUresult cuMemAllocHost_v2(void **pp, size_t bytesize)
{
    return cuMemHostAlloc(pp, bytesize, 0);
}

VGPU_EXPORT CUresult cuMemFreeHost(void *p)
{
    CUresult result = context_required();
    if (result != CUDA_SUCCESS)
        return result;
    return p != NULL ? host_memory_free(RANGE_HOST, p) : CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr *pdptr, void *p, unsigned int Flags)
{
    struct range range;
    CUresult result = context_required();
    if (result != CUDA_SUCCESS)
        return result;
    if (pdptr == NULL || Flags != 0 || !ranges_find((uintptr_t)p, 1, &range) ||
        (range.kind != RANGE_HOST && range.kind != RANGE_REGISTERED))
        return CUDA_ERROR_INVALID_VALUE;
    if (!range.shared)
        return CUDA_ERROR_NOT_SUPPORTED;
    *pdptr = (CUdeviceptr)(uintptr_t)p;
    return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuMemHostGetFlags(unsigned int *pFlags, void *p)
{
    struct range range;
    CUresult result = context_required();
    if (result != CUDA_SUCCESS)
        return result;
    if (pFlags == NULL || !ranges_find((uintptr_t)p, 1, &range) || range.kind != RANGE_HOST)
        return CUDA_ERROR_INVALID_VALUE;
    /* Under unified addressing the driver maps all pinned memory and reports it so. */
    *pFlags = range.flags | CU_MEMHOSTALLOC_DEVICEMAP;
    return CUDA_SUCCESS;
}

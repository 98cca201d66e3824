/* Host memory that the GPU can reach. Its device address is its host address, as on every 64-bit system. */
#include <sys/mman.h>

#include "cuda_api.h"
#include "simgpu/arena.h"
#include "simgpu/capture.h"
#include "simgpu/stream.h"

#define ALLOC_FLAGS (CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP | CU_MEMHOSTALLOC_WRITECOMBINED)
#define REGISTER_FLAGS                                                                                       \
    (CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP | CU_MEMHOSTREGISTER_IOMEMORY |              \
     CU_MEMHOSTREGISTER_READ_ONLY)

CUresult cuMemHostAlloc(void **pp, size_t bytesize, unsigned int Flags)
{
    struct CUctx_st *context;
    CUresult result = context_current(&context);
    if (!result)
        result = capture_unsafe();
    if (result)
        return result;
    if (!pp || (Flags & ~(unsigned int)ALLOC_FLAGS))
        return CUDA_ERROR_INVALID_VALUE;
    *pp = NULL;
    if (!bytesize)
        return CUDA_SUCCESS;
    if (bytesize > 1ull << 46)
        return CUDA_ERROR_OUT_OF_MEMORY;
    void *pages = mmap(NULL, bytesize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        return CUDA_ERROR_OUT_OF_MEMORY;
    struct region region = {.base = (uint64_t)(uintptr_t)pages,
                            .bytes = bytesize,
                            .kind = REGION_HOST,
                            .flags = Flags,
                            .device = context->device,
                            .context = context};
    if (!arena_add_host(&region)) {
        munmap(pages, bytesize);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *pp = pages;
    return CUDA_SUCCESS;
}

CUresult cuMemAllocHost_v2(void **pp, size_t bytesize)
{
    return cuMemHostAlloc(pp, bytesize, 0);
}

/* The region of that kind that starts at p. */
static bool find_start(const void *p, enum region_kind kind, struct region *region)
{
    return arena_find((uint64_t)(uintptr_t)p, 1, region) && region->base == (uint64_t)(uintptr_t)p &&
           region->kind == kind;
}

CUresult cuMemFreeHost(void *p)
{
    struct CUctx_st *context;
    struct region region;
    CUresult result = context_current(&context);
    if (result || !p)
        return result;
    if (!find_start(p, REGION_HOST, &region))
        return CUDA_ERROR_INVALID_VALUE;
    stream_wait_all(region.context);
    if (region.context != context)
        stream_wait_all(context);
    arena_remove(region.base, &region);
    return context_error(context);
}

CUresult cuMemHostRegister_v2(void *p, size_t bytesize, unsigned int Flags)
{
    struct CUctx_st *context;
    CUresult result = context_current(&context);
    if (result)
        return result;
    uint64_t base = (uint64_t)(uintptr_t)p;
    if (!p || !bytesize || base + bytesize < base || (Flags & ~(unsigned int)REGISTER_FLAGS))
        return CUDA_ERROR_INVALID_VALUE;
    if (Flags & CU_MEMHOSTREGISTER_IOMEMORY)
        return CUDA_ERROR_NOT_PERMITTED;
    struct region region = {.base = base,
                            .bytes = bytesize,
                            .kind = REGION_HOST_REGISTERED,
                            .flags = Flags,
                            .device = context->device,
                            .context = context};
    return arena_add_host(&region) ? CUDA_SUCCESS : CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
}

CUresult cuMemHostRegister(void *p, size_t bytesize, unsigned int Flags)
{
    return cuMemHostRegister_v2(p, bytesize, Flags);
}

CUresult cuMemHostUnregister(void *p)
{
    struct CUctx_st *context;
    struct region region;
    CUresult result = context_current(&context);
    if (!result && !p)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    if (!find_start(p, REGION_HOST_REGISTERED, &region))
        return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
    stream_wait_all(region.context);
    arena_remove(region.base, &region);
    return context_error(context);
}

static CUresult find_host(const void *p, struct region *region)
{
    struct CUctx_st *context;
    CUresult result = context_current(&context);
    if (!result && (!arena_find((uint64_t)(uintptr_t)p, 1, region) ||
                    (region->kind != REGION_HOST && region->kind != REGION_HOST_REGISTERED)))
        result = CUDA_ERROR_INVALID_VALUE;
    return result;
}

CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr *pdptr, void *p, unsigned int Flags)
{
    struct region region;
    CUresult result = find_host(p, &region);
    if (!result && (!pdptr || Flags))
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *pdptr = (CUdeviceptr)(uintptr_t)p;
    return result;
}

/* All host memory is mapped for the device, whether asked for or not. */
CUresult cuMemHostGetFlags(unsigned int *pFlags, void *p)
{
    struct region region;
    CUresult result = find_host(p, &region);
    if (!result && !pFlags)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *pFlags = region.flags | CU_MEMHOSTALLOC_DEVICEMAP;
    return result;
}

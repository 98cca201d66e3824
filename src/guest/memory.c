/* Device memory. Allocation and freeing are the worker's; the guest keeps the map of what is where, so that
 * it can tell a device pointer from a host pointer as the real driver does. */
#include "cuda_api.h"
#include "guest/context.h"
#include "guest/export.h"
#include "guest/managed.h"
#include "guest/managed_variables.h"
#include "guest/primary_context.h"
#include "guest/ranges.h"
#include "guest_forward.h"

#include <stddef.h>

/* Addresses that the driver gave but the program uses for something of its own are held back until another
 * one is found, then freed. The ranges of two processes are independent, so a few tries are plenty. */
#define ALLOCATION_TRIES 8

struct allocation {
    CUdeviceptr address;
    size_t pitch;
};

typedef CUresult (*allocate_function)(struct allocation *allocation, const size_t *arguments,
                                      CUstream stream);

static CUresult allocate_linear(struct allocation *allocation, const size_t *arguments, CUstream stream)
{
    return forward_cuMemAlloc_v2(&allocation->address, arguments[0]);
}

static CUresult allocate_pitched(struct allocation *allocation, const size_t *arguments, CUstream stream)
{
    return forward_cuMemAllocPitch_v2(&allocation->address, &allocation->pitch, arguments[0], arguments[1],
                                      (unsigned int)arguments[2]);
}

/* arguments[1]: the pool; 0: the device's current one. */
static CUresult allocate_ordered(struct allocation *allocation, const size_t *arguments, CUstream stream)
{
    if (arguments[1] != 0)
        return forward_cuMemAllocFromPoolAsync(&allocation->address, arguments[0],
                                               (CUmemoryPool)(uintptr_t)arguments[1], stream);
    return forward_cuMemAllocAsync(&allocation->address, arguments[0], stream);
}

/* Allocates until the address is free in this process too, and remembers the range. */
static CUresult allocate(allocate_function function, struct allocation *allocation, const size_t *arguments,
                         size_t rows, CUstream stream)
{
    CUdeviceptr refused[ALLOCATION_TRIES];
    size_t refused_count = 0;
    CUresult result = CUDA_ERROR_OUT_OF_MEMORY;
    while (refused_count < ALLOCATION_TRIES) {
        result = function(allocation, arguments, stream);
        if (result != CUDA_SUCCESS)
            break;
        size_t bytes = rows > 0 ? allocation->pitch * rows : arguments[0];
        struct range range = {.address = allocation->address, .bytes = bytes, .kind = RANGE_DEVICE};
        if (reservation_take(range.address, bytes) && ranges_add(&range))
            break;
        refused[refused_count++] = allocation->address;
        result = CUDA_ERROR_OUT_OF_MEMORY;
    }
    for (size_t i = 0; i < refused_count; i++)
        forward_cuMemFree_v2(refused[i]);
    return result;
}

VGPU_EXPORT CUresult cuMemAlloc_v2(CUdeviceptr *dptr, size_t bytesize)
{
    if (dptr == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    struct allocation allocation = {0};
    CUresult result = allocate(allocate_linear, &allocation, &bytesize, 0, NULL);
    if (result == CUDA_SUCCESS)
        *dptr = allocation.address;
    return result;
}

VGPU_EXPORT CUresult cuMemAllocPitch_v2(CUdeviceptr *dptr, size_t *pPitch, size_t WidthInBytes, size_t Height,
                                        unsigned int ElementSizeBytes)
{
    if (dptr == NULL || pPitch == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    struct allocation allocation = {0};
    const size_t arguments[3] = {WidthInBytes, Height, ElementSizeBytes};
    CUresult result = allocate(allocate_pitched, &allocation, arguments, Height > 0 ? Height : 1, NULL);
    if (result == CUDA_SUCCESS) {
        *dptr = allocation.address;
        *pPitch = allocation.pitch;
    }
    return result;
}

static CUresult allocate_from_pool(CUdeviceptr *dptr, size_t bytesize, CUmemoryPool pool, CUstream stream)
{
    if (dptr == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    struct allocation allocation = {0};
    const size_t arguments[2] = {bytesize, (uintptr_t)pool};
    CUresult result = allocate(allocate_ordered, &allocation, arguments, 0, stream);
    if (result == CUDA_SUCCESS)
        *dptr = allocation.address;
    return result;
}

VGPU_EXPORT CUresult cuMemAllocAsync(CUdeviceptr *dptr, size_t bytesize, CUstream hStream)
{
    return allocate_from_pool(dptr, bytesize, NULL, hStream);
}

VGPU_EXPORT CUresult cuMemAllocFromPoolAsync(CUdeviceptr *dptr, size_t bytesize, CUmemoryPool pool,
                                             CUstream hStream)
{
    return pool != NULL ? allocate_from_pool(dptr, bytesize, pool, hStream) : CUDA_ERROR_INVALID_VALUE;
}

VGPU_EXPORT CUresult cuMemFree_v2(CUdeviceptr dptr)
{
    struct range range;
    CUresult result;
    bool known = ranges_remove(RANGE_DEVICE, dptr, &range);
    if (!known && managed_free(dptr, &result))
        return result;
    result = forward_cuMemFree_v2(dptr);
    if (known && result != CUDA_SUCCESS)
        ranges_add(&range);
    return result;
}

/* Of memory that the guest knows, nothing can go wrong that the program would have to be told at once. */
VGPU_EXPORT CUresult cuMemFreeAsync(CUdeviceptr dptr, CUstream hStream)
{
    struct range range;
    bool known = ranges_remove(RANGE_DEVICE, dptr, &range);
    CUresult result = forward_cuMemFreeAsync(!known, dptr, hStream);
    if (known && result != CUDA_SUCCESS)
        ranges_add(&range);
    return result;
}

/* A variable's address: device memory that a copy may name. */
static CUresult remember_global(CUdeviceptr address, size_t bytes)
{
    struct range range = {.address = address, .bytes = bytes, .kind = RANGE_GLOBAL};
    if (!reservation_take(address, bytes) || !ranges_add(&range))
        return CUDA_SUCCESS; /* copies to it wait for their answers */
    return managed_variable_found(address, bytes);
}

VGPU_EXPORT CUresult cuModuleGetGlobal_v2(CUdeviceptr *dptr, size_t *bytes, CUmodule hmod, const char *name)
{
    CUdeviceptr address;
    size_t size;
    CUresult result = forward_cuModuleGetGlobal_v2(&address, &size, hmod, name);
    if (result != CUDA_SUCCESS)
        return result;
    result = remember_global(address, size);
    if (result != CUDA_SUCCESS)
        return result;
    if (dptr != NULL)
        *dptr = address;
    if (bytes != NULL)
        *bytes = size;
    return CUDA_SUCCESS;
}

/* libcudart asks before there is a context; without one, the program's copy of the variable cannot be made.
 */
VGPU_EXPORT CUresult cuLibraryGetManaged(CUdeviceptr *dptr, size_t *bytes, CUlibrary library,
                                         const char *name)
{
    CUdeviceptr address;
    size_t size;
    bool borrowed;
    CUresult result = primary_context_borrow(&borrowed);
    if (result == CUDA_SUCCESS)
        result = forward_cuLibraryGetManaged(&address, &size, library, name);
    if (result == CUDA_SUCCESS)
        result = remember_global(address, size);
    primary_context_return(borrowed);
    if (result != CUDA_SUCCESS)
        return result;
    if (dptr != NULL)
        *dptr = address;
    if (bytes != NULL)
        *bytes = size;
    return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuLibraryGetGlobal(CUdeviceptr *dptr, size_t *bytes, CUlibrary library, const char *name)
{
    CUdeviceptr address;
    size_t size;
    CUresult result = forward_cuLibraryGetGlobal(&address, &size, library, name);
    if (result != CUDA_SUCCESS)
        return result;
    result = remember_global(address, size);
    if (result != CUDA_SUCCESS)
        return result;
    if (dptr != NULL)
        *dptr = address;
    if (bytes != NULL)
        *bytes = size;
    return CUDA_SUCCESS;
}

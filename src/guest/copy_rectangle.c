/* 2D copies. Pageable rows are packed into the staging area or taken out of it; where there is none, and for
 * rows longer than a slot, each row is a copy of its own. */
#include "cuda_api.h"
#include "guest/call.h"
#include "guest/connection.h"
#include "guest/context.h"
#include "guest/copy.h"
#include "guest/export.h"
#include "guest/ranges.h"
#include "guest/unsupported.h"
#include "wire/own_calls.h"

#include <string.h>

/* One side of the copy, its offsets already added. */
struct side {
    uint64_t address;
    size_t pitch;
    bool device;
    bool shared; /* host memory that the worker sees */
};

static uint64_t extent(const struct side *side, const CUDA_MEMCPY2D *copy)
{
    return side->pitch * (copy->Height - 1) + copy->WidthInBytes;
}

/* The driver refuses a side of no known kind, and an array that is none; a real array is not served here. */
static CUresult refusal(CUmemorytype type, CUarray array)
{
    if (type == CU_MEMORYTYPE_ARRAY && array != NULL)
        return not_supported("cuMemcpy2D with arrays");
    return CUDA_ERROR_INVALID_VALUE;
}

static bool is_plain(CUmemorytype type)
{
    return type == CU_MEMORYTYPE_HOST || type == CU_MEMORYTYPE_DEVICE || type == CU_MEMORYTYPE_UNIFIED;
}

static void resolve_side(struct side *side, CUmemorytype type, const void *host, CUdeviceptr device,
                         size_t pitch, size_t x, size_t y, const CUDA_MEMCPY2D *copy)
{
    uint64_t base = type == CU_MEMORYTYPE_HOST ? (uintptr_t)host : device;
    side->pitch = pitch != 0 ? pitch : copy->WidthInBytes + x;
    side->address = base + y * side->pitch + x;
    side->device =
        type == CU_MEMORYTYPE_DEVICE || (type == CU_MEMORYTYPE_UNIFIED && ranges_is_device(side->address, 1));
    side->shared = !side->device && ranges_is_shared(side->address, extent(side, copy));
}

/* The copy with its sides named as the worker understands them. */
static void name_sides(CUDA_MEMCPY2D *named, const struct side *from, const struct side *to, size_t width,
                       size_t height)
{
    *named = (CUDA_MEMCPY2D){.srcMemoryType = from->device ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST,
                             .srcPitch = from->pitch,
                             .dstMemoryType = to->device ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST,
                             .dstPitch = to->pitch,
                             .WidthInBytes = width,
                             .Height = height};
    if (from->device)
        named->srcDevice = from->address;
    else
        named->srcHost = (const void *)(uintptr_t)from->address;
    if (to->device)
        named->dstDevice = to->address;
    else
        named->dstHost = (void *)(uintptr_t)to->address;
}

static CUresult send_rectangle(const struct side *from, const struct side *to, size_t width, size_t height,
                               CUstream stream, bool synchronous, enum rectangle_staging staging,
                               uint32_t slot)
{
    struct request_copy_rectangle request = {
        .stream = (uintptr_t)stream, .synchronous = synchronous, .staging = staging, .slot = slot};
    name_sides(&request.copy, from, to, width, height);
    CUresult result = call_wait(CALL_copy_rectangle, &request, sizeof request, NULL, 0, NULL, 0);
    return result == CUDA_SUCCESS ? call_take_error() : result;
}

static CUresult copy_rows(const struct side *from, const struct side *to, size_t width, size_t height,
                          CUstream stream)
{
    CUresult result = CUDA_SUCCESS;
    for (size_t row = 0; row < height && result == CUDA_SUCCESS; row++) {
        uint64_t source = from->address + row * from->pitch, target = to->address + row * to->pitch;
        result = to->device ? copy_to_device(target, (const void *)(uintptr_t)source, width, stream, true)
                            : copy_from_device((void *)(uintptr_t)target, source, width, stream, true);
    }
    return result;
}

static CUresult pack_to_device(struct side from, struct side to, size_t width, size_t height, CUstream stream)
{
    size_t rows_of_slot = STAGING_SLOT_BYTES / width;
    for (size_t done = 0; done < height;) {
        size_t rows = height - done < rows_of_slot ? height - done : rows_of_slot;
        uint8_t *memory;
        uint32_t slot;
        CUresult result = staging_take_slot(&memory, &slot);
        if (result != CUDA_SUCCESS)
            return result;
        for (size_t row = 0; row < rows; row++)
            memcpy(memory + row * width, (const uint8_t *)(uintptr_t)(from.address + row * from.pitch),
                   width);
        struct side packed = {.address = (uintptr_t)memory, .pitch = width};
        result = send_rectangle(&packed, &to, width, rows, stream, false, RECTANGLE_STAGED_TO_DEVICE, slot);
        if (result != CUDA_SUCCESS)
            return result;
        from.address += rows * from.pitch;
        to.address += rows * to.pitch;
        done += rows;
    }
    return CUDA_SUCCESS;
}

static CUresult unpack_from_device(struct side from, struct side to, size_t width, size_t height,
                                   CUstream stream)
{
    CUresult result;
    uint8_t *memory = staging_area(&result);
    if (memory == NULL)
        return result;
    size_t rows_of_area = STAGING_BYTES / width;
    for (size_t done = 0; done < height;) {
        size_t rows = height - done < rows_of_area ? height - done : rows_of_area;
        struct side packed = {.address = (uintptr_t)memory, .pitch = width};
        result = send_rectangle(&from, &packed, width, rows, stream, true, RECTANGLE_STAGED_FROM_DEVICE, 0);
        if (result != CUDA_SUCCESS)
            return result;
        for (size_t row = 0; row < rows; row++)
            memcpy((uint8_t *)(uintptr_t)(to.address + row * to.pitch), memory + row * width, width);
        from.address += rows * from.pitch;
        to.address += rows * to.pitch;
        done += rows;
    }
    return CUDA_SUCCESS;
}

static CUresult copy_rectangle(const CUDA_MEMCPY2D *copy, CUstream stream, bool synchronous)
{
    struct side from, to;
    CUresult result = context_required();
    if (result != CUDA_SUCCESS)
        return result;
    if (copy == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    size_t width = copy->WidthInBytes, height = copy->Height;
    if (width == 0 || height == 0)
        return CUDA_SUCCESS;
    if (!is_plain(copy->srcMemoryType))
        return refusal(copy->srcMemoryType, copy->srcArray);
    if (!is_plain(copy->dstMemoryType))
        return refusal(copy->dstMemoryType, copy->dstArray);
    resolve_side(&from, copy->srcMemoryType, copy->srcHost, copy->srcDevice, copy->srcPitch,
                 copy->srcXInBytes, copy->srcY, copy);
    resolve_side(&to, copy->dstMemoryType, copy->dstHost, copy->dstDevice, copy->dstPitch, copy->dstXInBytes,
                 copy->dstY, copy);
    if ((!from.device && from.address == 0) || (!to.device && to.address == 0))
        return CUDA_ERROR_INVALID_VALUE;
    if (from.pitch < width + copy->srcXInBytes || to.pitch < width + copy->dstXInBytes)
        return CUDA_ERROR_INVALID_VALUE;
    if ((from.device || from.shared) && (to.device || to.shared))
        return send_rectangle(&from, &to, width, height, stream, synchronous, RECTANGLE_SHARED, 0);
    if (!from.device && !to.device) {
        result = cuStreamSynchronize(stream);
        for (size_t row = 0; row < height && result == CUDA_SUCCESS; row++)
            memmove((void *)(uintptr_t)(to.address + row * to.pitch),
                    (const void *)(uintptr_t)(from.address + row * from.pitch), width);
        return result;
    }
    if (!connection_shares_memory() || width > STAGING_SLOT_BYTES)
        return copy_rows(&from, &to, width, height, stream);
    return to.device ? pack_to_device(from, to, width, height, stream)
                     : unpack_from_device(from, to, width, height, stream);
}

VGPU_EXPORT CUresult cuMemcpy2D_v2(const CUDA_MEMCPY2D *pCopy)
{
    return copy_rectangle(pCopy, NULL, true);
}

VGPU_EXPORT CUresult cuMemcpy2D_v2_ptds(const CUDA_MEMCPY2D *pCopy)
{
    return copy_rectangle(pCopy, CU_STREAM_PER_THREAD, true);
}

VGPU_EXPORT CUresult cuMemcpy2DUnaligned_v2(const CUDA_MEMCPY2D *pCopy)
{
    return copy_rectangle(pCopy, NULL, true);
}

VGPU_EXPORT CUresult cuMemcpy2DUnaligned_v2_ptds(const CUDA_MEMCPY2D *pCopy)
{
    return copy_rectangle(pCopy, CU_STREAM_PER_THREAD, true);
}

VGPU_EXPORT CUresult cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D *pCopy, CUstream hStream)
{
    return copy_rectangle(pCopy, hStream, false);
}

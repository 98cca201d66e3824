/* Copies of two and three dimensions. */
#include "worker/serve.h"

#include "driver_api.h"
#include "wire/own_calls.h"
#include "worker/capture.h"
#include "worker/device_memory.h"
#include "worker/handle_map.h"
#include "worker/lane.h"
#include "worker/segment.h"
#include "worker/staging.h"

/* One side of the copy, as its structure has it. */
struct side {
    CUmemorytype type;
    const void *host;
    CUdeviceptr device;
    CUarray *array; /* a handle, which becomes the driver's */
    size_t pitch, rows;
};

/* Bytes from the first to behind the last; false when they are too many to be counted. */
static bool extent(const struct side *side, const CUDA_MEMCPY3D *copy, uint64_t *bytes)
{
    uint64_t rows;
    return !__builtin_mul_overflow(copy->Depth - 1, side->rows, &rows) &&
           !__builtin_add_overflow(rows, copy->Height - 1, &rows) &&
           !__builtin_mul_overflow(rows, side->pitch, bytes) &&
           !__builtin_add_overflow(*bytes, copy->WidthInBytes, bytes);
}

/* The driver is given no address and no array that is not the guest's. own_host: the host side lies in memory
 * of the lane's, and is good already. */
static CUresult side_check(const struct side *side, const CUDA_MEMCPY3D *copy, bool own_host)
{
    uint64_t bytes;
    void *array;
    if (side->type == CU_MEMORYTYPE_ARRAY) {
        uint64_t handle = (uintptr_t)*side->array;
        if (handle == 0 || !handle_find(HANDLE_ARRAY, handle, &array))
            return CUDA_ERROR_INVALID_HANDLE;
        *side->array = array;
        return CUDA_SUCCESS;
    }
    if (!extent(side, copy, &bytes) || bytes > UINT64_MAX - side->device)
        return CUDA_ERROR_INVALID_VALUE;
    if (side->type == CU_MEMORYTYPE_DEVICE) {
        CUresult result = device_memory_check(side->device);
        return result == CUDA_SUCCESS ? device_memory_check(side->device + bytes - 1) : result;
    }
    if (side->type != CU_MEMORYTYPE_HOST || side->pitch < copy->WidthInBytes)
        return CUDA_ERROR_INVALID_VALUE;
    return own_host || segment_holds((uintptr_t)side->host, bytes) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* Offsets count in arrays alone: the guest has added those of memory. */
static void clear_offsets(CUDA_MEMCPY3D *copy)
{
    copy->srcLOD = copy->dstLOD = 0;
    copy->reserved0 = copy->reserved1 = NULL;
    if (copy->srcMemoryType != CU_MEMORYTYPE_ARRAY)
        copy->srcXInBytes = copy->srcY = copy->srcZ = 0;
    if (copy->dstMemoryType != CU_MEMORYTYPE_ARRAY)
        copy->dstXInBytes = copy->dstY = copy->dstZ = 0;
}

/* Rows that travel in the record or the reply lie there without gaps. */
static CUresult place_inline(struct call *call, const struct request_copy_box *request, CUDA_MEMCPY3D *copy)
{
    bool to_device = request->staging == BOX_IN_RECORD;
    uint64_t room = to_device ? call->tail_bytes : call->reply_room, bytes;
    if (__builtin_mul_overflow(copy->WidthInBytes, copy->Height, &bytes) ||
        __builtin_mul_overflow(bytes, copy->Depth, &bytes) || bytes > room)
        return CUDA_ERROR_INVALID_VALUE;
    if (to_device) {
        copy->srcMemoryType = CU_MEMORYTYPE_HOST;
        copy->srcHost = call->tail;
        copy->srcPitch = copy->WidthInBytes;
        copy->srcHeight = copy->Height;
    } else {
        copy->dstMemoryType = CU_MEMORYTYPE_HOST;
        copy->dstHost = call->reply;
        copy->dstPitch = copy->WidthInBytes;
        copy->dstHeight = copy->Height;
        call->reply_bytes = (uint32_t)bytes;
    }
    return CUDA_SUCCESS;
}

static CUresult sides_check(CUDA_MEMCPY3D *copy, bool own_source, bool own_target)
{
    struct side from = {copy->srcMemoryType, copy->srcHost,  copy->srcDevice,
                        &copy->srcArray,     copy->srcPitch, copy->srcHeight};
    struct side to = {copy->dstMemoryType, copy->dstHost,  copy->dstDevice,
                      &copy->dstArray,     copy->dstPitch, copy->dstHeight};
    if (copy->WidthInBytes == 0 || copy->Height == 0 || copy->Depth == 0)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = side_check(&from, copy, own_source);
    return result == CUDA_SUCCESS ? side_check(&to, copy, own_target) : result;
}

static CUresult copy_2d(const CUDA_MEMCPY3D *copy, CUstream stream)
{
    CUDA_MEMCPY2D flat = {.srcXInBytes = copy->srcXInBytes,
                          .srcY = copy->srcY,
                          .srcMemoryType = copy->srcMemoryType,
                          .srcHost = copy->srcHost,
                          .srcDevice = copy->srcDevice,
                          .srcArray = copy->srcArray,
                          .srcPitch = copy->srcPitch,
                          .dstXInBytes = copy->dstXInBytes,
                          .dstY = copy->dstY,
                          .dstMemoryType = copy->dstMemoryType,
                          .dstHost = copy->dstHost,
                          .dstDevice = copy->dstDevice,
                          .dstArray = copy->dstArray,
                          .dstPitch = copy->dstPitch,
                          .WidthInBytes = copy->WidthInBytes,
                          .Height = copy->Height};
    return driver.cuMemcpy2DAsync_v2(&flat, stream);
}

static CUresult copy_between_peers(const CUDA_MEMCPY3D *copy, const struct request_copy_box *request,
                                   CUstream stream)
{
    /* The two structures differ in name alone. */
    union {
        CUDA_MEMCPY3D plain;
        CUDA_MEMCPY3D_PEER peers;
    } both = {.plain = *copy};
    void *from, *to;
    if (!handle_find(HANDLE_CONTEXT, request->from_context, &from) ||
        !handle_find(HANDLE_CONTEXT, request->to_context, &to))
        return CUDA_ERROR_INVALID_CONTEXT;
    both.peers.srcContext = from;
    both.peers.dstContext = to;
    return driver.cuMemcpy3DPeerAsync(&both.peers, stream);
}

static CUresult give_to_driver(const CUDA_MEMCPY3D *copy, const struct request_copy_box *request,
                               CUstream stream)
{
    switch (request->form) {
    case BOX_2D:
        return copy->Depth == 1 ? copy_2d(copy, stream) : CUDA_ERROR_INVALID_VALUE;
    case BOX_3D:
        return driver.cuMemcpy3DAsync_v2(copy, stream);
    case BOX_PEER:
        return copy_between_peers(copy, request, stream);
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

CUresult serve_copy_box(struct call *call)
{
    const struct request_copy_box *request = call->request;
    struct lane *lane = call->lane;
    CUDA_MEMCPY3D copy = request->copy;
    void *stream;
    bool to_slot = request->staging == BOX_STAGED_TO_DEVICE;
    bool in_record = request->staging == BOX_IN_RECORD, in_reply = request->staging == BOX_IN_REPLY;
    bool staged = to_slot || request->staging == BOX_STAGED_FROM_DEVICE;
    if (request->staging > BOX_IN_REPLY || (staged && lane->staging == NULL) ||
        (to_slot && request->slot != lane->staging_queued))
        return CUDA_ERROR_INVALID_VALUE;
    if (!handle_find(HANDLE_STREAM, request->stream, &stream))
        return to_slot ? staging_queued(lane, CUDA_ERROR_INVALID_HANDLE, NULL) : CUDA_ERROR_INVALID_HANDLE;
    if ((staged || in_record || in_reply) && capture_refuses(stream))
        return to_slot ? staging_queued(lane, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, NULL)
                       : CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    if (request->staging == BOX_STAGED_FROM_DEVICE)
        staging_poll(lane, true);
    CUresult result = staged ? staging_follow_context(lane) : CUDA_SUCCESS;
    if (result == CUDA_SUCCESS && (in_record || in_reply))
        result = place_inline(call, request, &copy);
    clear_offsets(&copy);
    if (result == CUDA_SUCCESS)
        result = sides_check(&copy, in_record, in_reply);
    if (result == CUDA_SUCCESS &&
        (copy.srcMemoryType == CU_MEMORYTYPE_HOST || copy.dstMemoryType == CU_MEMORYTYPE_HOST))
        gate_count_bytes(&lane->pass, copy.WidthInBytes * copy.Height * copy.Depth);
    if (result == CUDA_SUCCESS)
        result = give_to_driver(&copy, request, stream);
    if (to_slot)
        return staging_queued(lane, result, stream);
    if (result == CUDA_SUCCESS && (request->synchronous || in_record || in_reply))
        result = driver.cuStreamSynchronize(stream);
    if (result != CUDA_SUCCESS)
        call->reply_bytes = 0;
    return result;
}

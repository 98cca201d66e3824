/* Copies of two and three dimensions. Pageable rows are packed into the staging area or taken out of it, or
 * travel in records and answers where no memory is shared: piece by piece, of as many columns, rows and
 * slices as there is room for. */
#include "guest/copy_box.h"

#include "cuda_api.h"
#include "guest/call.h"
#include "guest/capture.h"
#include "guest/captured_copy.h"
#include "guest/context.h"
#include "guest/copy.h"
#include "guest/export.h"
#include "guest/ranges.h"
#include "guest/unsupported.h"
#include "wire/own_calls.h"

#include <string.h>

struct box {
    size_t width; /* bytes */
    size_t height;
    size_t depth;
};

/* One side of the copy. */
struct side {
    CUmemorytype type; /* as the worker understands it: host, device or array */
    bool shared;       /* host memory that the worker sees */
    uint64_t array;
    size_t x, y, z;   /* in the array */
    uint64_t address; /* of other memory, the offsets already added */
    size_t pitch;
    size_t rows; /* of a slice */
};

static bool product_overflows(size_t a, size_t b)
{
    size_t product;
    return __builtin_mul_overflow(a, b, &product);
}

static uint64_t extent(const struct side *side, const struct box *box)
{
    return ((box->depth - 1) * side->rows + box->height - 1) * side->pitch + box->width;
}

/* A side as the program says it. */
struct end {
    CUmemorytype type;
    const void *host;
    CUdeviceptr device;
    CUarray array;
    size_t x, y, z;
    size_t pitch, rows;
};

static CUresult resolve_array(struct side *side, const struct end *end)
{
    if (end->array == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    *side = (struct side){
        .type = CU_MEMORYTYPE_ARRAY, .array = (uintptr_t)end->array, .x = end->x, .y = end->y, .z = end->z};
    return CUDA_SUCCESS;
}

static CUresult resolve_side(struct side *side, const struct end *end, const struct box *box)
{
    if (end->type == CU_MEMORYTYPE_ARRAY)
        return resolve_array(side, end);
    if (end->type != CU_MEMORYTYPE_HOST && end->type != CU_MEMORYTYPE_DEVICE &&
        end->type != CU_MEMORYTYPE_UNIFIED)
        return CUDA_ERROR_INVALID_VALUE;
    uint64_t base = end->type == CU_MEMORYTYPE_HOST ? (uintptr_t)end->host : end->device;
    *side = (struct side){.pitch = end->pitch != 0 ? end->pitch : box->width + end->x,
                          .rows = end->rows != 0 ? end->rows : box->height + end->y};
    if (box->width > SIZE_MAX - end->x || side->pitch < box->width + end->x)
        return CUDA_ERROR_INVALID_VALUE;
    if (box->depth > 1 && (box->height > SIZE_MAX - end->y || side->rows < box->height + end->y))
        return CUDA_ERROR_INVALID_VALUE;
    if (product_overflows(side->pitch, side->rows) ||
        product_overflows(side->pitch * side->rows, end->z + box->depth))
        return CUDA_ERROR_INVALID_VALUE;
    side->address = base + (end->z * side->rows + end->y) * side->pitch + end->x;
    bool device = end->type == CU_MEMORYTYPE_DEVICE ||
                  (end->type == CU_MEMORYTYPE_UNIFIED && ranges_is_device(side->address, 1));
    side->type = device ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST;
    side->shared = !device && ranges_is_shared(side->address, extent(side, box));
    return !device && base == 0 ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

/* The side of a piece that begins so far into the box. */
static struct side side_at(const struct side *side, size_t x, size_t y, size_t z)
{
    struct side moved = *side;
    moved.x += x;
    moved.y += y;
    moved.z += z;
    moved.address += (z * side->rows + y) * side->pitch + x;
    return moved;
}

/* A copy on its way: what is the same for all of its pieces. */
struct passage {
    enum box_form form;
    CUcontext from_context, to_context;
    CUstream stream;
    bool synchronous;
};

static void name_from(CUDA_MEMCPY3D *named, const struct side *side)
{
    named->srcMemoryType = side->type;
    named->srcPitch = side->pitch;
    named->srcHeight = side->rows;
    if (side->type == CU_MEMORYTYPE_ARRAY) {
        named->srcArray = (CUarray)(uintptr_t)side->array;
        named->srcXInBytes = side->x;
        named->srcY = side->y;
        named->srcZ = side->z;
    } else if (side->type == CU_MEMORYTYPE_DEVICE) {
        named->srcDevice = side->address;
    } else {
        named->srcHost = (const void *)(uintptr_t)side->address;
    }
}

static void name_to(CUDA_MEMCPY3D *named, const struct side *side)
{
    named->dstMemoryType = side->type;
    named->dstPitch = side->pitch;
    named->dstHeight = side->rows;
    if (side->type == CU_MEMORYTYPE_ARRAY) {
        named->dstArray = (CUarray)(uintptr_t)side->array;
        named->dstXInBytes = side->x;
        named->dstY = side->y;
        named->dstZ = side->z;
    } else if (side->type == CU_MEMORYTYPE_DEVICE) {
        named->dstDevice = side->address;
    } else {
        named->dstHost = (void *)(uintptr_t)side->address;
    }
}

static struct request_copy_box request_of(const struct passage *passage, const struct side *from,
                                          const struct side *to, const struct box *box)
{
    struct request_copy_box request = {.stream = (uintptr_t)passage->stream,
                                       .from_context = (uintptr_t)passage->from_context,
                                       .to_context = (uintptr_t)passage->to_context,
                                       .form = passage->form,
                                       .synchronous = passage->synchronous};
    request.copy.WidthInBytes = box->width;
    request.copy.Height = box->height;
    request.copy.Depth = box->depth;
    name_from(&request.copy, from);
    name_to(&request.copy, to);
    return request;
}

static CUresult send_box(const struct request_copy_box *request)
{
    CUresult result = call_wait(CALL_copy_box, request, sizeof *request, NULL, 0, NULL, 0);
    return result == CUDA_SUCCESS ? call_take_error() : result;
}

/* Rows between the program's memory and a place where they lie packed. */
static void pack(uint8_t *packed, const struct side *host, const struct box *box)
{
    for (size_t z = 0; z < box->depth; z++)
        for (size_t y = 0; y < box->height; y++, packed += box->width)
            memcpy(packed, (const void *)(uintptr_t)(host->address + (z * host->rows + y) * host->pitch),
                   box->width);
}

static void unpack(const struct side *host, const uint8_t *packed, const struct box *box)
{
    for (size_t z = 0; z < box->depth; z++)
        for (size_t y = 0; y < box->height; y++, packed += box->width)
            memcpy((void *)(uintptr_t)(host->address + (z * host->rows + y) * host->pitch), packed,
                   box->width);
}

static struct side packed_at(const void *memory, const struct box *box)
{
    return (struct side){
        .type = CU_MEMORYTYPE_HOST, .address = (uintptr_t)memory, .pitch = box->width, .rows = box->height};
}

/* The ways in which a piece whose host side is the program's own memory goes. */

static CUresult stage_to_device(const struct passage *passage, const struct side *from, const struct side *to,
                                const struct box *piece)
{
    uint8_t *memory;
    uint32_t slot;
    CUresult result = staging_take_slot(&memory, &slot);
    if (result != CUDA_SUCCESS)
        return result;
    pack(memory, from, piece);
    struct side packed = packed_at(memory, piece);
    struct request_copy_box request = request_of(passage, &packed, to, piece);
    request.synchronous = 0;
    request.staging = BOX_STAGED_TO_DEVICE;
    request.slot = slot;
    return send_box(&request);
}

static CUresult stage_from_device(const struct passage *passage, const struct side *from,
                                  const struct side *to, const struct box *piece)
{
    CUresult result;
    uint8_t *memory = staging_area(&result);
    if (memory == NULL)
        return result;
    struct side packed = packed_at(memory, piece);
    struct request_copy_box request = request_of(passage, from, &packed, piece);
    request.synchronous = 1;
    request.staging = BOX_STAGED_FROM_DEVICE;
    result = send_box(&request);
    if (result == CUDA_SUCCESS)
        unpack(to, memory, piece);
    return result;
}

static CUresult send_to_device(const struct passage *passage, const struct side *from, const struct side *to,
                               const struct box *piece)
{
    struct message message;
    struct side packed = packed_at(NULL, piece);
    struct request_copy_box request = request_of(passage, &packed, to, piece);
    request.staging = BOX_IN_RECORD;
    CUresult result =
        message_begin(&message, CALL_copy_box, sizeof request + piece->width * piece->height * piece->depth);
    if (result != CUDA_SUCCESS)
        return result;
    memcpy(message.body, &request, sizeof request);
    pack((uint8_t *)message.body + sizeof request, from, piece);
    return message_wait(&message, NULL, 0);
}

static CUresult fetch_from_device(const struct passage *passage, const struct side *from,
                                  const struct side *to, const struct box *piece)
{
    struct message message;
    struct side packed = packed_at(NULL, piece);
    struct request_copy_box request = request_of(passage, from, &packed, piece);
    request.staging = BOX_IN_REPLY;
    CUresult result = message_begin(&message, CALL_copy_box, sizeof request);
    if (result != CUDA_SUCCESS)
        return result;
    memcpy(message.body, &request, sizeof request);
    result = message_wait(&message, NULL, 0);
    size_t bytes;
    const void *data = result == CUDA_SUCCESS ? message_reply(&message, &bytes) : NULL;
    if (result == CUDA_SUCCESS && bytes != piece->width * piece->height * piece->depth)
        result = CUDA_ERROR_UNKNOWN;
    if (result == CUDA_SUCCESS)
        unpack(to, data, piece);
    return result;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Cuts the box into pieces of at most `room` bytes. */
static CUresult copy_pieces(const struct passage *passage, const struct side *from, const struct side *to,
                            const struct box *box, size_t room,
                            CUresult (*move)(const struct passage *, const struct side *, const struct side *,
                                             const struct box *))
{
    struct box most = {.width = least(box->width, room), .height = 1, .depth = 1};
    if (most.width == box->width)
        most.height = least(box->height, room / most.width);
    if (most.width == box->width && most.height == box->height)
        most.depth = least(box->depth, room / (most.width * most.height));
    for (size_t z = 0; z < box->depth; z += most.depth) {
        for (size_t y = 0; y < box->height; y += most.height) {
            for (size_t x = 0; x < box->width; x += most.width) {
                struct box piece = {.width = least(most.width, box->width - x),
                                    .height = least(most.height, box->height - y),
                                    .depth = least(most.depth, box->depth - z)};
                struct side source = side_at(from, x, y, z), target = side_at(to, x, y, z);
                CUresult result = move(passage, &source, &target, &piece);
                if (result != CUDA_SUCCESS)
                    return result;
            }
        }
    }
    return CUDA_SUCCESS;
}

/* Both sides are this process's: in order with the stream, then by hand. */
static CUresult copy_between_hosts(const struct side *from, const struct side *to, const struct box *box,
                                   CUstream stream)
{
    CUresult result = cuStreamSynchronize(stream);
    for (size_t z = 0; z < box->depth && result == CUDA_SUCCESS; z++) {
        for (size_t y = 0; y < box->height; y++) {
            struct side source = side_at(from, 0, y, z), target = side_at(to, 0, y, z);
            memmove((void *)(uintptr_t)target.address, (const void *)(uintptr_t)source.address, box->width);
        }
    }
    return result;
}

/* In a stream that captures, each row becomes a copy of its own. */
static CUresult capture_rows(const struct side *from, const struct side *to, const struct box *box,
                             CUstream stream)
{
    bool to_device = from->type == CU_MEMORYTYPE_HOST;
    if (from->type == CU_MEMORYTYPE_ARRAY || to->type == CU_MEMORYTYPE_ARRAY)
        return not_supported("capture of a copy between an array and pageable memory");
    for (size_t z = 0; z < box->depth; z++) {
        for (size_t y = 0; y < box->height; y++) {
            struct side source = side_at(from, 0, y, z), target = side_at(to, 0, y, z);
            uint64_t device = to_device ? target.address : source.address;
            uint64_t host = to_device ? source.address : target.address;
            CUresult result = captured_copy(device, (void *)(uintptr_t)host, box->width, stream, to_device);
            if (result != CUDA_SUCCESS)
                return result;
        }
    }
    return CUDA_SUCCESS;
}

CUresult copy_box(const CUDA_MEMCPY3D *copy, enum box_form form, CUstream stream, bool synchronous)
{
    struct side from, to;
    CUresult result = context_required();
    if (result != CUDA_SUCCESS)
        return result;
    if (copy == NULL) /* the real driver does not look at levels and reserved fields either */
        return CUDA_ERROR_INVALID_VALUE;
    const struct box box = {copy->WidthInBytes, copy->Height, copy->Depth};
    const struct end source = {.type = copy->srcMemoryType,
                               .host = copy->srcHost,
                               .device = copy->srcDevice,
                               .array = copy->srcArray,
                               .x = copy->srcXInBytes,
                               .y = copy->srcY,
                               .z = copy->srcZ,
                               .pitch = copy->srcPitch,
                               .rows = copy->srcHeight};
    const struct end target = {.type = copy->dstMemoryType,
                               .host = copy->dstHost,
                               .device = copy->dstDevice,
                               .array = copy->dstArray,
                               .x = copy->dstXInBytes,
                               .y = copy->dstY,
                               .z = copy->dstZ,
                               .pitch = copy->dstPitch,
                               .rows = copy->dstHeight};
    if (box.width == 0 || box.height == 0 || box.depth == 0)
        return CUDA_SUCCESS;
    result = resolve_side(&from, &source, &box);
    if (result == CUDA_SUCCESS)
        result = resolve_side(&to, &target, &box);
    if (result != CUDA_SUCCESS)
        return result;
    const struct passage passage = {.form = form,
                                    .from_context = form == BOX_PEER ? copy->reserved0 : NULL,
                                    .to_context = form == BOX_PEER ? copy->reserved1 : NULL,
                                    .stream = stream,
                                    .synchronous = synchronous};
    bool from_host = from.type == CU_MEMORYTYPE_HOST, to_host = to.type == CU_MEMORYTYPE_HOST;
    if ((!from_host || from.shared) && (!to_host || to.shared)) {
        struct request_copy_box request = request_of(&passage, &from, &to, &box);
        return send_box(&request);
    }
    if (from_host && to_host)
        return copy_between_hosts(&from, &to, &box, stream);
    if (!synchronous && capture_is_in(stream))
        return capture_rows(&from, &to, &box, stream);
    if (!staging_is_to_be_had())
        return copy_pieces(&passage, &from, &to, &box, RECORD_INLINE_BYTES,
                           from_host ? send_to_device : fetch_from_device);
    return from_host ? copy_pieces(&passage, &from, &to, &box, STAGING_SLOT_BYTES, stage_to_device)
                     : copy_pieces(&passage, &from, &to, &box, STAGING_BYTES, stage_from_device);
}

static CUresult copy_rectangle(const CUDA_MEMCPY2D *copy, CUstream stream, bool synchronous)
{
    if (copy == NULL)
        return copy_box(NULL, BOX_2D, stream, synchronous);
    CUDA_MEMCPY3D box = {.srcXInBytes = copy->srcXInBytes,
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
                         .Height = copy->Height,
                         .Depth = 1};
    return copy_box(&box, BOX_2D, stream, synchronous);
}

/* The two structures are laid out alike: contexts lie where the other has its reserved pointers. */
_Static_assert(sizeof(CUDA_MEMCPY3D_PEER) == sizeof(CUDA_MEMCPY3D), "the same but for the contexts");

static CUresult copy_between_peers(const CUDA_MEMCPY3D_PEER *copy, CUstream stream, bool synchronous)
{
    CUDA_MEMCPY3D box;
    if (copy != NULL)
        memcpy(&box, copy, sizeof box);
    return copy_box(copy != NULL ? &box : NULL, BOX_PEER, stream, synchronous);
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

VGPU_EXPORT CUresult cuMemcpy3D_v2(const CUDA_MEMCPY3D *pCopy)
{
    return copy_box(pCopy, BOX_3D, NULL, true);
}

VGPU_EXPORT CUresult cuMemcpy3D_v2_ptds(const CUDA_MEMCPY3D *pCopy)
{
    return copy_box(pCopy, BOX_3D, CU_STREAM_PER_THREAD, true);
}

VGPU_EXPORT CUresult cuMemcpy3DAsync_v2(const CUDA_MEMCPY3D *pCopy, CUstream hStream)
{
    return copy_box(pCopy, BOX_3D, hStream, false);
}

VGPU_EXPORT CUresult cuMemcpy3DPeer(const CUDA_MEMCPY3D_PEER *pCopy)
{
    return copy_between_peers(pCopy, NULL, true);
}

VGPU_EXPORT CUresult cuMemcpy3DPeer_ptds(const CUDA_MEMCPY3D_PEER *pCopy)
{
    return copy_between_peers(pCopy, CU_STREAM_PER_THREAD, true);
}

VGPU_EXPORT CUresult cuMemcpy3DPeerAsync(const CUDA_MEMCPY3D_PEER *pCopy, CUstream hStream)
{
    return copy_between_peers(pCopy, hStream, false);
}

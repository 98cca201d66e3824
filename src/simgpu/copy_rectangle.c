/* Copies of two and three dimensions: a box of rows in slices on both sides. */
#include <string.h>

#include "simgpu/array.h"
#include "simgpu/copy.h"
#include "simgpu/graph.h"

struct side {
    uint64_t start; /* of the first row */
    size_t row_step;
    size_t slice_step;
    enum copy_memory memory;
};

struct box_work {
    struct work work;
    struct side to;
    struct side from;
    size_t width;
    size_t height;
    size_t depth;
};

static void run_box(struct work *work)
{
    const struct box_work *box = (const struct box_work *)work;
    for (size_t z = 0; z < box->depth; z++)
        for (size_t y = 0; y < box->height; y++)
            memmove((void *)(uintptr_t)(box->to.start + z * box->to.slice_step + y * box->to.row_step),
                    (const void *)(uintptr_t)(box->from.start + z * box->from.slice_step +
                                              y * box->from.row_step),
                    box->width);
}

/* One end of a CUDA_MEMCPY2D or 3D. */
struct end {
    CUmemorytype type;
    const void *host;
    CUdeviceptr device;
    CUarray array;
    size_t x, y, z;
    size_t pitch;
    size_t rows; /* of a slice; 0: as many as are copied */
};

#define PITCH_MAX  0x7fffffffull /* CU_DEVICE_ATTRIBUTE_MAX_PITCH */
#define ROWS_MAX   0xffffffull
#define SLICES_MAX 0x3fffull

static bool is_within(size_t start, size_t extent, size_t whole)
{
    return start <= whole && extent <= whole - start;
}

/* Offsets and width count whole elements. */
static CUresult read_array(const struct end *end, size_t width, size_t height, size_t depth,
                           struct side *side)
{
    const struct CUarray_st *array = array_find(end->array);
    if (!array)
        return end->array ? CUDA_ERROR_INVALID_HANDLE : CUDA_ERROR_INVALID_VALUE;
    if (!is_within(end->x, width, array->row_bytes) || !is_within(end->y, height, array->height) ||
        !is_within(end->z, depth, array->depth) || end->x % array->element_bytes ||
        width % array->element_bytes)
        return CUDA_ERROR_INVALID_VALUE;
    side->start = array->base + end->z * array->slice_bytes + end->y * array->row_bytes + end->x;
    side->row_step = array->row_bytes;
    side->slice_step = array->slice_bytes;
    side->memory = COPY_ON_DEVICE;
    return CUDA_SUCCESS;
}

static CUresult read_end(const struct end *end, size_t width, size_t height, size_t depth, struct side *side)
{
    uint64_t base = end->type == CU_MEMORYTYPE_HOST ? (uint64_t)(uintptr_t)end->host : end->device;
    enum copy_end kind = end->type == CU_MEMORYTYPE_HOST     ? COPY_HOST
                         : end->type == CU_MEMORYTYPE_DEVICE ? COPY_DEVICE
                                                             : COPY_UNIFIED;
    if (end->type == CU_MEMORYTYPE_ARRAY)
        return read_array(end, width, height, depth, side);
    if (end->type != CU_MEMORYTYPE_HOST && end->type != CU_MEMORYTYPE_DEVICE &&
        end->type != CU_MEMORYTYPE_UNIFIED)
        return CUDA_ERROR_INVALID_VALUE;
    if (end->x > PITCH_MAX || width > PITCH_MAX || end->y > ROWS_MAX || height > ROWS_MAX ||
        end->rows > ROWS_MAX || end->z > SLICES_MAX || depth > SLICES_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    size_t pitch = end->pitch ? end->pitch : end->x + width;
    size_t rows = end->rows ? end->rows : end->y + height;
    if (pitch > PITCH_MAX || end->x + width > pitch || (depth > 1 && end->y + height > rows) || !base)
        return CUDA_ERROR_INVALID_VALUE;
    side->row_step = pitch;
    side->slice_step = pitch * rows;
    uint64_t bytes, end_address, before = end->z;
    if (__builtin_mul_overflow(before, side->slice_step, &before) ||
        __builtin_mul_overflow(depth - 1, side->slice_step, &bytes) ||
        __builtin_add_overflow(bytes, (height - 1) * pitch + width, &bytes) ||
        __builtin_add_overflow(base, before + end->y * pitch + end->x, &side->start) ||
        __builtin_add_overflow(side->start, bytes, &end_address))
        return CUDA_ERROR_INVALID_VALUE;
    return copy_classify(kind, side->start, bytes, &side->memory);
}

static void describe_box(struct work *work, CUgraphNodeParams *params)
{
    const struct box_work *box = (const struct box_work *)work;
    CUDA_MEMCPY3D *copy = &params->memcpy.copyParams;
    params->memcpy.copyCtx = work->context;
    copy_describe_end(box->from.memory, box->from.start, copy, false);
    copy_describe_end(box->to.memory, box->to.start, copy, true);
    copy->srcPitch = box->from.row_step;
    copy->srcHeight = box->from.row_step ? box->from.slice_step / box->from.row_step : 0;
    copy->dstPitch = box->to.row_step;
    copy->dstHeight = box->to.row_step ? box->to.slice_step / box->to.row_step : 0;
    copy->WidthInBytes = box->width;
    copy->Height = box->height;
    copy->Depth = box->depth;
}

static CUresult make_box(const struct end *to, const struct end *from, size_t width, size_t height,
                         size_t depth, struct box_work **made)
{
    struct box_work *box = (struct box_work *)work_create(sizeof *box, run_box, NULL);
    if (!box)
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult result = read_end(to, width, height, depth, &box->to);
    if (!result)
        result = read_end(from, width, height, depth, &box->from);
    if (result) {
        work_release(&box->work);
        return result;
    }
    box->work.is_node = true;
    box->work.node_type = CU_GRAPH_NODE_TYPE_MEMCPY;
    box->work.describe = describe_box;
    box->width = width;
    box->height = height;
    box->depth = depth;
    *made = box;
    return CUDA_SUCCESS;
}

static CUresult copy_box(struct CUstream_st *stream, const struct end *to, const struct end *from,
                         size_t width, size_t height, size_t depth, bool is_async)
{
    struct box_work *box;
    if (width == 0 || height == 0 || depth == 0)
        return CUDA_SUCCESS;
    CUresult result = make_box(to, from, width, height, depth, &box);
    if (result)
        return result;
    struct CUctx_st *context = stream->context;
    enum work_mode mode = copy_mode(box->to.memory, box->from.memory, is_async);
    box->work.is_node = is_async;
    result = work_submit(stream, &box->work, mode);
    return result || mode != WORK_WAITED ? result : context_error(context);
}

CUresult copy_2d(struct CUstream_st *stream, const CUDA_MEMCPY2D *copy, bool is_async)
{
    if (!copy)
        return CUDA_ERROR_INVALID_VALUE;
    struct end to = {.type = copy->dstMemoryType,
                     .host = copy->dstHost,
                     .device = copy->dstDevice,
                     .array = copy->dstArray,
                     .x = copy->dstXInBytes,
                     .y = copy->dstY,
                     .pitch = copy->dstPitch};
    struct end from = {.type = copy->srcMemoryType,
                       .host = copy->srcHost,
                       .device = copy->srcDevice,
                       .array = copy->srcArray,
                       .x = copy->srcXInBytes,
                       .y = copy->srcY,
                       .pitch = copy->srcPitch};
    return copy_box(stream, &to, &from, copy->WidthInBytes, copy->Height, 1, is_async);
}

static void read_ends(const CUDA_MEMCPY3D *copy, struct end *to, struct end *from)
{
    *to = (struct end){.type = copy->dstMemoryType,
                       .host = copy->dstHost,
                       .device = copy->dstDevice,
                       .array = copy->dstArray,
                       .x = copy->dstXInBytes,
                       .y = copy->dstY,
                       .z = copy->dstZ,
                       .pitch = copy->dstPitch,
                       .rows = copy->dstHeight};
    *from = (struct end){.type = copy->srcMemoryType,
                         .host = copy->srcHost,
                         .device = copy->srcDevice,
                         .array = copy->srcArray,
                         .x = copy->srcXInBytes,
                         .y = copy->srcY,
                         .z = copy->srcZ,
                         .pitch = copy->srcPitch,
                         .rows = copy->srcHeight};
}

CUresult copy_3d(struct CUstream_st *stream, const CUDA_MEMCPY3D *copy, bool is_async)
{
    struct end to, from;
    if (!copy)
        return CUDA_ERROR_INVALID_VALUE;
    read_ends(copy, &to, &from);
    return copy_box(stream, &to, &from, copy->WidthInBytes, copy->Height, copy->Depth, is_async);
}

CUresult box_work_make(const CUDA_MEMCPY3D *copy, struct work **work)
{
    struct end to, from;
    struct box_work *box;
    if (!copy || !copy->WidthInBytes || !copy->Height || !copy->Depth)
        return CUDA_ERROR_INVALID_VALUE;
    read_ends(copy, &to, &from);
    CUresult result = make_box(&to, &from, copy->WidthInBytes, copy->Height, copy->Depth, &box);
    if (!result)
        *work = &box->work;
    return result;
}

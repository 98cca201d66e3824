#include "guest/captured_copy.h"

#include <stdlib.h>
#include <string.h>

#include "cuda_api.h"
#include "guest/connection.h"
#include "guest/copy.h"
#include "guest/graph.h"
#include "guest/lock.h"
#include "guest/ranges.h"

/* One copy of one graph, or left over from a graph that is gone. */
struct through {
    uint8_t *host;
    void *shared;
    size_t bytes; /* there are in shared: the rows without gaps */
    size_t width, height, depth;
    size_t row_step, slice_step; /* of host */
    struct through *next;        /* in the list of those left over */
};

static struct lock leftover_lock;
static struct through *leftover;

/* Called where CUDA must not be: the memory is kept for the next one. */
static void leave(void *data)
{
    struct through *through = data;
    lock_take(&leftover_lock);
    through->next = leftover;
    leftover = through;
    lock_give(&leftover_lock);
}

static void copy_rows(const struct through *through, bool in)
{
    uint8_t *shared = through->shared;
    for (size_t z = 0; z < through->depth; z++) {
        for (size_t y = 0; y < through->height; y++, shared += through->width) {
            uint8_t *host = through->host + z * through->slice_step + y * through->row_step;
            memcpy(in ? shared : host, in ? host : shared, through->width);
        }
    }
}

static void copy_in(void *data)
{
    copy_rows(data, true);
}

static void copy_out(void *data)
{
    copy_rows(data, false);
}

/* One that is left over and of the right size, after freeing those that are not. */
static struct through *take_leftover(size_t bytes)
{
    struct through *found = NULL, *next;
    lock_take(&leftover_lock);
    struct through *list = leftover;
    leftover = NULL;
    lock_give(&leftover_lock);
    for (struct through *through = list; through != NULL; through = next) {
        next = through->next;
        if (found == NULL && through->bytes == bytes) {
            found = through;
        } else {
            cuMemFreeHost(through->shared);
            free(through);
        }
    }
    return found;
}

static CUresult get(size_t bytes, struct through **through)
{
    *through = take_leftover(bytes);
    if (*through != NULL)
        return CUDA_SUCCESS;
    *through = calloc(1, sizeof **through);
    if (*through == NULL)
        return CUDA_ERROR_OUT_OF_MEMORY;
    (*through)->bytes = bytes;
    CUresult result = cuMemHostAlloc(&(*through)->shared, bytes, CU_MEMHOSTALLOC_PORTABLE);
    if (result != CUDA_SUCCESS)
        free(*through);
    return result;
}

/* The graph has it from now on. */
static CUresult give_to_graph(struct through *through, CUgraph graph)
{
    CUuserObject object;
    CUresult result = cuUserObjectCreate(&object, through, leave, 1, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC);
    if (result != CUDA_SUCCESS) {
        leave(through);
        return result;
    }
    result = cuGraphRetainUserObject(graph, object, 1, CU_GRAPH_USER_OBJECT_MOVE);
    if (result != CUDA_SUCCESS)
        cuUserObjectRelease(object, 1);
    return result;
}

CUresult captured_copy(CUdeviceptr device, void *host, size_t bytes, CUstream stream, bool to_device)
{
    if (!connection_shares_memory())
        return CUDA_ERROR_NOT_SUPPORTED;
    struct through *through = NULL;
    CUstreamCaptureStatus status;
    CUgraph graph = NULL;
    /* What the library does here, the program has not asked for: it must not end the capture. */
    CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
    CUresult result = cuThreadExchangeStreamCaptureMode(&mode);
    if (result == CUDA_SUCCESS) {
        result = cuStreamGetCaptureInfo_v2(stream, &status, NULL, &graph, NULL, NULL);
        if (result == CUDA_SUCCESS)
            result = get(bytes, &through);
        if (result == CUDA_SUCCESS)
            result = give_to_graph(through, graph);
        cuThreadExchangeStreamCaptureMode(&mode);
    }
    if (result != CUDA_SUCCESS)
        return result;
    through->host = host;
    through->width = bytes;
    through->height = through->depth = 1;
    if (!to_device)
        result = copy_from_device(through->shared, device, bytes, stream, false);
    if (result == CUDA_SUCCESS)
        result = cuLaunchHostFunc(stream, to_device ? copy_in : copy_out, through);
    if (result == CUDA_SUCCESS && to_device)
        result = copy_to_device(device, through->shared, bytes, stream, false);
    return result;
}

/* --- nodes --- */

/* Kept with the node's name. */
struct passing {
    uint64_t mark;
    CUDA_MEMCPY_NODE_PARAMS params;
};
#define PASSING_MARK 0x79706f6365646f6eull

const CUDA_MEMCPY_NODE_PARAMS *captured_node_params(CUgraphNode node)
{
    const struct passing *passing = node_kept((uintptr_t)node, sizeof *passing);
    return passing != NULL && passing->mark == PASSING_MARK ? &passing->params : NULL;
}

/* Bytes from a host side's first to behind its last; 0: too many. */
static uint64_t span(const struct through *through)
{
    uint64_t bytes, rows;
    if (__builtin_mul_overflow(through->depth - 1, through->slice_step, &bytes) ||
        __builtin_mul_overflow(through->height - 1, through->row_step, &rows) ||
        __builtin_add_overflow(bytes, rows, &bytes) || __builtin_add_overflow(bytes, through->width, &bytes))
        return 0;
    return bytes;
}

/* A host side, as rows. False when it is none, or makes no sense: then the driver says so. */
static bool read_side(const CUDA_MEMCPY3D *copy, bool is_source, struct through *side)
{
    CUmemorytype type = is_source ? copy->srcMemoryType : copy->dstMemoryType;
    const void *host = is_source ? copy->srcHost : copy->dstHost;
    size_t x = is_source ? copy->srcXInBytes : copy->dstXInBytes, y = is_source ? copy->srcY : copy->dstY;
    size_t z = is_source ? copy->srcZ : copy->dstZ, pitch = is_source ? copy->srcPitch : copy->dstPitch;
    size_t rows = is_source ? copy->srcHeight : copy->dstHeight;
    if (type != CU_MEMORYTYPE_HOST || host == NULL || copy->WidthInBytes == 0 || copy->Height == 0 ||
        copy->Depth == 0)
        return false;
    pitch = pitch != 0 ? pitch : x + copy->WidthInBytes;
    rows = rows != 0 ? rows : y + copy->Height;
    *side = (struct through){.width = copy->WidthInBytes,
                             .height = copy->Height,
                             .depth = copy->Depth,
                             .row_step = pitch,
                             .slice_step = pitch * rows};
    side->host = (uint8_t *)(uintptr_t)host + z * side->slice_step + y * pitch + x;
    return !__builtin_mul_overflow(copy->WidthInBytes, copy->Height, &side->bytes) &&
           !__builtin_mul_overflow(side->bytes, copy->Depth, &side->bytes) && span(side) != 0;
}

static bool is_hidden(const CUDA_MEMCPY3D *copy, bool is_source, struct through *side)
{
    return read_side(copy, is_source, side) && !ranges_is_shared((uintptr_t)side->host, span(side));
}

bool captured_node_wanted(const CUDA_MEMCPY3D *copy)
{
    struct through side;
    return is_hidden(copy, true, &side) || is_hidden(copy, false, &side);
}

/* Puts the memory in between in the place of the program's. */
static void replace_side(CUDA_MEMCPY3D *copy, bool is_source, const struct through *through)
{
    if (is_source) {
        copy->srcHost = through->shared;
        copy->srcXInBytes = copy->srcY = copy->srcZ = 0;
        copy->srcPitch = through->width;
        copy->srcHeight = through->height;
    } else {
        copy->dstHost = through->shared;
        copy->dstXInBytes = copy->dstY = copy->dstZ = 0;
        copy->dstPitch = through->width;
        copy->dstHeight = through->height;
    }
}

/* The copy and the function, before or behind it, in a graph of their own. */
static CUresult fill_graph(CUgraph graph, const CUDA_MEMCPY_NODE_PARAMS *params)
{
    CUDA_MEMCPY3D copy = params->copyParams;
    struct through side, *through;
    bool is_source = is_hidden(&copy, true, &side);
    if (!is_source && !is_hidden(&copy, false, &side))
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = get(side.bytes, &through);
    if (result != CUDA_SUCCESS)
        return result;
    side.shared = through->shared;
    *through = side;
    result = give_to_graph(through, graph);
    if (result != CUDA_SUCCESS)
        return result;
    replace_side(&copy, is_source, through);
    CUDA_HOST_NODE_PARAMS host = {.fn = is_source ? copy_in : copy_out, .userData = through};
    CUgraphNode first, second;
    if (is_source) {
        result = cuGraphAddHostNode(&first, graph, NULL, 0, &host);
        return result == CUDA_SUCCESS
                   ? cuGraphAddMemcpyNode(&second, graph, &first, 1, &copy, params->copyCtx)
                   : result;
    }
    result = cuGraphAddMemcpyNode(&first, graph, NULL, 0, &copy, params->copyCtx);
    return result == CUDA_SUCCESS ? cuGraphAddHostNode(&second, graph, &first, 1, &host) : result;
}

static CUresult make_graph(CUgraph *graph, const CUDA_MEMCPY_NODE_PARAMS *params)
{
    if (!connection_shares_memory())
        return CUDA_ERROR_NOT_SUPPORTED;
    CUresult result = cuGraphCreate(graph, 0);
    if (result != CUDA_SUCCESS)
        return result;
    result = fill_graph(*graph, params);
    if (result != CUDA_SUCCESS)
        cuGraphDestroy(*graph);
    return result;
}

CUresult captured_node_add(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies,
                           const CUgraphEdgeData *edges, size_t count, const CUDA_MEMCPY_NODE_PARAMS *params)
{
    CUgraphNodeParams child = {.type = CU_GRAPH_NODE_TYPE_GRAPH};
    CUresult result = make_graph(&child.graph.graph, params);
    if (result != CUDA_SUCCESS)
        return result;
    result = node_add(node, graph, dependencies, edges, count, &child);
    cuGraphDestroy(child.graph.graph);
    struct passing *passing = result == CUDA_SUCCESS ? node_keep((uintptr_t)*node, sizeof *passing) : NULL;
    if (passing != NULL)
        *passing = (struct passing){.mark = PASSING_MARK, .params = *params};
    return result;
}

CUresult captured_node_set(CUgraphExec exec, CUgraphNode node, const CUDA_MEMCPY_NODE_PARAMS *params)
{
    CUgraph child;
    if (!captured_node_wanted(&params->copyParams))
        return CUDA_ERROR_NOT_SUPPORTED;
    CUresult result = make_graph(&child, params);
    if (result != CUDA_SUCCESS)
        return result;
    result = cuGraphExecChildGraphNodeSetParams(exec, node, child);
    cuGraphDestroy(child);
    return result;
}

#include "worker/graph.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "driver_api.h"
#include "worker/callback.h"
#include "worker/device_memory.h"
#include "worker/function.h"
#include "worker/handle_map.h"
#include "worker/held_memory.h"
#include "worker/segment.h"
#include "worker/serve.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void graph_lock(void)
{
    pthread_mutex_lock(&lock);
}

void graph_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

/* --- conditional handles: numbers that the driver follows --- */

#define CONDITIONALS_MAX 65536u

static struct {
    CUgraphConditionalHandle *items;
    uint32_t count, room;
} conditionals; /* under the lock */

void conditional_remember(CUgraphConditionalHandle handle)
{
    if (conditionals.count == conditionals.room && conditionals.room < CONDITIONALS_MAX) {
        uint32_t room = conditionals.room > 0 ? conditionals.room * 2 : 16;
        CUgraphConditionalHandle *items = realloc(conditionals.items, room * sizeof *items);
        if (items == NULL)
            return; /* then no node can be made with it */
        conditionals.items = items;
        conditionals.room = room;
    }
    if (conditionals.count < conditionals.room)
        conditionals.items[conditionals.count++] = handle;
}

static bool conditional_known(CUgraphConditionalHandle handle)
{
    for (uint32_t i = 0; i < conditionals.count; i++)
        if (conditionals.items[i] == handle)
            return true;
    return false;
}

/* --- from the guest to the driver --- */

static CUresult read_context(uint64_t handle, CUcontext *context)
{
    void *object;
    if (!handle_find(HANDLE_CONTEXT, handle, &object))
        return CUDA_ERROR_INVALID_CONTEXT;
    *context = object;
    return object != NULL ? CUDA_SUCCESS : driver.cuCtxGetCurrent(context);
}

/* One pointer a parameter, into the guest's bytes, as the driver's own list of the kernel's parameters says.
 */
static CUresult point_at_parameters(struct node_params *params, uint64_t handle, void *function,
                                    const uint8_t *bytes, uint32_t count)
{
    void **pointers = calloc(PARAMETERS_MAX, sizeof *pointers);
    uint32_t index = 0;
    CUresult result = CUDA_SUCCESS;
    if (pointers == NULL)
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (; index < PARAMETERS_MAX && result == CUDA_SUCCESS; index++) {
        struct parameter_place place;
        result = function_parameter(handle, function, index, &place);
        if (result != CUDA_SUCCESS)
            break;
        if (place.offset > count || place.bytes > count - place.offset) {
            free(pointers);
            return CUDA_ERROR_INVALID_VALUE;
        }
        pointers[index] = (void *)(uintptr_t)(bytes + place.offset);
    }
    if (result != CUDA_SUCCESS && result != CUDA_ERROR_INVALID_VALUE) {
        free(pointers);
        return result;
    }
    params->pointers = pointers;
    params->driver.kernel.kernelParams = index > 0 ? pointers : NULL;
    return CUDA_SUCCESS;
}

static CUresult read_kernel(struct node_params *params, const struct graph_node_params *wire,
                            const uint8_t *tail, uint32_t tail_bytes)
{
    CUDA_KERNEL_NODE_PARAMS *kernel = &params->driver.kernel;
    void *function, *context;
    if (wire->kernel.function == 0 || !handle_find(HANDLE_FUNCTION, wire->kernel.function, &function))
        return CUDA_ERROR_INVALID_HANDLE;
    if (!handle_find(HANDLE_CONTEXT, wire->context, &context))
        return CUDA_ERROR_INVALID_CONTEXT;
    if (wire->kernel.parameter_bytes > PARAMETER_BYTES_MAX || wire->kernel.parameter_bytes > tail_bytes)
        return CUDA_ERROR_INVALID_VALUE;
    if (handle_value_kind(wire->kernel.function) == HANDLE_KERNEL)
        kernel->kern = function;
    else
        kernel->func = function;
    kernel->ctx = context;
    kernel->gridDimX = wire->kernel.grid[0];
    kernel->gridDimY = wire->kernel.grid[1];
    kernel->gridDimZ = wire->kernel.grid[2];
    kernel->blockDimX = wire->kernel.block[0];
    kernel->blockDimY = wire->kernel.block[1];
    kernel->blockDimZ = wire->kernel.block[2];
    kernel->sharedMemBytes = wire->kernel.shared_bytes;
    return point_at_parameters(params, wire->kernel.function, function, tail, wire->kernel.parameter_bytes);
}

/* One side of a copy. */
struct side {
    CUmemorytype type;
    CUdeviceptr device;
    const void *host;
    CUarray *array; /* a handle, which becomes the driver's */
    size_t pitch, rows;
    size_t x, y, z;
};

/* Bytes from the side's address to behind the last; false when they are too many to be counted. */
static bool extent(const struct side *side, const CUDA_MEMCPY3D *copy, uint64_t *bytes)
{
    uint64_t width, height, depth, rows;
    if (copy->WidthInBytes == 0 || copy->Height == 0 || copy->Depth == 0 ||
        __builtin_add_overflow(side->x, copy->WidthInBytes, &width) ||
        __builtin_add_overflow(side->y, copy->Height, &height) ||
        __builtin_add_overflow(side->z, copy->Depth, &depth))
        return false;
    return !__builtin_mul_overflow(depth - 1, side->rows != 0 ? side->rows : height, &rows) &&
           !__builtin_add_overflow(rows, height - 1, &rows) &&
           !__builtin_mul_overflow(rows, side->pitch != 0 ? side->pitch : width, bytes) &&
           !__builtin_add_overflow(*bytes, width, bytes);
}

/* The driver is given no address and no array that is not the guest's. */
static CUresult check_side(const struct side *side, const CUDA_MEMCPY3D *copy)
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
    *side->array = NULL;
    if (!extent(side, copy, &bytes) || bytes > UINT64_MAX - side->device)
        return CUDA_ERROR_INVALID_VALUE;
    if (side->type == CU_MEMORYTYPE_HOST)
        return segment_holds((uintptr_t)side->host, bytes) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    if (side->type != CU_MEMORYTYPE_DEVICE && side->type != CU_MEMORYTYPE_UNIFIED)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = device_memory_check(side->device);
    return result == CUDA_SUCCESS ? device_memory_check(side->device + bytes - 1) : result;
}

static CUresult read_copy(struct node_params *params, const struct graph_node_params *wire)
{
    CUDA_MEMCPY3D *copy = &params->driver.memcpy.copyParams;
    *copy = wire->copy;
    copy->reserved0 = copy->reserved1 = NULL;
    struct side from = {copy->srcMemoryType, copy->srcDevice, copy->srcHost,
                        &copy->srcArray,     copy->srcPitch,  copy->srcHeight,
                        copy->srcXInBytes,   copy->srcY,      copy->srcZ};
    struct side to = {copy->dstMemoryType, copy->dstDevice,   copy->dstHost, &copy->dstArray, copy->dstPitch,
                      copy->dstHeight,     copy->dstXInBytes, copy->dstY,    copy->dstZ};
    CUresult result = check_side(&from, copy);
    if (result == CUDA_SUCCESS)
        result = check_side(&to, copy);
    return result != CUDA_SUCCESS ? result : read_context(wire->context, &params->driver.memcpy.copyCtx);
}

static CUresult read_memset(struct node_params *params, const struct graph_node_params *wire)
{
    const CUDA_MEMSET_NODE_PARAMS *from = &wire->memset;
    params->driver.memset = (CUDA_MEMSET_NODE_PARAMS_v2){.dst = from->dst,
                                                         .pitch = from->pitch,
                                                         .value = from->value,
                                                         .elementSize = from->elementSize,
                                                         .width = from->width,
                                                         .height = from->height};
    CUresult result = device_memory_check(from->dst);
    return result != CUDA_SUCCESS ? result : read_context(wire->context, &params->driver.memset.ctx);
}

static CUresult read_child(struct node_params *params, const struct graph_node_params *wire)
{
    void *graph;
    if (wire->child.graph == 0 || !handle_look(HANDLE_GRAPH, wire->child.graph, &graph))
        return CUDA_ERROR_INVALID_VALUE;
    /* A graph that is moved would live on under a name that it is not known by. */
    if (wire->child.ownership != CU_GRAPH_CHILD_GRAPH_OWNERSHIP_CLONE)
        return CUDA_ERROR_NOT_SUPPORTED;
    params->driver.graph.graph = graph;
    return CUDA_SUCCESS;
}

static CUresult read_event(struct node_params *params, const struct graph_node_params *wire)
{
    void *event;
    if (!handle_find(HANDLE_EVENT, wire->event, &event))
        return CUDA_ERROR_INVALID_HANDLE;
    if (wire->type == CU_GRAPH_NODE_TYPE_WAIT_EVENT)
        params->driver.eventWait.event = event;
    else
        params->driver.eventRecord.event = event;
    return CUDA_SUCCESS;
}

static CUresult read_alloc(struct node_params *params, const struct graph_node_params *wire,
                           const uint8_t *tail, uint32_t tail_bytes)
{
    uint32_t count = wire->alloc.access_count;
    if (count > ALLOC_ACCESS_MAX || count * sizeof params->access[0] > tail_bytes)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(params->access, tail, count * sizeof params->access[0]);
    params->driver.alloc.poolProps = wire->alloc.pool;
    params->driver.alloc.poolProps.win32SecurityAttributes = NULL;
    params->driver.alloc.accessDescs = count > 0 ? params->access : NULL;
    params->driver.alloc.accessDescCount = count;
    params->driver.alloc.bytesize = wire->alloc.bytes;
    CUresult result = device_location_check(&wire->alloc.pool.location);
    if (result == CUDA_SUCCESS)
        result = held_memory_claim(wire->alloc.bytes); /* whether it would fit: it is allocated by a run */
    if (result == CUDA_SUCCESS)
        held_memory_settle(wire->alloc.bytes, HELD_ALLOCATION, 0, 0);
    return result;
}

CUresult batch_check(const CUstreamBatchMemOpParams *operations, uint32_t count)
{
    CUresult result = CUDA_SUCCESS;
    for (uint32_t i = 0; i < count && result == CUDA_SUCCESS; i++) {
        switch (operations[i].operation) {
        case CU_STREAM_MEM_OP_WAIT_VALUE_32:
        case CU_STREAM_MEM_OP_WAIT_VALUE_64:
            result = device_memory_check(operations[i].waitValue.address);
            break;
        case CU_STREAM_MEM_OP_WRITE_VALUE_32:
        case CU_STREAM_MEM_OP_WRITE_VALUE_64:
            result = device_memory_check(operations[i].writeValue.address);
            break;
        case CU_STREAM_MEM_OP_BARRIER:
        case CU_STREAM_MEM_OP_FLUSH_REMOTE_WRITES:
            break;
        default:
            result = CUDA_ERROR_INVALID_VALUE;
        }
    }
    return result;
}

static CUresult read_batch(struct node_params *params, const struct graph_node_params *wire,
                           const uint8_t *tail, uint32_t tail_bytes)
{
    uint32_t count = wire->batch.count;
    if (count > BATCH_OPERATIONS_MAX || count * sizeof params->operations[0] > tail_bytes)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(params->operations, tail, count * sizeof params->operations[0]);
    CUresult result = batch_check(params->operations, count);
    params->driver.memOp = (CUDA_BATCH_MEM_OP_NODE_PARAMS){
        .count = count, .paramArray = params->operations, .flags = wire->batch.flags};
    return result != CUDA_SUCCESS ? result : read_context(wire->context, &params->driver.memOp.ctx);
}

static CUresult read_conditional(struct node_params *params, const struct graph_node_params *wire)
{
    if (!conditional_known(wire->conditional.handle) || wire->conditional.count > CONDITIONAL_GRAPHS_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    params->driver.conditional = (CUDA_CONDITIONAL_NODE_PARAMS){
        .handle = wire->conditional.handle, .type = wire->conditional.type, .size = wire->conditional.count};
    return read_context(wire->context, &params->driver.conditional.ctx);
}

CUresult node_params_read(struct node_params *params, const struct graph_node_params *wire,
                          const uint8_t *tail, uint32_t tail_bytes)
{
    memset(&params->driver, 0, sizeof params->driver);
    params->driver.type = wire->type;
    params->pointers = params->function = NULL;
    switch (wire->type) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
        return read_kernel(params, wire, tail, tail_bytes);
    case CU_GRAPH_NODE_TYPE_MEMCPY:
        return read_copy(params, wire);
    case CU_GRAPH_NODE_TYPE_MEMSET:
        return read_memset(params, wire);
    case CU_GRAPH_NODE_TYPE_HOST:
        params->function = host_function_make(wire->host.function, wire->host.data, NULL, 0);
        params->driver.host.fn = host_function_run;
        params->driver.host.userData = params->function;
        return params->function != NULL ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
    case CU_GRAPH_NODE_TYPE_GRAPH:
        return read_child(params, wire);
    case CU_GRAPH_NODE_TYPE_EMPTY:
        return CUDA_SUCCESS;
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
        return read_event(params, wire);
    case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
        return read_alloc(params, wire, tail, tail_bytes);
    case CU_GRAPH_NODE_TYPE_MEM_FREE:
        params->driver.free.dptr = wire->free_address;
        return device_memory_check(wire->free_address);
    case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
        return read_batch(params, wire, tail, tail_bytes);
    case CU_GRAPH_NODE_TYPE_CONDITIONAL:
        return read_conditional(params, wire);
    default:
        return CUDA_ERROR_NOT_SUPPORTED;
    }
}

void node_params_end(struct node_params *params)
{
    free(params->pointers);
    host_function_free(params->function);
}

/* What the driver says of a node, for the guest. */
#include "worker/graph.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "driver_api.h"
#include "worker/callback.h"
#include "worker/function.h"
#include "worker/handle_map.h"

/* The parameters, put where the kernel expects them. */
static CUresult pack_parameters(uint8_t *bytes, uint32_t *used, uint64_t handle, void *function,
                                const CUDA_KERNEL_NODE_PARAMS *kernel)
{
    *used = 0;
    for (uint32_t index = 0; index < PARAMETERS_MAX; index++) {
        struct parameter_place place;
        CUresult result = function_parameter(handle, function, index, &place);
        if (result != CUDA_SUCCESS)
            return result == CUDA_ERROR_INVALID_VALUE ? CUDA_SUCCESS : result;
        if (place.offset + place.bytes > PARAMETER_BYTES_MAX)
            return CUDA_ERROR_INVALID_VALUE;
        if (kernel->kernelParams != NULL && kernel->kernelParams[index] != NULL)
            memcpy(bytes + place.offset, kernel->kernelParams[index], place.bytes);
        if (place.offset + place.bytes > *used)
            *used = place.offset + place.bytes;
    }
    return CUDA_SUCCESS;
}

/* From a buffer of them, where the node was made with one. */
static void copy_buffer(uint8_t *bytes, uint32_t used, const CUDA_KERNEL_NODE_PARAMS *kernel)
{
    const void *buffer = NULL;
    size_t size = 0;
    if (kernel->kernelParams != NULL || kernel->extra == NULL)
        return;
    for (void **at = kernel->extra; *at != CU_LAUNCH_PARAM_END; at += 2) {
        if (at[0] == CU_LAUNCH_PARAM_BUFFER_POINTER)
            buffer = at[1];
        else if (at[0] == CU_LAUNCH_PARAM_BUFFER_SIZE)
            size = *(const size_t *)at[1];
    }
    if (buffer != NULL)
        memcpy(bytes, buffer, size < used ? size : used);
}

/* Looks for the library's kernel that a function is the instance of. */
struct instance {
    CUfunction function;
    const char *name;
    CUkernel kernel;
};

static void compare_kernel(void *kernel, void *user)
{
    struct instance *instance = user;
    const char *name = NULL;
    CUfunction function = NULL;
    if (instance->kernel == NULL && driver.cuKernelGetName(&name, kernel) == CUDA_SUCCESS && name != NULL &&
        strcmp(name, instance->name) == 0 && driver.cuKernelGetFunction(&function, kernel) == CUDA_SUCCESS &&
        function == instance->function)
        instance->kernel = kernel;
}

/* A function that the program never asked for: it launched the kernel. It goes with the kernel. */
static uint64_t name_instance(CUfunction function, uint64_t name)
{
    struct instance instance = {.function = function};
    if (driver.cuFuncGetName == NULL || driver.cuKernelGetName == NULL ||
        driver.cuKernelGetFunction == NULL ||
        driver.cuFuncGetName(&instance.name, function) != CUDA_SUCCESS || instance.name == NULL)
        return 0;
    handle_each(HANDLE_KERNEL, compare_kernel, &instance);
    uint64_t kernel = instance.kernel != NULL ? handle_known(HANDLE_KERNEL, instance.kernel) : 0;
    return kernel != 0 ? call_name(HANDLE_FUNCTION, name, function, kernel) : 0;
}

static CUresult reply_kernel(struct call *call, CUgraphNode node, struct graph_node_params *wire,
                             uint64_t name)
{
    CUDA_KERNEL_NODE_PARAMS kernel = {0};
    CUresult result = driver.cuGraphKernelNodeGetParams_v2(node, &kernel);
    if (result != CUDA_SUCCESS)
        return result;
    void *function = kernel.func;
    wire->kernel.function = function != NULL ? handle_known(HANDLE_FUNCTION, function) : 0;
    if (wire->kernel.function == 0 && kernel.kern != NULL) {
        function = kernel.kern;
        wire->kernel.function = handle_known(HANDLE_KERNEL, function);
    }
    if (wire->kernel.function == 0 && kernel.func != NULL) {
        function = kernel.func;
        wire->kernel.function = name_instance(kernel.func, name);
    }
    if (wire->kernel.function == 0)
        return CUDA_ERROR_INVALID_VALUE;
    wire->context = kernel.ctx != NULL ? handle_known(HANDLE_CONTEXT, kernel.ctx) : 0;
    memcpy(wire->kernel.grid, (uint32_t[]){kernel.gridDimX, kernel.gridDimY, kernel.gridDimZ},
           sizeof wire->kernel.grid);
    memcpy(wire->kernel.block, (uint32_t[]){kernel.blockDimX, kernel.blockDimY, kernel.blockDimZ},
           sizeof wire->kernel.block);
    wire->kernel.shared_bytes = kernel.sharedMemBytes;
    wire->kernel.has_function = kernel.func != NULL;
    uint8_t *bytes = calloc(1, PARAMETER_BYTES_MAX);
    if (bytes == NULL)
        return CUDA_ERROR_OUT_OF_MEMORY;
    uint32_t used = 0;
    result = pack_parameters(bytes, &used, wire->kernel.function, function, &kernel);
    if (result == CUDA_SUCCESS) {
        copy_buffer(bytes, used, &kernel);
        wire->kernel.parameter_bytes = wire->tail_bytes = used;
        call_reply_append(call, wire, sizeof *wire);
        call_reply_append(call, bytes, used);
    }
    free(bytes);
    return result;
}

static CUresult reply_alloc(struct call *call, CUgraphNode node, struct graph_node_params *wire)
{
    CUDA_MEM_ALLOC_NODE_PARAMS alloc = {0};
    CUresult result = driver.cuGraphMemAllocNodeGetParams(node, &alloc);
    if (result != CUDA_SUCCESS)
        return result;
    uint32_t count =
        alloc.accessDescCount < ALLOC_ACCESS_MAX ? (uint32_t)alloc.accessDescCount : ALLOC_ACCESS_MAX;
    wire->alloc.pool = alloc.poolProps;
    wire->alloc.pool.win32SecurityAttributes = NULL;
    wire->alloc.bytes = alloc.bytesize;
    wire->alloc.address = alloc.dptr;
    wire->alloc.access_count = alloc.accessDescs != NULL ? count : 0;
    wire->tail_bytes = wire->alloc.access_count * (uint32_t)sizeof alloc.accessDescs[0];
    call_reply_append(call, wire, sizeof *wire);
    call_reply_append(call, alloc.accessDescs, wire->tail_bytes);
    return CUDA_SUCCESS;
}

static CUresult reply_batch(struct call *call, CUgraphNode node, struct graph_node_params *wire)
{
    CUDA_BATCH_MEM_OP_NODE_PARAMS batch = {0};
    CUresult result = driver.cuGraphBatchMemOpNodeGetParams(node, &batch);
    if (result != CUDA_SUCCESS)
        return result;
    wire->context = batch.ctx != NULL ? handle_known(HANDLE_CONTEXT, batch.ctx) : 0;
    wire->batch.count = batch.count < BATCH_OPERATIONS_MAX ? batch.count : BATCH_OPERATIONS_MAX;
    wire->batch.flags = batch.flags;
    wire->tail_bytes = wire->batch.count * (uint32_t)sizeof batch.paramArray[0];
    call_reply_append(call, wire, sizeof *wire);
    call_reply_append(call, batch.paramArray, wire->tail_bytes);
    return CUDA_SUCCESS;
}

static CUarray array_name(CUarray array)
{
    return array != NULL ? (CUarray)(uintptr_t)handle_known(HANDLE_ARRAY, array) : NULL;
}

static CUresult read_plain(CUgraphNode node, struct graph_node_params *wire)
{
    CUDA_HOST_NODE_PARAMS host = {0};
    CUresult result;
    switch (wire->type) {
    case CU_GRAPH_NODE_TYPE_MEMCPY:
        result = driver.cuGraphMemcpyNodeGetParams(node, &wire->copy);
        wire->copy.srcArray = array_name(wire->copy.srcArray);
        wire->copy.dstArray = array_name(wire->copy.dstArray);
        return result;
    case CU_GRAPH_NODE_TYPE_MEMSET:
        return driver.cuGraphMemsetNodeGetParams(node, &wire->memset);
    case CU_GRAPH_NODE_TYPE_HOST:
        result = driver.cuGraphHostNodeGetParams(node, &host);
        if (result == CUDA_SUCCESS &&
            (host.fn != host_function_run ||
             !host_function_tell(host.userData, &wire->host.function, &wire->host.data)))
            result = CUDA_ERROR_INVALID_VALUE;
        return result;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

CUresult node_params_reply(struct call *call, CUgraphNode node, uint32_t type, uint64_t function_name)
{
    struct graph_node_params wire;
    memset(&wire, 0, sizeof wire);
    wire.type = type;
    if (type == CU_GRAPH_NODE_TYPE_KERNEL)
        return reply_kernel(call, node, &wire, function_name);
    if (type == CU_GRAPH_NODE_TYPE_MEM_ALLOC)
        return reply_alloc(call, node, &wire);
    if (type == CU_GRAPH_NODE_TYPE_BATCH_MEM_OP)
        return reply_batch(call, node, &wire);
    CUresult result = read_plain(node, &wire);
    if (result == CUDA_SUCCESS)
        call_reply_append(call, &wire, sizeof wire);
    return result;
}

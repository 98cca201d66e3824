/* cuLaunchKernel and its like: checks at the call, then the kernel as work of a stream. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_api.h"
#include "simgpu/arena.h"
#include "simgpu/device_text.h"
#include "simgpu/graph.h"
#include "simgpu/module.h"
#include "simgpu/occupancy.h"
#include "simgpu/per_thread.h"
#include "simgpu/pool.h"
#include "simgpu/stream.h"
#include "simgpu/texture.h"

#define GRID_X_MAX    0x7fffffffu
#define GRID_YZ_MAX   65535u
#define BLOCK_XY_MAX  1024u
#define BLOCK_Z_MAX   64u
#define BLOCK_THREADS 1024u

/* Cooperative groups keep a grid's barrier in memory that the driver gives: its size as a word, then the
 * barrier. */
#define GRID_WORKSPACE_BYTES 256

struct shape {
    uint32_t grid[3];
    uint32_t block[3];
    uint32_t shared_bytes;
    bool is_cooperative;
};

struct kernel_work {
    struct work work;
    struct CUfunc_st *function;
    struct shape shape;
    CUdeviceptr grid_workspace; /* 0: none */
    size_t stack_bytes;
    void **param_list; /* owned; as programs see it, filled when one looks */
    size_t params_bytes;
    unsigned char params[];
};

static _Atomic uint64_t next_grid_id = 1;

/* --- what the engine asks of the driver while a kernel runs --- */

static bool find_memory(void *user, uint64_t address, uint64_t bytes, bool write, struct ptx_range *out)
{
    const struct CUctx_st *context = user;
    struct region region;
    if (!arena_find(address, bytes, &region))
        return false;
    bool is_here = region.device == context->device || region.kind != REGION_DEVICE ||
                   atomic_load(&((struct CUctx_st *)user)->peers) >> region.device->ordinal & 1 ||
                   (region.pool && pool_is_accessible(region.pool, context->device));
    bool is_read_only =
        region.kind == REGION_HOST_REGISTERED && (region.flags & CU_MEMHOSTREGISTER_READ_ONLY);
    if (region.is_mapped) {
        is_here = region.readers >> context->device->ordinal & 1;
        is_read_only = !(region.writers >> context->device->ordinal & 1);
    }
    if (!is_here || (write && is_read_only))
        return false;
    *out = (struct ptx_range){region.base, region.bytes, !is_read_only};
    return true;
}

static void keep_text(void *user, const char *text, size_t bytes, bool is_error)
{
    device_text_keep(text, bytes, is_error);
}

static uint64_t allocate_on_heap(void *user, uint64_t bytes)
{
    struct CUctx_st *context = user;
    struct region region = {.bytes = bytes ? bytes : 1,
                            .kind = REGION_DEVICE,
                            .device = context->device,
                            .context = context,
                            .is_module = true};
    pthread_mutex_lock(&context->lock);
    uint64_t limit = context->limits[CU_LIMIT_MALLOC_HEAP_SIZE];
    pthread_mutex_unlock(&context->lock);
    if (atomic_fetch_add(&context->heap_bytes, region.bytes) + region.bytes > limit ||
        arena_allocate(&region)) {
        atomic_fetch_sub(&context->heap_bytes, region.bytes);
        return 0;
    }
    return region.base;
}

static void free_on_heap(void *user, uint64_t address)
{
    struct CUctx_st *context = user;
    struct region removed;
    if (address && arena_remove(address, &removed))
        atomic_fetch_sub(&context->heap_bytes, removed.bytes);
}

/* --- running --- */

static CUresult error_of_fault(enum ptx_fault_kind kind)
{
    switch (kind) {
    case PTX_FAULT_NONE:
    case PTX_FAULT_CANCELLED:
        return CUDA_SUCCESS;
    case PTX_FAULT_ILLEGAL_ADDRESS:
        return CUDA_ERROR_ILLEGAL_ADDRESS;
    case PTX_FAULT_MISALIGNED_ADDRESS:
        return CUDA_ERROR_MISALIGNED_ADDRESS;
    case PTX_FAULT_ILLEGAL_INSTRUCTION:
        return CUDA_ERROR_ILLEGAL_INSTRUCTION;
    case PTX_FAULT_TRAP:
        return CUDA_ERROR_LAUNCH_FAILED;
    case PTX_FAULT_ASSERT:
        return CUDA_ERROR_ASSERT;
    case PTX_FAULT_OUT_OF_RESOURCES:
    case PTX_FAULT_NO_MEMORY:
        return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
    case PTX_FAULT_STACK_OVERFLOW:
        return CUDA_ERROR_HARDWARE_STACK_ERROR;
    case PTX_FAULT_DEADLOCK:
        return CUDA_ERROR_LAUNCH_TIMEOUT;
    }
    return CUDA_ERROR_UNKNOWN;
}

/* With VGPU_SIM_DEBUG set, says where a kernel went wrong: hardware does not tell. */
static void describe_fault(const struct kernel_work *job, const struct ptx_fault *fault)
{
    if (!getenv("VGPU_SIM_DEBUG"))
        return;
    fprintf(stderr,
            "simulated libcuda.so.1: kernel %s: %s in %s, line %u of the PTX, block (%u,%u,%u), thread "
            "(%u,%u,%u)",
            job->function->kernel->name, ptx_fault_name(fault->kind), fault->function ? fault->function : "?",
            fault->line, fault->block[0], fault->block[1], fault->block[2], fault->thread[0],
            fault->thread[1], fault->thread[2]);
    if (fault->kind == PTX_FAULT_ILLEGAL_ADDRESS || fault->kind == PTX_FAULT_MISALIGNED_ADDRESS)
        fprintf(stderr, ": %s of %u bytes at 0x%llx", fault->is_write ? "write" : "read", fault->bytes,
                (unsigned long long)fault->address);
    fputc('\n', stderr);
}

static void take_turn(void *user)
{
    const struct CUctx_st *context = user;
    shared_slot_turn(context->device->slot);
}

static void run_kernel(struct work *work)
{
    struct kernel_work *job = (struct kernel_work *)work;
    struct CUctx_st *context = work->context;
    const struct sim_device *device = context->device;
    struct ptx_launch launch = {
        .kernel = job->function->kernel,
        .dynamic_shared_bytes = job->shape.shared_bytes,
        .params = job->params,
        .params_bytes = job->params_bytes,
        .find = find_memory,
        .print = keep_text,
        .heap_alloc = allocate_on_heap,
        .heap_free = free_on_heap,
        .turn = take_turn,
        .fetch = texture_fetch,
        .surface = texture_surface,
        .query = texture_query,
        .user = context,
        .cancel = &context->is_stopping,
        .sm_count = (uint32_t)device->gpu->model->sm_count,
        .clock_khz = (uint32_t)device->gpu->model->clock_mhz * 1000,
        .stack_bytes = (uint32_t)job->stack_bytes,
        .max_shared_bytes = (uint32_t)device->limits.shared_optin_per_block_bytes,
        .resident_blocks =
            job->shape.is_cooperative ? job->shape.grid[0] * job->shape.grid[1] * job->shape.grid[2] : 0,
        .grid_workspace = job->grid_workspace,
        .grid_id = atomic_fetch_add(&next_grid_id, 1),
    };
    memcpy(launch.grid, job->shape.grid, sizeof launch.grid);
    memcpy(launch.block, job->shape.block, sizeof launch.block);
    struct ptx_result result;
    shared_slot_busy_begin(device->slot);
    bool ended_well = ptx_launch_run(&launch, &result);
    shared_slot_busy_end(device->slot);
    CUresult error = ended_well ? CUDA_SUCCESS : error_of_fault(result.fault.kind);
    if (error) {
        describe_fault(job, &result.fault);
        context_fail(context, error);
    }
}

static void finish_kernel(struct work *work)
{
    struct kernel_work *job = (struct kernel_work *)work;
    struct region removed;
    free(job->param_list);
    if (job->grid_workspace)
        arena_remove(job->grid_workspace, &removed);
}

/* --- checks at the call --- */

static CUresult check_block(const struct ptx_kernel *kernel, const uint32_t block[3])
{
    uint64_t threads = (uint64_t)block[0] * block[1] * block[2];
    uint64_t declared = (uint64_t)kernel->max_ntid[0] * (kernel->max_ntid[1] ? kernel->max_ntid[1] : 1) *
                        (kernel->max_ntid[2] ? kernel->max_ntid[2] : 1);
    if (!threads || block[0] > BLOCK_XY_MAX || block[1] > BLOCK_XY_MAX || block[2] > BLOCK_Z_MAX ||
        threads > BLOCK_THREADS || (declared && threads > declared))
        return CUDA_ERROR_INVALID_VALUE;
    if (kernel->req_ntid[0]) {
        for (int i = 0; i < 3; i++)
            if (block[i] != (kernel->req_ntid[i] ? kernel->req_ntid[i] : 1))
                return CUDA_ERROR_INVALID_VALUE;
    }
    return threads > kernel->max_threads ? CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES : CUDA_SUCCESS;
}

static CUresult check_shape(struct CUfunc_st *function, const struct shape *shape)
{
    if (!shape->grid[0] || !shape->grid[1] || !shape->grid[2] || shape->grid[0] > GRID_X_MAX ||
        shape->grid[1] > GRID_YZ_MAX || shape->grid[2] > GRID_YZ_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = check_block(function->kernel, shape->block);
    if (result)
        return result;
    if (shape->shared_bytes > function_dynamic_shared_limit(function))
        return CUDA_ERROR_INVALID_VALUE;
    if (!shape->is_cooperative)
        return CUDA_SUCCESS;
    uint64_t resident =
        (uint64_t)occupancy_blocks_per_sm(function, shape->block[0] * shape->block[1] * shape->block[2],
                                          shape->shared_bytes) *
        (uint64_t)function->module->context->device->gpu->model->sm_count;
    uint64_t blocks = (uint64_t)shape->grid[0] * shape->grid[1] * shape->grid[2];
    return blocks > resident ? CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE : CUDA_SUCCESS;
}

/* The `extra` list: the parameters as one buffer. */
static CUresult read_extra(void **extra, const void **buffer, size_t *bytes)
{
    *buffer = NULL;
    *bytes = 0;
    for (; *extra != CU_LAUNCH_PARAM_END; extra += 2) {
        if (extra[0] == CU_LAUNCH_PARAM_BUFFER_POINTER)
            *buffer = extra[1];
        else if (extra[0] == CU_LAUNCH_PARAM_BUFFER_SIZE && extra[1])
            *bytes = *(const size_t *)extra[1];
        else
            return CUDA_ERROR_INVALID_VALUE;
    }
    return CUDA_SUCCESS;
}

static CUresult copy_params(struct kernel_work *job, void **kernel_params, void **extra)
{
    const struct ptx_kernel *kernel = job->function->kernel;
    if (kernel_params && extra)
        return CUDA_ERROR_INVALID_VALUE;
    if (kernel_params) {
        for (size_t i = 0; i < kernel->param_count; i++) {
            if (!kernel_params[i])
                return CUDA_ERROR_INVALID_VALUE;
            memcpy(job->params + kernel->params[i].offset, kernel_params[i], kernel->params[i].bytes);
        }
        return CUDA_SUCCESS;
    }
    if (!extra)
        return kernel->param_count ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
    const void *buffer;
    size_t bytes;
    CUresult result = read_extra(extra, &buffer, &bytes);
    if (result)
        return result;
    if (kernel->param_count && (!buffer || bytes < kernel->params_bytes))
        return CUDA_ERROR_INVALID_VALUE;
    if (buffer)
        memcpy(job->params, buffer, kernel->params_bytes);
    return CUDA_SUCCESS;
}

static CUresult make_grid_workspace(struct CUctx_st *context, CUdeviceptr *address)
{
    struct region region = {.bytes = GRID_WORKSPACE_BYTES,
                            .kind = REGION_DEVICE,
                            .device = context->device,
                            .context = context,
                            .is_module = true};
    CUresult result = arena_allocate(&region);
    if (result)
        return result;
    *(uint32_t *)(uintptr_t)region.base = GRID_WORKSPACE_BYTES;
    *address = region.base;
    return CUDA_SUCCESS;
}

static void describe_kernel(struct work *work, CUgraphNodeParams *params)
{
    struct kernel_work *job = (struct kernel_work *)work;
    const struct ptx_kernel *kernel = job->function->kernel;
    for (size_t i = 0; i < kernel->param_count; i++)
        job->param_list[i] = job->params + kernel->params[i].offset;
    params->kernel = (CUDA_KERNEL_NODE_PARAMS){.func = job->function,
                                               .gridDimX = job->shape.grid[0],
                                               .gridDimY = job->shape.grid[1],
                                               .gridDimZ = job->shape.grid[2],
                                               .blockDimX = job->shape.block[0],
                                               .blockDimY = job->shape.block[1],
                                               .blockDimZ = job->shape.block[2],
                                               .sharedMemBytes = job->shape.shared_bytes,
                                               .kernelParams = kernel->param_count ? job->param_list : NULL,
                                               .ctx = work->context};
}

static CUresult make_work(struct CUctx_st *context, CUfunction handle, const struct shape *shape,
                          void **kernel_params, void **extra, struct work **work)
{
    struct CUfunc_st *function;
    CUresult result = function_resolve(context, handle, &function);
    if (!result)
        result = check_shape(function, shape);
    if (result)
        return result;
    size_t params_bytes = function->kernel->params_bytes;
    struct kernel_work *job =
        (struct kernel_work *)work_create(sizeof *job + params_bytes, run_kernel, finish_kernel);
    if (!job)
        return CUDA_ERROR_OUT_OF_MEMORY;
    job->work.is_node = true;
    job->work.node_type = CU_GRAPH_NODE_TYPE_KERNEL;
    job->work.describe = describe_kernel;
    job->work.context = context;
    job->function = function;
    job->shape = *shape;
    job->params_bytes = params_bytes;
    job->param_list = calloc(function->kernel->param_count + 1, sizeof *job->param_list);
    pthread_mutex_lock(&context->lock);
    job->stack_bytes = context->limits[CU_LIMIT_STACK_SIZE];
    pthread_mutex_unlock(&context->lock);
    result = job->param_list ? copy_params(job, kernel_params, extra) : CUDA_ERROR_OUT_OF_MEMORY;
    if (!result && shape->is_cooperative)
        result = make_grid_workspace(context, &job->grid_workspace);
    if (result) {
        free(job->param_list);
        work_release(&job->work);
        return result;
    }
    *work = &job->work;
    return CUDA_SUCCESS;
}

CUresult kernel_work_make(struct CUctx_st *context, const CUDA_KERNEL_NODE_PARAMS *params, struct work **work)
{
    struct shape shape = {{params->gridDimX, params->gridDimY, params->gridDimZ},
                          {params->blockDimX, params->blockDimY, params->blockDimZ},
                          params->sharedMemBytes,
                          false};
    CUfunction function = params->func ? params->func : (CUfunction)(void *)params->kern;
    return make_work(context, function, &shape, params->kernelParams, params->extra, work);
}

static CUresult launch(CUfunction handle, const struct shape *shape, CUstream stream_handle,
                       void **kernel_params, void **extra)
{
    struct CUstream_st *stream;
    struct work *work;
    CUresult result = stream_resolve(stream_handle, &stream);
    if (!result)
        result = make_work(stream->context, handle, shape, kernel_params, extra, &work);
    return result ? result : work_submit(stream, work, WORK_QUEUED);
}

/* --- entry points --- */

CUresult cuLaunchKernel(CUfunction f, unsigned int gridDimX, unsigned int gridDimY, unsigned int gridDimZ,
                        unsigned int blockDimX, unsigned int blockDimY, unsigned int blockDimZ,
                        unsigned int sharedMemBytes, CUstream hStream, void **kernelParams, void **extra)
{
    struct shape shape = {
        {gridDimX, gridDimY, gridDimZ}, {blockDimX, blockDimY, blockDimZ}, sharedMemBytes, false};
    return launch(f, &shape, hStream, kernelParams, extra);
}

CUresult cuLaunchCooperativeKernel(CUfunction f, unsigned int gridDimX, unsigned int gridDimY,
                                   unsigned int gridDimZ, unsigned int blockDimX, unsigned int blockDimY,
                                   unsigned int blockDimZ, unsigned int sharedMemBytes, CUstream hStream,
                                   void **kernelParams)
{
    struct shape shape = {
        {gridDimX, gridDimY, gridDimZ}, {blockDimX, blockDimY, blockDimZ}, sharedMemBytes, true};
    return launch(f, &shape, hStream, kernelParams, NULL);
}

static CUresult read_cluster(const CUlaunchAttribute *attribute, const struct shape *shape)
{
    const uint32_t cluster[3] = {attribute->value.clusterDim.x, attribute->value.clusterDim.y,
                                 attribute->value.clusterDim.z};
    for (int i = 0; i < 3; i++)
        if (!cluster[i] || shape->grid[i] % cluster[i])
            return CUDA_ERROR_INVALID_CLUSTER_SIZE;
    return cluster[0] * cluster[1] * cluster[2] == 1 ? CUDA_SUCCESS : CUDA_ERROR_NOT_SUPPORTED;
}

/* Attributes either have a meaning here, or are hints that a slower GPU may ignore. *event: to be recorded;
 * here when the kernel has ended, which is late for one that fires when blocks begin, but not wrong. A
 * cluster of more than one block would have to share its memory, which the engine lacks. */
static CUresult read_attribute(const CUlaunchAttribute *attribute, struct shape *shape, CUevent *event)
{
    switch (attribute->id) {
    case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
        shape->is_cooperative = attribute->value.cooperative != 0;
        return CUDA_SUCCESS;
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
        return read_cluster(attribute, shape);
    case CU_LAUNCH_ATTRIBUTE_IGNORE:
    case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
    case CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY:
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
    case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION:
    case CU_LAUNCH_ATTRIBUTE_PRIORITY:
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP:
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN:
    case CU_LAUNCH_ATTRIBUTE_PREFERRED_CLUSTER_DIMENSION:
    case CU_LAUNCH_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
        return CUDA_SUCCESS;
    case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT:
        *event = attribute->value.programmaticEvent.event;
        return *event ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
    case CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT:
        *event = attribute->value.launchCompletionEvent.event;
        return *event ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
    case CU_LAUNCH_ATTRIBUTE_DEVICE_UPDATABLE_KERNEL_NODE:
        return CUDA_ERROR_NOT_SUPPORTED;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

static CUresult launch_config(const CUlaunchConfig *config, CUfunction f, bool own_stream,
                              void **kernelParams, void **extra)
{
    if (!config || (config->numAttrs && !config->attrs))
        return CUDA_ERROR_INVALID_VALUE;
    struct shape shape = {{config->gridDimX, config->gridDimY, config->gridDimZ},
                          {config->blockDimX, config->blockDimY, config->blockDimZ},
                          config->sharedMemBytes,
                          false};
    CUevent event = NULL;
    for (unsigned int i = 0; i < config->numAttrs; i++) {
        CUresult result = read_attribute(&config->attrs[i], &shape, &event);
        if (result)
            return result;
    }
    CUstream stream = own_stream ? per_thread(config->hStream) : config->hStream;
    CUresult result = launch(f, &shape, stream, kernelParams, extra);
    return !result && event ? cuEventRecord(event, stream) : result;
}

CUresult cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction f, void **kernelParams, void **extra)
{
    return launch_config(config, f, false, kernelParams, extra);
}

CUresult cuLaunchKernelEx_ptsz(const CUlaunchConfig *config, CUfunction f, void **kernelParams, void **extra)
{
    return launch_config(config, f, true, kernelParams, extra);
}

/* One launch a device; here never of more than one at once. */
CUresult cuLaunchCooperativeKernelMultiDevice(CUDA_LAUNCH_PARAMS *launchParamsList, unsigned int numDevices,
                                              unsigned int flags)
{
    const CUDA_LAUNCH_PARAMS *one = launchParamsList;
    CUresult result = driver_check();
    if (result)
        return result;
    if (!one || !numDevices ||
        (flags & ~(unsigned int)(CUDA_COOPERATIVE_LAUNCH_MULTI_DEVICE_NO_PRE_LAUNCH_SYNC |
                                 CUDA_COOPERATIVE_LAUNCH_MULTI_DEVICE_NO_POST_LAUNCH_SYNC)))
        return CUDA_ERROR_INVALID_VALUE;
    if (numDevices != 1)
        return CUDA_ERROR_NOT_SUPPORTED;
    return cuLaunchCooperativeKernel(one->function, one->gridDimX, one->gridDimY, one->gridDimZ,
                                     one->blockDimX, one->blockDimY, one->blockDimZ, one->sharedMemBytes,
                                     one->hStream, one->kernelParams);
}

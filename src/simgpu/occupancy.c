#include "simgpu/occupancy.h"

#include "cuda_api.h"
#include "simgpu/module.h"

/* "Occupancy calculation" of the CUDA C++ Best Practices Guide, and the compute capability tables. */
#define REGISTERS_PER_SM          65536u
#define REGISTERS_STEP            256u /* of one warp */
#define WARPS_STEP                4u   /* registers are given to this many warps at once */
#define SHARED_STEP_BYTES         128u
#define SHARED_RESERVED_PER_BLOCK 1024u /* from compute capability 8.0 on */

static unsigned int round_up(unsigned int value, unsigned int step)
{
    return (value + step - 1) / step * step;
}

static unsigned int smaller(unsigned int a, unsigned int b)
{
    return a < b ? a : b;
}

static unsigned int reserved_shared(const struct sim_device *device)
{
    return device->gpu->model->compute_major >= 8 ? SHARED_RESERVED_PER_BLOCK : 0;
}

unsigned int occupancy_blocks_per_sm(struct CUfunc_st *function, unsigned int block_threads,
                                     size_t dynamic_shared_bytes)
{
    const struct sim_device *device = function->module->context->device;
    const struct ptx_kernel *kernel = function->kernel;
    unsigned int warps = (block_threads + 31) / 32;
    if (block_threads == 0 || block_threads > kernel->max_threads ||
        dynamic_shared_bytes + kernel->shared_bytes > (size_t)device->limits.shared_optin_per_block_bytes)
        return 0;
    unsigned int blocks = (unsigned int)device->limits.threads_per_sm / (warps * 32);
    blocks = smaller(blocks, (unsigned int)device->limits.blocks_per_sm);
    unsigned int warp_registers = round_up(function_registers(function) * 32, REGISTERS_STEP);
    blocks = smaller(blocks, REGISTERS_PER_SM / warp_registers / round_up(warps, WARPS_STEP));
    unsigned int shared =
        round_up(kernel->shared_bytes + (unsigned int)dynamic_shared_bytes + reserved_shared(device),
                 SHARED_STEP_BYTES);
    return shared ? smaller(blocks, (unsigned int)device->limits.shared_per_sm_bytes / shared) : blocks;
}

static CUresult resolve(CUfunction handle, struct CUfunc_st **function)
{
    struct CUctx_st *context;
    CUresult result = context_current(&context);
    return result ? result : function_resolve(context, handle, function);
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *numBlocks, CUfunction func, int blockSize,
                                                              size_t dynamicSMemSize, unsigned int flags)
{
    struct CUfunc_st *function;
    CUresult result = resolve(func, &function);
    if (!result && (!numBlocks || blockSize <= 0 || flags > CU_OCCUPANCY_DISABLE_CACHING_OVERRIDE))
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *numBlocks = (int)occupancy_blocks_per_sm(function, (unsigned int)blockSize, dynamicSMemSize);
    return result;
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *numBlocks, CUfunction func, int blockSize,
                                                     size_t dynamicSMemSize)
{
    return cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(numBlocks, func, blockSize, dynamicSMemSize,
                                                                CU_OCCUPANCY_DEFAULT);
}

/* The block size that keeps most threads on a multiprocessor; the largest of those that do. */
CUresult cuOccupancyMaxPotentialBlockSizeWithFlags(int *minGridSize, int *blockSize, CUfunction func,
                                                   CUoccupancyB2DSize blockSizeToDynamicSMemSize,
                                                   size_t dynamicSMemSize, int blockSizeLimit,
                                                   unsigned int flags)
{
    struct CUfunc_st *function;
    CUresult result = resolve(func, &function);
    if (!result &&
        (!minGridSize || !blockSize || blockSizeLimit < 0 || flags > CU_OCCUPANCY_DISABLE_CACHING_OVERRIDE))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    unsigned int limit = function->kernel->max_threads;
    if (blockSizeLimit > 0)
        limit = smaller(limit, (unsigned int)blockSizeLimit);
    unsigned int best_threads = 0, best_size = 0, best_blocks = 0;
    for (unsigned int size = round_up(limit, 32); size > 0; size -= 32) {
        unsigned int threads = smaller(size, limit);
        size_t shared =
            blockSizeToDynamicSMemSize ? blockSizeToDynamicSMemSize((int)threads) : dynamicSMemSize;
        unsigned int blocks = occupancy_blocks_per_sm(function, threads, shared);
        if (blocks * threads > best_threads) {
            best_threads = blocks * threads;
            best_size = threads;
            best_blocks = blocks;
        }
    }
    *blockSize = (int)best_size;
    *minGridSize = (int)best_blocks * function->module->context->device->gpu->model->sm_count;
    return CUDA_SUCCESS;
}

CUresult cuOccupancyMaxPotentialBlockSize(int *minGridSize, int *blockSize, CUfunction func,
                                          CUoccupancyB2DSize blockSizeToDynamicSMemSize,
                                          size_t dynamicSMemSize, int blockSizeLimit)
{
    return cuOccupancyMaxPotentialBlockSizeWithFlags(minGridSize, blockSize, func, blockSizeToDynamicSMemSize,
                                                     dynamicSMemSize, blockSizeLimit, CU_OCCUPANCY_DEFAULT);
}

CUresult cuOccupancyAvailableDynamicSMemPerBlock(size_t *dynamicSmemSize, CUfunction func, int numBlocks,
                                                 int blockSize)
{
    struct CUfunc_st *function;
    CUresult result = resolve(func, &function);
    if (!result && (!dynamicSmemSize || numBlocks <= 0 || blockSize <= 0))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    const struct sim_device *device = function->module->context->device;
    if ((unsigned int)numBlocks > occupancy_blocks_per_sm(function, (unsigned int)blockSize, 0))
        return CUDA_ERROR_INVALID_VALUE;
    unsigned int share = (unsigned int)(device->limits.shared_per_sm_bytes / numBlocks) / SHARED_STEP_BYTES *
                         SHARED_STEP_BYTES;
    unsigned int taken = reserved_shared(device) + function->kernel->shared_bytes;
    unsigned int most =
        (unsigned int)device->limits.shared_optin_per_block_bytes - function->kernel->shared_bytes;
    *dynamicSmemSize = share > taken ? smaller(share - taken, most) : 0;
    return CUDA_SUCCESS;
}

/* --- clusters --- */

#define CLUSTER_PORTABLE     8
#define CLUSTER_NON_PORTABLE 16

/* The cluster that the configuration asks for, in blocks; 1 where it asks for none. */
static CUresult cluster_of(const CUlaunchConfig *config, unsigned int *blocks)
{
    *blocks = 1;
    if (config->numAttrs && !config->attrs)
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned int i = 0; i < config->numAttrs; i++)
        if (config->attrs[i].id == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION)
            *blocks = config->attrs[i].value.clusterDim.x * config->attrs[i].value.clusterDim.y *
                      config->attrs[i].value.clusterDim.z;
    return *blocks && *blocks <= CLUSTER_NON_PORTABLE ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CLUSTER_SIZE;
}

static CUresult resolve_for_clusters(const int *answer, CUfunction handle, const CUlaunchConfig *config,
                                     struct CUfunc_st **function)
{
    CUresult result = resolve(handle, function);
    if (!result && (!answer || !config))
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result && (*function)->module->context->device->gpu->model->compute_major < 9)
        result = CUDA_ERROR_NOT_SUPPORTED;
    return result;
}

CUresult cuOccupancyMaxActiveClusters(int *numClusters, CUfunction func, const CUlaunchConfig *config)
{
    struct CUfunc_st *function;
    unsigned int cluster;
    CUresult result = resolve_for_clusters(numClusters, func, config, &function);
    if (!result)
        result = cluster_of(config, &cluster);
    if (result)
        return result;
    unsigned int blocks = occupancy_blocks_per_sm(
        function, config->blockDimX * config->blockDimY * config->blockDimZ, config->sharedMemBytes);
    unsigned int multiprocessors = (unsigned int)function->module->context->device->gpu->model->sm_count;
    *numClusters = (int)(multiprocessors * blocks / cluster);
    return CUDA_SUCCESS;
}

CUresult cuOccupancyMaxPotentialClusterSize(int *clusterSize, CUfunction func, const CUlaunchConfig *config)
{
    struct CUfunc_st *function;
    CUresult result = resolve_for_clusters(clusterSize, func, config, &function);
    if (result)
        return result;
    int allowed = 0;
    result = cuFuncGetAttribute(&allowed, CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED, func);
    *clusterSize = allowed ? CLUSTER_NON_PORTABLE : CLUSTER_PORTABLE;
    return result;
}

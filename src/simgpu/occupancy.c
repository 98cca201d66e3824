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

/* The block size of highest occupancy, found here because the program may give a function of its own that
 * tells the shared memory of each size. The search is the one that NVIDIA documents: sizes fall in steps of
 * a warp from the largest, the first of the highest occupancy wins. And occupancy by clusters. */
#include "cuda_api.h"
#include "guest/call.h"
#include "guest/export.h"
#include "guest/function.h"
#include "guest/init.h"
#include "guest/kept_answers.h"

#include <stddef.h>

VGPU_EXPORT CUresult cuOccupancyMaxPotentialBlockSizeWithFlags(int *minGridSize, int *blockSize,
                                                               CUfunction func,
                                                               CUoccupancyB2DSize blockSizeToDynamicSMemSize,
                                                               size_t dynamicSMemSize, int blockSizeLimit,
                                                               unsigned int flags)
{
    CUresult result;
    if (minGridSize == NULL || blockSize == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    const struct function_facts *facts = function_facts_of(func, &result);
    if (facts == NULL)
        return result;
    const struct reply_device_info *device = device_facts();
    int warp = device->attributes[CU_DEVICE_ATTRIBUTE_WARP_SIZE].value;
    int per_sm = device->attributes[CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR].value;
    int limit = (int)facts->info.max_threads_per_block;
    if (blockSizeLimit > 0 && blockSizeLimit < limit)
        limit = blockSizeLimit;
    int best_size = 0, best_blocks = 0;
    for (int rounded = (limit + warp - 1) / warp * warp; rounded > 0; rounded -= warp) {
        int size = rounded < limit ? rounded : limit;
        size_t shared =
            blockSizeToDynamicSMemSize != NULL ? blockSizeToDynamicSMemSize(size) : dynamicSMemSize;
        int blocks;
        result = cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(&blocks, func, size, shared, flags);
        if (result != CUDA_SUCCESS)
            return result;
        if (size * blocks > best_size * best_blocks) {
            best_size = size;
            best_blocks = blocks;
        }
        if (best_size * best_blocks == per_sm)
            break;
    }
    *minGridSize = best_blocks * device->attributes[CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT].value;
    *blockSize = best_size;
    return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuOccupancyMaxPotentialBlockSize(int *minGridSize, int *blockSize, CUfunction func,
                                                      CUoccupancyB2DSize blockSizeToDynamicSMemSize,
                                                      size_t dynamicSMemSize, int blockSizeLimit)
{
    return cuOccupancyMaxPotentialBlockSizeWithFlags(minGridSize, blockSize, func, blockSizeToDynamicSMemSize,
                                                     dynamicSMemSize, blockSizeLimit, 0);
}

/* Two different sums over the same bytes: together as good as the bytes themselves. */
static void mix(uint64_t sums[2], const void *data, size_t bytes)
{
    const uint8_t *byte = data;
    for (size_t i = 0; i < bytes; i++) {
        /* All of these bytes were set: the initialiser fills arrays within a structure, too. */
        // NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult)
        sums[0] = (sums[0] ^ byte[i]) * 0x100000001b3ull;
        sums[1] = (sums[1] + byte[i]) * 0x9e3779b97f4a7c15ull;
        sums[1] ^= sums[1] >> 29;
    }
}

/* Libraries ask before every launch: what the driver said is kept, by what was asked. */
struct cluster_question {
    uint64_t function;
    uint64_t sums[2]; /* of the configuration */
    uint64_t largest_cluster;
};

static CUresult ask_of_clusters(int *answer, CUfunction func, const CUlaunchConfig *config, bool largest)
{
    CUresult result = library_state();
    if (result != CUDA_SUCCESS)
        return result;
    if (answer == NULL || config == NULL || (config->numAttrs > 0 && config->attrs == NULL) ||
        config->numAttrs > LAUNCH_ATTRIBUTES_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    struct request_cluster_occupancy request = {
        .function = (uintptr_t)func,
        .stream = (uintptr_t)config->hStream,
        .grid = {config->gridDimX, config->gridDimY, config->gridDimZ},
        .block = {config->blockDimX, config->blockDimY, config->blockDimZ},
        .shared_bytes = config->sharedMemBytes,
        .attribute_count = config->numAttrs,
        .largest_cluster = largest};
    size_t attribute_bytes = config->numAttrs * sizeof *config->attrs;
    struct cluster_question asked = {.function = request.function, .largest_cluster = largest};
    struct kept_question question;
    _Static_assert(sizeof asked <= KEPT_QUESTION_BYTES, "too large to be kept");
    mix(asked.sums, &request, sizeof request);
    if (attribute_bytes > 0)
        mix(asked.sums, config->attrs, attribute_bytes);
    int told = 0;
    if (!kept_find(&question, CALL_cluster_occupancy, &asked, sizeof asked, &told, sizeof told)) {
        result = call_wait(CALL_cluster_occupancy, &request, sizeof request, config->attrs, attribute_bytes,
                           &told, sizeof told);
        if (result != CUDA_SUCCESS)
            return result;
        kept_remember(&question, &told, sizeof told);
    }
    *answer = told;
    return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuOccupancyMaxActiveClusters(int *numClusters, CUfunction func,
                                                  const CUlaunchConfig *config)
{
    return ask_of_clusters(numClusters, func, config, false);
}

VGPU_EXPORT CUresult cuOccupancyMaxPotentialClusterSize(int *clusterSize, CUfunction func,
                                                        const CUlaunchConfig *config)
{
    return ask_of_clusters(clusterSize, func, config, true);
}

/* cuCtx*. */
#include <string.h>

#include "cuda_api.h"
#include "simgpu/capture.h"
#include "simgpu/context.h"
#include "simgpu/handle.h"
#include "simgpu/stream.h"

/* --- creating --- */

CUresult cuCtxCreate_v2(CUcontext *pctx, unsigned int flags, CUdevice dev)
{
    struct CUctx_st *context;
    CUresult result = driver_check();
    if (result)
        return result;
    if (!pctx || !context_flags_are_valid(flags))
        return CUDA_ERROR_INVALID_VALUE;
    struct sim_device *device = driver_device(dev);
    if (!device)
        return CUDA_ERROR_INVALID_DEVICE;
    result = context_create(device, flags, NULL, &context);
    if (result)
        return result;
    if (!context_stack_push(context)) {
        context_destroy(context);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *pctx = context;
    return CUDA_SUCCESS;
}

CUresult cuCtxCreate_v3(CUcontext *pctx, CUexecAffinityParam *paramsArray, int numParams, unsigned int flags,
                        CUdevice dev)
{
    if (numParams < 0 || (numParams > 0 && !paramsArray))
        return CUDA_ERROR_INVALID_VALUE;
    return numParams ? CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY : cuCtxCreate_v2(pctx, flags, dev);
}

CUresult cuCtxCreate_v4(CUcontext *pctx, CUctxCreateParams *ctxCreateParams, unsigned int flags, CUdevice dev)
{
    if (!ctxCreateParams)
        return cuCtxCreate_v2(pctx, flags, dev);
    if (ctxCreateParams->cigParams)
        return CUDA_ERROR_NOT_SUPPORTED;
    return cuCtxCreate_v3(pctx, ctxCreateParams->execAffinityParams, ctxCreateParams->numExecAffinityParams,
                          flags, dev);
}

CUresult cuCtxDestroy_v2(CUcontext ctx)
{
    struct CUctx_st *context;
    if (!ctx)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = context_of(ctx, &context);
    if (result)
        return result;
    if (context->is_primary)
        return CUDA_ERROR_INVALID_CONTEXT;
    if (context_stack_top() == context)
        context_stack_pop();
    context_destroy(context);
    return CUDA_SUCCESS;
}

/* --- which is current --- */

CUresult cuCtxPushCurrent_v2(CUcontext ctx)
{
    struct CUctx_st *context;
    CUresult result = driver_check();
    if (!result && !ctx)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        result = context_of(ctx, &context);
    if (!result && !context_stack_push(context))
        result = CUDA_ERROR_OUT_OF_MEMORY;
    return result;
}

CUresult cuCtxPopCurrent_v2(CUcontext *pctx)
{
    CUresult result = driver_check();
    if (result)
        return result;
    struct CUctx_st *context = context_stack_pop();
    if (!context)
        return CUDA_ERROR_INVALID_CONTEXT;
    if (pctx)
        *pctx = context;
    return CUDA_SUCCESS;
}

CUresult cuCtxSetCurrent(CUcontext ctx)
{
    struct CUctx_st *context = NULL;
    CUresult result = driver_check();
    if (!result && ctx)
        result = context_of(ctx, &context);
    if (result)
        return result;
    context_stack_pop();
    return !context || context_stack_push(context) ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuCtxGetCurrent(CUcontext *pctx)
{
    CUresult result = driver_check();
    if (result)
        return result;
    if (!pctx)
        return CUDA_ERROR_INVALID_VALUE;
    *pctx = context_stack_top();
    return CUDA_SUCCESS;
}

/* --- what it is --- */

CUresult cuCtxGetDevice_v2(CUdevice *device, CUcontext ctx)
{
    struct CUctx_st *context;
    CUresult result = context_of(ctx, &context);
    if (!result && !device)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *device = context->device->ordinal;
    return result;
}

CUresult cuCtxGetDevice(CUdevice *device)
{
    return cuCtxGetDevice_v2(device, NULL);
}

CUresult cuCtxGetApiVersion(CUcontext ctx, unsigned int *version)
{
    struct CUctx_st *context;
    CUresult result = context_of(ctx, &context);
    if (!result && !version)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *version = 3020;
    return result;
}

CUresult cuCtxGetId(CUcontext ctx, unsigned long long *ctxId)
{
    struct CUctx_st *context;
    CUresult result = context_of(ctx, &context);
    if (!result && !ctxId)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *ctxId = context->id;
    return result;
}

CUresult cuCtxGetFlags(unsigned int *flags)
{
    struct CUctx_st *context;
    CUresult result = context_of(NULL, &context);
    if (!result && !flags)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *flags = context->flags;
    return result;
}

CUresult cuCtxSetFlags(unsigned int flags)
{
    struct CUctx_st *context;
    CUresult result = context_of(NULL, &context);
    if (!result && !context_flags_are_valid(flags))
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        context->flags = flags;
    return result;
}

CUresult cuCtxSynchronize_v2(CUcontext ctx)
{
    struct CUctx_st *context;
    CUresult result = context_of(ctx, &context);
    if (!result)
        result = capture_ask_context(context);
    if (result)
        return result;
    stream_wait_all(context);
    return context_error(context);
}

CUresult cuCtxSynchronize(void)
{
    return cuCtxSynchronize_v2(NULL);
}

/* --- settings --- */

static bool limit_is_supported(CUlimit limit)
{
    return limit == CU_LIMIT_STACK_SIZE || limit == CU_LIMIT_PRINTF_FIFO_SIZE ||
           limit == CU_LIMIT_MALLOC_HEAP_SIZE || limit == CU_LIMIT_DEV_RUNTIME_PENDING_LAUNCH_COUNT ||
           limit == CU_LIMIT_MAX_L2_FETCH_GRANULARITY || limit == CU_LIMIT_PERSISTING_L2_CACHE_SIZE;
}

CUresult cuCtxGetLimit(size_t *pvalue, CUlimit limit)
{
    struct CUctx_st *context;
    CUresult result = context_current(&context);
    if (!result && (!pvalue || (unsigned int)limit >= CU_LIMIT_MAX))
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result && !limit_is_supported(limit))
        result = CUDA_ERROR_UNSUPPORTED_LIMIT;
    if (result)
        return result;
    pthread_mutex_lock(&context->lock);
    *pvalue = context->limits[limit];
    pthread_mutex_unlock(&context->lock);
    return CUDA_SUCCESS;
}

CUresult cuCtxSetLimit(CUlimit limit, size_t value)
{
    struct CUctx_st *context;
    CUresult result = context_current(&context);
    if (!result && (unsigned int)limit >= CU_LIMIT_MAX)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result && !limit_is_supported(limit))
        result = CUDA_ERROR_UNSUPPORTED_LIMIT;
    if (!result && limit == CU_LIMIT_STACK_SIZE && value > (size_t)512 * 1024)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    pthread_mutex_lock(&context->lock);
    if (limit == CU_LIMIT_STACK_SIZE)
        value = (value + 15) / 16 * 16;
    context->limits[limit] = value;
    pthread_mutex_unlock(&context->lock);
    return CUDA_SUCCESS;
}

CUresult cuCtxGetCacheConfig(CUfunc_cache *pconfig)
{
    struct CUctx_st *context;
    CUresult result = context_current(&context);
    if (!result && !pconfig)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    pthread_mutex_lock(&context->lock);
    *pconfig = context->cache_config;
    pthread_mutex_unlock(&context->lock);
    return CUDA_SUCCESS;
}

CUresult cuCtxSetCacheConfig(CUfunc_cache config)
{
    struct CUctx_st *context;
    CUresult result = context_current(&context);
    if (!result && (unsigned int)config > CU_FUNC_CACHE_PREFER_EQUAL)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    pthread_mutex_lock(&context->lock);
    context->cache_config = config;
    pthread_mutex_unlock(&context->lock);
    return CUDA_SUCCESS;
}

/* Every card since Volta has banks of four bytes and ignores the setting. */
CUresult cuCtxGetSharedMemConfig(CUsharedconfig *pConfig)
{
    struct CUctx_st *context;
    CUresult result = context_current(&context);
    if (!result && !pConfig)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *pConfig = CU_SHARED_MEM_CONFIG_FOUR_BYTE_BANK_SIZE;
    return result;
}

CUresult cuCtxSetSharedMemConfig(CUsharedconfig config)
{
    struct CUctx_st *context;
    CUresult result = context_current(&context);
    if (!result && (unsigned int)config > CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE)
        result = CUDA_ERROR_INVALID_VALUE;
    return result;
}

CUresult cuCtxGetStreamPriorityRange(int *leastPriority, int *greatestPriority)
{
    struct CUctx_st *context;
    CUresult result = context_current(&context);
    if (result)
        return result;
    if (leastPriority)
        *leastPriority = STREAM_PRIORITY_LEAST;
    if (greatestPriority)
        *greatestPriority = STREAM_PRIORITY_GREATEST;
    return CUDA_SUCCESS;
}

CUresult cuCtxResetPersistingL2Cache(void)
{
    struct CUctx_st *context;
    return context_current(&context);
}

/* --- peers --- */

CUresult cuCtxEnablePeerAccess(CUcontext peerContext, unsigned int Flags)
{
    struct CUctx_st *context, *peer;
    CUresult result = context_current(&context);
    if (result)
        return result;
    if (Flags)
        return CUDA_ERROR_INVALID_VALUE;
    if (!peerContext || context_of(peerContext, &peer) || peer == context)
        return CUDA_ERROR_INVALID_CONTEXT;
    if (peer->device == context->device)
        return CUDA_ERROR_PEER_ACCESS_UNSUPPORTED;
    unsigned int bit = 1u << peer->device->ordinal;
    return atomic_fetch_or(&context->peers, bit) & bit ? CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED
                                                       : CUDA_SUCCESS;
}

CUresult cuCtxDisablePeerAccess(CUcontext peerContext)
{
    struct CUctx_st *context, *peer;
    CUresult result = context_current(&context);
    if (result)
        return result;
    if (!peerContext || context_of(peerContext, &peer))
        return CUDA_ERROR_INVALID_CONTEXT;
    unsigned int bit = 1u << peer->device->ordinal;
    return atomic_fetch_and(&context->peers, ~bit) & bit ? CUDA_SUCCESS : CUDA_ERROR_PEER_ACCESS_NOT_ENABLED;
}

CUresult cuFlushGPUDirectRDMAWrites(CUflushGPUDirectRDMAWritesTarget target,
                                    CUflushGPUDirectRDMAWritesScope scope)
{
    struct CUctx_st *context;
    CUresult result = context_current(&context);
    bool known = target == CU_FLUSH_GPU_DIRECT_RDMA_WRITES_TARGET_CURRENT_CTX &&
                 (scope == CU_FLUSH_GPU_DIRECT_RDMA_WRITES_TO_OWNER ||
                  scope == CU_FLUSH_GPU_DIRECT_RDMA_WRITES_TO_ALL_DEVICES);
    return !result && !known ? CUDA_ERROR_INVALID_VALUE : result;
}

CUresult cuCtxGetExecAffinity(CUexecAffinityParam *pExecAffinity, CUexecAffinityType type)
{
    struct CUctx_st *context;
    CUresult result = context_current(&context);
    if (!result && !pExecAffinity)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result && type != CU_EXEC_AFFINITY_TYPE_SM_COUNT)
        result = CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY;
    if (result)
        return result;
    pExecAffinity->type = type;
    pExecAffinity->param.smCount.val = (unsigned int)context->device->gpu->model->sm_count;
    return CUDA_SUCCESS;
}

CUresult cuCtxAttach(CUcontext *pctx, unsigned int flags)
{
    struct CUctx_st *context;
    CUresult result = context_current(&context);
    if (!result && (!pctx || flags))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    atomic_fetch_add(&context->attached, 1);
    *pctx = context;
    return CUDA_SUCCESS;
}

CUresult cuCtxDetach(CUcontext ctx)
{
    CUresult result = driver_check();
    if (result)
        return result;
    if (!handle_is(ctx, HANDLE_CONTEXT))
        return CUDA_ERROR_INVALID_CONTEXT;
    unsigned int attached = atomic_load(&ctx->attached);
    while (attached && !atomic_compare_exchange_weak(&ctx->attached, &attached, attached - 1))
        continue;
    return attached ? CUDA_SUCCESS : cuCtxDestroy_v2(ctx);
}

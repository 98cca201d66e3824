/* Contexts and the calling thread's stack of them. The stack is here; the worker's thread of this lane is
 * told its top whenever that changes. */
#include "guest/context.h"

#include <stddef.h>
#include <stdlib.h>

#include "cuda_api.h"
#include "guest/call.h"
#include "guest/context_storage.h"
#include "guest/export.h"
#include "guest/handle_table.h"
#include "guest/init.h"
#include "guest/lane.h"
#include "guest/lock.h"
#include "guest/ranges.h"
#include "guest/thread.h"
#include "guest/unsupported.h"
#include "guest_forward.h"

static CUcontext top(const struct guest_thread *thread)
{
    return thread->context_count > 0 ? thread->contexts[thread->context_count - 1] : NULL;
}

static bool alive(CUcontext context)
{
    return handle_alive(HANDLE_CONTEXT, (uintptr_t)context);
}

CUresult context_required(void)
{
    CUresult result = library_state();
    if (result != CUDA_SUCCESS)
        return result;
    struct guest_thread *thread = thread_self();
    if (thread == NULL)
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (thread->in_callback)
        return CUDA_ERROR_NOT_PERMITTED;
    if (top(thread) == NULL)
        return CUDA_ERROR_INVALID_CONTEXT;
    return alive(top(thread)) ? CUDA_SUCCESS : CUDA_ERROR_CONTEXT_IS_DESTROYED;
}

/* Common beginning of the functions that work on the stack. */
static CUresult stack_of_thread(struct guest_thread **thread)
{
    CUresult result = library_state();
    if (result != CUDA_SUCCESS)
        return result;
    *thread = thread_self();
    return *thread != NULL ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

/* The stack has changed. A context that is gone leaves nothing current in the worker. */
static CUresult follow_top(const struct guest_thread *thread)
{
    CUcontext current = top(thread);
    return forward_cuCtxSetCurrent(alive(current) ? current : NULL);
}

static CUresult push(struct guest_thread *thread, CUcontext context)
{
    if (thread->context_count == CONTEXT_STACK_DEPTH)
        return CUDA_ERROR_OUT_OF_MEMORY;
    thread->contexts[thread->context_count++] = context;
    return CUDA_SUCCESS;
}

void context_has_flags(unsigned flags)
{
    if ((flags & CU_CTX_SCHED_MASK) == CU_CTX_SCHED_BLOCKING_SYNC)
        lane_prefer_sleep();
}

VGPU_EXPORT CUresult cuCtxCreate_v2(CUcontext *pctx, unsigned int flags, CUdevice dev)
{
    struct guest_thread *thread;
    CUresult result = stack_of_thread(&thread);
    if (result != CUDA_SUCCESS)
        return result;
    if (thread->context_count == CONTEXT_STACK_DEPTH)
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = forward_cuCtxCreate_v2(pctx, flags, dev);
    if (result != CUDA_SUCCESS)
        return result;
    context_has_flags(flags);
    return push(thread, *pctx);
}

VGPU_EXPORT CUresult cuCtxCreate_v3(CUcontext *pctx, CUexecAffinityParam *paramsArray, int numParams,
                                    unsigned int flags, CUdevice dev)
{
    if (paramsArray != NULL && numParams > 0)
        return CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY; /* as the real driver says where MPS does not run */
    return cuCtxCreate_v2(pctx, flags, dev);
}

VGPU_EXPORT CUresult cuCtxCreate_v4(CUcontext *pctx, CUctxCreateParams *ctxCreateParams, unsigned int flags,
                                    CUdevice dev)
{
    if (ctxCreateParams != NULL &&
        ((ctxCreateParams->execAffinityParams != NULL && ctxCreateParams->numExecAffinityParams > 0) ||
         ctxCreateParams->cigParams != NULL))
        return not_supported("cuCtxCreate_v4 with parameters");
    return cuCtxCreate_v2(pctx, flags, dev);
}

VGPU_EXPORT CUresult cuCtxDestroy_v2(CUcontext ctx)
{
    struct guest_thread *thread;
    CUresult result = stack_of_thread(&thread);
    if (result != CUDA_SUCCESS)
        return result;
    if (ctx == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    if (!alive(ctx))
        return CUDA_ERROR_INVALID_CONTEXT;
    context_storage_end(ctx);
    result = forward_cuCtxDestroy_v2(ctx);
    ranges_context_ended();
    if (result == CUDA_SUCCESS && top(thread) == ctx) {
        thread->context_count--;
        result = follow_top(thread);
    }
    return result;
}

VGPU_EXPORT CUresult cuCtxPushCurrent_v2(CUcontext ctx)
{
    struct guest_thread *thread;
    CUresult result = stack_of_thread(&thread);
    if (result != CUDA_SUCCESS)
        return result;
    if (ctx == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    if (!alive(ctx))
        return CUDA_ERROR_INVALID_CONTEXT;
    result = push(thread, ctx);
    return result == CUDA_SUCCESS ? follow_top(thread) : result;
}

VGPU_EXPORT CUresult cuCtxPopCurrent_v2(CUcontext *pctx)
{
    struct guest_thread *thread;
    CUresult result = stack_of_thread(&thread);
    if (result != CUDA_SUCCESS)
        return result;
    if (top(thread) == NULL)
        return CUDA_ERROR_INVALID_CONTEXT;
    if (pctx != NULL)
        *pctx = top(thread);
    thread->context_count--;
    return follow_top(thread);
}

VGPU_EXPORT CUresult cuCtxSetCurrent(CUcontext ctx)
{
    struct guest_thread *thread;
    CUresult result = stack_of_thread(&thread);
    if (result != CUDA_SUCCESS)
        return result;
    if (ctx == top(thread) && (ctx == NULL || alive(ctx)))
        return CUDA_SUCCESS;
    if (ctx != NULL && !alive(ctx))
        return CUDA_ERROR_INVALID_CONTEXT;
    if (thread->context_count > 0)
        thread->context_count--;
    if (ctx != NULL)
        push(thread, ctx); /* there is room: a place was empty or has just become so */
    return follow_top(thread);
}

VGPU_EXPORT CUresult cuCtxGetCurrent(CUcontext *pctx)
{
    struct guest_thread *thread;
    CUresult result = stack_of_thread(&thread);
    if (result != CUDA_SUCCESS)
        return result;
    if (pctx == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    *pctx = top(thread);
    return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuCtxGetDevice(CUdevice *device)
{
    CUresult result = context_required();
    if (result == CUDA_SUCCESS && device == NULL)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        *device = 0;
    return result;
}

VGPU_EXPORT CUresult cuCtxGetDevice_v2(CUdevice *device, CUcontext ctx)
{
    if (ctx == NULL)
        return cuCtxGetDevice(device);
    CUresult result = library_state();
    if (result == CUDA_SUCCESS && !alive(ctx))
        result = CUDA_ERROR_INVALID_CONTEXT;
    if (result == CUDA_SUCCESS && device == NULL)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        *device = 0;
    return result;
}

/* Asked for by libraries at each call, so remembered with the context. */
VGPU_EXPORT CUresult cuCtxGetId(CUcontext ctx, unsigned long long *ctxId)
{
    CUcontext context = ctx;
    CUresult result = library_state();
    if (result == CUDA_SUCCESS && context == NULL)
        result = cuCtxGetCurrent(&context);
    if (result != CUDA_SUCCESS)
        return result;
    const unsigned long long *known = handle_data((uintptr_t)context);
    if (known != NULL && ctxId != NULL && alive(context)) {
        *ctxId = *known;
        return CUDA_SUCCESS;
    }
    result = forward_cuCtxGetId(ctx, ctxId);
    unsigned long long *remembered =
        result == CUDA_SUCCESS && ctxId != NULL ? malloc(sizeof *remembered) : NULL;
    if (remembered != NULL) {
        *remembered = *ctxId;
        handle_attach((uintptr_t)context, remembered);
    }
    return result;
}

/* How often contexts were attached to, beyond their creation. */
#define ATTACHED_MAX 64u
static struct lock attached_lock;
static struct {
    CUcontext context; /* NULL: a free place */
    unsigned count;
} attached[ATTACHED_MAX];

/* Adds to a context's count, which does not go below 0. False when it was 0 already, or there is no room. */
static bool attached_add(CUcontext context, int change)
{
    unsigned place = 0, vacant = ATTACHED_MAX;
    lock_take(&attached_lock);
    for (place = 0; place < ATTACHED_MAX && attached[place].context != context; place++)
        if (attached[place].context == NULL && vacant == ATTACHED_MAX)
            vacant = place;
    if (place == ATTACHED_MAX && change > 0)
        place = vacant;
    bool done = place < ATTACHED_MAX;
    if (done) {
        attached[place].context = context;
        attached[place].count += (unsigned)change;
        if (attached[place].count == 0)
            attached[place].context = NULL;
    }
    lock_give(&attached_lock);
    return done;
}

VGPU_EXPORT CUresult cuCtxAttach(CUcontext *pctx, unsigned int flags)
{
    CUresult result = context_required();
    if (result != CUDA_SUCCESS)
        return result;
    if (pctx == NULL || flags != 0)
        return CUDA_ERROR_INVALID_VALUE;
    CUcontext current = top(thread_self());
    if (!attached_add(current, 1))
        return CUDA_ERROR_OUT_OF_MEMORY;
    *pctx = current;
    return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuCtxDetach(CUcontext ctx)
{
    CUresult result = library_state();
    if (result != CUDA_SUCCESS)
        return result;
    if (!alive(ctx))
        return CUDA_ERROR_INVALID_CONTEXT;
    return attached_add(ctx, -1) ? CUDA_SUCCESS : cuCtxDestroy_v2(ctx);
}

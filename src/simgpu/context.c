#include "simgpu/context.h"
#include "simgpu/channel_group.h"

#include "simgpu/array.h"

#include <stdlib.h>
#include <string.h>

#include "simgpu/arena.h"
#include "simgpu/event.h"
#include "simgpu/handle.h"
#include "simgpu/module.h"
#include "simgpu/stream.h"

#define STACK_DEPTH 128

static _Thread_local struct CUctx_st *stack[STACK_DEPTH];
static _Thread_local unsigned int depth;
static _Thread_local bool in_callback;
static _Atomic unsigned long long next_id = 1;

/* --- the calling thread's stack --- */

struct CUctx_st *context_stack_top(void)
{
    return depth ? stack[depth - 1] : NULL;
}

bool context_stack_push(struct CUctx_st *context)
{
    if (depth == STACK_DEPTH)
        return false;
    stack[depth++] = context;
    return true;
}

struct CUctx_st *context_stack_pop(void)
{
    return depth ? stack[--depth] : NULL;
}

void context_set_in_callback(bool is_in_callback)
{
    in_callback = is_in_callback;
}

/* --- finding one --- */

CUresult context_of(CUcontext handle, struct CUctx_st **context)
{
    CUresult result = driver_check();
    if (result)
        return result;
    if (in_callback)
        return CUDA_ERROR_NOT_PERMITTED;
    *context = handle ? handle : context_stack_top();
    if (!*context)
        return CUDA_ERROR_INVALID_CONTEXT;
    if (!handle_is(*context, HANDLE_CONTEXT))
        return handle ? CUDA_ERROR_INVALID_CONTEXT : CUDA_ERROR_CONTEXT_IS_DESTROYED;
    return CUDA_SUCCESS;
}

CUresult context_current(struct CUctx_st **context)
{
    CUresult result = context_of(NULL, context);
    return result ? result : context_error(*context);
}

CUresult context_error(struct CUctx_st *context)
{
    return atomic_load(&context->error);
}

void context_fail(struct CUctx_st *context, CUresult error)
{
    CUresult none = CUDA_SUCCESS;
    atomic_compare_exchange_strong(&context->error, &none, error);
    atomic_store(&context->is_stopping, true);
}

/* --- making and ending one --- */

bool context_flags_are_valid(unsigned int flags)
{
    unsigned int sched = flags & CU_CTX_SCHED_MASK;
    return (flags & ~(unsigned int)CU_CTX_FLAGS_MASK) == 0 &&
           (sched == CU_CTX_SCHED_AUTO || sched == CU_CTX_SCHED_SPIN || sched == CU_CTX_SCHED_YIELD ||
            sched == CU_CTX_SCHED_BLOCKING_SYNC);
}

static void set_default_limits(struct CUctx_st *context)
{
    context->limits[CU_LIMIT_STACK_SIZE] = 1024;
    context->limits[CU_LIMIT_PRINTF_FIFO_SIZE] = 1 << 20;
    context->limits[CU_LIMIT_MALLOC_HEAP_SIZE] = 8 << 20;
    context->limits[CU_LIMIT_DEV_RUNTIME_PENDING_LAUNCH_COUNT] = 2048;
    context->limits[CU_LIMIT_MAX_L2_FETCH_GRANULARITY] = 64;
}

CUresult context_create(struct sim_device *device, unsigned int flags, struct CUctx_st *at,
                        struct CUctx_st **context)
{
    CUresult result = driver_device_enter(device);
    if (result)
        return result;
    struct CUctx_st *created = at ? at : calloc(1, sizeof *created);
    if (created) {
        created->device = device;
        created->flags = flags;
        created->id = atomic_fetch_add(&next_id, 1);
        set_default_limits(created);
        pthread_mutex_init(&created->lock, NULL);
        created->legacy = stream_create(created, STREAM_LEGACY, CU_STREAM_DEFAULT, 0);
        if (created->legacy && handle_add(created, HANDLE_CONTEXT)) {
            created->channel_group = channel_group_make(device->slot);
            *context = created;
            return CUDA_SUCCESS;
        }
        stream_destroy_all(created);
        pthread_mutex_destroy(&created->lock);
        memset(created, 0, sizeof *created);
        if (!at)
            free(created);
    }
    driver_device_leave(device);
    return CUDA_ERROR_OUT_OF_MEMORY;
}

void context_end(struct CUctx_st *context)
{
    stream_wait_all(context);
    handle_remove(context);
    stream_destroy_all(context);
    event_destroy_all(context);
    module_unload_all(context);
    array_destroy_all(context);
    arena_remove_context(context);
    channel_group_free(context->channel_group);
    driver_device_leave(context->device);
    pthread_mutex_destroy(&context->lock);
    memset(context, 0, sizeof *context);
}

void context_destroy(struct CUctx_st *context)
{
    context_end(context);
    free(context);
}

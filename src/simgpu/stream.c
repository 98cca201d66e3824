#include "simgpu/stream.h"

#include <stdlib.h>
#include <string.h>

#include "cuda_api.h"
#include "simgpu/capture.h"
#include "simgpu/handle.h"

/* --- the thread's own default streams --- */

struct own_stream {
    unsigned long long context_id;
    unsigned long long stream_id;
    struct CUstream_st *stream;
};

/* One for each context in which the thread has used its own stream. */
struct own_streams {
    size_t count;
    struct own_stream items[];
};

static pthread_key_t own_key;
static pthread_once_t own_once = PTHREAD_ONCE_INIT;
static bool has_own_key;

/* A thread ends: its streams do, where their contexts have not ended before. */
static void end_own_streams(void *value)
{
    struct own_streams *own = value;
    for (size_t i = 0; i < own->count; i++)
        if (handle_is(own->items[i].stream, HANDLE_STREAM) &&
            own->items[i].stream->id == own->items[i].stream_id)
            stream_destroy(own->items[i].stream);
    free(own);
}

static void make_own_key(void)
{
    has_own_key = pthread_key_create(&own_key, end_own_streams) == 0;
}

static CUresult own_stream(struct CUctx_st *context, struct CUstream_st **stream)
{
    pthread_once(&own_once, make_own_key);
    if (!has_own_key)
        return CUDA_ERROR_OPERATING_SYSTEM;
    struct own_streams *own = pthread_getspecific(own_key);
    size_t count = own ? own->count : 0;
    for (size_t i = 0; i < count; i++)
        if (own->items[i].context_id == context->id) {
            *stream = own->items[i].stream;
            return CUDA_SUCCESS;
        }
    struct own_streams *grown = realloc(own, sizeof *own + (count + 1) * sizeof own->items[0]);
    if (!grown)
        return CUDA_ERROR_OUT_OF_MEMORY;
    grown->count = count;
    pthread_setspecific(own_key, grown);
    *stream = stream_create(context, STREAM_BLOCKING, CU_STREAM_DEFAULT, 0);
    if (!*stream)
        return CUDA_ERROR_OUT_OF_MEMORY;
    grown->items[grown->count++] = (struct own_stream){context->id, (*stream)->id, *stream};
    return CUDA_SUCCESS;
}

/* --- from handle to stream --- */

CUresult stream_resolve(CUstream handle, struct CUstream_st **stream)
{
    struct CUctx_st *context;
    CUresult result = context_current(&context);
    if (result)
        return result;
    if (!handle || handle == CU_STREAM_LEGACY) {
        *stream = context->legacy;
        return CUDA_SUCCESS;
    }
    if (handle == CU_STREAM_PER_THREAD)
        return own_stream(context, stream);
    if (!handle_is(handle, HANDLE_STREAM))
        return CUDA_ERROR_INVALID_HANDLE;
    *stream = handle;
    return context_error(handle->context);
}

/* --- life --- */

CUresult cuStreamCreateWithPriority(CUstream *phStream, unsigned int flags, int priority)
{
    struct CUctx_st *context;
    CUresult result = context_current(&context);
    if (result)
        return result;
    if (!phStream || (flags & ~(unsigned int)CU_STREAM_NON_BLOCKING))
        return CUDA_ERROR_INVALID_VALUE;
    if (priority < STREAM_PRIORITY_GREATEST)
        priority = STREAM_PRIORITY_GREATEST;
    if (priority > STREAM_PRIORITY_LEAST)
        priority = STREAM_PRIORITY_LEAST;
    enum stream_kind kind = flags & CU_STREAM_NON_BLOCKING ? STREAM_NON_BLOCKING : STREAM_BLOCKING;
    struct CUstream_st *stream = stream_create(context, kind, flags, priority);
    if (!stream)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *phStream = stream;
    return CUDA_SUCCESS;
}

CUresult cuStreamCreate(CUstream *phStream, unsigned int Flags)
{
    return cuStreamCreateWithPriority(phStream, Flags, 0);
}

CUresult cuStreamDestroy_v2(CUstream hStream)
{
    struct CUctx_st *context;
    CUresult result = context_current(&context);
    if (!result && !handle_is(hStream, HANDLE_STREAM))
        result = CUDA_ERROR_INVALID_HANDLE;
    if (result)
        return result;
    capture_forget_stream(hStream);
    stream_destroy(hStream);
    return CUDA_SUCCESS;
}

/* --- waiting --- */

CUresult cuStreamSynchronize(CUstream hStream)
{
    struct CUstream_st *stream;
    CUresult result = stream_resolve(hStream, &stream);
    if (result)
        return result;
    struct CUctx_st *context = stream->context;
    result = capture_ask_stream(stream);
    if (result)
        return result;
    stream_wait(stream);
    return context_error(context);
}

CUresult cuStreamQuery(CUstream hStream)
{
    struct CUstream_st *stream;
    CUresult result = stream_resolve(hStream, &stream);
    if (result)
        return result;
    result = capture_ask_stream(stream);
    if (result)
        return result;
    bool is_idle = stream_is_idle(stream);
    result = context_error(stream->context);
    return result || is_idle ? result : CUDA_ERROR_NOT_READY;
}

/* --- what it is --- */

CUresult cuStreamGetCtx(CUstream hStream, CUcontext *pctx)
{
    struct CUstream_st *stream;
    CUresult result = stream_resolve(hStream, &stream);
    if (!result && !pctx)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *pctx = stream->context;
    return result;
}

CUresult cuStreamGetDevice(CUstream hStream, CUdevice *device)
{
    struct CUstream_st *stream;
    CUresult result = stream_resolve(hStream, &stream);
    if (!result && !device)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *device = stream->context->device->ordinal;
    return result;
}

CUresult cuStreamGetFlags(CUstream hStream, unsigned int *flags)
{
    struct CUstream_st *stream;
    CUresult result = stream_resolve(hStream, &stream);
    if (!result && !flags)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *flags = stream->flags;
    return result;
}

CUresult cuStreamGetPriority(CUstream hStream, int *priority)
{
    struct CUstream_st *stream;
    CUresult result = stream_resolve(hStream, &stream);
    if (!result && !priority)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *priority = stream->priority;
    return result;
}

CUresult cuStreamGetId(CUstream hStream, unsigned long long *streamId)
{
    struct CUstream_st *stream;
    CUresult result = stream_resolve(hStream, &stream);
    if (!result && !streamId)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *streamId = stream->id;
    return result;
}

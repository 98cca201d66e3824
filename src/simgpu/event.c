#include "simgpu/event.h"

#include <stdlib.h>
#include <unistd.h>

#include "cuda_api.h"
#include "simgpu/capture.h"
#include "simgpu/device_text.h"
#include "simgpu/event_shared.h"
#include "simgpu/handle.h"
#include "simgpu/stream.h"

#define FLAGS_KNOWN (CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING | CU_EVENT_INTERPROCESS)

/* --- life --- */

static void free_event(struct CUevent_st *event)
{
    handle_remove(event);
    capture_forget_event(event);
    work_release(event->recorded);
    event_shared_close(event->shared, event->descriptor);
    pthread_mutex_destroy(&event->lock);
    free(event);
}

/* Takes over shared and its descriptor. */
static CUresult create_event(struct CUctx_st *context, unsigned int flags, struct event_shared *shared,
                             int descriptor, CUevent *phEvent)
{
    struct CUevent_st *event = calloc(1, sizeof *event);
    if (!event) {
        event_shared_close(shared, descriptor);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    event->context = context;
    event->flags = flags;
    event->shared = shared;
    event->descriptor = descriptor;
    pthread_mutex_init(&event->lock, NULL);
    if (!handle_add(event, HANDLE_EVENT)) {
        free_event(event);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    pthread_mutex_lock(&context->lock);
    event->next_in_context = context->events;
    if (context->events)
        context->events->previous_in_context = event;
    context->events = event;
    pthread_mutex_unlock(&context->lock);
    *phEvent = event;
    return CUDA_SUCCESS;
}

CUresult cuEventCreate(CUevent *phEvent, unsigned int Flags)
{
    struct CUctx_st *context;
    struct event_shared *shared = NULL;
    int descriptor = -1;
    CUresult result = context_current(&context);
    if (result)
        return result;
    if (!phEvent || (Flags & ~(unsigned int)FLAGS_KNOWN) ||
        ((Flags & CU_EVENT_INTERPROCESS) && !(Flags & CU_EVENT_DISABLE_TIMING)))
        return CUDA_ERROR_INVALID_VALUE;
    if ((Flags & CU_EVENT_INTERPROCESS) && !(shared = event_shared_create(context->device, &descriptor)))
        return CUDA_ERROR_OUT_OF_MEMORY;
    return create_event(context, Flags, shared, descriptor, phEvent);
}

CUresult event_descriptor(CUevent event, int *descriptor)
{
    if (!handle_is(event, HANDLE_EVENT) || !event->shared)
        return CUDA_ERROR_INVALID_HANDLE;
    *descriptor = event->descriptor;
    return CUDA_SUCCESS;
}

CUresult event_import(struct CUctx_st *context, int descriptor, CUevent *event)
{
    struct event_shared *shared = event_shared_open(descriptor);
    if (!shared) {
        close(descriptor);
        return CUDA_ERROR_INVALID_VALUE;
    }
    return create_event(context, CU_EVENT_INTERPROCESS | CU_EVENT_DISABLE_TIMING, shared, descriptor, event);
}

CUresult cuEventDestroy_v2(CUevent hEvent)
{
    struct CUctx_st *context;
    CUresult result = context_current(&context);
    if (!result && !handle_is(hEvent, HANDLE_EVENT))
        result = CUDA_ERROR_INVALID_HANDLE;
    if (result)
        return result;
    context = hEvent->context;
    pthread_mutex_lock(&context->lock);
    if (hEvent->previous_in_context)
        hEvent->previous_in_context->next_in_context = hEvent->next_in_context;
    else
        context->events = hEvent->next_in_context;
    if (hEvent->next_in_context)
        hEvent->next_in_context->previous_in_context = hEvent->previous_in_context;
    pthread_mutex_unlock(&context->lock);
    free_event(hEvent);
    return CUDA_SUCCESS;
}

void event_destroy_all(struct CUctx_st *context)
{
    while (context->events) {
        struct CUevent_st *event = context->events;
        context->events = event->next_in_context;
        free_event(event);
    }
}

/* --- recording and waiting --- */

struct work *event_recorded(struct CUevent_st *event)
{
    pthread_mutex_lock(&event->lock);
    struct work *work = event->recorded;
    if (work)
        work_reference(work);
    pthread_mutex_unlock(&event->lock);
    return work;
}

void event_set_recorded(struct CUevent_st *event, struct work *mark)
{
    work_reference(mark);
    pthread_mutex_lock(&event->lock);
    struct work *before = event->recorded;
    event->recorded = mark;
    pthread_mutex_unlock(&event->lock);
    work_release(before);
}

static CUresult check_event(CUevent event, struct CUctx_st **context)
{
    CUresult result = context_current(context);
    return !result && !handle_is(event, HANDLE_EVENT) ? CUDA_ERROR_INVALID_HANDLE : result;
}

CUresult cuEventRecordWithFlags(CUevent hEvent, CUstream hStream, unsigned int flags)
{
    struct CUctx_st *context;
    struct CUstream_st *stream;
    CUresult result = check_event(hEvent, &context);
    if (!result)
        result = stream_resolve(hStream, &stream);
    if (!result && hEvent->context != stream->context)
        result = CUDA_ERROR_INVALID_HANDLE;
    if (!result && flags & ~(unsigned int)CU_EVENT_RECORD_EXTERNAL)
        result = CUDA_ERROR_INVALID_VALUE;
    bool captured = false;
    if (!result)
        result = capture_record(stream, hEvent, flags & CU_EVENT_RECORD_EXTERNAL, &captured);
    if (!result && !captured && flags)
        result = CUDA_ERROR_INVALID_VALUE; /* external nodes only exist while capturing */
    if (result || captured)
        return result;
    struct work *mark =
        hEvent->shared ? event_shared_mark(hEvent->shared) : work_create(sizeof *mark, NULL, NULL);
    if (!mark)
        return CUDA_ERROR_OUT_OF_MEMORY;
    work_reference(mark);
    result = work_submit(stream, mark, WORK_QUEUED);
    if (!result)
        event_set_recorded(hEvent, mark);
    work_release(mark);
    return result;
}

CUresult cuEventRecord(CUevent hEvent, CUstream hStream)
{
    return cuEventRecordWithFlags(hEvent, hStream, CU_EVENT_RECORD_DEFAULT);
}

CUresult cuStreamWaitEvent(CUstream hStream, CUevent hEvent, unsigned int Flags)
{
    struct CUctx_st *context;
    struct CUstream_st *stream;
    CUresult result = check_event(hEvent, &context);
    if (!result)
        result = stream_resolve(hStream, &stream);
    if (!result && Flags & ~(unsigned int)CU_EVENT_WAIT_EXTERNAL)
        result = CUDA_ERROR_INVALID_VALUE;
    bool captured = false;
    if (!result)
        result = capture_wait(stream, hEvent, Flags & CU_EVENT_WAIT_EXTERNAL, &captured);
    if (result || captured)
        return result;
    if (hEvent->shared)
        return event_shared_wait_in(hEvent->shared, stream);
    struct work *awaited = event_recorded(hEvent);
    if (!awaited)
        return CUDA_SUCCESS;
    struct work *mark = work_create(sizeof *mark, NULL, NULL);
    if (mark && work_needs(mark, awaited)) {
        result = work_submit(stream, mark, WORK_QUEUED);
    } else {
        work_release(mark);
        result = CUDA_ERROR_OUT_OF_MEMORY;
    }
    work_release(awaited);
    return result;
}

/* --- of a whole context --- */

CUresult cuCtxRecordEvent(CUcontext hCtx, CUevent hEvent)
{
    struct CUctx_st *context, *current;
    CUresult result = context_of(hCtx, &context);
    if (!result)
        result = check_event(hEvent, &current);
    if (!result && hEvent->context != context)
        result = CUDA_ERROR_INVALID_HANDLE;
    if (!result)
        result = capture_ask_context(context);
    if (result)
        return result;
    struct work *mark = work_create(sizeof *mark, NULL, NULL);
    if (!mark)
        return CUDA_ERROR_OUT_OF_MEMORY;
    struct CUstream_st *stream = stream_create(context, STREAM_NON_BLOCKING, CU_STREAM_NON_BLOCKING, 0);
    if (!stream || !stream_need_all(context, mark)) {
        work_release(mark);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    work_reference(mark);
    result = work_submit(stream, mark, WORK_QUEUED);
    if (!result)
        event_set_recorded(hEvent, mark);
    work_release(mark);
    stream_destroy(stream);
    return result;
}

/* All that the context's streams are given from now on waits: each of them for itself. */
CUresult cuCtxWaitEvent(CUcontext hCtx, CUevent hEvent)
{
    struct CUctx_st *context, *current;
    CUresult result = context_of(hCtx, &context);
    if (!result)
        result = check_event(hEvent, &current);
    if (!result)
        result = capture_ask_context(context);
    if (result)
        return result;
    struct work *awaited = event_recorded(hEvent);
    if (awaited && !stream_all_need(context, awaited))
        result = CUDA_ERROR_OUT_OF_MEMORY;
    work_release(awaited);
    return result;
}

CUresult cuEventQuery(CUevent hEvent)
{
    struct CUctx_st *context;
    CUresult result = check_event(hEvent, &context);
    if (!result)
        result = capture_ask_event(hEvent);
    if (!result)
        result = capture_unsafe();
    if (result)
        return result;
    struct work *work = event_recorded(hEvent);
    bool is_done = hEvent->shared ? event_shared_is_done(hEvent->shared) : !work || work_is_done(work);
    work_release(work);
    result = context_error(context);
    return result || is_done ? result : CUDA_ERROR_NOT_READY;
}

CUresult cuEventSynchronize(CUevent hEvent)
{
    struct CUctx_st *context;
    CUresult result = check_event(hEvent, &context);
    if (!result)
        result = capture_ask_event(hEvent);
    if (!result)
        result = capture_unsafe();
    if (result)
        return result;
    struct work *work = event_recorded(hEvent);
    if (work)
        work_wait(work);
    device_text_write();
    work_release(work);
    if (hEvent->shared)
        event_shared_wait(hEvent->shared);
    return context_error(context);
}

/* --- time --- */

CUresult cuEventElapsedTime_v2(float *pMilliseconds, CUevent hStart, CUevent hEnd)
{
    struct CUctx_st *context;
    CUresult result = check_event(hStart, &context);
    if (!result)
        result = check_event(hEnd, &context);
    if (!result && (!pMilliseconds || ((hStart->flags | hEnd->flags) & CU_EVENT_DISABLE_TIMING)))
        result = CUDA_ERROR_INVALID_HANDLE;
    if (!result)
        result = capture_ask_event(hStart);
    if (!result)
        result = capture_ask_event(hEnd);
    if (result)
        return result;
    struct work *start = event_recorded(hStart), *end = event_recorded(hEnd);
    if (!start || !end)
        result = CUDA_ERROR_INVALID_HANDLE;
    else if (!work_is_done(start) || !work_is_done(end))
        result = CUDA_ERROR_NOT_READY;
    else
        *pMilliseconds = (float)((double)(int64_t)(end->done_ns - start->done_ns) / 1e6);
    work_release(start);
    work_release(end);
    return result;
}

CUresult cuEventElapsedTime(float *pMilliseconds, CUevent hStart, CUevent hEnd)
{
    return cuEventElapsedTime_v2(pMilliseconds, hStart, hEnd);
}

#include "worker/drain.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "driver_api.h"
#include "wire/frame.h"
#include "worker/callback.h"
#include "worker/capture.h"
#include "worker/gate.h"
#include "worker/handle_map.h"

#define POLL_US 20

/* --- lists of the guest's objects --- */

struct object_list {
    void **items;
    size_t count, room;
};

static void collect(void *object, void *user)
{
    struct object_list *list = user;
    if (list->count == list->room) {
        size_t room = list->room ? list->room * 2 : 16;
        void **items = realloc(list->items, room * sizeof *items);
        if (items == NULL)
            _exit(1); /* work that is not waited for would run in another's turn */
        list->items = items;
        list->room = room;
    }
    list->items[list->count++] = object;
}

/* The draining thread's alone; filled under gate_contexts_lock(). */
static struct object_list contexts, streams;

/* --- marks: events behind work that cannot be asked about otherwise --- */

#define MARKS_MAX 1024u

/* Each has a name of the worker's own in the map, behind those of lanes' staging areas: with its context go
 * the name and the event. */
static struct mark {
    CUcontext context;
    CUevent event;
    bool is_used;
    bool is_own; /* of a lane's own stream, recorded again and again */
} marks[MARKS_MAX];
static pthread_mutex_t marks_lock = PTHREAD_MUTEX_INITIALIZER;

static __thread struct mark *own_mark;

static uint64_t mark_name(const struct mark *mark)
{
    return handle_value(HANDLE_STAGING, FRAME_MAX_LANES + (uint32_t)(mark - marks), 0);
}

/* Under marks_lock, where the mark's context cannot end meanwhile. */
static bool mark_is_alive(struct mark *mark)
{
    void *found;
    mark->is_used = mark->is_used && handle_look(HANDLE_STAGING, mark_name(mark), &found);
    return mark->is_used;
}

static void mark_end(struct mark *mark)
{
    void *found;
    driver.cuEventDestroy_v2(mark->event);
    if (handle_withdraw(HANDLE_STAGING, mark_name(mark), &found))
        handle_withdrawn_end(mark_name(mark), HANDLE_GONE);
    mark->is_used = false;
}

/* Under marks_lock: one that is free, or can be now. NULL: the guest has begun captures without end. */
static struct mark *free_mark(CUcontext context)
{
    struct mark *free = NULL;
    for (struct mark *mark = marks; mark < marks + MARKS_MAX; mark++) {
        if (mark_is_alive(mark) && mark->context == context && !mark->is_own &&
            driver.cuEventQuery(mark->event) != CUDA_ERROR_NOT_READY)
            mark_end(mark);
        if (!mark->is_used && free == NULL)
            free = mark;
    }
    return free;
}

/* Under marks_lock. */
static CUresult make_mark(CUcontext context, struct mark **made)
{
    struct mark *mark = free_mark(context);
    if (mark == NULL)
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult result = driver.cuEventCreate(&mark->event, CU_EVENT_DISABLE_TIMING);
    if (result != CUDA_SUCCESS)
        return result;
    struct handle_owners owners = {.context = handle_known(HANDLE_CONTEXT, context)};
    if (handle_name(HANDLE_STAGING, mark_name(mark), mark, owners) == 0) {
        driver.cuEventDestroy_v2(mark->event);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    mark->context = context;
    mark->is_used = true;
    mark->is_own = false;
    *made = mark;
    return CUDA_SUCCESS;
}

/* Where nothing can be recorded, the call that is to follow has its own answer to that. */
static CUresult put_mark(CUcontext context, CUstream stream, bool whole_context)
{
    struct mark *mark;
    CUresult result = make_mark(context, &mark);
    if (result != CUDA_SUCCESS)
        return result;
    if (whole_context && driver.cuCtxRecordEvent != NULL)
        result = driver.cuCtxRecordEvent(context, mark->event);
    else
        result = CUDA_ERROR_NOT_SUPPORTED;
    if (result != CUDA_SUCCESS) /* before CUDA 12.5: other streams are asked themselves */
        result = driver.cuEventRecord(mark->event, stream);
    if (result != CUDA_SUCCESS)
        mark_end(mark);
    return CUDA_SUCCESS;
}

CUresult drain_mark(CUstream stream)
{
    CUcontext context = NULL;
    CUresult result = driver.cuCtxGetCurrent(&context);
    if (result != CUDA_SUCCESS || context == NULL)
        return CUDA_SUCCESS; /* the call itself will say so */
    bool first = !capture_is_under_way();
    CUstreamCaptureMode mode = capture_step_aside();
    pthread_mutex_lock(&marks_lock);
    /* The legacy stream cannot join a capture, and cannot be used while a blocking stream captures. */
    if (first || (stream != NULL && stream != CU_STREAM_LEGACY && !capture_has(stream)))
        result = put_mark(context, stream, first);
    pthread_mutex_unlock(&marks_lock);
    capture_step_back(mode);
    return result;
}

void drain_own_stream_used(void)
{
    CUcontext context = NULL;
    if ((!capture_is_under_way() && !callback_may_run()) ||
        driver.cuCtxGetCurrent(&context) != CUDA_SUCCESS || context == NULL)
        return;
    CUstreamCaptureMode mode = capture_step_aside();
    pthread_mutex_lock(&marks_lock);
    if (!capture_has(CU_STREAM_PER_THREAD)) {
        if (own_mark == NULL || !mark_is_alive(own_mark) || own_mark->context != context) {
            if (own_mark != NULL)
                own_mark->is_own = false; /* it goes once it is done */
            own_mark = NULL;
            if (make_mark(context, &own_mark) == CUDA_SUCCESS)
                own_mark->is_own = true;
        }
        if (own_mark != NULL)
            driver.cuEventRecord(own_mark->event, CU_STREAM_PER_THREAD);
    }
    pthread_mutex_unlock(&marks_lock);
    capture_step_back(mode);
}

void drain_lane_ends(void)
{
    pthread_mutex_lock(&marks_lock);
    if (own_mark != NULL)
        own_mark->is_own = false;
    own_mark = NULL;
    pthread_mutex_unlock(&marks_lock);
}

/* With the context current, which cannot end meanwhile. A lane's own stream is a blocking one: it stands
 * still when the legacy stream does. */
static bool marks_are_done(CUcontext context, bool legacy_held_up)
{
    bool all = true;
    pthread_mutex_lock(&marks_lock);
    for (struct mark *mark = marks; mark < marks + MARKS_MAX && all; mark++)
        if (mark->context == context && mark_is_alive(mark) && !(mark->is_own && legacy_held_up))
            all = driver.cuEventQuery(mark->event) != CUDA_ERROR_NOT_READY;
    pthread_mutex_unlock(&marks_lock);
    return all;
}

/* --- asking streams one by one --- */

enum stream_state { STREAM_DONE, STREAM_HELD_UP, STREAM_BUSY };

static enum stream_state state_of(CUstream stream)
{
    CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
    CUresult result = driver.cuStreamIsCapturing(stream, &status);
    if (result != CUDA_SUCCESS || status != CU_STREAM_CAPTURE_STATUS_NONE)
        return STREAM_DONE; /* its marks count */
    if (driver.cuStreamQuery(stream) != CUDA_ERROR_NOT_READY)
        return STREAM_DONE;
    return callback_holds(stream) ? STREAM_HELD_UP : STREAM_BUSY;
}

/* A stream of the guest's, which another lane may be about to destroy. */
static enum stream_state state_of_named(void *stream)
{
    void *found;
    uint64_t name = handle_known(HANDLE_STREAM, stream);
    enum stream_state state =
        name != 0 && handle_find(HANDLE_STREAM, name, &found) ? state_of(found) : STREAM_DONE;
    return state;
}

static bool is_blocking(CUstream stream)
{
    unsigned flags = 0;
    return driver.cuStreamGetFlags(stream, &flags) == CUDA_SUCCESS && (flags & CU_STREAM_NON_BLOCKING) == 0;
}

/* The context is current. Blocking streams and the legacy one wait for each other: where one of the two kinds
 * stands at a function of the program's, the other has nothing running. */
static bool context_is_quiet(CUcontext context)
{
    enum stream_state legacy = state_of(CU_STREAM_LEGACY);
    bool blocking_held_up = false, busy = false;
    for (size_t i = 0; i < streams.count; i++) {
        enum stream_state state = state_of_named(streams.items[i]);
        bool blocking = state != STREAM_DONE && is_blocking(streams.items[i]);
        handle_found_end();
        if (state == STREAM_BUSY && !(blocking && legacy == STREAM_HELD_UP))
            busy = true;
        blocking_held_up = blocking_held_up || (state == STREAM_HELD_UP && blocking);
    }
    if (legacy == STREAM_BUSY && !blocking_held_up)
        busy = true;
    return !busy && marks_are_done(context, legacy == STREAM_HELD_UP);
}

static bool all_quiet(void)
{
    for (size_t i = 0; i < contexts.count; i++) {
        if (driver.cuCtxSetCurrent(contexts.items[i]) == CUDA_SUCCESS && !context_is_quiet(contexts.items[i]))
            return false;
    }
    return true;
}

/* One look at everything, as it is now. */
static bool looks_quiet(void)
{
    gate_contexts_lock();
    contexts.count = streams.count = 0;
    handle_each(HANDLE_CONTEXT, collect, &contexts);
    handle_each(HANDLE_STREAM, collect, &streams);
    bool quiet = all_quiet();
    driver.cuCtxSetCurrent(NULL);
    gate_contexts_unlock();
    return quiet;
}

/* False when something makes waiting for whole contexts wrong. */
static bool wait_for_contexts(void)
{
    gate_contexts_lock();
    bool simple = !capture_is_under_way() && !callback_may_run();
    contexts.count = 0;
    if (simple)
        handle_each(HANDLE_CONTEXT, collect, &contexts);
    for (size_t i = 0; i < contexts.count; i++) {
        if (driver.cuCtxSetCurrent(contexts.items[i]) == CUDA_SUCCESS)
            driver.cuCtxSynchronize();
    }
    driver.cuCtxSetCurrent(NULL);
    gate_contexts_unlock();
    return simple;
}

void drain_thread_begin(void)
{
    CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
    if (driver.cuThreadExchangeStreamCaptureMode != NULL)
        driver.cuThreadExchangeStreamCaptureMode(&mode);
}

void drain(void)
{
    static bool looks_up; /* this thread has asked for streams by their names */
    if (wait_for_contexts())
        return;
    if (!looks_up)
        handle_thread_begin();
    looks_up = true;
    while (!looks_quiet())
        usleep(POLL_US);
}

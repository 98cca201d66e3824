#include "guest/callback.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

#include "cuda_api.h"
#include "guest/call.h"
#include "guest/context.h"
#include "guest/export.h"
#include "guest/graph.h"
#include "guest/handle_table.h"
#include "guest/init.h"
#include "guest/lane.h"
#include "guest/lock.h"
#include "wire/own_calls.h"

/* Of libpthread's, or of libc's since 2.34, which keeps the old name. */
__asm__(".symver pthread_create, pthread_create@GLIBC_2.2.5");
#pragma weak pthread_create

/* Calls with CUDA's thread closed: whatever the function asks of CUDA is CUDA_ERROR_NOT_PERMITTED. */
static void call_function(struct guest_thread *thread, const struct reply_callback_next *next)
{
    thread->lane_open = false;
    thread->in_callback = true;
    if (next->kind == CALLBACK_STREAM)
        ((CUstreamCallback)(uintptr_t)next->function)((CUstream)(uintptr_t)next->stream, next->status,
                                                      (void *)(uintptr_t)next->data);
    else
        ((CUhostFn)(uintptr_t)next->function)((void *)(uintptr_t)next->data);
    thread->in_callback = false;
    thread->lane_open = true;
}

/* Outside the order of all other calls: those may wait for the very function that has just returned. */
static CUresult ask_next(uint64_t done, struct reply_callback_next *next)
{
    struct request_callback_next request = {.done = done};
    struct message message;
    CUresult result = message_begin(&message, CALL_callback_next, sizeof request);
    if (result != CUDA_SUCCESS)
        return result;
    memcpy(message.body, &request, sizeof request);
    return message_ask_at_once(&message) == CUDA_SUCCESS ? message_answer(&message, next, sizeof *next)
                                                         : CUDA_ERROR_DEVICE_UNAVAILABLE;
}

static void *call_functions(void *unused)
{
    struct guest_thread *thread = thread_self();
    struct reply_callback_next next = {0};
    while (thread != NULL && ask_next(next.number, &next) == CUDA_SUCCESS) {
        if (next.function != 0)
            call_function(thread, &next);
    }
    return unused;
}

/* Signals are for the program's own threads. */
static bool start_thread(void)
{
    sigset_t all, before;
    pthread_t thread;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&thread, NULL, call_functions, NULL) == 0;
    sigprocmask(SIG_SETMASK, &before, NULL);
    return started;
}

CUresult callback_ready(void)
{
    static struct lock lock;
    static _Atomic bool started;
    if (atomic_load_explicit(&started, memory_order_acquire))
        return CUDA_SUCCESS;
    CUresult result = library_state();
    if (result != CUDA_SUCCESS)
        return result;
    if (pthread_create == NULL)
        return CUDA_ERROR_NOT_SUPPORTED;
    lock_take(&lock);
    if (!started)
        started = start_thread();
    lock_give(&lock);
    return started ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

/* --- functions in streams --- */

static CUresult launch(CUstream stream, uint64_t function, void *data, bool is_callback)
{
    if (function == 0)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = callback_ready();
    if (result != CUDA_SUCCESS)
        return result;
    struct request_host_function request = {.stream = (uintptr_t)stream,
                                            .function = function,
                                            .data = (uintptr_t)data,
                                            .is_callback = is_callback};
    bool known = (uintptr_t)stream <= (uintptr_t)CU_STREAM_PER_THREAD ||
                 handle_alive(HANDLE_STREAM, (uintptr_t)stream);
    if (known && context_required() == CUDA_SUCCESS)
        return call_send(CALL_host_function, &request, sizeof request, NULL, 0);
    return call_wait(CALL_host_function, &request, sizeof request, NULL, 0, NULL, 0);
}

VGPU_EXPORT CUresult cuLaunchHostFunc(CUstream hStream, CUhostFn fn, void *userData)
{
    return launch(hStream, (uintptr_t)fn, userData, false);
}

VGPU_EXPORT CUresult cuStreamAddCallback(CUstream hStream, CUstreamCallback callback, void *userData,
                                         unsigned int flags)
{
    return flags != 0 ? CUDA_ERROR_INVALID_VALUE : launch(hStream, (uintptr_t)callback, userData, true);
}

/* --- user objects --- */

VGPU_EXPORT CUresult cuUserObjectCreate(CUuserObject *object_out, void *ptr, CUhostFn destroy,
                                        unsigned int initialRefcount, unsigned int flags)
{
    if (object_out == NULL || destroy == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = callback_ready();
    if (result != CUDA_SUCCESS)
        return result;
    struct request_user_object_create request = {.object = handle_reserve(HANDLE_USER_OBJECT),
                                                 .destroy = (uintptr_t)destroy,
                                                 .data = (uintptr_t)ptr,
                                                 .references = initialRefcount,
                                                 .flags = flags};
    struct reply_user_object_create reply = {0};
    if (request.object == 0)
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = call_wait(CALL_user_object_create, &request, sizeof request, NULL, 0, &reply, sizeof reply);
    handle_settle(request.object, result == CUDA_SUCCESS ? reply.object : 0);
    if (result == CUDA_SUCCESS)
        *object_out = (CUuserObject)(uintptr_t)reply.object;
    return result;
}

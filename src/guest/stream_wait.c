#include "guest/stream_wait.h"

#include "cuda_api.h"
#include "guest/call.h"
#include "guest/connection.h"
#include "guest/export.h"
#include "guest_forward.h"

#include <stdint.h>

void stream_was_waited_for(CUstream stream)
{
    struct guest_thread *thread = thread_self();
    if (thread == NULL)
        return;
    thread->waited_stream = (uintptr_t)stream;
    thread->waited_at = thread->asked_at;
    thread->waited = true;
}

/* What another thread sent while this one waited counts as sent since: it may be in the stream. */
static bool nothing_since(CUstream stream)
{
    struct guest_thread *thread = thread_self();
    if (thread == NULL || !thread->waited || thread->waited_stream != (uintptr_t)stream ||
        connection_state() != CUDA_SUCCESS || call_errors_stay())
        return false;
    struct calls_sent now = calls_sent_now();
    return now.forgotten == thread->waited_at.forgotten && now.asked == thread->waited_at.asked;
}

VGPU_EXPORT CUresult cuStreamSynchronize(CUstream hStream)
{
    if (nothing_since(hStream))
        return CUDA_SUCCESS;
    CUresult result = forward_cuStreamSynchronize(hStream);
    if (result == CUDA_SUCCESS)
        stream_was_waited_for(hStream);
    return result;
}

/* Events. A call that has nothing to refuse, by what the guest knows of its arguments, is sent and forgotten.
 */
#include "cuda_api.h"
#include "guest/context.h"
#include "guest/export.h"
#include "guest/handle_table.h"
#include "guest_forward.h"

#include <stdint.h>

#define EVENT_FLAGS_PLAIN (CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING)

static bool stream_known(CUstream stream)
{
    return (uintptr_t)stream <= (uintptr_t)CU_STREAM_PER_THREAD ||
           handle_alive(HANDLE_STREAM, (uintptr_t)stream);
}

static bool event_known(CUevent event)
{
    return handle_alive(HANDLE_EVENT, (uintptr_t)event);
}

VGPU_EXPORT CUresult cuEventCreate(CUevent *phEvent, unsigned int Flags)
{
    bool plain = (Flags & ~(unsigned)EVENT_FLAGS_PLAIN) == 0 && context_required() == CUDA_SUCCESS;
    return forward_cuEventCreate(!plain, phEvent, Flags);
}

VGPU_EXPORT CUresult cuEventDestroy_v2(CUevent hEvent)
{
    return forward_cuEventDestroy_v2(!event_known(hEvent), hEvent);
}

VGPU_EXPORT CUresult cuEventRecord(CUevent hEvent, CUstream hStream)
{
    return forward_cuEventRecord(!event_known(hEvent) || !stream_known(hStream), hEvent, hStream);
}

VGPU_EXPORT CUresult cuEventRecordWithFlags(CUevent hEvent, CUstream hStream, unsigned int flags)
{
    bool plain = flags == CU_EVENT_RECORD_DEFAULT && event_known(hEvent) && stream_known(hStream);
    return forward_cuEventRecordWithFlags(!plain, hEvent, hStream, flags);
}

VGPU_EXPORT CUresult cuStreamWaitEvent(CUstream hStream, CUevent hEvent, unsigned int Flags)
{
    bool plain = Flags == CU_EVENT_WAIT_DEFAULT && event_known(hEvent) && stream_known(hStream);
    return forward_cuStreamWaitEvent(!plain, hStream, hEvent, Flags);
}

/* Recording events. With both handles known there is nothing to refuse. */
#include "cuda_api.h"
#include "guest/export.h"
#include "guest/handle_table.h"
#include "guest_forward.h"

#include <stdint.h>

VGPU_EXPORT CUresult cuEventRecord(CUevent hEvent, CUstream hStream)
{
    uint64_t stream = (uintptr_t)hStream;
    bool known = handle_alive(HANDLE_EVENT, (uintptr_t)hEvent) &&
                 (stream <= (uintptr_t)CU_STREAM_PER_THREAD || handle_alive(HANDLE_STREAM, stream));
    return forward_cuEventRecord(!known, hEvent, hStream);
}

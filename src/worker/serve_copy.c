#include "worker/serve.h"

#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "driver_api.h"
#include "wire/own_calls.h"
#include "worker/capture.h"
#include "worker/device_memory.h"
#include "worker/handle_map.h"
#include "worker/lane.h"
#include "worker/segment.h"
#include "worker/staging.h"

/* Data in the record: the lane's private copy, so that the driver reads what was checked. */
CUresult serve_copy_to_device(struct call *call)
{
    const struct request_copy_to_device *request = call->request;
    void *stream;
    if (!handle_find(HANDLE_STREAM, request->stream, &stream))
        return CUDA_ERROR_INVALID_HANDLE;
    if (capture_refuses(stream))
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    if (request->bytes > call->tail_bytes)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult good = device_memory_check(request->device);
    if (good != CUDA_SUCCESS)
        return good;
    gate_count_bytes(&call->lane->pass, request->bytes);
    /* From pageable memory this returns when the data has been taken, so that the record can be overwritten.
     */
    return driver.cuMemcpyHtoDAsync_v2(request->device, call->tail, request->bytes, stream);
}

CUresult serve_copy_from_device(struct call *call)
{
    const struct request_copy_from_device *request = call->request;
    void *stream;
    if (!handle_find(HANDLE_STREAM, request->stream, &stream))
        return CUDA_ERROR_INVALID_HANDLE;
    if (capture_refuses(stream))
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    if (request->bytes > call->reply_room)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = device_memory_check(request->device);
    if (result != CUDA_SUCCESS)
        return result;
    gate_count_bytes(&call->lane->pass, request->bytes);
    if (stream == NULL) {
        result = driver.cuMemcpyDtoH_v2(call->reply, request->device, request->bytes);
    } else {
        result = driver.cuMemcpyDtoHAsync_v2(call->reply, request->device, request->bytes, stream);
        if (result == CUDA_SUCCESS)
            result = driver.cuStreamSynchronize(stream);
    }
    if (result == CUDA_SUCCESS)
        call->reply_bytes = (uint32_t)request->bytes;
    return result;
}

CUresult serve_copy_staged_to_device(struct call *call)
{
    const struct request_copy_staged_to_device *request = call->request;
    struct lane *lane = call->lane;
    void *stream;
    if (lane->staging == NULL || request->slot != lane->staging_queued || request->bytes > STAGING_SLOT_BYTES)
        return CUDA_ERROR_INVALID_VALUE;
    if (!handle_find(HANDLE_STREAM, request->stream, &stream))
        return staging_queued(lane, CUDA_ERROR_INVALID_HANDLE, NULL);
    if (capture_refuses(stream))
        return staging_queued(lane, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, NULL);
    gate_count_bytes(&lane->pass, request->bytes);
    CUresult result = staging_follow_context(lane);
    if (result == CUDA_SUCCESS)
        result = device_memory_check(request->device);
    if (result == CUDA_SUCCESS)
        result = driver.cuMemcpyHtoDAsync_v2(request->device, staging_slot(lane, request->slot),
                                             request->bytes, stream);
    return staging_queued(lane, result, stream);
}

/* A guest that takes its data comes back in microseconds; one that does not shall not keep a core busy. */
#define SLOT_SPINS   100000u
#define SLOT_POLL_US 100u

/* Waits until the guest has emptied the slot's last contents. The GPU is not kept from others for it: the
 * grant waits for who is inside the gate, and a guest that takes its time, or is stopped, would be ended. */
static void wait_for_slot(struct lane *lane, uint32_t slot)
{
    bool outside = false;
    for (unsigned rounds = 0;
         (int32_t)(atomic_load_explicit(&lane->shared->staging_taken, memory_order_acquire) + STAGING_SLOTS -
                   (slot + 1)) < 0 &&
         !atomic_load(&lane->closing);
         rounds++) {
        lane_pause();
        if (rounds % 256 == 255)
            sched_yield();
        if (rounds <= SLOT_SPINS)
            continue;
        if (!outside)
            gate_exit(&lane->pass);
        outside = true;
        usleep(SLOT_POLL_US);
    }
    if (outside)
        gate_enter(&lane->pass);
}

/* Keeps the slots full ahead of the guest: a copy is started for every free slot, and a slot is announced
 * when its copy has finished. The slots' events are this call's while it runs: copies to the device are
 * finished first. */
CUresult serve_copy_staged_from_device(struct call *call)
{
    const struct request_copy_staged_from_device *request = call->request;
    struct lane *lane = call->lane;
    void *stream;
    if (lane->staging == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    if (!handle_find(HANDLE_STREAM, request->stream, &stream))
        return CUDA_ERROR_INVALID_HANDLE;
    if (capture_refuses(stream))
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    CUresult result = staging_follow_context(lane);
    if (result == CUDA_SUCCESS)
        result = device_memory_check(request->device);
    staging_poll(lane, true);
    uint64_t started = 0, parts = (request->bytes + STAGING_SLOT_BYTES - 1) / STAGING_SLOT_BYTES;
    for (uint64_t finished = 0; finished < parts && result == CUDA_SUCCESS; finished++) {
        while (started < parts && started < finished + STAGING_SLOTS && result == CUDA_SUCCESS) {
            uint32_t slot = request->slot + (uint32_t)started;
            uint64_t at = started * STAGING_SLOT_BYTES;
            uint64_t part =
                request->bytes - at < STAGING_SLOT_BYTES ? request->bytes - at : STAGING_SLOT_BYTES;
            if (started > finished &&
                (int32_t)(atomic_load(&lane->shared->staging_taken) + STAGING_SLOTS - (slot + 1)) < 0)
                break; /* look again when the next one has finished */
            wait_for_slot(lane, slot);
            result =
                driver.cuMemcpyDtoHAsync_v2(staging_slot(lane, slot), request->device + at, part, stream);
            if (result == CUDA_SUCCESS)
                result = driver.cuEventRecord(staging_event(lane, slot), stream);
            gate_count_bytes(&lane->pass,
                             part); /* as it goes: what the guest asks for may be beyond all bounds */
            started++;
        }
        uint32_t slot = request->slot + (uint32_t)finished;
        if (result == CUDA_SUCCESS)
            result = driver.cuEventSynchronize(staging_event(lane, slot));
        if (result == CUDA_SUCCESS)
            atomic_store_explicit(&lane->shared->staging_filled, slot + 1, memory_order_release);
    }
    return result;
}

/* A part of a copy: the host's bytes all in one segment. */
static CUresult copy_shared_part(const struct request_copy_shared *request, uint64_t at, uint64_t bytes,
                                 CUstream stream)
{
    bool waits = request->synchronous && stream == NULL;
    void *host = (void *)(uintptr_t)((request->to_device ? request->source : request->destination) + at);
    CUdeviceptr device = (request->to_device ? request->destination : request->source) + at;
    if (request->to_device)
        return waits ? driver.cuMemcpyHtoD_v2(device, host, bytes)
                     : driver.cuMemcpyHtoDAsync_v2(device, host, bytes, stream);
    return waits ? driver.cuMemcpyDtoH_v2(host, device, bytes)
                 : driver.cuMemcpyDtoHAsync_v2(host, device, bytes, stream);
}

CUresult serve_copy_shared(struct call *call)
{
    const struct request_copy_shared *request = call->request;
    void *stream;
    if (!handle_find(HANDLE_STREAM, request->stream, &stream))
        return CUDA_ERROR_INVALID_HANDLE;
    uint64_t host = request->to_device ? request->source : request->destination;
    if (!segment_holds(host, request->bytes))
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = device_memory_check(request->to_device ? request->destination : request->source);
    if (result != CUDA_SUCCESS)
        return result;
    gate_count_bytes(&call->lane->pass, request->bytes);
    uint64_t at = 0;
    do {
        uint64_t part = segment_part(host + at, request->bytes - at);
        result = part > 0 || request->bytes == 0 ? copy_shared_part(request, at, part, stream)
                                                 : CUDA_ERROR_INVALID_VALUE;
        at += part;
    } while (at < request->bytes && result == CUDA_SUCCESS);
    if (result == CUDA_SUCCESS && request->synchronous && stream != NULL)
        result = driver.cuStreamSynchronize(stream);
    return result;
}

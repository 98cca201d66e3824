/* 1D copies. Three ways: host memory that both sides share goes straight between it and the GPU; a little
 * pageable data travels in the record or the answer itself; more of it goes through the staging area, slot by
 * slot, so that the program's copy and the GPU's overlap. Over a stream socket, and where the host has no
 * memory for a staging area, all data travels in records and answers. */
#include "guest/copy.h"
#include "guest/copy_streaming.h"

#include <stdatomic.h>
#include <string.h>

#include "cuda_api.h"
#include "guest/arena.h"
#include "guest/call.h"
#include "guest/capture.h"
#include "guest/captured_copy.h"
#include "guest/connection.h"
#include "guest/context.h"
#include "guest/export.h"
#include "guest/host_memory.h"
#include "guest/lane.h"
#include "guest/ranges.h"
#include "guest/stream_wait.h"
#include "guest_forward.h"
#include "wire/own_calls.h"

/* Pageable data up to this size goes into the record: beyond it, touching the memory twice costs more than
 * the staging protocol. */
#define SMALL_BYTES (32u << 10)

uint8_t *staging_area(CUresult *result)
{
    struct guest_thread *thread = thread_self();
    *result = thread != NULL ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
    if (thread == NULL || thread->staging != NULL)
        return thread != NULL ? thread->staging : NULL;
    struct request_staging_open request = {0};
    struct reply_host_alloc reply;
    int fd;
    *result = host_segment_open(CALL_staging_open, &request, sizeof request, &reply, &fd);
    if (*result != CUDA_SUCCESS)
        return NULL;
    if (!arena_map(fd, reply.window_offset, reply.address, reply.segment_bytes)) {
        *result = CUDA_ERROR_OUT_OF_MEMORY;
        return NULL;
    }
    thread->staging = (uint8_t *)(uintptr_t)reply.address;
    return thread->staging;
}

bool staging_is_to_be_had(void)
{
    CUresult result;
    return connection_shares_memory() &&
           (staging_area(&result) != NULL || result != CUDA_ERROR_OUT_OF_MEMORY);
}

CUresult staging_take_slot(uint8_t **memory, uint32_t *slot)
{
    CUresult result;
    uint8_t *staging = staging_area(&result);
    if (staging == NULL)
        return result != CUDA_SUCCESS ? result : CUDA_ERROR_OUT_OF_MEMORY;
    struct guest_thread *thread = thread_self();
    *slot = thread->staging_sent;
    *memory = staging + (*slot % STAGING_SLOTS) * STAGING_SLOT_BYTES;
    result = lane_wait_counter(&thread->lane->staging_done, *slot + 1 - STAGING_SLOTS);
    if (result == CUDA_SUCCESS)
        thread->staging_sent++;
    return result;
}

static CUresult copy_shared(uint64_t destination, uint64_t source, size_t bytes, CUstream stream,
                            bool to_device, bool synchronous)
{
    struct request_copy_shared request = {.destination = destination,
                                          .source = source,
                                          .bytes = bytes,
                                          .stream = (uintptr_t)stream,
                                          .to_device = to_device,
                                          .synchronous = synchronous};
    bool known = ranges_is_device(to_device ? destination : source, bytes);
    if (!synchronous && known)
        return call_send(CALL_copy_shared, &request, sizeof request, NULL, 0);
    CUresult result = call_wait(CALL_copy_shared, &request, sizeof request, NULL, 0, NULL, 0);
    return result == CUDA_SUCCESS ? call_take_error() : result;
}

/* In records. Only a copy whose target is known to be good may be forgotten. */
static CUresult copy_inline_to_device(CUdeviceptr device, const uint8_t *host, size_t bytes, CUstream stream,
                                      bool known)
{
    size_t at = 0;
    do {
        size_t part = bytes - at < RECORD_INLINE_BYTES ? bytes - at : RECORD_INLINE_BYTES;
        struct request_copy_to_device request = {
            .device = device + at, .stream = (uintptr_t)stream, .bytes = part};
        bool last = at + part == bytes;
        CUresult result =
            known && (last || connection_shares_memory())
                ? call_send(CALL_copy_to_device, &request, sizeof request, host + at, part)
                : call_wait(CALL_copy_to_device, &request, sizeof request, host + at, part, NULL, 0);
        if (result != CUDA_SUCCESS)
            return result;
        at += part;
    } while (at < bytes);
    return CUDA_SUCCESS;
}

static CUresult copy_staged_to_device(CUdeviceptr device, const uint8_t *host, size_t bytes, CUstream stream,
                                      bool known)
{
    for (size_t at = 0; at < bytes;) {
        size_t part = bytes - at < STAGING_SLOT_BYTES ? bytes - at : STAGING_SLOT_BYTES;
        uint8_t *memory;
        uint32_t slot;
        CUresult result = staging_take_slot(&memory, &slot);
        if (result != CUDA_SUCCESS)
            return result;
        memcpy(memory, host + at, part);
        struct request_copy_staged_to_device request = {
            .device = device + at, .stream = (uintptr_t)stream, .slot = slot, .bytes = (uint32_t)part};
        at += part;
        result = known ? call_send(CALL_copy_staged_to_device, &request, sizeof request, NULL, 0)
                       : call_wait(CALL_copy_staged_to_device, &request, sizeof request, NULL, 0, NULL, 0);
        if (result != CUDA_SUCCESS)
            return result;
    }
    return CUDA_SUCCESS;
}

CUresult copy_to_device(CUdeviceptr device, const void *host, size_t bytes, CUstream stream, bool synchronous)
{
    CUresult result = context_required();
    if (result != CUDA_SUCCESS || bytes == 0)
        return result;
    if (host == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    if (ranges_is_shared((uintptr_t)host, bytes))
        return copy_shared(device, (uintptr_t)host, bytes, stream, true, synchronous);
    if (!synchronous && capture_is_in(stream))
        return captured_copy(device, (void *)(uintptr_t)host, bytes, stream, true);
    bool known = ranges_is_device(device, bytes);
    if (bytes <= SMALL_BYTES || !staging_is_to_be_had())
        return copy_inline_to_device(device, host, bytes, stream, known);
    return copy_staged_to_device(device, host, bytes, stream, known);
}

static CUresult copy_inline_from_device(uint8_t *host, CUdeviceptr device, size_t bytes, CUstream stream)
{
    size_t at = 0;
    do {
        size_t part = bytes - at < RECORD_INLINE_BYTES ? bytes - at : RECORD_INLINE_BYTES;
        struct request_copy_from_device request = {
            .device = device + at, .stream = (uintptr_t)stream, .bytes = part};
        struct message message;
        CUresult result = message_begin(&message, CALL_copy_from_device, sizeof request);
        if (result != CUDA_SUCCESS)
            return result;
        memcpy(message.body, &request, sizeof request);
        result = message_wait(&message, NULL, 0);
        size_t got;
        const void *data = result == CUDA_SUCCESS ? message_reply(&message, &got) : NULL;
        if (result == CUDA_SUCCESS && got != part)
            result = CUDA_ERROR_UNKNOWN;
        if (result != CUDA_SUCCESS)
            return result;
        memcpy(host + at, data, part);
        at += part;
    } while (at < bytes);
    return call_take_error();
}

/* The worker fills slots as they are emptied; its answer comes with the last one, or at the first error. */
static CUresult copy_staged_from_device(uint8_t *host, CUdeviceptr device, size_t bytes, CUstream stream)
{
    CUresult result;
    uint8_t *staging = staging_area(&result);
    if (staging == NULL)
        return result;
    struct guest_thread *thread = thread_self();
    struct lane_shared *lane = thread->lane;
    struct request_copy_staged_from_device request = {
        .device = device, .stream = (uintptr_t)stream, .bytes = bytes, .slot = thread->staging_read};
    struct message message;
    result = message_begin(&message, CALL_copy_staged_from_device, sizeof request);
    if (result != CUDA_SUCCESS)
        return result;
    memcpy(message.body, &request, sizeof request);
    result = message_ask(&message);
    for (size_t at = 0; at < bytes && result == CUDA_SUCCESS;) {
        size_t part = bytes - at < STAGING_SLOT_BYTES ? bytes - at : STAGING_SLOT_BYTES;
        uint32_t slot = thread->staging_read;
        result = lane_wait_slot(thread, slot + 1);
        if (result != CUDA_SUCCESS || (int32_t)(atomic_load(&lane->staging_filled) - (slot + 1)) < 0)
            break; /* the answer says why */
        copy_streaming(host + at, staging + (slot % STAGING_SLOTS) * STAGING_SLOT_BYTES, part);
        thread->staging_read++;
        atomic_store_explicit(&lane->staging_taken, thread->staging_read, memory_order_release);
        at += part;
    }
    if (result == CUDA_SUCCESS)
        result = message_answer(&message, NULL, 0);
    thread->staging_read = request.slot + (uint32_t)((bytes + STAGING_SLOT_BYTES - 1) / STAGING_SLOT_BYTES);
    atomic_store_explicit(&lane->staging_taken, thread->staging_read, memory_order_release);
    return result == CUDA_SUCCESS ? call_take_error() : result;
}

CUresult copy_from_device(void *host, CUdeviceptr device, size_t bytes, CUstream stream, bool synchronous)
{
    CUresult result = context_required();
    if (result != CUDA_SUCCESS || bytes == 0)
        return result;
    if (host == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    if (ranges_is_shared((uintptr_t)host, bytes))
        return copy_shared((uintptr_t)host, device, bytes, stream, false, synchronous);
    if (!synchronous && capture_is_in(stream))
        return captured_copy(device, host, bytes, stream, false);
    result = bytes <= SMALL_BYTES || !staging_is_to_be_had()
                 ? copy_inline_from_device(host, device, bytes, stream)
                 : copy_staged_from_device(host, device, bytes, stream);
    if (result == CUDA_SUCCESS)
        stream_was_waited_for(stream);
    return result;
}

VGPU_EXPORT CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr dstDevice, const void *srcHost, size_t ByteCount,
                                          CUstream hStream)
{
    return copy_to_device(dstDevice, srcHost, ByteCount, hStream, false);
}

VGPU_EXPORT CUresult cuMemcpyHtoD_v2(CUdeviceptr dstDevice, const void *srcHost, size_t ByteCount)
{
    return copy_to_device(dstDevice, srcHost, ByteCount, NULL, true);
}

VGPU_EXPORT CUresult cuMemcpyHtoD_v2_ptds(CUdeviceptr dstDevice, const void *srcHost, size_t ByteCount)
{
    return copy_to_device(dstDevice, srcHost, ByteCount, CU_STREAM_PER_THREAD, true);
}

VGPU_EXPORT CUresult cuMemcpyDtoHAsync_v2(void *dstHost, CUdeviceptr srcDevice, size_t ByteCount,
                                          CUstream hStream)
{
    return copy_from_device(dstHost, srcDevice, ByteCount, hStream, false);
}

VGPU_EXPORT CUresult cuMemcpyDtoH_v2(void *dstHost, CUdeviceptr srcDevice, size_t ByteCount)
{
    return copy_from_device(dstHost, srcDevice, ByteCount, NULL, true);
}

VGPU_EXPORT CUresult cuMemcpyDtoH_v2_ptds(void *dstHost, CUdeviceptr srcDevice, size_t ByteCount)
{
    return copy_from_device(dstHost, srcDevice, ByteCount, CU_STREAM_PER_THREAD, true);
}

VGPU_EXPORT CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr dstDevice, CUdeviceptr srcDevice, size_t ByteCount,
                                          CUstream hStream)
{
    bool known = ranges_is_device(dstDevice, ByteCount) && ranges_is_device(srcDevice, ByteCount);
    return forward_cuMemcpyDtoDAsync_v2(!known, dstDevice, srcDevice, ByteCount, hStream);
}

/* A copy within the device is asynchronous to the host in its synchronous form too. */
VGPU_EXPORT CUresult cuMemcpyDtoD_v2(CUdeviceptr dstDevice, CUdeviceptr srcDevice, size_t ByteCount)
{
    return cuMemcpyDtoDAsync_v2(dstDevice, srcDevice, ByteCount, NULL);
}

VGPU_EXPORT CUresult cuMemcpyDtoD_v2_ptds(CUdeviceptr dstDevice, CUdeviceptr srcDevice, size_t ByteCount)
{
    return cuMemcpyDtoDAsync_v2(dstDevice, srcDevice, ByteCount, CU_STREAM_PER_THREAD);
}

VGPU_EXPORT CUresult cuMemcpyPeer(CUdeviceptr dstDevice, CUcontext dstContext, CUdeviceptr srcDevice,
                                  CUcontext srcContext, size_t ByteCount)
{
    return cuMemcpyPeerAsync(dstDevice, dstContext, srcDevice, srcContext, ByteCount, NULL);
}

VGPU_EXPORT CUresult cuMemcpyPeer_ptds(CUdeviceptr dstDevice, CUcontext dstContext, CUdeviceptr srcDevice,
                                       CUcontext srcContext, size_t ByteCount)
{
    return cuMemcpyPeerAsync(dstDevice, dstContext, srcDevice, srcContext, ByteCount, CU_STREAM_PER_THREAD);
}

/* Both sides are this process's: in order with the stream, then by hand. */
static CUresult copy_between_hosts(void *to, const void *from, size_t bytes, CUstream stream)
{
    CUresult result = cuStreamSynchronize(stream);
    if (result == CUDA_SUCCESS)
        memmove(to, from, bytes);
    return result;
}

/* Which way a copy between two addresses goes: what is not known to be the device's is the host's. */
static CUresult copy_unified(CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream stream,
                             bool synchronous)
{
    bool to_device = ranges_is_device(dst, 1), from_device = ranges_is_device(src, 1);
    if (to_device && from_device)
        return cuMemcpyDtoDAsync_v2(dst, src, bytes, stream);
    if (to_device)
        return copy_to_device(dst, (const void *)(uintptr_t)src, bytes, stream, synchronous);
    if (from_device)
        return copy_from_device((void *)(uintptr_t)dst, src, bytes, stream, synchronous);
    return copy_between_hosts((void *)(uintptr_t)dst, (const void *)(uintptr_t)src, bytes, stream);
}

VGPU_EXPORT CUresult cuMemcpyAsync(CUdeviceptr dst, CUdeviceptr src, size_t ByteCount, CUstream hStream)
{
    return copy_unified(dst, src, ByteCount, hStream, false);
}

VGPU_EXPORT CUresult cuMemcpy(CUdeviceptr dst, CUdeviceptr src, size_t ByteCount)
{
    return copy_unified(dst, src, ByteCount, NULL, true);
}

VGPU_EXPORT CUresult cuMemcpy_ptds(CUdeviceptr dst, CUdeviceptr src, size_t ByteCount)
{
    return copy_unified(dst, src, ByteCount, CU_STREAM_PER_THREAD, true);
}

#include "guest/call.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "guest/device_text.h"
#include "guest/init.h"
#include "guest/lane.h"
#include "guest/lock.h"
#include "guest/managed_variables.h"
#include "wire/own_calls.h"

/* Forgotten calls sent so far by all threads: the next one's ticket. */
static _Atomic uint64_t calls_forgotten;
static _Atomic uint64_t calls_asked; /* calls with an answer sent so far by all threads */
static struct lock stream_order;

CUresult message_begin(struct message *message, enum call_number call, size_t body_bytes)
{
    struct guest_thread *thread = thread_self();
    if (thread == NULL)
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (call != CALL_device_info && !library_initialised())
        return CUDA_ERROR_NOT_INITIALIZED;
    CUresult result = call_take_error();
    if (result != CUDA_SUCCESS)
        return result;
    uint32_t bytes = (uint32_t)(sizeof(struct record_header) + ((body_bytes + 7) & ~(size_t)7));
    if (body_bytes > RECORD_MAX_BYTES || bytes > RECORD_MAX_BYTES)
        return CUDA_ERROR_INVALID_VALUE;
    result = lane_reserve(thread, bytes, &message->record);
    if (result != CUDA_SUCCESS)
        return result;
    *message->record =
        (struct record_header){.bytes = bytes, .call = (uint16_t)call, .body_bytes = (uint32_t)body_bytes};
    message->thread = thread;
    message->body = message->record + 1;
    return CUDA_SUCCESS;
}

/* Errors after which a context returns nothing else. */
static bool keeps_returning(CUresult result)
{
    switch (result) {
    case CUDA_ERROR_ECC_UNCORRECTABLE:
    case CUDA_ERROR_ILLEGAL_ADDRESS:
    case CUDA_ERROR_LAUNCH_TIMEOUT:
    case CUDA_ERROR_ASSERT:
    case CUDA_ERROR_HARDWARE_STACK_ERROR:
    case CUDA_ERROR_ILLEGAL_INSTRUCTION:
    case CUDA_ERROR_MISALIGNED_ADDRESS:
    case CUDA_ERROR_INVALID_ADDRESS_SPACE:
    case CUDA_ERROR_INVALID_PC:
    case CUDA_ERROR_LAUNCH_FAILED:
    case CUDA_ERROR_TENSOR_MEMORY_LEAK:
        return true;
    default:
        return false;
    }
}

/* Not 0: no call is forgotten once sent. The top bit: such an error was seen; below, captures under way. */
#define ERRORS_STAY 0x80000000u
static _Atomic uint32_t careful;

static CUresult seen(CUresult result)
{
    if (result != CUDA_SUCCESS && keeps_returning(result))
        atomic_fetch_or_explicit(&careful, ERRORS_STAY, memory_order_relaxed);
    return result;
}

bool call_errors_stay(void)
{
    return (atomic_load_explicit(&careful, memory_order_relaxed) & ERRORS_STAY) != 0;
}

uint32_t call_captures(void)
{
    return atomic_load_explicit(&careful, memory_order_relaxed) & ~ERRORS_STAY;
}

void call_capture_begun(void)
{
    atomic_fetch_add_explicit(&careful, 1, memory_order_relaxed);
}

void call_capture_ended(void)
{
    atomic_fetch_sub_explicit(&careful, 1, memory_order_relaxed);
}

CUresult message_forget(struct message *message)
{
    if (atomic_load_explicit(&careful, memory_order_relaxed) != 0)
        return message_wait(message, NULL, 0);
    /* Over a stream the worker takes the records of all threads in one order: a record whose turn comes after
     * that of another must not be sent before it, or the worker could have no room for the one it waits for.
     */
    bool in_order = message->thread->lane == NULL;
    if (in_order)
        lock_take(&stream_order);
    message->record->ticket = atomic_fetch_add_explicit(&calls_forgotten, 1, memory_order_seq_cst);
    CUresult result = lane_commit(message->thread, message->record);
    if (in_order)
        lock_give(&stream_order);
    return result;
}

CUresult message_ask(struct message *message)
{
    message->record->flags = RECORD_WANTS_REPLY;
    message->thread->asked_at.asked = atomic_fetch_add_explicit(&calls_asked, 1, memory_order_relaxed) + 1;
    message->record->ticket = atomic_load_explicit(&calls_forgotten, memory_order_seq_cst);
    message->thread->asked_at.forgotten = message->record->ticket;
    return lane_commit(message->thread, message->record);
}

CUresult message_ask_at_once(struct message *message)
{
    message->record->flags = RECORD_WANTS_REPLY;
    message->record->ticket = 0;
    return lane_commit(message->thread, message->record);
}

struct calls_sent calls_sent_now(void)
{
    return (struct calls_sent){.forgotten = atomic_load_explicit(&calls_forgotten, memory_order_relaxed),
                               .asked = atomic_load_explicit(&calls_asked, memory_order_relaxed)};
}

CUresult message_answer(struct message *message, void *reply, size_t reply_bytes)
{
    const struct reply_header *header;
    CUresult result = lane_wait_answer(message->thread, &header);
    if (result != CUDA_SUCCESS)
        return result;
    CUresult answered = (CUresult)header->result;
    size_t body_bytes = reply_body_bytes(header), have = body_bytes < reply_bytes ? body_bytes : reply_bytes;
    if (have > 0)
        memcpy(reply, header + 1, have);
    if (reply_bytes > have)
        memset((uint8_t *)reply + have, 0, reply_bytes - have);
    if (header->size & REPLY_TEXT_WAITS)
        device_text_take(message->thread);
    return seen(answered);
}

CUresult message_wait(struct message *message, void *reply, size_t reply_bytes)
{
    CUresult result = message_ask(message);
    return result == CUDA_SUCCESS ? message_answer(message, reply, reply_bytes) : result;
}

CUresult call_take_error(void)
{
    struct guest_thread *thread = thread_self();
    return thread != NULL ? seen(lane_take_error(thread)) : CUDA_ERROR_OUT_OF_MEMORY;
}

const void *message_reply(const struct message *message, size_t *bytes)
{
    const struct guest_thread *thread = message->thread;
    const void *buffer = thread->lane != NULL ? (const void *)thread->lane->reply : thread->stream_reply;
    const struct reply_header *header = buffer;
    *bytes = reply_body_bytes(header);
    return header + 1;
}

static CUresult begin_with(struct message *message, enum call_number call, const void *request,
                           size_t request_bytes, const void *tail, size_t tail_bytes)
{
    CUresult result = message_begin(message, call, request_bytes + tail_bytes);
    if (result != CUDA_SUCCESS)
        return result;
    if (request_bytes > 0)
        memcpy(message->body, request, request_bytes);
    if (tail_bytes > 0)
        memcpy((uint8_t *)message->body + request_bytes, tail, tail_bytes);
    return CUDA_SUCCESS;
}

CUresult call_wait(enum call_number call, const void *request, size_t request_bytes, const void *tail,
                   size_t tail_bytes, void *reply, size_t reply_bytes)
{
    struct message message;
    CUresult result = begin_with(&message, call, request, request_bytes, tail, tail_bytes);
    return result == CUDA_SUCCESS ? message_wait(&message, reply, reply_bytes) : result;
}

CUresult call_send(enum call_number call, const void *request, size_t request_bytes, const void *tail,
                   size_t tail_bytes)
{
    struct message message;
    CUresult result = begin_with(&message, call, request, request_bytes, tail, tail_bytes);
    return result == CUDA_SUCCESS ? message_forget(&message) : result;
}

CUresult call_synchronize(enum call_number call, const void *request, size_t request_bytes)
{
    CUresult result = call_wait(call, request, request_bytes, NULL, 0, NULL, 0);
    if (result == CUDA_SUCCESS)
        result = call_take_error();
    if (result == CUDA_SUCCESS && managed_variables_exist())
        managed_variables_fetch();
    return result;
}

CUresult call_upload_part(const void *data, uint64_t bytes, uint64_t at, uint64_t total_bytes)
{
    for (uint64_t offset = 0; offset < bytes;) {
        uint64_t part = bytes - offset < RECORD_INLINE_BYTES ? bytes - offset : RECORD_INLINE_BYTES;
        struct request_upload request = {.total_bytes = total_bytes, .offset = at + offset};
        CUresult result =
            call_send(CALL_upload, &request, sizeof request, (const uint8_t *)data + offset, part);
        if (result != CUDA_SUCCESS)
            return result;
        offset += part;
    }
    return CUDA_SUCCESS;
}

CUresult call_upload(const void *data, uint64_t bytes)
{
    return call_upload_part(data, bytes, 0, bytes);
}

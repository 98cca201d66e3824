/* Making a call: the record is built in place, sent, and answered or forgotten.
 *
 *   struct message message;
 *   CUresult result = message_begin(&message, CALL_launch, bytes);
 *   if (result == CUDA_SUCCESS) {
 *       ... fill message.body ...
 *       result = message_forget(&message);
 *   }
 *
 * Between begin and forget or wait, the thread makes no other call. */
#ifndef VGPU_GUEST_CALL_H
#define VGPU_GUEST_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "calls_generated.h"
#include "cuda/cuda_types.h"
#include "guest/thread.h"

struct message {
    struct guest_thread *thread;
    struct record_header *record;
    void *body;
};

/* An error that an earlier, forgotten call of this thread left is returned here, instead of making the call.
 */
CUresult message_begin(struct message *message, enum call_number call, size_t body_bytes);

/* Sends; nobody waits. Once a call of this process has returned an error that CUDA keeps returning (an
 * illegal address, ...), it waits all the same, so that the error comes at every call, as with the real
 * driver. */
CUresult message_forget(struct message *message);

/* Sends, waits, and returns the call's result. The first reply_bytes of the answer's body are copied to reply
 * (zeros where the answer is shorter). */
CUresult message_wait(struct message *message, void *reply, size_t reply_bytes);

/* message_wait in two steps, for a thread that has something to do in between. */
CUresult message_ask(struct message *message);

/* As message_ask, but the worker need not have executed what was forgotten before. */
CUresult message_ask_at_once(struct message *message);
CUresult message_answer(struct message *message, void *reply, size_t reply_bytes);

/* What all threads have sent until now. While it is the same, nothing has happened. */
struct calls_sent calls_sent_now(void);

/* The whole body of the last answer, until the thread's next call. */
const void *message_reply(const struct message *message, size_t *bytes);

/* A whole call: request structure and a variable part. */
CUresult call_wait(enum call_number call, const void *request, size_t request_bytes, const void *tail,
                   size_t tail_bytes, void *reply, size_t reply_bytes);
CUresult call_send(enum call_number call, const void *request, size_t request_bytes, const void *tail,
                   size_t tail_bytes);

/* The error that a forgotten call of this thread has left, or CUDA_SUCCESS; it is told once. */
CUresult call_take_error(void);

/* A call of this process has returned an error that CUDA keeps returning. */
bool call_errors_stay(void);

/* Captures of this process under way: as long as there are any, every call waits for its answer. */
uint32_t call_captures(void);
void call_capture_begun(void);
void call_capture_ended(void);

/* As call_wait, for a function that waits for the GPU: an error that a forgotten call leaves meanwhile is
 * returned in place of success. */
CUresult call_synchronize(enum call_number call, const void *request, size_t request_bytes);

/* Hands a payload of any size to the worker ahead of the call that uses it. */
CUresult call_upload(const void *data, uint64_t bytes);

/* Likewise a part of a payload of total_bytes, which begins at `at`; the parts one after the other. */
CUresult call_upload_part(const void *data, uint64_t bytes, uint64_t at, uint64_t total_bytes);

#endif

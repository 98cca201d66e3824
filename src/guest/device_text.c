#include "guest/device_text.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest/call.h"
#include "guest/lane.h"
#include "guest/lock.h"
#include "wire/own_calls.h"
#include "wire/record.h"

/* One thread at a time, so that pieces of text stay in order. */
static struct lock printing;

/* Fetches and prints a piece. True when there may be more. The streams are the program's own: what it has
 * written to them before comes before, flushed or not. */
static bool take_piece(void)
{
    struct message message;
    struct request_device_text request = {0};
    if (message_begin(&message, CALL_device_text, sizeof request) != CUDA_SUCCESS)
        return false;
    memcpy(message.body, &request, sizeof request);
    struct reply_device_text piece;
    if (message_ask(&message) != CUDA_SUCCESS)
        return false;
    const struct reply_header *header;
    if (lane_wait_answer(message.thread, &header) != CUDA_SUCCESS || header->result != CUDA_SUCCESS ||
        reply_body_bytes(header) < sizeof piece)
        return false;
    memcpy(&piece, header + 1, sizeof piece);
    if (piece.output_bytes > REPLY_MAX_BYTES || piece.error_bytes > REPLY_MAX_BYTES ||
        reply_body_bytes(header) < sizeof piece + piece.output_bytes + piece.error_bytes)
        return false;
    const char *text = (const char *)(header + 1) + sizeof piece;
    fwrite(text, 1, piece.output_bytes, stdout);
    fwrite(text + piece.output_bytes, 1, piece.error_bytes, stderr);
    fflush(stdout); /* as the real driver does */
    return (header->size & REPLY_TEXT_WAITS) != 0;
}

void device_text_take(struct guest_thread *thread)
{
    struct reply_header *answer =
        (struct reply_header *)(thread->lane != NULL ? thread->lane->reply : thread->stream_reply);
    size_t bytes = sizeof *answer + reply_body_bytes(answer);
    void *kept = malloc(bytes);
    if (kept == NULL)
        return;
    memcpy(kept, answer, bytes);
    lock_take(&printing);
    while (take_piece())
        ;
    lock_give(&printing);
    memcpy(answer, kept, bytes);
    free(kept);
}

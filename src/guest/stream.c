#include "guest/stream.h"

#include <stdlib.h>

#include "guest/reader.h"

CUresult stream_lane_open(struct guest_thread *thread)
{
    thread->stream_record = malloc(RECORD_MAX_BYTES);
    thread->stream_reply = malloc(REPLY_MAX_BYTES);
    if (thread->stream_record == NULL || thread->stream_reply == NULL) {
        free(thread->stream_record);
        free(thread->stream_reply);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    reader_join(thread);
    return CUDA_SUCCESS;
}

void stream_lane_close(struct guest_thread *thread)
{
    reader_leave(thread);
    free(thread->stream_record);
    free(thread->stream_reply);
}

static bool has_answer(struct guest_thread *thread)
{
    return atomic_load(&thread->stream_answered) == thread->answers;
}

CUresult stream_wait_answer(struct guest_thread *thread)
{
    return reader_wait(thread, has_answer);
}

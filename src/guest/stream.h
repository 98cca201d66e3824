/* Lanes over a stream socket: calls and answers are messages. */
#ifndef VGPU_GUEST_STREAM_H
#define VGPU_GUEST_STREAM_H

#include "guest/thread.h"

CUresult stream_lane_open(struct guest_thread *thread);
void stream_lane_close(struct guest_thread *thread);

/* Waits until thread->stream_answered reaches thread->answers; the answer is in thread->stream_reply. */
CUresult stream_wait_answer(struct guest_thread *thread);

#endif

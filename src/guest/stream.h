/* Lanes over a stream socket. There is no thread of the library's own: whichever of the program's waiting
 * threads finds nobody reading the socket reads it, for all of them, until its own answer has come. */
#ifndef VGPU_GUEST_STREAM_H
#define VGPU_GUEST_STREAM_H

#include "guest/thread.h"

CUresult stream_lane_open(struct guest_thread *thread);
void stream_lane_close(struct guest_thread *thread);

/* Waits until thread->stream_answered reaches thread->answers; the answer is in thread->stream_reply. */
CUresult stream_wait_answer(struct guest_thread *thread);

#endif

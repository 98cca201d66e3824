/* The reading side of a connection that many threads wait for: over a stream socket, and through a window,
 * where messages wake sleepers. There is no thread of the library's own: whichever of the program's waiting
 * threads finds nobody reading the socket reads it, for all of them, until what it waits for has come. */
#ifndef VGPU_GUEST_READER_H
#define VGPU_GUEST_READER_H

#include "guest/thread.h"

/* The thread's lane, named by lane_id, may be told something from now on; until it leaves. */
void reader_join(struct guest_thread *thread);
void reader_leave(struct guest_thread *thread);

/* Waits until has_come(thread), which looks only, says so; or the connection is lost: then returns
 * connection_state(). Only the thread itself, joined. */
CUresult reader_wait(struct guest_thread *thread, bool (*has_come)(struct guest_thread *thread));

#endif

/* What makes an event one of several processes: how often it was recorded, and how many of these marks have
 * been reached, in memory that they share. Nobody is told when a mark is reached: who waits looks again. */
#ifndef VGPU_SIMGPU_EVENT_SHARED_H
#define VGPU_SIMGPU_EVENT_SHARED_H

#include <stdbool.h>

#include "simgpu/stream.h"

struct event_shared;

/* Makes or maps one; *fd, that others may have, goes with it. NULL: out of memory, or the descriptor is not
 * of an event. */
struct event_shared *event_shared_create(const struct sim_device *device, int *fd);
struct event_shared *event_shared_open(int fd);
void event_shared_close(struct event_shared *shared, int fd);

/* A mark to be submitted, which counts as recorded from now on. NULL: out of memory. */
struct work *event_shared_mark(struct event_shared *shared);

/* What has been recorded by now, by any process, has been reached. */
bool event_shared_is_done(struct event_shared *shared);
void event_shared_wait(struct event_shared *shared);

/* Work put into the stream from now on waits for what has been recorded by now. */
CUresult event_shared_wait_in(struct event_shared *shared, struct CUstream_st *stream);

#endif

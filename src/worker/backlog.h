/* What a lane has given to the GPU and is not finished: an event behind each piece of work, where it matters
 * how much there is, and since when it runs. That is so while others wait for the GPU, so that giving it back
 * does not take long, and where the VM has an execution time limit or a queue depth (wire/vm_page.h).
 * Otherwise nothing is recorded, and a lane pays two loads. */
#ifndef VGPU_WORKER_BACKLOG_H
#define VGPU_WORKER_BACKLOG_H

#include <stdatomic.h>
#include <stdbool.h>

#include "worker/gate.h"
#include "worker/vm.h"

struct lane;

/* Whether the work that the lane is about to pass on is to be marked; inside the gate. */
static inline bool backlog_wanted(void)
{
    return gate_is_contended() || vm_page_read(&vm_page->time_limit_us) != 0 ||
           vm_page_read(&vm_page->queue_depth) != 0;
}

/* The lane's thread: before a call that puts work on the GPU, waits while there is too much; after it, marks
 * it. Not timed: it has a stream wait for something else. The first changes what handle_find() has found. */
void backlog_before(struct lane *lane);
void backlog_after(struct lane *lane, CUresult result, bool timed);

/* The lane ends; its work may go on. */
void backlog_end(struct lane *lane);

#endif

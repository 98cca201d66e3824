/* What a lane has given to the GPU and is not finished: events behind its work, so that giving the GPU back
 * does not take long. Behind every piece of work while others wait for the GPU, and where the VM has an
 * execution time limit or a queue depth (wire/vm_page.h), since then it matters how many there are, and since
 * when each runs. Otherwise behind one of many: a lane pays three loads for a piece of work. */
#ifndef VGPU_WORKER_BACKLOG_H
#define VGPU_WORKER_BACKLOG_H

#include <stdatomic.h>
#include <stdbool.h>

#include "worker/gate.h"
#include "worker/vm.h"

struct lane;

/* Of a lane's work one in so many is marked in any case. */
#define BACKLOG_SAMPLE 16u

/* Whether the work that the lane is about to pass on is to be marked; inside the gate. Returns the pieces of
 * work that the mark is for, 0: none. *unmarked: the lane's count, which begins at 0. */
static inline uint32_t backlog_wanted(uint32_t *unmarked)
{
    uint32_t pieces = ++*unmarked;
    if (pieces < BACKLOG_SAMPLE && !gate_is_contended() && vm_page_read(&vm_page->time_limit_us) == 0 &&
        vm_page_read(&vm_page->queue_depth) == 0)
        return 0;
    *unmarked = 0;
    return pieces;
}

/* The lane's thread: before a call that puts work on the GPU, waits while there is too much; after it, or one
 * that has a stream wait for something, marks it. The first changes what handle_find() has found. */
void backlog_before(struct lane *lane);
void backlog_after(struct lane *lane, CUresult result, uint32_t call, uint32_t pieces);

/* The lane ends; its work may go on. */
void backlog_end(struct lane *lane);

#endif

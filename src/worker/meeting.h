/* Order between what lanes do all the time and what is done seldom: a lane announces something with a plain
 * store and then looks at a word; whoever has changed that word and calls meeting_lanes() sees every
 * announcement of a lane that did not see the change. The lanes pay nothing, as membarrier(2) makes them pass
 * a fence meanwhile. */
#ifndef VGPU_WORKER_MEETING_H
#define VGPU_WORKER_MEETING_H

#include <stdatomic.h>
#include <stdbool.h>

/* Once, before lanes exist. */
void meeting_open(void);

extern bool meeting_has_membarrier;

/* Lanes: between the announcement and the look. */
static inline void meeting_point(void)
{
    if (meeting_has_membarrier)
        atomic_signal_fence(memory_order_seq_cst);
    else
        atomic_thread_fence(memory_order_seq_cst);
}

/* The rare side: between the change and looking for announcements. */
void meeting_lanes(void);

#endif

/* How much of the host's memory this guest may still have. Any thread. */
#ifndef VGPU_WORKER_HOST_MEMORY_H
#define VGPU_WORKER_HOST_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

/* Whether the host would keep a sixteenth of its memory, and at least half a GiB, if the guest took `bytes`
 * more now. Memory that a guest registers is pinned: what it takes, nobody gets back before it goes. */
bool host_memory_spares(uint64_t bytes);

/* Should the host run out of memory all the same, the kernel ends a worker first, and so not vgpud nor
 * anything else of the host's. */
void host_memory_offer_process(void);

#endif

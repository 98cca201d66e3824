/* A lane's staging area: memory shared with the guest through which its pageable copies go, and the events
 * that tell when a slot is free again. The events are of the context that is current when a copy is made, and
 * go with it. The lane's thread alone. */
#ifndef VGPU_WORKER_STAGING_H
#define VGPU_WORKER_STAGING_H

#include <stdbool.h>
#include <stdint.h>

#include "cuda/cuda_types.h"

struct lane;

/* Sees to it that the events are of the current context. Before the first copy to or from a slot in a call.
 */
CUresult staging_follow_context(struct lane *lane);

uint8_t *staging_slot(const struct lane *lane, uint32_t slot);

/* Of slot n; only after staging_follow_context() has succeeded in this call. */
CUevent staging_event(const struct lane *lane, uint32_t slot);

/* A copy out of the next slot has been given to the driver on this stream, or refused with `result`: the slot
 * is free when the copy has finished. Returns result, or what else went wrong. */
CUresult staging_queued(struct lane *lane, CUresult result, CUstream stream);

/* Tells the guest which slots are free; waits for all when `all`. */
void staging_poll(struct lane *lane, bool all);

/* The lane ends. */
void staging_end(struct lane *lane);

#endif

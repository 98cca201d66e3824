/* Which GPU of its pool serves a VM.
 *
 * Candidates are the GPUs that serve the VM's pool and are online, or all that serve it where none is online.
 * A VM that is on a candidate stays; another goes to the candidate with the fewest VMs, of equals the lowest
 * gpu_id. All of this happens inside the transaction of the change that made it necessary. */
#ifndef VGPU_STORE_PLACEMENT_H
#define VGPU_STORE_PLACEMENT_H

#include "store/database.h"

/* Chooses for one VM and counts it there. now: where it is. gpu_id is not known where the pool has no GPU. */
enum vgpu_status placement_choose(struct store *store, char pool, struct vgpu_optional now,
                                  struct vgpu_optional *gpu_id, struct vgpu_error *err);

/* After GPUs or their pools have changed: looks at every VM and moves those that must. */
enum vgpu_status placement_renew(struct store *store, struct vgpu_error *err);

/* A VM has left this GPU (or was on none). */
void placement_leave(struct store *store, struct vgpu_optional gpu_id);

#endif

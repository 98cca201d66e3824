/* Managed memory. */
#ifndef VGPU_SIMGPU_MANAGED_H
#define VGPU_SIMGPU_MANAGED_H

#include "simgpu/arena.h"

/* The region has been freed: what was advised of it counts no more. Regions of other kinds are ignored. */
void managed_forget(const struct region *region);

#endif

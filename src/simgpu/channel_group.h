/* Channel groups of the simulated GPU, as the resource manager of the real driver has them: a context has
 * one with one channel, made by ioctls through whatever `ioctl` the program has, so that a program that looks
 * at the driver's ioctls sees them, may set the group's time slice (class 0xa06c), and may disable the
 * channel (0x2080110b): then what its process runs stands still. The numbers are those of NVIDIA's open
 * kernel modules.
 *
 * VGPU_SIM_TIME_SLICES=0: a driver that does not let programs set them. VGPU_SIM_PAUSES=0: one that does not
 * let them disable channels. */
#ifndef VGPU_SIMGPU_CHANNEL_GROUP_H
#define VGPU_SIMGPU_CHANNEL_GROUP_H

#include <stdint.h>

#include "simgpu/machine.h"
#include "simgpu/shared_state.h"

/* How often this process may have its channels disabled, PAUSES_UNLIMITED at first. */
void channel_group_allow_pauses(long pauses);

/* Of a new context; its slice is that of the process on the GPU. Its number; 0: it has none. */
uint32_t channel_group_make(struct shared_slot *slot);
void channel_group_free(uint32_t group);

#endif

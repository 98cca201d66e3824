/* Takes this process's kernels off the GPU, wherever they are, and has them go on later as if nothing had
 * been.
 *
 * The driver makes channels for each context, and driver_ioctl.c sees it do so; the resource manager disables
 * those of the process that asks (ctrl/ctrl2080/ctrl2080fifo.h of NVIDIA's open kernel modules). Not
 * thread-safe: time_slice.c calls all of it under its lock. */
#ifndef VGPU_WORKER_CHANNEL_PAUSE_H
#define VGPU_WORKER_CHANNEL_PAUSE_H

#include <stdbool.h>
#include <stdint.h>

/* The driver has made the object by which the channels of a device are disabled (class 0x2080), or a channel
 * in a group whose kernels are to stand still. */
void channel_pause_subdevice_made(int fd, uint32_t client, uint32_t device, uint32_t object);
void channel_pause_channel_made(uint32_t client, uint32_t device, uint32_t group, uint32_t object);

/* It is about to free an object, which may be one of these, or what they stand in. */
void channel_pause_object_gone(uint32_t client, uint32_t object);

/* There are channels, and all of them are known. */
bool channel_pause_is_possible(void);

/* When it returns, none of the channels runs anything (paused), or all may. Takes less than a millisecond.
 * false: the driver does not do it. */
bool channel_pause_set(bool paused);

#endif

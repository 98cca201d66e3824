/* The driver's ioctls, which pass through this process's hands (driver_ioctl.c). */
#ifndef VGPU_WORKER_DRIVER_IOCTL_H
#define VGPU_WORKER_DRIVER_IOCTL_H

#include <stdint.h>

/* From now on ioctls go on to where the library itself would have sent them: to libc, as long as it does not
 * bring a function of its own. Once, before it is used. */
void driver_ioctl_follow(void *library);

/* The control that sets a channel group's time slice: a uint64_t of microseconds (ctrl/ctrla06c.h). */
#define DRIVER_SET_TIMESLICE 0xa06c0103u

/* A control of the resource manager on an object of this process: 0, or what is wrong (NV_STATUS, or ~0 where
 * the call itself failed). */
uint32_t driver_control(int fd, uint32_t client, uint32_t object, uint32_t command, void *parameters,
                        uint32_t bytes);

#endif

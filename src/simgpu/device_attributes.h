/* The values behind cuDeviceGetAttribute. */
#ifndef VGPU_SIMGPU_DEVICE_ATTRIBUTES_H
#define VGPU_SIMGPU_DEVICE_ATTRIBUTES_H

#include "simgpu/driver.h"

/* False: there is no such attribute. Any thread. */
bool device_attribute(const struct sim_device *device, CUdevice_attribute attribute, int *value);

#endif

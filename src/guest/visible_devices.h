/* CUDA_VISIBLE_DEVICES, by which users hide GPUs from a program. */
#ifndef VGPU_GUEST_VISIBLE_DEVICES_H
#define VGPU_GUEST_VISIBLE_DEVICES_H

#include <stdbool.h>

#include "cuda/cuda_types.h"

/* Whether a list as in that variable (NULL: not set) shows the one device there is, number 0. Numbers and
 * beginnings of UUIDs, up to the first that names no device. */
bool visible_devices_show(const char *list, const CUuuid *uuid);

#endif

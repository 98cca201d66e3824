/* cuInit, and what the library then knows of its one device. */
#ifndef VGPU_GUEST_INIT_H
#define VGPU_GUEST_INIT_H

#include <stdbool.h>

#include "cuda/cuda_types.h"
#include "wire/own_calls.h"

/* cuInit has succeeded in this process. */
bool library_initialised(void);

/* CUDA_SUCCESS when calls can be made, else the error every call returns. */
CUresult library_state(void);

/* The device's facts; NULL before cuInit. Valid for ever. */
const struct reply_device_info *device_facts(void);

#endif

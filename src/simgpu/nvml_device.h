/* What the entry points of the simulated NVML share. */
#ifndef VGPU_SIMGPU_NVML_DEVICE_H
#define VGPU_SIMGPU_NVML_DEVICE_H

#include "cuda/nvml_types.h"
#include "simgpu/machine.h"
#include "simgpu/shared_state.h"

/* The GPU behind a handle. An error: the library is not initialised, the handle is none, or the GPU is lost.
 */
nvmlReturn_t nvml_gpu_of(nvmlDevice_t device, const struct machine_gpu **gpu);

/* Copies text to a caller's buffer of length bytes as NVML does. */
nvmlReturn_t nvml_answer_text(const char *text, char *out, unsigned int length);

/* Valid once nvml_gpu_of has succeeded. */
struct shared_state *nvml_shared_state(void);

#endif

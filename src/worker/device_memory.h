/* Which addresses may be given to the driver as device memory. Under unified addressing the driver knows host
 * memory by the same addresses, and the worker has much that is not the guest's: a number from the guest
 * reaches the driver only when the driver itself says that it is memory of the GPU, or when it lies in a
 * segment shared with this guest. Any thread. */
#ifndef VGPU_WORKER_DEVICE_MEMORY_H
#define VGPU_WORKER_DEVICE_MEMORY_H

#include <stdint.h>

#include "cuda/cuda_types.h"

/* CUDA_ERROR_INVALID_VALUE, as from the driver, for an address that is neither. What the driver said is
 * remembered by each thread, so that a program's usual memory costs no call. */
CUresult device_memory_check(uint64_t address);

/* Memory may have gone: what is remembered holds no longer. */
void device_memory_changed(void);

#endif

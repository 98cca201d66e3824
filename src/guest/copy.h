/* Moving data between host and device. */
#ifndef VGPU_GUEST_COPY_H
#define VGPU_GUEST_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cuda/cuda_types.h"

/* The calling thread's staging area (STAGING_BYTES), opened at the first use; NULL with *result set when
 * there is none to be had. */
uint8_t *staging_area(CUresult *result);

/* Memory is shared, and the thread has a staging area or can have one: not where the host is out of memory.
 */
bool staging_is_to_be_had(void);

/* Takes the next slot for data to the device, waiting until its last copy is done. */
CUresult staging_take_slot(uint8_t **memory, uint32_t *slot);

/* 1D copies on a stream. `synchronous`: cuMemcpy rather than cuMemcpyAsync; it only matters where the host
 * memory is shared, since pageable data is safe when the call returns. */
CUresult copy_to_device(CUdeviceptr device, const void *host, size_t bytes, CUstream stream,
                        bool synchronous);
CUresult copy_from_device(void *host, CUdeviceptr device, size_t bytes, CUstream stream, bool synchronous);

#endif

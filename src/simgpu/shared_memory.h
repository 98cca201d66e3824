/* Memory of a simulated GPU that can be at several addresses, and in several processes: a file without a
 * name. */
#ifndef VGPU_SIMGPU_SHARED_MEMORY_H
#define VGPU_SIMGPU_SHARED_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "simgpu/driver.h"

/* Of that device, filled with zeros. -1 with errno set. */
int shared_memory_create(const struct sim_device *device, uint64_t bytes);

/* Whether the descriptor is of such memory, and of which device of this process. */
bool shared_memory_identify(int fd, struct sim_device **device, uint64_t *bytes);

/* Maps it, readable and writable, over what is at the address. */
bool shared_memory_map(int fd, uint64_t address, uint64_t bytes, uint64_t offset);

/* Opens what the process pid has as its descriptor `number`. -1: it is not there any more, or nothing of
 * ours. */
int shared_memory_open_of(int pid, int number);

#endif

/* What this guest process exports to others of its VM, and imports from them (wire/vm_exports.h). Any thread.
 */
#ifndef VGPU_WORKER_EXPORTS_H
#define VGPU_WORKER_EXPORTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cuda/cuda_types.h"
#include "wire/vm_exports.h"

/* The name under which the object was exported before; false: it was not. `object` tells objects of a kind
 * apart. */
bool export_known(enum vm_export_kind kind, uint64_t object, struct vm_export_name *name);

/* Exports an object under a new name. data: the driver's handle, or NULL for a descriptor, which is taken
 * over and given to other workers of this VM that ask for it. bytes: of memory. CUDA_ERROR_OUT_OF_MEMORY when
 * the VM has VM_EXPORTS_MAX already. */
CUresult export_add(enum vm_export_kind kind, uint64_t object, uint64_t bytes, const void *data,
                    size_t data_bytes, int fd, struct vm_export_name *name);

/* All objects of the kind from `object` on, before object + extent, are gone: addresses within memory, or one
 * handle. Cheap where nothing is exported. */
void export_remove(enum vm_export_kind kind, uint64_t object, uint64_t extent);

/* What a process of this VM, perhaps this one, has exported. CUDA_ERROR_INVALID_VALUE: nothing of that kind.
 */
CUresult export_find(enum vm_export_kind kind, const struct vm_export_name *name, struct vm_export *found);

/* Its descriptor, the caller's to close; -1: its owner does not give it. */
int export_fetch(const struct vm_export *found);

#endif

/* What the guest's handles stand for. The guest chooses the names; the worker keeps, for each, the driver's
 * object. A name the worker does not know is an error, so nothing a guest says reaches the driver as a
 * pointer. Any thread. */
#ifndef VGPU_WORKER_HANDLE_MAP_H
#define VGPU_WORKER_HANDLE_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "cuda/cuda_types.h"
#include "wire/handle.h"

/* The object of a name. NULL and CUDA's fixed stream handles stand for themselves; a kernel may stand where a
 * function is wanted, as in the driver API. False when there is no such object of this kind. */
bool handle_find(enum handle_kind kind, uint64_t handle, void **object);

/* What the driver returns for a bad handle of this kind. */
CUresult handle_error(enum handle_kind kind);

/* Names an object. An object that has a name already keeps it. `parent` (0: none) is the module or library
 * that takes the object with it when it goes. Returns the object's name, or 0 when `wanted` cannot be used.
 */
uint64_t handle_name(enum handle_kind kind, uint64_t wanted, void *object, uint64_t parent);

/* The name an object has already, or 0. */
uint64_t handle_known(enum handle_kind kind, const void *object);

/* Forgets a name and those of its children. */
void handle_remove(uint64_t handle);

/* Calls visit for every object of a kind, with the map locked: visit makes no call of this map. */
void handle_each(enum handle_kind kind, void (*visit)(void *object, void *user), void *user);

#endif

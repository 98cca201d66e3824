/* The guest's names for CUDA objects, and what it remembers about each. Any thread. */
#ifndef VGPU_GUEST_HANDLE_TABLE_H
#define VGPU_GUEST_HANDLE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/handle.h"

/* A fresh name, or 0 when there is no memory or too many exist. */
uint64_t handle_reserve(enum handle_kind kind);

/* The worker has answered: `given` is the object's name. It is not `reserved` when the object had a name
 * already, and 0 when there is no object: then the reserved name is free again. */
void handle_settle(uint64_t reserved, uint64_t given);

/* The same for what belongs to code and goes with it: a function of a module, a kernel of a library, ... */
void handle_settle_child(uint64_t reserved, uint64_t given, uint64_t parent);

/* The object is gone, and with code what belongs to it; frees what was attached. Ignores anything that is no
 * name. */
void handle_release(uint64_t handle);

/* The name stands for a living object of this kind. */
bool handle_alive(enum handle_kind kind, uint64_t handle);

/* What the guest attached to a living object; NULL when nothing. */
void *handle_data(uint64_t handle);

/* Attaches data, to be freed with free() when the object goes. Returns what is attached now: an earlier
 * attachment by another thread stays, and data is then freed. */
void *handle_attach(uint64_t handle, void *data);

/* Attaches data in place of what was attached, which is freed. */
void handle_replace(uint64_t handle, void *data);

#endif

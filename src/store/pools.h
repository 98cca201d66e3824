/* Pools, as the parts of the store use them. */
#ifndef VGPU_STORE_POOLS_H
#define VGPU_STORE_POOLS_H

#include "store/database.h"

/* A and B: those that the requirement's own columns can hold, see schema.c. */
static inline bool pool_is_first_two(char pool)
{
    return pool == 'A' || pool == 'B';
}

/* VGPU_ERR_NOT_FOUND, naming the pools that there are. */
enum vgpu_status pool_check(struct store *store, char pool, struct vgpu_error *err);

#endif

/* Memory that is freed all at once: everything a module owns lives in its arena. */
#ifndef SIMGPU_PTX_ARENA_H
#define SIMGPU_PTX_ARENA_H

#include <stddef.h>

struct ptx_arena;

struct ptx_arena *ptx_arena_create(void); /* NULL when out of memory */
void ptx_arena_destroy(struct ptx_arena *arena);

/* Zeroed, aligned to 16; NULL when out of memory. */
void *ptx_arena_alloc(struct ptx_arena *arena, size_t bytes);

#endif

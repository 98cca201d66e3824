#include "simgpu/ptx_arena.h"

#include <stdint.h>
#include <stdlib.h>

enum { CHUNK_BYTES = 64 * 1024, ALIGN = 16 };

struct chunk {
    struct chunk *next;
    size_t used, bytes;
};

struct ptx_arena {
    struct chunk *chunks;
};

enum { HEADER_BYTES = (sizeof(struct chunk) + ALIGN - 1) / ALIGN * ALIGN };

struct ptx_arena *ptx_arena_create(void)
{
    return calloc(1, sizeof(struct ptx_arena));
}

void ptx_arena_destroy(struct ptx_arena *arena)
{
    if (!arena)
        return;
    struct chunk *chunk = arena->chunks;
    while (chunk) {
        struct chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
    free(arena);
}

void *ptx_arena_alloc(struct ptx_arena *arena, size_t bytes)
{
    if (bytes > SIZE_MAX / 2)
        return NULL;
    bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    struct chunk *chunk = arena->chunks;
    if (!chunk || chunk->bytes - chunk->used < bytes) {
        size_t room = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
        chunk = calloc(1, HEADER_BYTES + room);
        if (!chunk)
            return NULL;
        chunk->bytes = room;
        chunk->next = arena->chunks;
        arena->chunks = chunk;
    }
    void *result = (char *)chunk + HEADER_BYTES + chunk->used;
    chunk->used += bytes;
    return result;
}

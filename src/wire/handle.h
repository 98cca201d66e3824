/* Handles as a guest program sees them: numbers made by the guest library, that the worker looks up. They
 * are never pointers, so a forged one can at worst name another object of the same guest process. */
#ifndef VGPU_WIRE_HANDLE_H
#define VGPU_WIRE_HANDLE_H

#include <stdbool.h>
#include <stdint.h>

enum handle_kind {
    HANDLE_NONE = 0,
    HANDLE_CONTEXT,
    HANDLE_MODULE,
    HANDLE_FUNCTION,
    HANDLE_LIBRARY,
    HANDLE_KERNEL,
    HANDLE_STREAM,
    HANDLE_EVENT,
    HANDLE_LINK,
    HANDLE_STAGING,    /* the worker's own: what a lane keeps in a context */
    HANDLE_POOL,       /* of memory, for allocations in stream order */
    HANDLE_ALLOCATION, /* of memory that is to be mapped */
    HANDLE_ARRAY,
    HANDLE_MIPMAPPED_ARRAY,
    HANDLE_TEXTURE_REFERENCE,
    HANDLE_SURFACE_REFERENCE,
    HANDLE_GREEN_CONTEXT,
    HANDLE_RESOURCE_DESCRIPTION,
    HANDLE_GRAPH,
    HANDLE_GRAPH_NODE,
    HANDLE_GRAPH_EXEC,
    HANDLE_USER_OBJECT,
    HANDLE_KINDS,
};

/* Bits 4-25 index, 26-41 generation of that index, 42-46 kind: canonical user addresses, aligned to 16, and
 * never one of CUDA's fixed handles (0, 1, 2). */
#define HANDLE_INDEX_BITS 22u
#define HANDLE_MAX_INDEX  ((1u << HANDLE_INDEX_BITS) - 1)

static inline uint64_t handle_value(enum handle_kind kind, uint32_t index, uint16_t generation)
{
    return (uint64_t)kind << 42 | (uint64_t)generation << 26 | (uint64_t)index << 4;
}
static inline enum handle_kind handle_value_kind(uint64_t value)
{
    return (enum handle_kind)(value >> 42 & 31u);
}
static inline uint32_t handle_value_index(uint64_t value)
{
    return (uint32_t)(value >> 4) & HANDLE_MAX_INDEX;
}
static inline uint16_t handle_value_generation(uint64_t value)
{
    return (uint16_t)(value >> 26);
}
/* A value that handle_value() can have made. */
static inline bool handle_value_plausible(uint64_t value)
{
    return value >> 47 == 0 && (value & 15u) == 0 && handle_value_kind(value) > HANDLE_NONE &&
           handle_value_kind(value) < HANDLE_KINDS;
}

#endif

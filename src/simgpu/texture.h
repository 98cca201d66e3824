/* Texture and surface objects: what a number that a kernel is given stands for. */
#ifndef VGPU_SIMGPU_TEXTURE_H
#define VGPU_SIMGPU_TEXTURE_H

#include "simgpu/context.h"
#include "simgpu/ptx.h"

struct texture {
    bool is_surface;
    bool has_view;
    struct CUctx_st *context;
    CUDA_RESOURCE_DESC resource;
    CUDA_TEXTURE_DESC description;
    CUDA_RESOURCE_VIEW_DESC view;
};

/* Texels in memory: an array, one level of a mipmap, or plain memory. */
struct texels {
    uint64_t base;
    size_t width, height, depth; /* depth: layers or faces too */
    size_t row_bytes, slice_bytes;
    CUarray_format format;
    unsigned int channels;
};

/* The object of this number in the context, copied. False: none. Any thread. */
bool texture_find(struct CUctx_st *context, uint64_t object, bool is_surface, struct texture *found);

/* The texels of a level. False: the resource has gone, or has no such level. */
bool texture_texels(const struct texture *texture, unsigned int level, struct texels *texels);
unsigned int texture_levels(const struct texture *texture); /* 0: the resource has gone */

/* What kernels do (struct ptx_launch). user is the context. */
bool texture_fetch(void *user, struct ptx_texture_fetch *fetch);
bool texture_surface(void *user, struct ptx_surface_access *access);
bool texture_query(void *user, uint64_t object, bool is_surface, enum ptx_texture_query query,
                   uint32_t *value);

#endif

/* Textures and surfaces: lane by lane, by the driver that knows what the numbers stand for. */
#include "simgpu/ptx_ops_single.h"

#include <string.h>

static bool is_layered(enum ptx_geometry geometry)
{
    return geometry == PTX_GEOMETRY_1D_LAYERED || geometry == PTX_GEOMETRY_2D_LAYERED ||
           geometry == PTX_GEOMETRY_CUBE_LAYERED;
}

static unsigned dimensions(enum ptx_geometry geometry)
{
    static const unsigned counts[] = {1, 2, 3, 1, 2, 3, 3};
    return counts[geometry];
}

static void fail(struct ptx_warp *w, const struct ptx_insn *i, unsigned lane, uint64_t object, bool is_write)
{
    ptx_fault_raise(w, i, lane, PTX_FAULT_ILLEGAL_ADDRESS, object, 0, is_write);
}

void ptx_run_TEX(struct ptx_warp *w, const struct ptx_insn *i)
{
    const struct ptx_launch *launch = w->executor->launch;
    const struct ptx_function *function = w->frame->function;
    const uint32_t *to = function->lists[i->d], *from = function->lists[i->e];
    enum ptx_geometry geometry = (enum ptx_geometry)i->k[0];
    for (uint32_t rest = w->mask; rest; rest &= rest - 1) {
        unsigned lane = (unsigned)__builtin_ctz(rest), next = 0;
        struct ptx_texture_fetch fetch = {
            .object = PTX_PLANE(w, uint64_t, i->a)[lane], .geometry = geometry, .is_whole = i->k[1]};
        if (is_layered(geometry))
            fetch.layer = PTX_PLANE(w, uint32_t, from[next++])[lane];
        for (unsigned axis = 0; axis < dimensions(geometry); axis++, next++) {
            fetch.texel[axis] = PTX_PLANE(w, int32_t, from[next])[lane];
            fetch.at[axis] = PTX_PLANE(w, float, from[next])[lane];
        }
        if (i->b != PTX_PLANE_NONE)
            fetch.level =
                i->k[2] ? (float)PTX_PLANE(w, int32_t, i->b)[lane] : PTX_PLANE(w, float, i->b)[lane];
        if (!launch->fetch || !launch->fetch(launch->user, &fetch)) {
            fail(w, i, lane, fetch.object, false);
            return;
        }
        for (unsigned channel = 0; channel < 4; channel++)
            PTX_PLANE(w, uint32_t, to[channel])[lane] = fetch.value[channel];
    }
}

/* A value between its register, which may be wider, and `bytes` in memory. */
static void put_value(struct ptx_warp *w, uint32_t plane, unsigned bits, unsigned lane, const uint8_t *memory,
                      unsigned bytes)
{
    uint64_t value = 0;
    memcpy(&value, memory, bytes);
    if (bits == 16)
        PTX_PLANE(w, uint16_t, plane)[lane] = (uint16_t)value;
    else if (bits == 32)
        PTX_PLANE(w, uint32_t, plane)[lane] = (uint32_t)value;
    else
        PTX_PLANE(w, uint64_t, plane)[lane] = value;
}

static void get_value(struct ptx_warp *w, uint32_t plane, unsigned bits, unsigned lane, uint8_t *memory,
                      unsigned bytes)
{
    uint64_t value = bits == 16   ? PTX_PLANE(w, uint16_t, plane)[lane]
                     : bits == 32 ? PTX_PLANE(w, uint32_t, plane)[lane]
                                  : PTX_PLANE(w, uint64_t, plane)[lane];
    memcpy(memory, &value, bytes);
}

void ptx_run_SURFACE(struct ptx_warp *w, const struct ptx_insn *i)
{
    const struct ptx_launch *launch = w->executor->launch;
    const struct ptx_function *function = w->frame->function;
    const uint32_t *values = function->lists[i->d], *from = function->lists[i->e];
    enum ptx_geometry geometry = (enum ptx_geometry)i->k[0];
    unsigned count = i->k[1], bytes = i->k[2];
    for (uint32_t rest = w->mask; rest; rest &= rest - 1) {
        unsigned lane = (unsigned)__builtin_ctz(rest), next = 0;
        int32_t at[3] = {0, 0, 0};
        struct ptx_surface_access access = {.object = PTX_PLANE(w, uint64_t, i->a)[lane],
                                            .geometry = geometry,
                                            .bytes = count * bytes,
                                            .clamp = (enum ptx_surface_clamp)i->k[4],
                                            .is_write = i->k[5]};
        if (is_layered(geometry))
            access.layer = PTX_PLANE(w, uint32_t, from[next++])[lane];
        for (unsigned axis = 0; axis < dimensions(geometry); axis++)
            at[axis] = PTX_PLANE(w, int32_t, from[next++])[lane];
        access.x_bytes = at[0];
        access.y = at[1];
        access.z = at[2];
        for (unsigned part = 0; part < count && access.is_write; part++)
            get_value(w, values[part], i->k[3], lane, access.data + part * bytes, bytes);
        if (!launch->surface || !launch->surface(launch->user, &access)) {
            fail(w, i, lane, access.object, access.is_write);
            return;
        }
        for (unsigned part = 0; part < count && !access.is_write; part++)
            put_value(w, values[part], i->k[3], lane, access.data + part * bytes, bytes);
    }
}

void ptx_run_TXQ(struct ptx_warp *w, const struct ptx_insn *i)
{
    const struct ptx_launch *launch = w->executor->launch;
    for (uint32_t rest = w->mask; rest; rest &= rest - 1) {
        unsigned lane = (unsigned)__builtin_ctz(rest);
        uint64_t object = PTX_PLANE(w, uint64_t, i->a)[lane];
        uint32_t value = 0;
        if (!launch->query ||
            !launch->query(launch->user, object, i->k[1], (enum ptx_texture_query)i->k[0], &value)) {
            fail(w, i, lane, object, false);
            return;
        }
        PTX_PLANE(w, uint32_t, i->d)[lane] = value;
    }
}

/* What a kernel reads from a texture, and reads from and writes to a surface.
 *
 * Source: "Texture Fetching" in NVIDIA's CUDA C++ Programming Guide. Weights of the linear filter have 8
 * bits, as the hardware's. */
#include <math.h>
#include <string.h>

#include "simgpu/array.h"
#include "simgpu/texture.h"

/* One texel, or a mixture of several. */
struct sample {
    bool is_integer;
    float channels[4];
    uint32_t bits[4]; /* of integers */
};

static float half_to_float(uint16_t half)
{
    uint32_t exponent = half >> 10 & 31, fraction = half & 1023;
    float value = exponent == 31 ? (fraction ? NAN : INFINITY)
                  : exponent     ? ldexpf((float)(fraction | 1024), (int)exponent - 25)
                                 : ldexpf((float)fraction, -24);
    return half & 0x8000 ? -value : value;
}

/* One channel. Integers of up to 16 bits count as parts of their largest value, unless they are to be read as
 * they are. */
static void read_channel(const struct texels *texels, const uint8_t *from, bool as_integer,
                         struct sample *sample, unsigned int channel)
{
    int32_t whole = 0;
    float largest = 1;
    uint16_t narrow;
    memcpy(&narrow, from, array_channel_bytes(texels->format) > 1 ? 2 : 1);
    switch (texels->format) {
    case CU_AD_FORMAT_FLOAT:
        memcpy(&sample->channels[channel], from, 4);
        return;
    case CU_AD_FORMAT_HALF:
        sample->channels[channel] = half_to_float(narrow);
        return;
    case CU_AD_FORMAT_UNSIGNED_INT8:
        whole = *from;
        largest = 255;
        break;
    case CU_AD_FORMAT_SIGNED_INT8:
        whole = *from < 128 ? *from : *from - 256;
        largest = 127;
        break;
    case CU_AD_FORMAT_UNSIGNED_INT16:
        whole = narrow;
        largest = 65535;
        break;
    case CU_AD_FORMAT_SIGNED_INT16:
        whole = (int16_t)narrow;
        largest = 32767;
        break;
    default:
        memcpy(&whole, from, 4);
        as_integer = true;
    }
    if (as_integer) {
        sample->is_integer = true;
        sample->bits[channel] = (uint32_t)whole;
        return;
    }
    float part = (float)whole / largest;
    sample->channels[channel] = part < -1 ? -1 : part;
}

/* Where a texel's index comes to lie; -1: outside, where the border is. */
static int64_t place(int64_t index, size_t size, CUaddress_mode mode)
{
    int64_t extent = (int64_t)size, turn;
    switch (mode) {
    case CU_TR_ADDRESS_MODE_WRAP:
        turn = index % extent;
        return turn < 0 ? turn + extent : turn;
    case CU_TR_ADDRESS_MODE_MIRROR:
        turn = index % (2 * extent);
        turn = turn < 0 ? turn + 2 * extent : turn;
        return turn < extent ? turn : 2 * extent - 1 - turn;
    case CU_TR_ADDRESS_MODE_BORDER:
        return index < 0 || index >= extent ? -1 : index;
    default:
        return index < 0 ? 0 : index >= extent ? extent - 1 : index;
    }
}

/* How the coordinates of one fetch are to be read. */
struct manner {
    const struct texture *texture;
    const struct texels *texels;
    CUaddress_mode modes[3];
    unsigned int axes; /* with coordinates of their own */
    size_t slice;      /* the layer or face, where the third axis has none */
};

static struct sample read_texel(const struct manner *manner, const int64_t index[3])
{
    const struct texels *texels = manner->texels;
    const CUDA_TEXTURE_DESC *description = &manner->texture->description;
    bool as_integer = description->flags & CU_TRSF_READ_AS_INTEGER;
    size_t sizes[3] = {texels->width, texels->height, texels->depth}, channel_bytes;
    int64_t at[3] = {0, 0, (int64_t)manner->slice};
    struct sample sample = {0};
    bool outside = false;
    for (unsigned int axis = 0; axis < 3 && axis < manner->axes; axis++) {
        at[axis] = place(index[axis], sizes[axis], manner->modes[axis]);
        outside |= at[axis] < 0;
    }
    if (outside) {
        memcpy(sample.channels, description->borderColor, sizeof sample.channels);
        for (int channel = 0; channel < 4; channel++)
            sample.bits[channel] = (uint32_t)(int32_t)sample.channels[channel];
        sample.is_integer = array_channel_bytes(texels->format) == 4 && texels->format != CU_AD_FORMAT_FLOAT;
        sample.is_integer |=
            as_integer && texels->format != CU_AD_FORMAT_FLOAT && texels->format != CU_AD_FORMAT_HALF;
        return sample;
    }
    channel_bytes = array_channel_bytes(texels->format);
    const uint8_t *from = (const uint8_t *)(uintptr_t)(texels->base + (uint64_t)at[2] * texels->slice_bytes +
                                                       (uint64_t)at[1] * texels->row_bytes +
                                                       (uint64_t)at[0] * channel_bytes * texels->channels);
    for (unsigned int channel = 0; channel < texels->channels; channel++)
        read_channel(texels, from + channel * channel_bytes, as_integer, &sample, channel);
    return sample;
}

static struct sample nearest(const struct manner *manner, const float at[3])
{
    int64_t index[3];
    for (int axis = 0; axis < 3; axis++)
        index[axis] = (int64_t)floorf(at[axis]);
    return read_texel(manner, index);
}

/* A mixture of the texels around, two along each axis. */
static struct sample linear(const struct manner *manner, const float at[3])
{
    struct sample mixture = {0};
    float weights[3] = {0};
    int64_t first[3] = {0};
    for (unsigned int axis = 0; axis < 3 && axis < manner->axes; axis++) {
        float centred = at[axis] - 0.5f, whole = floorf(centred);
        first[axis] = (int64_t)whole;
        weights[axis] = rintf((centred - whole) * 256) / 256;
    }
    for (unsigned int corner = 0; corner < 1u << manner->axes; corner++) {
        int64_t index[3] = {0};
        float weight = 1;
        for (unsigned int axis = 0; axis < 3 && axis < manner->axes; axis++) {
            bool second = corner >> axis & 1;
            index[axis] = first[axis] + second;
            weight *= second ? weights[axis] : 1 - weights[axis];
        }
        if (weight == 0)
            continue;
        struct sample sample = read_texel(manner, index);
        for (int channel = 0; channel < 4; channel++)
            mixture.channels[channel] += weight * sample.channels[channel];
    }
    return mixture;
}

/* The face of a cube that a direction meets, and where: as coordinates from 0 to 1. */
static unsigned int face_of(const float direction[3], float at[3])
{
    float x = direction[0], y = direction[1], z = direction[2];
    float ax = fabsf(x), ay = fabsf(y), az = fabsf(z), u, v, along;
    unsigned int face;
    if (ax >= ay && ax >= az) {
        face = x >= 0 ? 0 : 1;
        along = ax;
        u = x >= 0 ? -z : z;
        v = -y;
    } else if (ay >= az) {
        face = y >= 0 ? 2 : 3;
        along = ay;
        u = x;
        v = y >= 0 ? z : -z;
    } else {
        face = z >= 0 ? 4 : 5;
        along = az;
        u = z >= 0 ? x : -x;
        v = -y;
    }
    at[0] = (u / along + 1) / 2;
    at[1] = (v / along + 1) / 2;
    at[2] = 0;
    return face;
}

static size_t clamp_layer(uint32_t layer, size_t layers)
{
    return (int32_t)layer < 0 ? 0 : layer >= layers ? layers - 1 : (size_t)layer;
}

static struct sample sample_level(const struct texture *texture, const struct ptx_texture_fetch *fetch,
                                  const struct texels *texels)
{
    static const unsigned int axes[] = {1, 2, 3, 1, 2, 2, 2};
    const CUDA_TEXTURE_DESC *description = &texture->description;
    bool normalized = description->flags & CU_TRSF_NORMALIZED_COORDINATES;
    bool cube = fetch->geometry == PTX_GEOMETRY_CUBE || fetch->geometry == PTX_GEOMETRY_CUBE_LAYERED;
    struct manner manner = {.texture = texture, .texels = texels, .axes = axes[fetch->geometry]};
    const size_t sizes[3] = {texels->width, texels->height, texels->depth};
    float at[3] = {fetch->at[0], fetch->at[1], fetch->at[2]};
    if (fetch->geometry == PTX_GEOMETRY_1D_LAYERED || fetch->geometry == PTX_GEOMETRY_2D_LAYERED)
        manner.slice = clamp_layer(fetch->layer, texels->depth);
    if (cube) {
        size_t layer =
            fetch->geometry == PTX_GEOMETRY_CUBE_LAYERED ? clamp_layer(fetch->layer, texels->depth / 6) : 0;
        manner.slice = layer * 6 + face_of(fetch->at, at);
    }
    /* To the hardware one dimension is two, with one row that is read at its edge: where a border is around
     * it, half of what is seen is border. */
    if (manner.axes == 1 && !fetch->is_whole && description->addressMode[1] == CU_TR_ADDRESS_MODE_BORDER)
        manner.axes = 2;
    for (unsigned int axis = 0; axis < manner.axes; axis++) {
        CUaddress_mode mode = description->addressMode[axis];
        bool turns = mode == CU_TR_ADDRESS_MODE_WRAP || mode == CU_TR_ADDRESS_MODE_MIRROR;
        /* Turning round takes coordinates from 0 to 1. */
        manner.modes[axis] =
            cube || (turns && (!normalized || fetch->is_whole)) ? CU_TR_ADDRESS_MODE_CLAMP : mode;
        if ((normalized && !fetch->is_whole) || cube)
            at[axis] *= (float)sizes[axis];
    }
    if (fetch->is_whole) {
        const int64_t index[3] = {fetch->texel[0], fetch->texel[1], fetch->texel[2]};
        if (texture->resource.resType == CU_RESOURCE_TYPE_LINEAR)
            manner.modes[0] = CU_TR_ADDRESS_MODE_BORDER;
        return read_texel(&manner, index);
    }
    return description->filterMode == CU_TR_FILTER_MODE_LINEAR ? linear(&manner, at) : nearest(&manner, at);
}

static float level_of(const struct texture *texture, float asked)
{
    const CUDA_TEXTURE_DESC *description = &texture->description;
    float level = asked + description->mipmapLevelBias;
    float most = description->maxMipmapLevelClamp, least = description->minMipmapLevelClamp;
    if (level > most)
        level = most;
    return level < least ? least : level;
}

static unsigned int level_within(float level, unsigned int levels)
{
    return level <= 0 ? 0 : level >= (float)levels ? levels - 1 : (unsigned int)level;
}

bool texture_fetch(void *user, struct ptx_texture_fetch *fetch)
{
    struct texture texture;
    struct texels texels;
    if (!texture_find(user, fetch->object, false, &texture))
        return false;
    unsigned int levels = texture_levels(&texture), level = 0;
    float detail = levels > 1 ? level_of(&texture, fetch->level) : 0, between = 0;
    if (texture.description.mipmapFilterMode == CU_TR_FILTER_MODE_LINEAR) {
        level = level_within(floorf(detail), levels);
        between = detail > 0 && level + 1 < levels ? detail - floorf(detail) : 0;
    } else {
        level = level_within(floorf(detail + 0.5f), levels);
    }
    if (!texture_texels(&texture, level, &texels))
        return false;
    struct sample sample = sample_level(&texture, fetch, &texels);
    if (between > 0 && !sample.is_integer && texture_texels(&texture, level + 1, &texels)) {
        struct sample next = sample_level(&texture, fetch, &texels);
        for (int channel = 0; channel < 4; channel++)
            sample.channels[channel] += between * (next.channels[channel] - sample.channels[channel]);
    }
    if (!sample.is_integer)
        memcpy(sample.bits, sample.channels, sizeof sample.bits);
    memcpy(fetch->value, sample.bits, sizeof fetch->value);
    return true;
}

/* Puts a coordinate within the surface as the instruction says. False: it is outside and stays there. */
static bool bring_within(int64_t *at, size_t size, size_t step, enum ptx_surface_clamp clamp)
{
    int64_t last = (int64_t)size - (int64_t)step;
    if (*at >= 0 && *at <= last)
        return true;
    *at = *at < 0 ? 0 : last;
    return clamp == PTX_SURFACE_CLAMP;
}

bool texture_surface(void *user, struct ptx_surface_access *access)
{
    struct texture surface;
    struct texels texels;
    if (!texture_find(user, access->object, true, &surface) || !texture_texels(&surface, 0, &texels) ||
        access->x_bytes % (int32_t)access->bytes)
        return false;
    bool layered = access->geometry == PTX_GEOMETRY_1D_LAYERED || access->geometry == PTX_GEOMETRY_2D_LAYERED;
    int64_t x = access->x_bytes, y = access->y, z = layered ? (int64_t)access->layer : access->z;
    bool inside = bring_within(&x, texels.row_bytes, access->bytes, access->clamp);
    inside &= bring_within(&y, texels.height, 1, access->clamp);
    inside &= bring_within(&z, texels.depth, 1, access->clamp);
    if (!inside) {
        if (!access->is_write)
            memset(access->data, 0, sizeof access->data);
        return access->clamp != PTX_SURFACE_TRAP;
    }
    uint8_t *memory = (uint8_t *)(uintptr_t)(texels.base + (uint64_t)z * texels.slice_bytes +
                                             (uint64_t)y * texels.row_bytes + (uint64_t)x);
    if (access->is_write)
        memcpy(memory, access->data, access->bytes);
    else
        memcpy(access->data, memory, access->bytes);
    return true;
}

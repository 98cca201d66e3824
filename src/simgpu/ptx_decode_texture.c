/* Textures and surfaces by their numbers ("unified" mode: the sampler is part of the texture). References by
 * name are not there. */
#include <string.h>

#include "simgpu/ptx_compile.h"

static const char *const geometries[] = {"1d", "2d", "3d", "a1d", "a2d", "cube", "acube", NULL};
/* Elements of the coordinate vector, the unused ones included. */
static const unsigned coordinate_counts[] = {1, 2, 4, 2, 4, 4, 4};

static enum ptx_geometry take_geometry(struct ptx_compiler *c, struct instruction *in)
{
    int geometry = mod_choice(in, geometries);
    if (geometry < 0)
        decode_unsupported(c, in);
    return (enum ptx_geometry)geometry;
}

/* The object and its coordinates, as planes. */
static uint32_t decode_place(struct ptx_compiler *c, const struct instruction *in,
                             const struct operand *place, enum ptx_geometry geometry, uint32_t *object)
{
    uint32_t planes[4];
    if (!place->is_address || place->kind != OPERAND_REGISTER || place->value != 0 ||
        operand_bits(place) != 64)
        decode_unsupported(c, in);
    if (place->count != coordinate_counts[geometry])
        decode_mismatch(c, in);
    *object = place->plane;
    for (unsigned i = 0; i < place->count; i++)
        planes[i] = place->parts[i].kind == OPERAND_SINK ? plane_constant(c, 32, 0)
                                                         : source_bits(c, in, &place->parts[i], 32);
    return list_add(c, planes, place->count);
}

static void decode_tex(struct ptx_compiler *c, struct instruction *in)
{
    bool level = mod_take(in, "level"), base = mod_take(in, "base");
    enum ptx_geometry geometry = take_geometry(c, in);
    if (!mod_take(in, "v4"))
        decode_unsupported(c, in);
    enum ptx_type type = mod_type(c, in), coordinates = mod_type(c, in);
    if ((type != PTX_F32 && type != PTX_S32 && type != PTX_U32) ||
        (coordinates != PTX_F32 && coordinates != PTX_S32) || (level && base))
        decode_unsupported(c, in);
    decode_count(c, in, 2u + level, 2u + level);
    const struct operand *value = &in->operands[0];
    if (value->kind != OPERAND_VECTOR || value->count != 4)
        decode_mismatch(c, in);
    uint32_t object, planes[4];
    uint32_t place = decode_place(c, in, &in->operands[1], geometry, &object);
    uint32_t detail = PTX_PLANE_NONE;
    if (level)
        detail = source_bits(c, in, &in->operands[2], 32);
    for (unsigned i = 0; i < 4; i++)
        planes[i] = value->parts[i].kind == OPERAND_SINK ? plane_alloc(c, 32)
                                                         : destination(c, in, &value->parts[i], PTX_B32);
    uint32_t list = list_add(c, planes, 4);
    struct ptx_insn *insn = emit(c, in, PTX_OP_TEX);
    insn->d = list;
    insn->a = object;
    insn->b = detail;
    insn->e = place;
    insn->k[0] = (uint8_t)geometry;
    insn->k[1] = coordinates == PTX_S32;
    insn->k[2] = level && coordinates == PTX_S32;
}

static void decode_surface(struct ptx_compiler *c, struct instruction *in, bool is_store)
{
    static const char *const caches[] = {"ca", "cg", "cs", "cv", "wb", "wt", NULL};
    static const char *const vectors[] = {"v2", "v4", NULL};
    static const char *const clamps[] = {"trap", "clamp", "zero", NULL};
    if (!mod_take(in, "b"))
        decode_unsupported(c, in);
    enum ptx_geometry geometry = take_geometry(c, in);
    mod_choice(in, caches);
    int vector = mod_choice(in, vectors), clamp = mod_choice(in, clamps);
    enum ptx_type type = mod_type(c, in);
    unsigned count = vector < 0 ? 1 : 2u << vector, bits = ptx_type_bits(type);
    if (!ptx_type_is_bits(type) || bits * count > 128 || geometry == PTX_GEOMETRY_CUBE ||
        geometry == PTX_GEOMETRY_CUBE_LAYERED)
        decode_unsupported(c, in);
    decode_count(c, in, 2, 2);
    const struct operand *value = &in->operands[is_store ? 1 : 0];
    if ((value->kind == OPERAND_VECTOR) != (count > 1) &&
        !(value->kind == OPERAND_VECTOR && value->count == 1))
        decode_mismatch(c, in);
    if (value->kind == OPERAND_VECTOR && value->count != count)
        decode_mismatch(c, in);
    uint32_t object, planes[4];
    uint32_t place = decode_place(c, in, &in->operands[is_store ? 0 : 1], geometry, &object);
    unsigned wide = bits == 8 ? 16 : bits;
    for (unsigned i = 0; i < count; i++) {
        const struct operand *part = value->kind == OPERAND_VECTOR ? &value->parts[i] : value;
        if (operand_bits(part) > wide)
            wide = operand_bits(part);
    }
    for (unsigned i = 0; i < count; i++) {
        const struct operand *part = value->kind == OPERAND_VECTOR ? &value->parts[i] : value;
        if (is_store)
            planes[i] = source_bits(c, in, part, wide);
        else if (part->kind == OPERAND_SINK)
            planes[i] = plane_alloc(c, wide);
        else if (part->kind == OPERAND_REGISTER && operand_bits(part) == wide)
            planes[i] = part->plane;
        else
            decode_mismatch(c, in);
    }
    uint32_t list = list_add(c, planes, count);
    struct ptx_insn *insn = emit(c, in, PTX_OP_SURFACE);
    insn->d = list;
    insn->a = object;
    insn->e = place;
    insn->k[0] = (uint8_t)geometry;
    insn->k[1] = (uint8_t)count;
    insn->k[2] = (uint8_t)(bits / 8);
    insn->k[3] = (uint8_t)wide;
    insn->k[4] = (uint8_t)(clamp < 0 ? PTX_SURFACE_TRAP : clamp);
    insn->k[5] = is_store;
}

static void decode_query(struct ptx_compiler *c, struct instruction *in, bool is_surface)
{
    static const char *const queries[] = {"width", "height", "depth", "array_size", "num_mipmap_levels",
                                          NULL};
    int query = mod_choice(in, queries);
    if (query < 0 || !mod_take(in, "b32"))
        decode_unsupported(c, in);
    decode_count(c, in, 2, 2);
    const struct operand *place = &in->operands[1];
    if (!place->is_address || place->kind != OPERAND_REGISTER || place->count || operand_bits(place) != 64)
        decode_unsupported(c, in);
    uint32_t d = destination(c, in, &in->operands[0], PTX_B32);
    struct ptx_insn *insn = emit(c, in, PTX_OP_TXQ);
    insn->d = d;
    insn->a = place->plane;
    insn->k[0] = (uint8_t)query;
    insn->k[1] = is_surface;
}

bool decode_texture(struct ptx_compiler *c, struct instruction *in)
{
    if (strcmp(in->root, "tex") == 0)
        decode_tex(c, in);
    else if (strcmp(in->root, "suld") == 0 || strcmp(in->root, "sust") == 0)
        decode_surface(c, in, in->root[2] == 's');
    else if (strcmp(in->root, "txq") == 0 || strcmp(in->root, "suq") == 0)
        decode_query(c, in, in->root[0] == 's');
    else
        return false;
    return true;
}

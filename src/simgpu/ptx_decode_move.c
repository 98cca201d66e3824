/* mov, with packing and unpacking of vectors, and cvt. */
#include <string.h>

#include "simgpu/ptx_compile.h"

static enum ptx_op pack_op(struct ptx_compiler *c, const struct instruction *in, enum ptx_op op16x2,
                           unsigned bits, unsigned count)
{
    if (bits == 32 && count == 2)
        return op16x2;
    if (bits == 64 && count == 4)
        return (enum ptx_op)(op16x2 + 1);
    if (bits == 64 && count == 2)
        return (enum ptx_op)(op16x2 + 2);
    decode_unsupported(c, in);
}

static void decode_pack(struct ptx_compiler *c, struct instruction *in, enum ptx_type type)
{
    const struct operand *vector = &in->operands[1];
    enum ptx_op op = pack_op(c, in, PTX_OP_PACK_16X2, ptx_type_bits(type), vector->count);
    uint32_t planes[4];
    for (unsigned i = 0; i < vector->count; i++)
        planes[i] = source_bits(c, in, &vector->parts[i], ptx_type_bits(type) / vector->count);
    uint32_t d = destination(c, in, &in->operands[0], type), list = list_add(c, planes, vector->count);
    struct ptx_insn *insn = emit(c, in, op);
    insn->d = d;
    insn->imm = list;
}

static void decode_unpack(struct ptx_compiler *c, struct instruction *in, enum ptx_type type)
{
    const struct operand *vector = &in->operands[0];
    enum ptx_op op = pack_op(c, in, PTX_OP_UNPACK_16X2, ptx_type_bits(type), vector->count);
    unsigned bits = ptx_type_bits(type) / vector->count;
    uint32_t planes[4];
    for (unsigned i = 0; i < vector->count; i++) {
        const struct operand *part = &vector->parts[i];
        if (part->kind == OPERAND_SINK)
            planes[i] = PTX_PLANE_NONE;
        else if (operand_bits(part) == bits)
            planes[i] = part->plane;
        else
            decode_mismatch(c, in);
    }
    uint32_t a = source(c, in, &in->operands[1], type), list = list_add(c, planes, vector->count);
    struct ptx_insn *insn = emit(c, in, op);
    insn->a = a;
    insn->imm = list;
}

bool decode_move(struct ptx_compiler *c, struct instruction *in)
{
    if (strcmp(in->root, "mov") != 0)
        return false;
    enum ptx_type type = mod_type(c, in);
    decode_count(c, in, 2, 2);
    if (in->operands[1].kind == OPERAND_VECTOR) {
        decode_pack(c, in, type);
        return true;
    }
    if (in->operands[0].kind == OPERAND_VECTOR) {
        decode_unpack(c, in, type);
        return true;
    }
    unsigned bits = ptx_type_bits(type);
    if (bits == 8)
        decode_unsupported(c, in);
    uint32_t a;
    if (type == PTX_PRED)
        a = source_predicate(c, in, &in->operands[1]);
    else if (in->operands[1].kind == OPERAND_REGISTER)
        a = source_bits(c, in, &in->operands[1], bits);
    else
        a = source(c, in, &in->operands[1], type);
    uint32_t d = destination(c, in, &in->operands[0], type);
    struct ptx_insn *insn = emit(c, in,
                                 bits == 1    ? PTX_OP_MOV_P
                                 : bits == 16 ? PTX_OP_MOV_16
                                 : bits == 32 ? PTX_OP_MOV_32
                                              : PTX_OP_MOV_64);
    insn->d = d;
    insn->a = a;
    return true;
}

/* ---- cvt --------------------------------------------------------------------------------------- */

static const char *const roundings[] = {"rn", "rz", "rm", "rp", "rni", "rzi", "rmi", "rpi", "rna", NULL};

static uint32_t plane_for(struct ptx_compiler *c, const struct instruction *in, const struct operand *operand,
                          enum ptx_type type, uint8_t *bits)
{
    unsigned least = ptx_type_bits(type) == 8 ? 16 : ptx_type_bits(type);
    unsigned have = operand_bits(operand);
    if (operand->kind != OPERAND_REGISTER) {
        *bits = (uint8_t)least;
        return source(c, in, operand, type);
    }
    bool same = ptx_type_is_float(type); /* a float fills its register */
    if (have < least || (same && have != least) || operand->is_address || operand->is_negated ||
        operand->has_pair || operand->type == PTX_PRED)
        decode_mismatch(c, in);
    *bits = (uint8_t)have;
    return operand->plane;
}

/* Two floats into a pair of halves: cvt.rn.f16x2.f32 d, high, low. */
static void decode_pair(struct ptx_compiler *c, struct instruction *in, enum ptx_type to, enum ptx_type from,
                        int rounding, unsigned flags)
{
    if (from != PTX_F32 || (rounding != PTX_RN && rounding != PTX_RZ))
        decode_unsupported(c, in);
    decode_count(c, in, 3, 3);
    uint32_t high = source(c, in, &in->operands[1], from), low = source(c, in, &in->operands[2], from);
    uint32_t d = destination(c, in, &in->operands[0], to);
    struct ptx_insn *insn = emit(c, in, PTX_OP_CVT_PACK);
    insn->d = d;
    insn->a = high;
    insn->b = low;
    insn->k[1] = (uint8_t)to;
    insn->k[2] = (uint8_t)rounding;
    insn->k[3] = (uint8_t)flags;
}

static bool decode_simple(struct ptx_compiler *c, struct instruction *in, enum ptx_type to,
                          enum ptx_type from)
{
    const struct operand *out = &in->operands[0], *value = &in->operands[1];
    if (operand_bits(out) != ptx_type_bits(to) || operand_bits(value) != ptx_type_bits(from))
        return false;
    enum ptx_op op;
    if (ptx_type_bits(to) == 64 && from == PTX_U32 && ptx_type_is_integer(to))
        op = PTX_OP_CVT_U64_U32;
    else if (ptx_type_bits(to) == 64 && from == PTX_S32 && ptx_type_is_integer(to))
        op = PTX_OP_CVT_S64_S32;
    else if (ptx_type_bits(to) == 32 && ptx_type_bits(from) == 64 && ptx_type_is_integer(to) &&
             ptx_type_is_integer(from))
        op = PTX_OP_CVT_B32_B64;
    else
        return false;
    struct ptx_insn *insn = emit(c, in, op);
    insn->d = out->plane;
    insn->a = value->plane;
    return true;
}

bool decode_convert(struct ptx_compiler *c, struct instruction *in)
{
    if (strcmp(in->root, "cvt") != 0)
        return false;
    int rounding = mod_choice(in, roundings);
    unsigned flags = (mod_take(in, "ftz") ? PTX_FLOAT_FTZ : 0u) | (mod_take(in, "sat") ? PTX_FLOAT_SAT : 0u) |
                     (mod_take(in, "relu") ? PTX_FLOAT_RELU : 0u);
    enum ptx_type to = mod_type(c, in), from = mod_type(c, in);
    if (to == PTX_F16X2 || to == PTX_BF16X2) {
        decode_pair(c, in, to, from, rounding, flags);
        return true;
    }
    if (to == PTX_PRED || from == PTX_PRED || from == PTX_TF32 || from == PTX_F16X2 || from == PTX_BF16X2 ||
        ptx_type_is_bits(to) || ptx_type_is_bits(from) || to == PTX_S16X2 || to == PTX_U16X2)
        decode_unsupported(c, in);
    decode_count(c, in, 2, 2);
    bool integral = !ptx_type_is_float(to) && !ptx_type_is_float(from);
    if (integral && !flags && decode_simple(c, in, to, from))
        return true;
    if (!integral && rounding < 0) {
        bool widens =
            ptx_type_is_float(to) && ptx_type_is_float(from) && ptx_type_bits(to) >= ptx_type_bits(from);
        if (!widens)
            compile_fail(c, in->line, "Rounding modifier required for instruction '%s'", in->opcode);
    }
    struct ptx_insn k = {0};
    uint32_t a = plane_for(c, in, &in->operands[1], from, &k.k[4]);
    uint32_t d;
    if (in->operands[0].kind == OPERAND_REGISTER)
        d = plane_for(c, in, &in->operands[0], to, &k.k[5]);
    else
        decode_mismatch(c, in);
    struct ptx_insn *insn = emit(c, in, PTX_OP_CVT);
    insn->d = d;
    insn->a = a;
    insn->k[0] = (uint8_t)from;
    insn->k[1] = (uint8_t)(to == PTX_TF32 ? PTX_TF32 : to);
    insn->k[2] = rounding < 0 ? PTX_RN : (uint8_t)rounding;
    insn->k[3] = (uint8_t)flags;
    insn->k[4] = k.k[4];
    insn->k[5] = k.k[5];
    return true;
}

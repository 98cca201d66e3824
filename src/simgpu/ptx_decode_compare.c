/* Comparison and selection: setp, set, selp, slct. */
#include <string.h>

#include "simgpu/ptx_compile.h"

static const char *const comparisons[] = {"eq",  "ne",  "lt",  "le",  "gt",  "ge",  "equ", "neu",
                                          "ltu", "leu", "gtu", "geu", "num", "nan", NULL};
/* Unsigned comparisons by their old names. */
static const char *const unsigned_comparisons[] = {"lo", "ls", "hi", "hs", NULL};

static int take_comparison(struct ptx_compiler *c, struct instruction *in)
{
    int comparison = mod_choice(in, comparisons);
    if (comparison >= 0)
        return comparison;
    comparison = mod_choice(in, unsigned_comparisons);
    if (comparison < 0)
        decode_unsupported(c, in);
    return PTX_LT + comparison;
}

static enum ptx_op compare_op(struct ptx_compiler *c, const struct instruction *in, int comparison,
                              enum ptx_type type)
{
    static const enum ptx_op on_float[] = {PTX_OP_SETP_EQ_F32,    PTX_OP_SETP_NE_F32,   PTX_OP_SETP_LT_F32,
                                           PTX_OP_SETP_LE_F32,    PTX_OP_SETP_GT_F32,   PTX_OP_SETP_GE_F32,
                                           PTX_OP_SETP_EQU_F32,   PTX_OP_SETP_NEU_F32,  PTX_OP_SETP_LTU_F32,
                                           PTX_OP_SETP_LEU_F32,   PTX_OP_SETP_GTU_F32,  PTX_OP_SETP_GEU_F32,
                                           PTX_OP_SETP_ISNUM_F32, PTX_OP_SETP_ISNAN_F32};
    static const enum ptx_op on_integer[] = {PTX_OP_SETP_EQ_16,  PTX_OP_SETP_NE_16,  PTX_OP_SETP_LT_S16,
                                             PTX_OP_SETP_LE_S16, PTX_OP_SETP_GT_S16, PTX_OP_SETP_GE_S16};
    if (type == PTX_F16 || type == PTX_BF16 || type == PTX_F16X2 || type == PTX_BF16X2)
        return PTX_OP_SETPH;
    if (type == PTX_F32 || type == PTX_F64)
        return (enum ptx_op)(on_float[comparison] + (type == PTX_F64));
    unsigned bits = ptx_type_bits(type);
    bool ordered = comparison > PTX_NE;
    if (comparison > PTX_GE || bits < 16 || (ordered && ptx_type_is_bits(type)))
        decode_unsupported(c, in);
    unsigned width = bits == 16 ? 0 : bits == 32 ? 1 : 2;
    return (enum ptx_op)(on_integer[comparison] + width + (ordered && !ptx_type_is_signed(type) ? 3 : 0));
}

struct comparison {
    int comparison;
    int combine; /* enum ptx_combine */
    unsigned flags;
    enum ptx_type type;
};

static void emit_compare(struct ptx_compiler *c, struct instruction *in, const struct comparison *how,
                         uint32_t d, uint32_t e)
{
    uint32_t with = PTX_PLANE_NONE;
    bool negated = false;
    if (how->combine != PTX_COMBINE_NONE) {
        struct operand operand = in->operands[3];
        negated = operand.is_negated && operand.kind == OPERAND_REGISTER;
        operand.is_negated = operand.is_negated && !negated;
        with = source_predicate(c, in, &operand);
    }
    uint32_t a = source(c, in, &in->operands[1], how->type), b = source(c, in, &in->operands[2], how->type);
    struct ptx_insn *insn = emit(c, in, compare_op(c, in, how->comparison, how->type));
    insn->d = d;
    insn->e = e;
    insn->a = a;
    insn->b = b;
    insn->c = with;
    insn->k[0] = (uint8_t)how->combine;
    insn->k[1] = (uint8_t)how->flags;
    insn->k[2] = negated;
    insn->k[3] = (uint8_t)how->comparison;
    insn->k[4] = how->type == PTX_BF16 || how->type == PTX_BF16X2;
    insn->k[5] = how->type == PTX_F16X2 || how->type == PTX_BF16X2;
}

static struct comparison take_modifiers(struct ptx_compiler *c, struct instruction *in)
{
    static const char *const combines[] = {"and", "or", "xor", NULL};
    struct comparison how = {.comparison = take_comparison(c, in)};
    how.combine = 1 + mod_choice(in, combines);
    how.flags = mod_take(in, "ftz") ? PTX_FLOAT_FTZ : 0u;
    decode_count(c, in, how.combine ? 4 : 3, how.combine ? 4 : 3);
    return how;
}

static void decode_setp(struct ptx_compiler *c, struct instruction *in)
{
    struct comparison how = take_modifiers(c, in);
    how.type = mod_type(c, in);
    struct operand *out = &in->operands[0];
    uint32_t e = out->pair_plane;
    out->has_pair = false;
    uint32_t d = out->kind == OPERAND_SINK ? PTX_PLANE_NONE : destination(c, in, out, PTX_PRED);
    emit_compare(c, in, &how, d, e);
}

/* set: the outcome as a number, all ones or 1.0 for true. */
static void decode_set(struct ptx_compiler *c, struct instruction *in)
{
    struct comparison how = take_modifiers(c, in);
    enum ptx_type result = mod_type(c, in);
    how.type = mod_type(c, in);
    uint32_t d = destination(c, in, &in->operands[0], result), p = plane_alloc(c, 1);
    unsigned bits = ptx_type_bits(result);
    uint64_t yes = result == PTX_F32    ? 0x3f800000u
                   : result == PTX_F16  ? 0x3c00u
                   : result == PTX_BF16 ? 0x3f80u
                                        : UINT64_MAX;
    if (how.type == PTX_F16X2 || how.type == PTX_BF16X2) {
        /* Two outcomes, one in each half. */
        uint32_t q = plane_alloc(c, 1), low = plane_alloc(c, 16), high = plane_alloc(c, 16);
        yes = result == PTX_F16X2 ? 0x3c00u : result == PTX_BF16X2 ? 0x3f80u : 0xffffu;
        emit_compare(c, in, &how, p, q);
        uint32_t parts[2] = {low, high}, selectors[2] = {p, q};
        for (int i = 0; i < 2; i++) {
            uint32_t one = plane_constant(c, 16, yes), zero = plane_constant(c, 16, 0);
            struct ptx_insn *insn = emit(c, in, PTX_OP_SELP_16);
            insn->d = parts[i];
            insn->a = one;
            insn->b = zero;
            insn->c = selectors[i];
        }
        struct ptx_insn *insn = emit(c, in, PTX_OP_PACK_16X2);
        insn->d = d;
        insn->imm = list_add(c, parts, 2);
        return;
    }
    if (bits != 16 && bits != 32)
        decode_unsupported(c, in);
    emit_compare(c, in, &how, p, PTX_PLANE_NONE);
    uint32_t one = plane_constant(c, bits, yes), zero = plane_constant(c, bits, 0);
    struct ptx_insn *insn = emit(c, in, bits == 16 ? PTX_OP_SELP_16 : PTX_OP_SELP_32);
    insn->d = d;
    insn->a = one;
    insn->b = zero;
    insn->c = p;
}

static unsigned width_index(struct ptx_compiler *c, const struct instruction *in, enum ptx_type type)
{
    unsigned bits = ptx_type_bits(type);
    if (bits < 16)
        decode_unsupported(c, in);
    return bits == 16 ? 0 : bits == 32 ? 1 : 2;
}

static void decode_select(struct ptx_compiler *c, struct instruction *in, bool by_sign)
{
    bool ftz = mod_take(in, "ftz");
    enum ptx_type type = mod_type(c, in), selector = by_sign ? mod_type(c, in) : PTX_PRED;
    if ((ftz && !by_sign) || (by_sign && selector != PTX_S32 && selector != PTX_F32))
        decode_unsupported(c, in);
    decode_count(c, in, 4, 4);
    uint32_t a = source(c, in, &in->operands[1], type), b = source(c, in, &in->operands[2], type);
    uint32_t s =
        by_sign ? source(c, in, &in->operands[3], selector) : source_predicate(c, in, &in->operands[3]);
    uint32_t d = destination(c, in, &in->operands[0], type);
    enum ptx_op op = by_sign ? PTX_OP_SLCT_16 : PTX_OP_SELP_16;
    struct ptx_insn *insn = emit(c, in, (enum ptx_op)(op + width_index(c, in, type)));
    insn->d = d;
    insn->a = a;
    insn->b = b;
    insn->c = s;
    insn->k[0] = selector == PTX_F32;
    insn->k[3] = ftz;
}

bool decode_compare(struct ptx_compiler *c, struct instruction *in)
{
    if (strcmp(in->root, "setp") == 0)
        decode_setp(c, in);
    else if (strcmp(in->root, "set") == 0)
        decode_set(c, in);
    else if (strcmp(in->root, "selp") == 0)
        decode_select(c, in, false);
    else if (strcmp(in->root, "slct") == 0)
        decode_select(c, in, true);
    else
        return false;
    return true;
}

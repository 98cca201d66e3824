/* Floating-point arithmetic in f32 and f64, and in halves (f16, bf16, alone or in pairs). */
#include <string.h>

#include "simgpu/ptx_compile.h"

static const char *const roundings[] = {"rn", "rz", "rm", "rp", NULL};

struct float_modifiers {
    int rounding; /* -1: not given */
    unsigned flags;
    bool approx, full;
    enum ptx_type type;
};

static struct float_modifiers take_modifiers(struct ptx_compiler *c, struct instruction *in)
{
    struct float_modifiers m = {.rounding = mod_choice(in, roundings)};
    m.approx = mod_take(in, "approx");
    m.full = mod_take(in, "full");
    m.flags |= mod_take(in, "ftz") ? PTX_FLOAT_FTZ : 0u;
    m.flags |= mod_take(in, "sat") ? PTX_FLOAT_SAT : 0u;
    m.flags |= mod_take(in, "NaN") ? PTX_FLOAT_NAN : 0u;
    m.flags |= mod_take(in, "relu") ? PTX_FLOAT_RELU : 0u;
    m.flags |= mod_take(in, "oob") ? PTX_FLOAT_OOB : 0u;
    if (mod_take(in, "xorsign")) {
        if (!mod_take(in, "abs"))
            decode_unsupported(c, in);
        m.flags |= PTX_FLOAT_XORSIGN;
    }
    m.type = mod_type(c, in);
    return m;
}

static bool has_type(const struct instruction *in, bool half)
{
    for (unsigned i = 0; i < in->modifier_count; i++) {
        enum ptx_type type = type_named(in->modifiers[i], strlen(in->modifiers[i]));
        if (type == PTX_F32 || type == PTX_F64)
            return !half;
        if (type >= PTX_F16 && type <= PTX_BF16X2)
            return half;
    }
    return false;
}

static struct ptx_insn *emit_float(struct ptx_compiler *c, struct instruction *in, enum ptx_op op,
                                   const struct float_modifiers *m, unsigned sources)
{
    decode_count(c, in, sources + 1, sources + 1);
    uint32_t planes[3] = {PTX_PLANE_NONE, PTX_PLANE_NONE, PTX_PLANE_NONE};
    for (unsigned i = 0; i < sources; i++)
        planes[i] = source(c, in, &in->operands[i + 1], m->type);
    uint32_t d = destination(c, in, &in->operands[0], m->type);
    struct ptx_insn *insn = emit(c, in, op);
    insn->d = d;
    insn->a = planes[0];
    insn->b = planes[1];
    insn->c = planes[2];
    insn->k[2] = m->rounding < 0 ? PTX_RN : (uint8_t)m->rounding;
    insn->k[3] = (uint8_t)m->flags;
    return insn;
}

/* The quick form rounds to nearest and neither flushes nor saturates. */
static void decode_arithmetic(struct ptx_compiler *c, struct instruction *in, enum ptx_op quick32,
                              enum ptx_op general32, enum ptx_op general64, unsigned sources)
{
    struct float_modifiers m = take_modifiers(c, in);
    bool wide = m.type == PTX_F64;
    bool general = m.flags != 0 || m.rounding > PTX_RN;
    if (wide && m.flags != 0)
        compile_fail(c, in->line, "Illegal modifier for instruction '%s'", in->opcode);
    if ((m.flags & ~(unsigned)(PTX_FLOAT_FTZ | PTX_FLOAT_SAT)) != 0)
        decode_unsupported(c, in);
    enum ptx_op op =
        wide ? (general ? general64 : (enum ptx_op)(quick32 + 1)) : (general ? general32 : quick32);
    emit_float(c, in, op, &m, sources);
}

static void decode_minmax(struct ptx_compiler *c, struct instruction *in, bool max)
{
    struct float_modifiers m = take_modifiers(c, in);
    enum ptx_op op = max ? PTX_OP_MAX_F32 : PTX_OP_MIN_F32;
    op = (enum ptx_op)(op + (m.type == PTX_F64));
    if (m.type == PTX_F64 && m.flags)
        decode_unsupported(c, in);
    if (in->operand_count != 4) {
        emit_float(c, in, op, &m, 2);
        return;
    }
    uint32_t third = source(c, in, &in->operands[3], m.type);
    in->operand_count = 3;
    struct ptx_insn *first = emit_float(c, in, op, &m, 2);
    uint32_t d = first->d, middle = plane_alloc(c, ptx_type_bits(m.type));
    c->builder.function->code[c->builder.function->code_count - 1].d = middle;
    struct ptx_insn *second = emit(c, in, op);
    second->d = d;
    second->a = middle;
    second->b = third;
    second->k[3] = (uint8_t)m.flags;
}

static void decode_math(struct ptx_compiler *c, struct instruction *in, enum ptx_math math)
{
    struct float_modifiers m = take_modifiers(c, in);
    bool wide = m.type == PTX_F64;
    if (wide && m.approx) {
        if (math == PTX_MATH_RCP)
            math = PTX_MATH_RCP_APPROX;
        else if (math == PTX_MATH_RSQRT)
            math = PTX_MATH_RSQRT_APPROX;
        else
            decode_unsupported(c, in);
    } else if (wide && math != PTX_MATH_RCP && math != PTX_MATH_SQRT) {
        decode_unsupported(c, in);
    }
    bool exact = math == PTX_MATH_RCP || math == PTX_MATH_SQRT;
    if (!m.approx && !(exact && m.rounding >= 0))
        compile_fail(c, in->line, "a rounding modifier or .approx is needed for '%s'", in->opcode);
    struct ptx_insn *insn = emit_float(c, in, wide ? PTX_OP_MATH_F64 : PTX_OP_MATH_F32, &m, 1);
    insn->k[0] = (uint8_t)math;
}

static bool decode_functions(struct ptx_compiler *c, struct instruction *in)
{
    static const struct {
        const char *root;
        enum ptx_math math;
    } functions[] = {{"rcp", PTX_MATH_RCP}, {"sqrt", PTX_MATH_SQRT}, {"rsqrt", PTX_MATH_RSQRT},
                     {"sin", PTX_MATH_SIN}, {"cos", PTX_MATH_COS},   {"ex2", PTX_MATH_EX2},
                     {"lg2", PTX_MATH_LG2}, {"tanh", PTX_MATH_TANH}};
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        if (strcmp(in->root, functions[i].root) == 0) {
            decode_math(c, in, functions[i].math);
            return true;
        }
    }
    return false;
}

static void decode_testp(struct ptx_compiler *c, struct instruction *in)
{
    static const char *const tests[] = {"finite", "infinite",  "number", "notanumber",
                                        "normal", "subnormal", NULL};
    int test = mod_choice(in, tests);
    enum ptx_type type = mod_type(c, in);
    if (test < 0)
        decode_unsupported(c, in);
    decode_count(c, in, 2, 2);
    uint32_t a = source(c, in, &in->operands[1], type), d = destination(c, in, &in->operands[0], PTX_PRED);
    struct ptx_insn *insn = emit(c, in, type == PTX_F64 ? PTX_OP_TESTP_F64 : PTX_OP_TESTP_F32);
    insn->d = d;
    insn->a = a;
    insn->k[0] = (uint8_t)test;
}

bool decode_float(struct ptx_compiler *c, struct instruction *in)
{
    const char *root = in->root;
    if (!has_type(in, false) || strcmp(root, "atom") == 0 || strcmp(root, "red") == 0)
        return false;
    if (strcmp(root, "add") == 0) {
        decode_arithmetic(c, in, PTX_OP_ADD_F32, PTX_OP_ADD_F32_X, PTX_OP_ADD_F64_X, 2);
    } else if (strcmp(root, "sub") == 0) {
        decode_arithmetic(c, in, PTX_OP_SUB_F32, PTX_OP_SUB_F32_X, PTX_OP_SUB_F64_X, 2);
    } else if (strcmp(root, "mul") == 0) {
        decode_arithmetic(c, in, PTX_OP_MUL_F32, PTX_OP_MUL_F32_X, PTX_OP_MUL_F64_X, 2);
    } else if (strcmp(root, "fma") == 0 || strcmp(root, "mad") == 0) {
        decode_arithmetic(c, in, PTX_OP_FMA_F32, PTX_OP_FMA_F32_X, PTX_OP_FMA_F64_X, 3);
    } else if (strcmp(root, "div") == 0) {
        decode_arithmetic(c, in, PTX_OP_DIV_F32, PTX_OP_DIV_F32_X, PTX_OP_DIV_F64_X, 2);
    } else if (strcmp(root, "min") == 0 || strcmp(root, "max") == 0) {
        decode_minmax(c, in, root[1] == 'a');
    } else if (strcmp(root, "abs") == 0 || strcmp(root, "neg") == 0) {
        struct float_modifiers m = take_modifiers(c, in);
        enum ptx_op op = root[0] == 'a' ? PTX_OP_ABS_F32 : PTX_OP_NEG_F32;
        emit_float(c, in, (enum ptx_op)(op + (m.type == PTX_F64)), &m, 1);
    } else if (strcmp(root, "copysign") == 0) {
        struct float_modifiers m = take_modifiers(c, in);
        emit_float(c, in, m.type == PTX_F64 ? PTX_OP_COPYSIGN_F64 : PTX_OP_COPYSIGN_F32, &m, 2);
    } else if (strcmp(root, "testp") == 0) {
        decode_testp(c, in);
    } else {
        return decode_functions(c, in);
    }
    return true;
}

bool decode_half(struct ptx_compiler *c, struct instruction *in)
{
    static const struct {
        const char *root;
        enum ptx_half half;
        unsigned sources;
    } functions[] = {{"add", PTX_HALF_ADD, 2},  {"sub", PTX_HALF_SUB, 2}, {"mul", PTX_HALF_MUL, 2},
                     {"fma", PTX_HALF_FMA, 3},  {"neg", PTX_HALF_NEG, 1}, {"abs", PTX_HALF_ABS, 1},
                     {"min", PTX_HALF_MIN, 2},  {"max", PTX_HALF_MAX, 2}, {"ex2", PTX_HALF_EX2, 1},
                     {"tanh", PTX_HALF_TANH, 1}};
    if (!has_type(in, true))
        return false;
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        if (strcmp(in->root, functions[i].root) != 0)
            continue;
        struct float_modifiers m = take_modifiers(c, in);
        if (m.rounding > PTX_RN || m.full || (m.flags & PTX_FLOAT_OOB))
            decode_unsupported(c, in);
        if (m.type == PTX_F16X2 || m.type == PTX_BF16X2)
            m.flags |= PTX_FLOAT_PACKED;
        if (m.type == PTX_BF16 || m.type == PTX_BF16X2)
            m.flags |= PTX_FLOAT_BF16;
        unsigned sources = functions[i].sources;
        enum ptx_op op = sources == 1 ? PTX_OP_HALF1 : sources == 2 ? PTX_OP_HALF2 : PTX_OP_HALF3;
        emit_float(c, in, op, &m, sources)->k[0] = (uint8_t)functions[i].half;
        return true;
    }
    return false;
}

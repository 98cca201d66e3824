/* Integer arithmetic and operations on bits. */
#include <string.h>

#include "simgpu/ptx_compile.h"

/* The operation for a type's width, where only the width matters: the three stand side by side. */
static enum ptx_op by_width(struct ptx_compiler *c, const struct instruction *in, enum ptx_op op16,
                            enum ptx_type type)
{
    switch (ptx_type_bits(type)) {
    case 16:
        return op16;
    case 32:
        return (enum ptx_op)(op16 + 1);
    case 64:
        return (enum ptx_op)(op16 + 2);
    default:
        decode_unsupported(c, in);
    }
}

/* Where the sign matters too: S16 S32 S64 U16 U32 U64 stand side by side. */
static enum ptx_op by_sign(struct ptx_compiler *c, const struct instruction *in, enum ptx_op s16,
                           enum ptx_type type)
{
    return (enum ptx_op)(by_width(c, in, s16, type) + (ptx_type_is_signed(type) ? 0 : 3));
}

/* S32 S64 U32 U64. */
static enum ptx_op by_sign32(struct ptx_compiler *c, const struct instruction *in, enum ptx_op s32,
                             enum ptx_type type)
{
    unsigned bits = ptx_type_bits(type);
    if (bits != 32 && bits != 64)
        decode_unsupported(c, in);
    return (enum ptx_op)(s32 + (bits == 64) + (ptx_type_is_signed(type) ? 0 : 2));
}

/* S16 S32 U16 U32. */
static enum ptx_op by_wide(struct ptx_compiler *c, const struct instruction *in, enum ptx_op s16,
                           enum ptx_type type)
{
    unsigned bits = ptx_type_bits(type);
    if (bits != 16 && bits != 32)
        decode_unsupported(c, in);
    return (enum ptx_op)(s16 + (bits == 32) + (ptx_type_is_signed(type) ? 0 : 2));
}

/* d = op(a), op(a, b) or op(a, b, c), all of one type. */
static struct ptx_insn *emit_plain(struct ptx_compiler *c, struct instruction *in, enum ptx_op op,
                                   enum ptx_type type, unsigned sources)
{
    decode_count(c, in, sources + 1, sources + 1);
    uint32_t planes[3] = {PTX_PLANE_NONE, PTX_PLANE_NONE, PTX_PLANE_NONE};
    for (unsigned i = 0; i < sources; i++)
        planes[i] = source(c, in, &in->operands[i + 1], type);
    uint32_t d = destination(c, in, &in->operands[0], type);
    struct ptx_insn *insn = emit(c, in, op);
    insn->d = d;
    insn->a = planes[0];
    insn->b = planes[1];
    insn->c = planes[2];
    return insn;
}

static enum ptx_type wider(enum ptx_type type)
{
    switch (type) {
    case PTX_S16:
        return PTX_S32;
    case PTX_U16:
        return PTX_U32;
    case PTX_S32:
        return PTX_S64;
    default:
        return PTX_U64;
    }
}

/* mul.wide and mad.wide: the result and the addend are twice as wide. */
static void decode_wide(struct ptx_compiler *c, struct instruction *in, enum ptx_type type, bool is_mad)
{
    decode_count(c, in, is_mad ? 4 : 3, is_mad ? 4 : 3);
    enum ptx_op op = by_wide(c, in, is_mad ? PTX_OP_MADWIDE_S16 : PTX_OP_MULWIDE_S16, type);
    uint32_t a = source(c, in, &in->operands[1], type), b = source(c, in, &in->operands[2], type);
    uint32_t addend = is_mad ? source(c, in, &in->operands[3], wider(type)) : PTX_PLANE_NONE;
    uint32_t d = destination(c, in, &in->operands[0], wider(type));
    struct ptx_insn *insn = emit(c, in, op);
    insn->d = d;
    insn->a = a;
    insn->b = b;
    insn->c = addend;
}

static void decode_carry(struct ptx_compiler *c, struct instruction *in, enum ptx_type type, unsigned flags,
                         bool is_mad)
{
    if (ptx_type_bits(type) != 32 && ptx_type_bits(type) != 64)
        decode_unsupported(c, in);
    bool wide = ptx_type_bits(type) == 64;
    enum ptx_op op =
        is_mad ? (wide ? PTX_OP_MADC_64 : PTX_OP_MADC_32) : (wide ? PTX_OP_ADDC_64 : PTX_OP_ADDC_32);
    if (ptx_type_is_signed(type))
        flags |= PTX_CARRY_SIGNED;
    emit_plain(c, in, op, type, is_mad ? 3 : 2)->k[0] = (uint8_t)flags;
}

static void decode_add(struct ptx_compiler *c, struct instruction *in, bool subtract)
{
    bool sat = mod_take(in, "sat"), carry = mod_take(in, "cc");
    enum ptx_type type = mod_type(c, in);
    if (type == PTX_U16X2 || type == PTX_S16X2)
        emit_plain(c, in, subtract ? PTX_OP_SUB_X2 : PTX_OP_ADD_X2, type, 2);
    else if (carry)
        decode_carry(c, in, type, PTX_CARRY_OUT | (subtract ? PTX_CARRY_SUBTRACT : 0u), false);
    else if (sat && type == PTX_S32)
        emit_plain(c, in, subtract ? PTX_OP_SUBSAT_S32 : PTX_OP_ADDSAT_S32, type, 2);
    else if (sat)
        decode_unsupported(c, in);
    else
        emit_plain(c, in, by_width(c, in, subtract ? PTX_OP_SUB_16 : PTX_OP_ADD_16, type), type, 2);
}

static void decode_mul(struct ptx_compiler *c, struct instruction *in, bool is_mad)
{
    bool low = mod_take(in, "lo"), high = mod_take(in, "hi"), wide = mod_take(in, "wide");
    bool sat = mod_take(in, "sat"), carry = mod_take(in, "cc");
    enum ptx_type type = mod_type(c, in);
    if (low + high + wide != 1)
        compile_fail(c, in->line, "one of .lo, .hi and .wide is needed for '%s'", in->opcode);
    if (carry) {
        if (wide || !is_mad)
            decode_unsupported(c, in);
        decode_carry(c, in, type, PTX_CARRY_OUT | (high ? PTX_CARRY_HIGH : 0u), true);
    } else if (wide) {
        decode_wide(c, in, type, is_mad);
    } else if (sat) {
        if (!is_mad || !high || type != PTX_S32)
            decode_unsupported(c, in);
        emit_plain(c, in, PTX_OP_MADHISAT_S32, type, 3);
    } else if (high) {
        emit_plain(c, in, by_sign(c, in, is_mad ? PTX_OP_MADHI_S16 : PTX_OP_MULHI_S16, type), type,
                   is_mad ? 3 : 2);
    } else {
        emit_plain(c, in, by_width(c, in, is_mad ? PTX_OP_MAD_16 : PTX_OP_MUL_16, type), type,
                   is_mad ? 3 : 2);
    }
}

static void decode_mul24(struct ptx_compiler *c, struct instruction *in, bool is_mad)
{
    bool high = mod_take(in, "hi");
    if (!high && !mod_take(in, "lo"))
        decode_unsupported(c, in);
    enum ptx_type type = mod_type(c, in);
    if (type != PTX_U32 && type != PTX_S32)
        decode_unsupported(c, in);
    decode_count(c, in, is_mad ? 4 : 3, is_mad ? 4 : 3);
    uint32_t a = source(c, in, &in->operands[1], type), b = source(c, in, &in->operands[2], type);
    uint32_t addend = is_mad ? source(c, in, &in->operands[3], type) : PTX_PLANE_NONE;
    uint32_t d = destination(c, in, &in->operands[0], type);
    uint32_t product = is_mad ? plane_alloc(c, 32) : d;
    struct ptx_insn *insn = emit(c, in, PTX_OP_MUL24);
    insn->d = product;
    insn->a = a;
    insn->b = b;
    insn->k[0] = type == PTX_S32;
    insn->k[1] = high;
    if (!is_mad)
        return;
    insn = emit(c, in, PTX_OP_ADD_32);
    insn->d = d;
    insn->a = product;
    insn->b = addend;
}

static void decode_minmax(struct ptx_compiler *c, struct instruction *in, bool max)
{
    bool relu = mod_take(in, "relu");
    enum ptx_type type = mod_type(c, in);
    struct ptx_insn *insn;
    if (type == PTX_S16X2)
        insn = emit_plain(c, in, max ? PTX_OP_MAX_S16X2 : PTX_OP_MIN_S16X2, type, 2);
    else if (type == PTX_U16X2)
        insn = emit_plain(c, in, max ? PTX_OP_MAX_U16X2 : PTX_OP_MIN_U16X2, type, 2);
    else
        insn = emit_plain(c, in, by_sign(c, in, max ? PTX_OP_MAX_S16 : PTX_OP_MIN_S16, type), type, 2);
    if (!relu)
        return;
    if (type != PTX_S32 && type != PTX_S16X2)
        decode_unsupported(c, in);
    uint32_t d = insn->d;
    uint32_t zero = plane_constant(c, 32, 0);
    insn = emit(c, in, type == PTX_S32 ? PTX_OP_MAX_S32 : PTX_OP_MAX_S16X2);
    insn->d = insn->a = d;
    insn->b = zero;
}

/* Types of the families below; floats are another file's. */
static bool is_integer_form(const struct instruction *in)
{
    for (unsigned i = 0; i < in->modifier_count; i++) {
        enum ptx_type type = type_named(in->modifiers[i], strlen(in->modifiers[i]));
        if (type != PTX_TYPE_NONE)
            return !ptx_type_is_float(type);
    }
    return false;
}

static void decode_dot(struct ptx_compiler *c, struct instruction *in, bool four)
{
    bool high = !four && mod_take(in, "hi");
    if (!four && !high && !mod_take(in, "lo"))
        decode_unsupported(c, in);
    enum ptx_type a = mod_type(c, in), b = mod_type(c, in);
    if (ptx_type_bits(a) != 32 || ptx_type_bits(b) != 32)
        decode_unsupported(c, in);
    struct ptx_insn *insn = emit_plain(c, in, four ? PTX_OP_DP4A : PTX_OP_DP2A, PTX_B32, 3);
    insn->k[0] = a == PTX_S32;
    insn->k[1] = b == PTX_S32;
    insn->k[2] = high;
}

/* The one of the video instructions that compilers still make. */
static void decode_differences(struct ptx_compiler *c, struct instruction *in)
{
    bool add = mod_take(in, "add");
    enum ptx_type d = mod_type(c, in), a = mod_type(c, in), b = mod_type(c, in);
    if (ptx_type_bits(d) != 32 || ptx_type_bits(a) != 32 || ptx_type_bits(b) != 32 || (d == PTX_S32 && !add))
        decode_unsupported(c, in);
    struct ptx_insn *insn = emit_plain(c, in, PTX_OP_VABSDIFF4, PTX_B32, 3);
    insn->k[0] = a == PTX_S32;
    insn->k[1] = b == PTX_S32;
    insn->k[2] = add;
}

bool decode_integer(struct ptx_compiler *c, struct instruction *in)
{
    const char *root = in->root;
    if (strcmp(root, "dp4a") == 0 || strcmp(root, "dp2a") == 0) {
        decode_dot(c, in, root[2] == '4');
        return true;
    }
    if (strcmp(root, "vabsdiff4") == 0) {
        decode_differences(c, in);
        return true;
    }
    if (!is_integer_form(in))
        return false;
    if (strcmp(root, "add") == 0 || strcmp(root, "sub") == 0) {
        decode_add(c, in, root[0] == 's');
    } else if (strcmp(root, "addc") == 0 || strcmp(root, "subc") == 0) {
        unsigned flags = PTX_CARRY_IN | (mod_take(in, "cc") ? PTX_CARRY_OUT : 0u) |
                         (root[0] == 's' ? PTX_CARRY_SUBTRACT : 0u);
        decode_carry(c, in, mod_type(c, in), flags, false);
    } else if (strcmp(root, "madc") == 0) {
        unsigned flags = PTX_CARRY_IN | (mod_take(in, "cc") ? PTX_CARRY_OUT : 0u) |
                         (mod_take(in, "hi") ? PTX_CARRY_HIGH : 0u);
        if (!(flags & PTX_CARRY_HIGH) && !mod_take(in, "lo"))
            decode_unsupported(c, in);
        decode_carry(c, in, mod_type(c, in), flags, true);
    } else if (strcmp(root, "mul") == 0 || strcmp(root, "mad") == 0) {
        decode_mul(c, in, root[1] == 'a');
    } else if (strcmp(root, "mul24") == 0 || strcmp(root, "mad24") == 0) {
        decode_mul24(c, in, root[1] == 'a');
    } else if (strcmp(root, "div") == 0 || strcmp(root, "rem") == 0) {
        enum ptx_type type = mod_type(c, in);
        emit_plain(c, in, by_sign(c, in, root[0] == 'd' ? PTX_OP_DIV_S16 : PTX_OP_REM_S16, type), type, 2);
    } else if (strcmp(root, "min") == 0 || strcmp(root, "max") == 0) {
        decode_minmax(c, in, root[1] == 'a');
    } else if (strcmp(root, "sad") == 0) {
        enum ptx_type type = mod_type(c, in);
        emit_plain(c, in, by_sign(c, in, PTX_OP_SAD_S16, type), type, 3);
    } else if (strcmp(root, "abs") == 0 || strcmp(root, "neg") == 0) {
        enum ptx_type type = mod_type(c, in);
        emit_plain(c, in, by_width(c, in, root[0] == 'a' ? PTX_OP_ABS_16 : PTX_OP_NEG_16, type), type, 1);
    } else {
        return false;
    }
    return true;
}

/* ---- bits -------------------------------------------------------------------------------------- */

static void decode_logic(struct ptx_compiler *c, struct instruction *in, enum ptx_op op16,
                         enum ptx_op predicate, unsigned sources)
{
    enum ptx_type type = mod_type(c, in);
    if (type != PTX_PRED) {
        emit_plain(c, in, by_width(c, in, op16, type), type, sources);
        return;
    }
    decode_count(c, in, sources + 1, sources + 1);
    uint32_t a = source_predicate(c, in, &in->operands[1]);
    uint32_t b = sources == 2 ? source_predicate(c, in, &in->operands[2]) : PTX_PLANE_NONE;
    uint32_t d = destination(c, in, &in->operands[0], PTX_PRED);
    struct ptx_insn *insn = emit(c, in, predicate);
    insn->d = d;
    insn->a = a;
    insn->b = b;
}

/* The amount is 32 bits whatever the type. */
static void decode_shift(struct ptx_compiler *c, struct instruction *in, bool left)
{
    enum ptx_type type = mod_type(c, in);
    enum ptx_op op = left ? by_width(c, in, PTX_OP_SHL_16, type) : by_sign(c, in, PTX_OP_SHR_S16, type);
    decode_count(c, in, 3, 3);
    uint32_t a = source(c, in, &in->operands[1], type), b = source_bits(c, in, &in->operands[2], 32);
    uint32_t d = destination(c, in, &in->operands[0], type);
    struct ptx_insn *insn = emit(c, in, op);
    insn->d = d;
    insn->a = a;
    insn->b = b;
}

static void decode_funnel(struct ptx_compiler *c, struct instruction *in)
{
    static const char *const directions[] = {"l", "r", NULL}, *const modes[] = {"clamp", "wrap", NULL};
    int direction = mod_choice(in, directions), mode = mod_choice(in, modes);
    if (direction < 0 || mode < 0 || mod_type(c, in) != PTX_B32)
        decode_unsupported(c, in);
    struct ptx_insn *insn = emit_plain(c, in, PTX_OP_SHF, PTX_B32, 3);
    insn->k[0] = (uint8_t)direction;
    insn->k[1] = (uint8_t)mode;
}

static void decode_lop3(struct ptx_compiler *c, struct instruction *in)
{
    if (mod_type(c, in) != PTX_B32)
        decode_unsupported(c, in);
    decode_count(c, in, 5, 5);
    if (in->operands[4].kind != OPERAND_INTEGER || in->operands[4].value > 255)
        decode_mismatch(c, in);
    in->operand_count = 4;
    uint64_t table = in->operands[4].value;
    emit_plain(c, in, PTX_OP_LOP3, PTX_B32, 3)->imm = table;
}

static void decode_prmt(struct ptx_compiler *c, struct instruction *in)
{
    static const char *const modes[] = {"f4e", "b4e", "rc8", "ecl", "ecr", "rc16", NULL};
    if (mod_type(c, in) != PTX_B32)
        decode_unsupported(c, in);
    int mode = mod_choice(in, modes);
    emit_plain(c, in, PTX_OP_PRMT, PTX_B32, 3)->k[0] = (uint8_t)(mode + 1);
}

static void decode_field(struct ptx_compiler *c, struct instruction *in, bool insert)
{
    enum ptx_type type = mod_type(c, in);
    unsigned values = insert ? 2 : 1;
    decode_count(c, in, values + 3, values + 3);
    enum ptx_op op = insert ? (ptx_type_bits(type) == 64 ? PTX_OP_BFI_64 : PTX_OP_BFI_32)
                            : by_sign32(c, in, PTX_OP_BFE_S32, type);
    if (insert && type != PTX_B32 && type != PTX_B64)
        decode_unsupported(c, in);
    uint32_t planes[4];
    for (unsigned i = 0; i < values; i++)
        planes[i] = source(c, in, &in->operands[1 + i], type);
    planes[values] = source_bits(c, in, &in->operands[1 + values], 32);
    planes[values + 1] = source_bits(c, in, &in->operands[2 + values], 32);
    uint32_t d = destination(c, in, &in->operands[0], type);
    struct ptx_insn *insn = emit(c, in, op);
    insn->d = d;
    insn->a = planes[0];
    insn->b = planes[1];
    insn->c = planes[2];
    insn->e = insert ? planes[3] : PTX_PLANE_NONE;
}

/* The result is 32 bits whatever the type. */
static struct ptx_insn *emit_count(struct ptx_compiler *c, struct instruction *in, enum ptx_op op,
                                   enum ptx_type type)
{
    decode_count(c, in, 2, 2);
    uint32_t a = source(c, in, &in->operands[1], type);
    uint32_t d = destination(c, in, &in->operands[0], PTX_B32);
    struct ptx_insn *insn = emit(c, in, op);
    insn->d = d;
    insn->a = a;
    return insn;
}

static bool decode_counts(struct ptx_compiler *c, struct instruction *in)
{
    const char *root = in->root;
    if (strcmp(root, "popc") == 0 || strcmp(root, "clz") == 0) {
        enum ptx_type type = mod_type(c, in);
        if (type != PTX_B32 && type != PTX_B64)
            decode_unsupported(c, in);
        enum ptx_op op = root[0] == 'p' ? PTX_OP_POPC_32 : PTX_OP_CLZ_32;
        emit_count(c, in, (enum ptx_op)(op + (type == PTX_B64)), type);
    } else if (strcmp(root, "brev") == 0) {
        enum ptx_type type = mod_type(c, in);
        if (type != PTX_B32 && type != PTX_B64)
            decode_unsupported(c, in);
        emit_plain(c, in, type == PTX_B64 ? PTX_OP_BREV_64 : PTX_OP_BREV_32, type, 1);
    } else if (strcmp(root, "bfind") == 0) {
        bool amount = mod_take(in, "shiftamt");
        enum ptx_type type = mod_type(c, in);
        emit_count(c, in, by_sign32(c, in, PTX_OP_BFIND_S32, type), type)->k[0] = amount;
    } else if (strcmp(root, "fns") == 0) {
        if (mod_type(c, in) != PTX_B32)
            decode_unsupported(c, in);
        emit_plain(c, in, PTX_OP_FNS, PTX_B32, 3);
    } else {
        return false;
    }
    return true;
}

static void decode_mask(struct ptx_compiler *c, struct instruction *in, bool extend)
{
    static const char *const modes[] = {"clamp", "wrap", NULL};
    int mode = mod_choice(in, modes);
    enum ptx_type type = mod_type(c, in);
    if (mode < 0 || ptx_type_bits(type) != 32)
        decode_unsupported(c, in);
    struct ptx_insn *insn = emit_plain(c, in, extend ? PTX_OP_SZEXT : PTX_OP_BMSK, PTX_B32, 2);
    insn->k[0] = (uint8_t)mode;
    insn->k[1] = type == PTX_S32;
}

bool decode_bits(struct ptx_compiler *c, struct instruction *in)
{
    const char *root = in->root;
    if (strcmp(root, "and") == 0)
        decode_logic(c, in, PTX_OP_AND_16, PTX_OP_AND_P, 2);
    else if (strcmp(root, "or") == 0)
        decode_logic(c, in, PTX_OP_OR_16, PTX_OP_OR_P, 2);
    else if (strcmp(root, "xor") == 0)
        decode_logic(c, in, PTX_OP_XOR_16, PTX_OP_XOR_P, 2);
    else if (strcmp(root, "not") == 0)
        decode_logic(c, in, PTX_OP_NOT_16, PTX_OP_NOT_P, 1);
    else if (strcmp(root, "cnot") == 0)
        decode_logic(c, in, PTX_OP_CNOT_16, PTX_OP_NOT_P, 1);
    else if (strcmp(root, "shl") == 0 || strcmp(root, "shr") == 0)
        decode_shift(c, in, root[2] == 'l');
    else if (strcmp(root, "shf") == 0)
        decode_funnel(c, in);
    else if (strcmp(root, "lop3") == 0)
        decode_lop3(c, in);
    else if (strcmp(root, "prmt") == 0)
        decode_prmt(c, in);
    else if (strcmp(root, "bfe") == 0 || strcmp(root, "bfi") == 0)
        decode_field(c, in, root[2] == 'i');
    else if (strcmp(root, "bmsk") == 0 || strcmp(root, "szext") == 0)
        decode_mask(c, in, root[0] == 's');
    else
        return decode_counts(c, in);
    return true;
}

/* From an instruction as read to the compact form: what all families of instructions share. */
#include <string.h>

#include "simgpu/ptx_compile.h"

bool mod_take(struct instruction *in, const char *modifier)
{
    for (unsigned i = 0; i < in->modifier_count; i++) {
        if (!in->taken[i] && strcmp(in->modifiers[i], modifier) == 0) {
            in->taken[i] = true;
            return true;
        }
    }
    return false;
}

const char *mod_next(const struct instruction *in)
{
    for (unsigned i = 0; i < in->modifier_count; i++)
        if (!in->taken[i])
            return in->modifiers[i];
    return NULL;
}

bool mod_is_next(const struct instruction *in, const char *modifier)
{
    const char *next = mod_next(in);
    return next && strcmp(next, modifier) == 0;
}

enum ptx_type mod_type(struct ptx_compiler *c, struct instruction *in)
{
    for (unsigned i = 0; i < in->modifier_count; i++) {
        if (in->taken[i])
            continue;
        enum ptx_type type = type_named(in->modifiers[i], strlen(in->modifiers[i]));
        if (type != PTX_TYPE_NONE) {
            in->taken[i] = true;
            return type;
        }
    }
    if (mod_next(in))
        decode_unsupported(c, in);
    compile_fail(c, in->line, "Unknown or missing type modifier for instruction '%s'", in->opcode);
}

int mod_choice(struct instruction *in, const char *const *table)
{
    for (unsigned i = 0; i < in->modifier_count; i++) {
        if (in->taken[i])
            continue;
        for (int choice = 0; table[choice]; choice++) {
            if (strcmp(in->modifiers[i], table[choice]) == 0) {
                in->taken[i] = true;
                return choice;
            }
        }
    }
    return -1;
}

void decode_unsupported(struct ptx_compiler *c, const struct instruction *in)
{
    const char *modifier = mod_next(in);
    if (modifier)
        compile_fail(c, in->line, "not supported: '%.200s' (the modifier '.%.60s')", in->opcode, modifier);
    compile_fail(c, in->line, "not supported: '%.200s'", in->opcode);
}

void decode_mismatch(struct ptx_compiler *c, const struct instruction *in)
{
    compile_fail(c, in->line, "Arguments mismatch for instruction '%.200s'", in->opcode);
}

void decode_count(struct ptx_compiler *c, const struct instruction *in, unsigned least, unsigned most)
{
    if (in->operand_count < least || in->operand_count > most)
        decode_mismatch(c, in);
}

unsigned operand_bits(const struct operand *operand)
{
    if (operand->kind != OPERAND_REGISTER)
        return 0;
    unsigned bits = ptx_type_bits(operand->type);
    return bits == 8 ? 16 : bits;
}

static _Noreturn void fail_unknown(struct ptx_compiler *c, const struct operand *operand)
{
    compile_fail(c, operand->name.line, "Unknown symbol '%.*s'",
                 (int)(operand->name.length < 200 ? operand->name.length : 200), operand->name.text);
}

/* ---- sources ----------------------------------------------------------------------------------- */

static uint64_t immediate_as(struct ptx_compiler *c, const struct instruction *in,
                             const struct operand *operand, enum ptx_type type, unsigned bits)
{
    uint64_t value = operand->value;
    double number;
    float narrow;
    if (operand->kind == OPERAND_INTEGER) {
        if (type == PTX_F32) { /* an integer where a float is wanted is a number */
            narrow = (float)(int64_t)value;
            value = 0;
            memcpy(&value, &narrow, 4);
        } else if (type == PTX_F64) {
            number = (double)(int64_t)value;
            memcpy(&value, &number, 8);
        }
        return value;
    }
    if (bits < 32 || ptx_type_is_integer(type))
        decode_mismatch(c, in);
    if (operand->kind == OPERAND_F64 && bits == 32) {
        memcpy(&number, &value, 8);
        narrow = (float)number;
        value = 0;
        memcpy(&value, &narrow, 4);
    } else if (operand->kind == OPERAND_F32 && bits == 64) {
        memcpy(&narrow, &value, 4);
        number = (double)narrow;
        memcpy(&value, &number, 8);
    }
    return value;
}

/* A special register that changes: read by an instruction of its own. */
static uint32_t source_clock(struct ptx_compiler *c, const struct instruction *in, enum ptx_special special,
                             unsigned bits)
{
    uint32_t plane = plane_alloc(c, bits);
    struct ptx_insn *insn = emit(c, in, PTX_OP_CLOCK);
    insn->d = plane;
    insn->k[0] = (uint8_t)special;
    insn->k[1] = (uint8_t)bits;
    return plane;
}

static uint32_t source_symbol(struct ptx_compiler *c, const struct instruction *in,
                              const struct operand *operand, unsigned bits)
{
    const struct symbol *symbol = operand->symbol;
    if (bits < 32)
        decode_mismatch(c, in);
    if (symbol->kind == SYMBOL_DATA && symbol->data->is_shared)
        return plane_constant_of(c, PTX_CONSTANT_SHARED, bits, shared_use(c, symbol->data), operand->value);
    if (symbol->kind == SYMBOL_DATA && bits == 64)
        return plane_constant_of(c, PTX_CONSTANT_VARIABLE, bits, symbol->data->index, operand->value);
    if (symbol->kind == SYMBOL_FUNCTION && bits == 64)
        return plane_constant_of(c, PTX_CONSTANT_FUNCTION, bits, symbol->function->index, 0);
    if (symbol->kind == SYMBOL_PARAM)
        return plane_constant(c, bits, symbol->place + operand->value);
    if (symbol->kind != SYMBOL_LOCAL)
        decode_mismatch(c, in);
    uint32_t plane = plane_alloc(c, bits);
    struct ptx_insn *insn = emit(c, in, PTX_OP_MOV_LOCAL);
    insn->d = plane;
    insn->imm = symbol->place + operand->value;
    insn->k[0] = (uint8_t)bits;
    return plane;
}

static uint32_t source_of(struct ptx_compiler *c, const struct instruction *in, const struct operand *operand,
                          enum ptx_type type, unsigned bits)
{
    if (operand->is_address || operand->is_negated || operand->has_pair)
        decode_mismatch(c, in);
    switch (operand->kind) {
    case OPERAND_REGISTER:
        if (operand_bits(operand) != (bits == 8 ? 16 : bits))
            decode_mismatch(c, in);
        return operand->plane;
    case OPERAND_INTEGER:
    case OPERAND_F32:
    case OPERAND_F64:
        return plane_constant(c, bits, immediate_as(c, in, operand, type, bits));
    case OPERAND_SPECIAL:
        if (operand->special >= PTX_SPECIAL_CLOCK)
            return source_clock(c, in, operand->special, bits);
        if (bits == 1)
            decode_mismatch(c, in);
        return plane_constant_of(c, PTX_CONSTANT_SPECIAL, bits, operand->special, 0);
    case OPERAND_SYMBOL:
        return source_symbol(c, in, operand, bits);
    case OPERAND_NAME:
        fail_unknown(c, operand);
    default:
        decode_mismatch(c, in);
    }
}

uint32_t source(struct ptx_compiler *c, const struct instruction *in, const struct operand *operand,
                enum ptx_type type)
{
    /* Registers of the right size are not enough: a float operation on an integer register is an error, and
     * so is the reverse. Untyped registers go with everything. */
    if (operand->kind == OPERAND_REGISTER) {
        enum ptx_type have = operand->type;
        bool mixed = (have == PTX_F32 || have == PTX_F64)
                         ? ptx_type_is_integer(type)
                         : ptx_type_is_integer(have) && ptx_type_is_float(type);
        if (mixed)
            decode_mismatch(c, in);
    }
    return source_of(c, in, operand, type, ptx_type_bits(type));
}

uint32_t source_bits(struct ptx_compiler *c, const struct instruction *in, const struct operand *operand,
                     unsigned bits)
{
    return source_of(c, in, operand, PTX_TYPE_NONE, bits);
}

/* A predicate; `!p` and a number become a predicate of their own. */
uint32_t source_predicate(struct ptx_compiler *c, const struct instruction *in, const struct operand *operand)
{
    if (operand->kind == OPERAND_INTEGER && !operand->is_address)
        return plane_constant(c, 1, (operand->value != 0) != operand->is_negated);
    if (operand->kind != OPERAND_REGISTER || operand->type != PTX_PRED || operand->has_pair ||
        operand->is_address)
        decode_mismatch(c, in);
    if (!operand->is_negated)
        return operand->plane;
    uint32_t plane = plane_alloc(c, 1);
    struct ptx_insn *insn = emit(c, in, PTX_OP_NOT_P);
    insn->d = plane;
    insn->a = operand->plane;
    return plane;
}

uint32_t destination(struct ptx_compiler *c, const struct instruction *in, const struct operand *operand,
                     enum ptx_type type)
{
    unsigned bits = ptx_type_bits(type) == 8 ? 16 : ptx_type_bits(type);
    if (operand->is_address || operand->is_negated || operand->has_pair)
        decode_mismatch(c, in);
    if (operand->kind == OPERAND_SINK)
        return plane_alloc(c, bits);
    if (operand->kind == OPERAND_NAME)
        fail_unknown(c, operand);
    if (operand->kind != OPERAND_REGISTER || operand_bits(operand) != bits)
        decode_mismatch(c, in);
    return operand->plane;
}

/* ---- one instruction --------------------------------------------------------------------------- */

static bool (*const families[])(struct ptx_compiler *, struct instruction *) = {
    decode_integer, decode_bits,   decode_float,  decode_half, decode_compare, decode_move,
    decode_convert, decode_memory, decode_atomic, decode_flow, decode_warp,    decode_texture};

/* Instructions that end a warp's slice or make it wait: a guard narrows them by branching around. */
static bool stops(enum ptx_op op)
{
    switch (op) {
    case PTX_OP_BRA:
    case PTX_OP_BRA_IF:
    case PTX_OP_BRX:
    case PTX_OP_CALL:
    case PTX_OP_CALL_POINTER:
    case PTX_OP_RET:
    case PTX_OP_EXIT:
    case PTX_OP_BAR:
    case PTX_OP_SHFL:
    case PTX_OP_VOTE:
    case PTX_OP_MATCH:
    case PTX_OP_REDUX:
    case PTX_OP_ELECT:
    case PTX_OP_BAR_WARP:
    case PTX_OP_ACTIVEMASK:
    case PTX_OP_NANOSLEEP:
        return true;
    default:
        return false;
    }
}

/* Puts a guard in front of what was emitted since `first`. One simple instruction is narrowed by GUARD;
 * anything else is jumped over. */
void decode_guarded(struct ptx_compiler *c, const struct instruction *in, size_t first)
{
    struct ptx_function *function = c->builder.function;
    size_t count = function->code_count - first;
    if (count == 0)
        return;
    bool simple = count == 1 && !stops((enum ptx_op)function->code[first].op);
    emit(c, in, PTX_OP_NOP);
    struct ptx_insn *code = function->code;
    memmove(&code[first + 1], &code[first], count * sizeof *code);
    for (struct fixup *fixup = c->builder.fixups; fixup && !fixup->slot && fixup->insn >= first;
         fixup = fixup->next)
        fixup->insn++;
    struct ptx_insn guard = {
        .op = (uint16_t)(simple ? PTX_OP_GUARD : PTX_OP_BRA_IF), .line = in->line, .a = in->guard};
    guard.run = ptx_handler_of((enum ptx_op)guard.op, c->options->plain);
    guard.k[0] = simple ? in->guard_negated : !in->guard_negated;
    guard.imm = function->code_count;
    code[first] = guard;
}

void decode_instruction(struct ptx_compiler *c, struct instruction *in)
{
    size_t first = c->builder.function->code_count;
    bool known = false;
    for (size_t i = 0; i < sizeof families / sizeof families[0] && !known; i++)
        known = families[i](c, in);
    if (!known)
        compile_fail(c, in->line, "not supported: '%.200s'", in->opcode);
    if (mod_next(in))
        decode_unsupported(c, in);
    if (in->has_guard)
        decode_guarded(c, in, first);
}

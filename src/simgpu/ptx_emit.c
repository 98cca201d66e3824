/* Building the compact form of a function: planes, constants, lists, instructions. */
#include <string.h>

#include "simgpu/ptx_compile.h"

/* Bytes of a plane; predicates share theirs. */
static uint32_t frame_take(struct ptx_compiler *c, uint32_t bytes)
{
    struct builder *b = &c->builder;
    if (b->frame_bytes + bytes > MAX_FRAME_BYTES)
        compile_fail(c, c->token.line, "the function '%s' uses too many registers", b->function->name);
    uint32_t place = b->frame_bytes;
    b->frame_bytes += bytes;
    return place;
}

uint32_t plane_alloc(struct ptx_compiler *c, unsigned bits)
{
    struct builder *b = &c->builder;
    if (bits == 1) {
        b->register_count[0]++;
        if (b->predicates_left == 0) {
            b->predicate_plane = frame_take(c, 64);
            b->predicates_left = 16;
        }
        return b->predicate_plane + 4 * (16 - b->predicates_left--);
    }
    if (bits == 8)
        bits = 16;
    b->register_count[bits == 16 ? 1 : bits == 32 ? 2 : 3]++;
    return frame_take(c, bits / 8 * PTX_LANES);
}

uint32_t plane_constant_of(struct ptx_compiler *c, enum ptx_constant_kind kind, unsigned bits, uint32_t index,
                           uint64_t value)
{
    struct builder *b = &c->builder;
    struct ptx_function *function = b->function;
    if (bits == 8)
        bits = 16;
    if (bits < 64)
        value &= (1ull << bits) - 1;
    for (size_t i = function->constant_count; i-- > 0 && function->constant_count - i < 256;) {
        const struct ptx_constant *known = &function->constants[i];
        if (known->kind == kind && known->bits == bits && known->index == index && known->value == value)
            return known->plane;
    }
    function->constants = compile_grow(c, function->constants, function->constant_count,
                                       &b->constant_capacity, sizeof *function->constants);
    uint32_t counts[4];
    memcpy(counts, b->register_count, sizeof counts);
    uint32_t plane = plane_alloc(c, bits);
    memcpy(b->register_count, counts, sizeof counts);
    function->constants[function->constant_count++] = (struct ptx_constant){
        .kind = kind, .bits = (uint16_t)bits, .plane = plane, .index = index, .value = value};
    return plane;
}

uint32_t plane_constant(struct ptx_compiler *c, unsigned bits, uint64_t value)
{
    return plane_constant_of(c, PTX_CONSTANT_VALUE, bits, 0, value);
}

uint32_t list_add(struct ptx_compiler *c, const uint32_t *planes, size_t count)
{
    struct builder *b = &c->builder;
    struct ptx_function *function = b->function;
    function->lists =
        compile_grow(c, function->lists, function->list_count, &b->list_capacity, sizeof *function->lists);
    uint32_t *copy = compile_alloc(c, count + 1, sizeof *copy);
    memcpy(copy, planes, count * sizeof *copy);
    function->lists[function->list_count] = copy;
    return (uint32_t)function->list_count++;
}

struct ptx_insn *emit(struct ptx_compiler *c, const struct instruction *in, enum ptx_op op)
{
    struct builder *b = &c->builder;
    struct ptx_function *function = b->function;
    function->code =
        compile_grow(c, function->code, function->code_count, &b->code_capacity, sizeof *function->code);
    struct ptx_insn *insn = &function->code[function->code_count++];
    *insn = (struct ptx_insn){.op = (uint16_t)op,
                              .run = ptx_handler_of(op, c->options->plain),
                              .line = in ? in->line : c->token.line,
                              .d = PTX_PLANE_NONE,
                              .a = PTX_PLANE_NONE,
                              .b = PTX_PLANE_NONE,
                              .c = PTX_PLANE_NONE,
                              .e = PTX_PLANE_NONE};
    return insn;
}

void emit_target(struct ptx_compiler *c, const struct ptx_token *label)
{
    struct fixup *fixup = compile_alloc(c, 1, sizeof *fixup);
    *fixup = (struct fixup){.next = c->builder.fixups,
                            .name = *label,
                            .insn = (uint32_t)c->builder.function->code_count - 1,
                            .scope = c->scope};
    c->builder.fixups = fixup;
}

void fixups_settle(struct ptx_compiler *c)
{
    struct builder *b = &c->builder;
    struct fixup **link = &b->fixups;
    while (*link) {
        struct fixup *fixup = *link;
        struct symbol *symbol = NULL;
        if (fixup->scope >= c->scope)
            symbol = symbol_find_in_scope(c, fixup->name.text, fixup->name.length);
        if (symbol && symbol->kind == SYMBOL_LABEL) {
            if (fixup->slot)
                *fixup->slot = (uint32_t)symbol->place;
            else
                b->function->code[fixup->insn].imm = symbol->place;
            *link = fixup->next;
            continue;
        }
        if (fixup->scope >= c->scope)
            fixup->scope = c->scope - 1;
        if (c->scope == 1)
            compile_fail(c, fixup->name.line, "Unknown symbol '%.*s': label expected",
                         (int)(fixup->name.length < 200 ? fixup->name.length : 200), fixup->name.text);
        link = &fixup->next;
    }
}

uint32_t local_alloc(struct ptx_compiler *c, uint64_t bytes, uint32_t align)
{
    struct ptx_function *function = c->builder.function;
    if (align < 1)
        align = 1;
    uint64_t place = (function->local_bytes + (uint64_t)align - 1) / align * align;
    if (bytes > MAX_LOCAL_BYTES || place + bytes > MAX_LOCAL_BYTES)
        compile_fail(c, c->token.line,
                     "the function '%s' uses too much local memory (more than %d bytes per thread)",
                     function->name, MAX_LOCAL_BYTES);
    function->local_bytes = (uint32_t)(place + bytes);
    return (uint32_t)place;
}

uint32_t shared_use(struct ptx_compiler *c, struct ptx_data *data)
{
    struct builder *b = &c->builder;
    struct ptx_function *function = b->function;
    for (size_t i = 0; i < function->shared_used_count; i++)
        if (function->shared_used[i] == data->index)
            return data->index;
    function->shared_used = compile_grow(c, function->shared_used, function->shared_used_count,
                                         &b->shared_capacity, sizeof *function->shared_used);
    function->shared_used[function->shared_used_count++] = data->index;
    return data->index;
}

void builder_begin(struct ptx_compiler *c, struct ptx_function *function)
{
    memset(&c->builder, 0, sizeof c->builder);
    c->builder.function = function;
}

/* ptxas keeps about as many values as are alive at once; how many that is, is not computed here. Of the
 * registers that the text names, which are nearly in single-assignment form, about a third is a fair guess.
 */
static uint32_t estimate_registers(const uint32_t *count)
{
    uint64_t words = (count[1] + 1) / 2 + (uint64_t)count[2] + 2ull * count[3];
    uint64_t estimate = 10 + words / 3;
    estimate = (estimate + 1) / 2 * 2;
    return estimate > 255 ? 255 : (uint32_t)estimate;
}

/* 0: the same for the whole launch, 1: for a warp of whatever block, 2: for a warp of this block. */
static unsigned constant_class(const struct ptx_constant *constant)
{
    if (constant->kind != PTX_CONSTANT_SPECIAL)
        return 0;
    switch (constant->index) {
    case PTX_SPECIAL_CTAID_X:
    case PTX_SPECIAL_CTAID_Y:
    case PTX_SPECIAL_CTAID_Z:
    case PTX_SPECIAL_SMID:
        return 2;
    default:
        return 1;
    }
}

static size_t gather_class(struct ptx_function *function, size_t first, unsigned class)
{
    for (size_t i = first; i < function->constant_count; i++) {
        struct ptx_constant constant = function->constants[i];
        if (constant_class(&constant) != class)
            continue;
        function->constants[i] = function->constants[first];
        function->constants[first++] = constant;
    }
    return first;
}

static void sort_constants(struct ptx_function *function)
{
    function->special_first = gather_class(function, 0, 0);
    function->block_first = gather_class(function, function->special_first, 1);
}

void builder_end(struct ptx_compiler *c)
{
    struct builder *b = &c->builder;
    struct ptx_function *function = b->function;
    emit(c, NULL, PTX_OP_END);
    sort_constants(function);
    function->frame_bytes = (b->frame_bytes + 63) / 64 * 64;
    function->local_bytes = (function->local_bytes + 15) / 16 * 16;
    function->registers = estimate_registers(b->register_count);
}

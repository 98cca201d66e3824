/* Variables of the module: .global, .const and .shared, with their initial values. */
#include <string.h>

#include "simgpu/ptx_compile.h"

static void parse_dimensions(struct ptx_compiler *c, struct declaration *out)
{
    uint64_t count = 1;
    while (token_accept(c, '[')) {
        out->is_array = true;
        if (out->dimensions == MAX_DIMENSIONS)
            compile_fail(c, c->token.line, "an array has at most %d dimensions", MAX_DIMENSIONS);
        unsigned dimension = out->dimensions++;
        if (token_accept(c, ']')) {
            out->is_open = true;
            continue;
        }
        uint64_t extent = parse_integer_expression(c);
        token_expect(c, ']');
        out->extents[dimension] = extent;
        if (__builtin_mul_overflow(count, extent, &count) || count > 1ull << 46)
            compile_fail(c, out->name.line, "the array '%.*s' is too large",
                         (int)(out->name.length < 200 ? out->name.length : 200), out->name.text);
    }
    out->bytes *= count;
}

/* (.managed) */
static bool parse_managed_attribute(struct ptx_compiler *c)
{
    token_expect(c, '(');
    if (!token_accept_word(c, ".managed"))
        compile_fail(c, c->token.line, "not supported: an .attribute other than .managed");
    token_expect(c, ')');
    return true;
}

void parse_declaration(struct ptx_compiler *c, struct declaration *out)
{
    memset(out, 0, sizeof *out);
    out->vector = 1;
    uint64_t align = 0;
    while (c->token.kind == PTX_TOKEN_WORD && c->token.text[0] == '.') {
        if (token_accept_word(c, ".align")) {
            align = parse_integer_expression(c);
            if (align == 0 || align > 128 * 1024 || (align & (align - 1)) != 0)
                compile_fail(c, c->token.line, "Alignment must be a power of two");
        } else if (token_accept_word(c, ".v2")) {
            out->vector = 2;
        } else if (token_accept_word(c, ".v4")) {
            out->vector = 4;
        } else if (token_accept_word(c, ".attribute")) {
            out->is_managed = parse_managed_attribute(c);
        } else if (token_word(c, ".texref") || token_word(c, ".samplerref") || token_word(c, ".surfref")) {
            compile_fail(c, c->token.line, "not supported: textures and surfaces");
        } else {
            out->type = token_take_type(c);
            break;
        }
    }
    /* A parameter may say what it points to: `.param .u64 .ptr .global .align 4 name`. */
    if (token_accept_word(c, ".ptr")) {
        while (c->token.kind == PTX_TOKEN_WORD && c->token.text[0] == '.') {
            bool is_align = token_word(c, ".align");
            token_advance(c);
            if (is_align)
                parse_integer_expression(c);
        }
    }
    if (out->type == PTX_TYPE_NONE || out->type == PTX_PRED)
        token_unexpected(c);
    out->name = token_take_name(c);
    out->bytes = ptx_type_bits(out->type) / 8 * out->vector;
    out->align = align ? (uint32_t)align : (uint32_t)out->bytes;
    parse_dimensions(c, out);
}

/* Where an initialiser's next element goes. */
struct filler {
    struct ptx_data *data;
    enum ptx_type type;
    uint64_t at;
    const struct declaration *declaration;
    size_t capacity, pointer_capacity;
};

static void fill_bytes(struct ptx_compiler *c, struct filler *filler, uint64_t value, unsigned bytes)
{
    struct ptx_data *data = filler->data;
    if (filler->at + bytes > data->public.bytes)
        compile_fail(c, c->token.line, "too many initializers for '%s'", data->public.name);
    size_t needed = filler->at + bytes;
    if (needed > filler->capacity) {
        size_t larger = filler->capacity * 2 > needed ? filler->capacity * 2 : needed + 64;
        uint8_t *initial = compile_alloc(c, larger, 1);
        if (data->initial_bytes)
            memcpy(initial, data->initial, data->initial_bytes);
        data->initial = initial;
        filler->capacity = larger;
    }
    memcpy(data->initial + filler->at, &value, bytes);
    if (needed > data->initial_bytes)
        data->initial_bytes = needed;
    filler->at += bytes;
}

static void fill_pointer(struct ptx_compiler *c, struct filler *filler, uint64_t mask)
{
    bool is_generic = token_accept_word(c, "generic");
    if (is_generic)
        token_expect(c, '(');
    struct ptx_token name = token_take_name(c);
    struct symbol *symbol = symbol_find(c, name.text, name.length);
    if (!symbol || (symbol->kind != SYMBOL_DATA && symbol->kind != SYMBOL_FUNCTION))
        compile_fail(c, name.line, "Unknown symbol '%.*s'", (int)(name.length < 200 ? name.length : 200),
                     name.text);
    if (symbol->kind == SYMBOL_DATA && symbol->data->is_shared)
        compile_fail(c, name.line, "not supported: the address of a shared variable as initial value");
    struct ptx_pointer pointer = {
        .offset = filler->at, .bytes = 8, .is_function = symbol->kind == SYMBOL_FUNCTION};
    pointer.index = pointer.is_function ? symbol->function->index : symbol->data->index;
    if (is_generic)
        token_expect(c, ')');
    if (token_accept(c, '+'))
        pointer.addend = parse_integer_expression(c);
    else if (token_punct(c, '-'))
        pointer.addend = parse_integer_expression(c);
    unsigned bytes = ptx_type_bits(filler->type) / 8;
    if (mask) {
        pointer.bytes = 1;
        pointer.shift = (unsigned)__builtin_ctzll(mask) / 8 * 8;
    } else if (bytes != 8) {
        compile_fail(c, name.line, "an address needs 8 bytes, '%s' has elements of %u",
                     filler->data->public.name, bytes);
    }
    fill_bytes(c, filler, 0, pointer.bytes);
    struct ptx_data *data = filler->data;
    data->pointers =
        compile_grow(c, data->pointers, data->pointer_count, &filler->pointer_capacity, sizeof pointer);
    data->pointers[data->pointer_count++] = pointer;
}

static uint64_t number_as(enum ptx_type type, const struct operand *operand)
{
    uint64_t value = operand->value;
    double number;
    float narrow;
    memcpy(&number, &value, 8);
    if (operand->kind == OPERAND_F64 && type == PTX_F32) {
        narrow = (float)number;
        value = 0;
        memcpy(&value, &narrow, 4);
    } else if (operand->kind == OPERAND_F32 && type == PTX_F64) {
        memcpy(&narrow, &value, 4);
        number = (double)narrow;
        memcpy(&value, &number, 8);
    } else if (operand->kind == OPERAND_INTEGER && type == PTX_F32) {
        narrow = (float)(int64_t)value;
        value = 0;
        memcpy(&value, &narrow, 4);
    } else if (operand->kind == OPERAND_INTEGER && type == PTX_F64) {
        number = (double)(int64_t)value;
        memcpy(&value, &number, 8);
    }
    return value;
}

/* Bytes of what stands in the braces of this depth. */
static uint64_t row_bytes(const struct filler *filler, unsigned depth)
{
    const struct declaration *declaration = filler->declaration;
    uint64_t bytes = ptx_type_bits(filler->type) / 8 * declaration->vector;
    for (unsigned i = depth; i < declaration->dimensions; i++)
        bytes *= declaration->extents[i];
    return bytes;
}

static void parse_initial(struct ptx_compiler *c, struct filler *filler, unsigned depth)
{
    if (depth > MAX_DIMENSIONS)
        compile_fail(c, c->token.line, "initializers are nested too deeply");
    if (token_accept(c, '{')) {
        uint64_t start = filler->at;
        while (!token_punct(c, '}')) {
            parse_initial(c, filler, depth + 1);
            if (!token_accept(c, ','))
                break;
        }
        token_expect(c, '}');
        /* Braces around a row fill the whole row. */
        if (depth > 0)
            filler->at = start + row_bytes(filler, depth);
        return;
    }
    if (c->token.kind == PTX_TOKEN_WORD && !token_word(c, "WARP_SZ")) {
        fill_pointer(c, filler, 0);
        return;
    }
    struct operand operand = {0};
    struct ptx_lexer lexer = c->lexer;
    struct ptx_token token = c->token;
    uint64_t mask = c->token.kind == PTX_TOKEN_INTEGER ? c->token.value : 0;
    if (mask) { /* 0xFF00(variable): one byte of an address */
        token_advance(c);
        if (token_accept(c, '(')) {
            fill_pointer(c, filler, mask);
            token_expect(c, ')');
            return;
        }
        c->lexer = lexer;
        c->token = token;
    }
    parse_constant(c, &operand);
    fill_bytes(c, filler, number_as(filler->type, &operand), ptx_type_bits(filler->type) / 8);
}

/* The symbol may have been declared before: an extern of the same name, or a forward declaration. */
static struct ptx_data *declare(struct ptx_compiler *c, const struct declaration *declaration,
                                const struct linkage *linkage)
{
    struct symbol *known = symbol_find_in_scope(c, declaration->name.text, declaration->name.length);
    if (known && known->kind == SYMBOL_DATA && known->data->is_extern) {
        known->data->is_extern = linkage->is_extern;
        return known->data;
    }
    struct symbol *symbol = symbol_add(c, &declaration->name, SYMBOL_DATA);
    struct ptx_data *data = compile_alloc(c, 1, sizeof *data);
    struct ptx_module *module = c->module;
    module->data =
        compile_grow(c, module->data, module->data_count, &module->data_capacity, sizeof *module->data);
    data->index = (uint32_t)module->data_count;
    module->data[module->data_count++] = data;
    data->is_extern = linkage->is_extern;
    data->unit = c->unit;
    data->public.name = symbol->name;
    symbol->data = data;
    return data;
}

void parse_data(struct ptx_compiler *c, const struct linkage *linkage)
{
    bool is_shared = token_word(c, ".shared"), is_const = token_word(c, ".const");
    token_advance(c);
    do {
        struct declaration declaration;
        parse_declaration(c, &declaration);
        struct ptx_data *data = declare(c, &declaration, linkage);
        data->is_shared = is_shared;
        data->is_weak = linkage->is_weak;
        data->is_dynamic = is_shared && declaration.is_open;
        data->public.space = is_const ? PTX_VARIABLE_CONST : PTX_VARIABLE_GLOBAL;
        data->public.align = declaration.align;
        data->public.visible = linkage->is_visible;
        data->public.managed = declaration.is_managed;
        data->public.bytes = declaration.is_open && is_shared ? 0 : declaration.bytes;
        if (token_accept(c, '=')) {
            if (is_shared)
                compile_fail(c, declaration.name.line, "a shared variable cannot have an initial value");
            struct filler filler = {.data = data, .type = declaration.type, .declaration = &declaration};
            if (declaration.is_open)
                data->public.bytes = 1ull << 30;
            parse_initial(c, &filler, 0);
            data->public.has_initial = true;
            if (declaration.is_open)
                data->public.bytes = data->initial_bytes;
        } else if (declaration.is_open && !is_shared && !linkage->is_extern) {
            compile_fail(c, declaration.name.line, "the array '%s' needs a size", data->public.name);
        }
    } while (token_accept(c, ','));
    token_expect(c, ';');
}

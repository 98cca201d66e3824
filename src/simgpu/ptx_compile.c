#include "simgpu/ptx_compile.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void write_error(struct ptx_compiler *c, unsigned line, const char *format, va_list arguments)
{
    char text[768];
    vsnprintf(text, sizeof text, format, arguments);
    const char *name = c->unit && c->unit->name ? c->unit->name : "application ptx input";
    if (line)
        snprintf(c->error, sizeof c->error, "ptxas %.200s, line %u; error   : %s\n", name, line, text);
    else
        snprintf(c->error, sizeof c->error, "ptxas error   : %s\n", text);
}

void compile_fail(struct ptx_compiler *c, unsigned line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_error(c, line, format, arguments);
    va_end(arguments);
    c->status = PTX_INVALID;
    longjmp(c->failed, 1);
}

void compile_fail_status(struct ptx_compiler *c, enum ptx_status status, unsigned line, const char *format,
                         ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_error(c, line, format, arguments);
    va_end(arguments);
    c->status = status;
    longjmp(c->failed, 1);
}

void *compile_alloc(struct ptx_compiler *c, size_t count, size_t size)
{
    size_t bytes;
    void *result = NULL;
    if (!__builtin_mul_overflow(count, size, &bytes))
        result = ptx_arena_alloc(c->module->arena, bytes);
    if (!result)
        compile_fail_status(c, PTX_NO_MEMORY, 0, "out of host memory");
    return result;
}

void *compile_grow(struct ptx_compiler *c, void *array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return array;
    size_t larger = *capacity ? *capacity * 2 : 16;
    void *result = compile_alloc(c, larger, size);
    if (count)
        memcpy(result, array, count * size);
    *capacity = larger;
    return result;
}

char *compile_copy(struct ptx_compiler *c, const char *text, size_t length)
{
    char *copy = compile_alloc(c, length + 1, 1);
    memcpy(copy, text, length);
    return copy;
}

void token_advance(struct ptx_compiler *c)
{
    c->token = ptx_lexer_next(&c->lexer);
    if (c->token.kind == PTX_TOKEN_BAD)
        token_unexpected(c);
}

void token_unexpected(struct ptx_compiler *c)
{
    const struct ptx_token *token = &c->token;
    if (token->kind == PTX_TOKEN_END)
        compile_fail(c, token->line, "Parsing error near '': syntax error: unexpected end of the text");
    char shown[48];
    size_t length = token->length < sizeof shown - 1 ? token->length : sizeof shown - 1;
    for (size_t i = 0; i < length; i++)
        shown[i] = token->text[i] >= ' ' && token->text[i] <= '~' ? token->text[i] : '?';
    shown[length] = 0;
    compile_fail(c, token->line, "Parsing error near '%s': syntax error", shown);
}

bool token_punct(const struct ptx_compiler *c, unsigned punct)
{
    return c->token.kind == PTX_TOKEN_PUNCT && c->token.punct == punct;
}

bool token_word(const struct ptx_compiler *c, const char *word)
{
    return ptx_token_is(&c->token, word);
}

bool token_accept(struct ptx_compiler *c, unsigned punct)
{
    if (!token_punct(c, punct))
        return false;
    token_advance(c);
    return true;
}

bool token_accept_word(struct ptx_compiler *c, const char *word)
{
    if (!token_word(c, word))
        return false;
    token_advance(c);
    return true;
}

void token_expect(struct ptx_compiler *c, unsigned punct)
{
    if (!token_accept(c, punct))
        token_unexpected(c);
}

struct ptx_token token_take_name(struct ptx_compiler *c)
{
    if (c->token.kind != PTX_TOKEN_WORD || c->token.text[0] == '.' ||
        memchr(c->token.text, '.', c->token.length))
        token_unexpected(c);
    struct ptx_token name = c->token;
    token_advance(c);
    return name;
}

static const struct {
    const char *name;
    enum ptx_type type;
    unsigned bits;
} types[] = {
    {"pred", PTX_PRED, 1},      {"b8", PTX_B8, 8},      {"b16", PTX_B16, 16},     {"b32", PTX_B32, 32},
    {"b64", PTX_B64, 64},       {"u8", PTX_U8, 8},      {"u16", PTX_U16, 16},     {"u32", PTX_U32, 32},
    {"u64", PTX_U64, 64},       {"s8", PTX_S8, 8},      {"s16", PTX_S16, 16},     {"s32", PTX_S32, 32},
    {"s64", PTX_S64, 64},       {"f16", PTX_F16, 16},   {"f16x2", PTX_F16X2, 32}, {"bf16", PTX_BF16, 16},
    {"bf16x2", PTX_BF16X2, 32}, {"f32", PTX_F32, 32},   {"f64", PTX_F64, 64},     {"u16x2", PTX_U16X2, 32},
    {"s16x2", PTX_S16X2, 32},   {"tf32", PTX_TF32, 32},
};

enum ptx_type type_named(const char *text, size_t length)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strlen(types[i].name) == length && memcmp(types[i].name, text, length) == 0)
            return types[i].type;
    return PTX_TYPE_NONE;
}

enum ptx_type token_take_type(struct ptx_compiler *c)
{
    enum ptx_type type = PTX_TYPE_NONE;
    if (c->token.kind == PTX_TOKEN_WORD && c->token.text[0] == '.')
        type = type_named(c->token.text + 1, c->token.length - 1);
    if (type == PTX_TYPE_NONE)
        token_unexpected(c);
    token_advance(c);
    return type;
}

unsigned ptx_type_bits(enum ptx_type type)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].type == type)
            return types[i].bits;
    return 0;
}

bool ptx_type_is_signed(enum ptx_type type)
{
    return type >= PTX_S8 && type <= PTX_S64;
}

bool ptx_type_is_float(enum ptx_type type)
{
    return (type >= PTX_F16 && type <= PTX_F64) || type == PTX_TF32;
}

bool ptx_type_is_integer(enum ptx_type type)
{
    return type >= PTX_U8 && type <= PTX_S64;
}

bool ptx_type_is_bits(enum ptx_type type)
{
    return type >= PTX_B8 && type <= PTX_B64;
}

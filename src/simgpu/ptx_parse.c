/* The module level of PTX text: what stands outside of functions. */
#include <stdio.h>
#include <string.h>

#include "simgpu/ptx_compile.h"

static void parse_version(struct ptx_compiler *c)
{
    struct ptx_token token = c->token;
    unsigned major = 0, minor = 0;
    char text[16];
    if (token.kind != PTX_TOKEN_F64 || token.length >= sizeof text)
        compile_fail(c, token.line, "Parsing error: '.version' needs a number such as 8.3");
    memcpy(text, token.text, token.length);
    text[token.length] = 0;
    if (sscanf(text, "%3u.%3u", &major, &minor) != 2 || minor > 9)
        compile_fail(c, token.line, "Parsing error: '.version' needs a number such as 8.3");
    c->unit->version = major * 10 + minor;
    if (c->unit->version > PTX_VERSION_MAX)
        compile_fail_status(c, PTX_UNSUPPORTED_VERSION, token.line,
                            "Unsupported .version %u.%u; current version is '%d.%d'", major, minor,
                            PTX_VERSION_MAX / 10, PTX_VERSION_MAX % 10);
    token_advance(c);
}

/* sm_90, sm_90a (that very device only), sm_100f (that family). */
static void check_target(struct ptx_compiler *c, const struct ptx_token *token)
{
    unsigned number = 0;
    size_t i = 3;
    for (; i < token->length && i < 7 && token->text[i] >= '0' && token->text[i] <= '9'; i++)
        number = number * 10 + (unsigned)(token->text[i] - '0');
    char suffix = i < token->length ? token->text[i] : 0;
    if (number < 10 || i + (suffix != 0) != token->length || (suffix && suffix != 'a' && suffix != 'f'))
        compile_fail(c, token->line, "Parsing error: unknown .target");
    c->unit->target = number;
    unsigned device = c->options->capability;
    bool fits = number <= device;
    if (suffix == 'a')
        fits = number == device;
    if (suffix == 'f')
        fits = number <= device && number / 10 == device / 10;
    if (!fits)
        compile_fail_status(
            c, PTX_NO_BINARY_FOR_GPU, token->line,
            "SM version specified by .target 'sm_%u%.1s' is higher than that of the device, sm_%u", number,
            suffix ? (char[]){suffix, 0} : "", device);
}

static void parse_target(struct ptx_compiler *c)
{
    do {
        struct ptx_token token = token_take_name(c);
        if (token.length > 3 && memcmp(token.text, "sm_", 3) == 0)
            check_target(c, &token);
        else if (!ptx_token_is(&token, "debug") && !ptx_token_is(&token, "texmode_unified") &&
                 !ptx_token_is(&token, "texmode_independent") && !ptx_token_is(&token, "map_f64_to_f32"))
            compile_fail(c, token.line, "Parsing error: unknown .target '%.*s'",
                         (int)(token.length < 100 ? token.length : 100), token.text);
    } while (token_accept(c, ','));
}

/* .section .debug_info { ... }: braces may not nest in it. */
static void skip_section(struct ptx_compiler *c)
{
    while (!token_punct(c, '{')) {
        if (c->token.kind == PTX_TOKEN_END)
            token_unexpected(c);
        token_advance(c);
    }
    while (!token_punct(c, '}')) {
        if (c->token.kind == PTX_TOKEN_END)
            token_unexpected(c);
        token_advance(c);
    }
    token_advance(c);
}

/* .file 1 "name"[, time, size] */
static void skip_file(struct ptx_compiler *c)
{
    if (c->token.kind != PTX_TOKEN_INTEGER)
        token_unexpected(c);
    token_advance(c);
    if (c->token.kind != PTX_TOKEN_STRING)
        token_unexpected(c);
    token_advance(c);
    while (token_accept(c, ','))
        parse_integer_expression(c);
}

static void skip_to_semicolon(struct ptx_compiler *c)
{
    while (!token_punct(c, ';')) {
        if (c->token.kind == PTX_TOKEN_END)
            token_unexpected(c);
        token_advance(c);
    }
    token_advance(c);
}

static bool is_data_space(const struct ptx_compiler *c)
{
    return token_word(c, ".global") || token_word(c, ".const") || token_word(c, ".shared");
}

static void parse_linked(struct ptx_compiler *c)
{
    struct linkage linkage = {0};
    for (;;) {
        if (token_accept_word(c, ".visible"))
            linkage.is_visible = true;
        else if (token_accept_word(c, ".extern"))
            linkage.is_extern = true;
        else if (token_accept_word(c, ".weak"))
            linkage.is_weak = linkage.is_visible = true;
        else if (token_accept_word(c, ".common"))
            linkage.is_weak = linkage.is_visible = true;
        else
            break;
    }
    if (token_accept_word(c, ".entry"))
        parse_function(c, &linkage, true);
    else if (token_accept_word(c, ".func"))
        parse_function(c, &linkage, false);
    else if (is_data_space(c))
        parse_data(c, &linkage);
    else if (token_word(c, ".tex"))
        compile_fail(c, c->token.line, "not supported: textures and surfaces");
    else
        token_unexpected(c);
}

static void parse_directive(struct ptx_compiler *c)
{
    unsigned line = c->token.line;
    if (token_word(c, ".visible") || token_word(c, ".extern") || token_word(c, ".weak") ||
        token_word(c, ".common") || token_word(c, ".entry") || token_word(c, ".func") ||
        token_word(c, ".tex") || is_data_space(c)) {
        if (!c->unit->target)
            compile_fail(c, line, "Missing .target directive at start of file");
        parse_linked(c);
    } else if (token_accept_word(c, ".target")) {
        parse_target(c);
    } else if (token_accept_word(c, ".address_size")) {
        if (c->token.kind != PTX_TOKEN_INTEGER || c->token.value != 64)
            compile_fail(c, line, "not supported: .address_size other than 64");
        token_advance(c);
    } else if (token_accept_word(c, ".file")) {
        skip_file(c);
    } else if (token_accept_word(c, ".section")) {
        skip_section(c);
    } else if (token_accept_word(c, ".pragma")) {
        skip_to_semicolon(c);
    } else if (token_accept_word(c, ".alias")) {
        parse_alias(c);
    } else {
        token_unexpected(c);
    }
}

void parse_unit(struct ptx_compiler *c, const struct ptx_input *input)
{
    ptx_lexer_init(&c->lexer, input->text, input->bytes);
    c->scope = 0;
    c->scopes[0] = NULL;
    memset(c->buckets, 0, sizeof c->buckets);
    c->unit_registers = 0;
    token_advance(c);
    if (!token_accept_word(c, ".version"))
        compile_fail(c, c->token.line, "Missing .version directive at start of file");
    parse_version(c);
    while (c->token.kind != PTX_TOKEN_END) {
        if (token_accept(c, ';'))
            continue;
        parse_directive(c);
    }
    if (!c->unit->target)
        compile_fail(c, c->token.line, "Missing .target directive at start of file");
}

/* Functions: their heads and bodies, down to single instructions as text. */
#include <string.h>

#include "simgpu/ptx_compile.h"

static int shown(const struct ptx_token *token)
{
    return (int)(token->length < 200 ? token->length : 200);
}

/* ---- heads ------------------------------------------------------------------------------------- */

static void add_kernel_param(struct ptx_compiler *c, struct ptx_function *function,
                             const struct declaration *declaration, size_t *capacity)
{
    struct ptx_kernel *kernel = &function->kernel;
    struct ptx_param param = {.bytes = (uint32_t)declaration->bytes, .align = declaration->align};
    if (declaration->bytes > MAX_KERNEL_PARAMS_BYTES || declaration->is_open)
        compile_fail(c, declaration->name.line, "the parameter '%.*s' is too large",
                     shown(&declaration->name), declaration->name.text);
    param.offset = (kernel->params_bytes + param.align - 1) / param.align * param.align;
    if (param.offset + param.bytes > MAX_KERNEL_PARAMS_BYTES)
        compile_fail(c, declaration->name.line, "the parameters of '%s' take more than %d bytes",
                     function->name, MAX_KERNEL_PARAMS_BYTES);
    kernel->params_bytes = param.offset + param.bytes;
    struct ptx_param *params = (struct ptx_param *)(uintptr_t)kernel->params;
    params = compile_grow(c, params, kernel->param_count, capacity, sizeof *params);
    params[kernel->param_count++] = param;
    kernel->params = params;
    struct symbol *symbol = symbol_add(c, &declaration->name, SYMBOL_PARAM);
    symbol->place = param.offset;
    symbol->bytes = param.bytes;
    symbol->type = declaration->type;
}

static void add_formal(struct ptx_compiler *c, const struct declaration *declaration, bool is_register,
                       struct ptx_formal **formals, size_t *count, size_t *capacity)
{
    struct ptx_formal formal = {.is_register = is_register,
                                .type = declaration->type,
                                .bytes = (uint32_t)declaration->bytes,
                                .align = declaration->align};
    struct symbol *symbol = symbol_add(c, &declaration->name, is_register ? SYMBOL_REGISTER : SYMBOL_LOCAL);
    symbol->type = declaration->type;
    symbol->bytes = declaration->bytes;
    if (is_register) {
        symbol->plane = formal.place = plane_alloc(c, ptx_type_bits(declaration->type));
        formal.bytes = ptx_type_bits(declaration->type) / 8;
    } else {
        symbol->place = formal.place = local_alloc(c, declaration->bytes, declaration->align);
    }
    *formals = compile_grow(c, *formals, *count, capacity, sizeof formal);
    (*formals)[(*count)++] = formal;
}

static void parse_formals(struct ptx_compiler *c, struct ptx_function *function, bool results)
{
    size_t capacity = 0;
    token_expect(c, '(');
    while (!token_punct(c, ')')) {
        bool is_register = token_word(c, ".reg");
        if (!is_register && !token_word(c, ".param"))
            token_unexpected(c);
        token_advance(c);
        struct declaration declaration;
        parse_declaration(c, &declaration);
        if (function->is_kernel)
            add_kernel_param(c, function, &declaration, &capacity);
        else if (results)
            add_formal(c, &declaration, is_register, &function->results, &function->result_count, &capacity);
        else
            add_formal(c, &declaration, is_register, &function->params, &function->param_count, &capacity);
        if (!token_accept(c, ','))
            break;
    }
    token_expect(c, ')');
}

static void parse_extents(struct ptx_compiler *c, uint32_t extents[3])
{
    for (int i = 0; i < 3; i++)
        extents[i] = 1;
    for (int i = 0; i < 3; i++) {
        uint64_t extent = parse_integer_expression(c);
        if (extent == 0 || extent > 1024)
            compile_fail(c, c->token.line, "the number of threads must be 1 to 1024");
        extents[i] = (uint32_t)extent;
        if (!token_accept(c, ','))
            break;
    }
}

static void parse_tuning(struct ptx_compiler *c, struct ptx_function *function)
{
    struct ptx_kernel *kernel = &function->kernel;
    for (;;) {
        if (token_accept_word(c, ".maxntid"))
            parse_extents(c, kernel->max_ntid);
        else if (token_accept_word(c, ".reqntid"))
            parse_extents(c, kernel->req_ntid);
        else if (token_accept_word(c, ".minnctapersm") || token_accept_word(c, ".maxnctapersm"))
            kernel->min_blocks = (uint32_t)parse_integer_expression(c);
        else if (token_accept_word(c, ".maxnreg") || token_accept_word(c, ".maxclusterrank"))
            parse_integer_expression(c);
        else if (token_accept_word(c, ".noreturn") || token_accept_word(c, ".abi_preserve_control"))
            continue;
        else if (token_accept_word(c, ".abi_preserve"))
            parse_integer_expression(c);
        else if (token_accept_word(c, ".pragma")) {
            while (!token_punct(c, ';') && c->token.kind != PTX_TOKEN_END)
                token_advance(c);
            token_expect(c, ';');
        } else if (token_word(c, ".reqnctapercluster") || token_word(c, ".explicitcluster"))
            compile_fail(c, c->token.line, "not supported: thread block clusters");
        else
            break;
    }
}

static enum ptx_builtin builtin_named(const char *name)
{
    static const struct {
        const char *name;
        enum ptx_builtin builtin;
    } builtins[] = {{"vprintf", PTX_BUILTIN_VPRINTF},
                    {"__assertfail", PTX_BUILTIN_ASSERTFAIL},
                    {"malloc", PTX_BUILTIN_MALLOC},
                    {"free", PTX_BUILTIN_FREE}};
    for (size_t i = 0; i < sizeof builtins / sizeof builtins[0]; i++)
        if (strcmp(builtins[i].name, name) == 0)
            return builtins[i].builtin;
    return PTX_BUILTIN_NONE;
}

static struct ptx_function *function_declare(struct ptx_compiler *c, const struct ptx_token *name,
                                             const struct linkage *linkage, bool is_kernel)
{
    struct ptx_module *module = c->module;
    struct symbol *known = symbol_find(c, name->text, name->length);
    struct ptx_function *function;
    if (known) {
        if (known->kind != SYMBOL_FUNCTION || known->function->code ||
            known->function->is_kernel != is_kernel)
            compile_fail(c, name->line, "Duplicate definition of '%.*s'", shown(name), name->text);
        function = known->function;
        function->kernel = (struct ptx_kernel){0};
        function->params = function->results = NULL;
        function->param_count = function->result_count = 0;
        function->local_bytes = 0;
        function->is_visible |= linkage->is_visible;
    } else {
        struct symbol *symbol = symbol_add(c, name, SYMBOL_FUNCTION);
        function = symbol->function = compile_alloc(c, 1, sizeof *function);
        module->functions = compile_grow(c, module->functions, module->function_count,
                                         &module->function_capacity, sizeof *module->functions);
        function->index = (uint32_t)module->function_count;
        module->functions[module->function_count++] = function;
        function->name = symbol->name;
        function->is_visible = linkage->is_visible;
    }
    function->unit = c->unit;
    function->line = name->line;
    function->is_kernel = is_kernel;
    function->is_weak = linkage->is_weak;
    function->is_extern = linkage->is_extern;
    if (linkage->is_extern)
        function->builtin = builtin_named(function->name);
    return function;
}

void parse_function(struct ptx_compiler *c, const struct linkage *linkage, bool is_kernel)
{
    /* What a function returns stands before its name, so its declaration is read twice. */
    struct ptx_lexer lexer = c->lexer;
    struct ptx_token token = c->token;
    if (token_punct(c, '('))
        while (!token_accept(c, ')')) {
            if (c->token.kind == PTX_TOKEN_END)
                token_unexpected(c);
            token_advance(c);
        }
    struct ptx_token name = token_take_name(c);
    struct ptx_function *function = function_declare(c, &name, linkage, is_kernel);
    builder_begin(c, function);
    scope_enter(c);
    struct ptx_lexer after_lexer = c->lexer;
    struct ptx_token after_token = c->token;
    if (token.kind == PTX_TOKEN_PUNCT && token.punct == '(') {
        if (is_kernel)
            compile_fail(c, token.line, "a kernel cannot return a value");
        c->lexer = lexer;
        c->token = token;
        parse_formals(c, function, true);
        c->lexer = after_lexer;
        c->token = after_token;
    }
    if (token_punct(c, '('))
        parse_formals(c, function, false);
    parse_tuning(c, function);
    if (token_accept(c, ';')) {
        scope_leave(c);
        return;
    }
    function->is_extern = false;
    function->builtin = PTX_BUILTIN_NONE;
    token_expect(c, '{');
    parse_body(c);
    fixups_settle(c);
    builder_end(c);
    scope_leave(c);
}

void parse_alias(struct ptx_compiler *c)
{
    struct ptx_token name = token_take_name(c);
    token_expect(c, ',');
    struct ptx_token target = token_take_name(c);
    token_expect(c, ';');
    struct symbol *alias = symbol_find(c, name.text, name.length);
    struct symbol *real = symbol_find(c, target.text, target.length);
    if (!alias || alias->kind != SYMBOL_FUNCTION || alias->function->code || alias->function->is_kernel)
        compile_fail(c, name.line, "'%.*s' is not a declared function that can be an alias", shown(&name),
                     name.text);
    if (!real || real->kind != SYMBOL_FUNCTION || real->function->is_kernel || !real->function->code)
        compile_fail(c, target.line, "'%.*s' is not a function that can have an alias", shown(&target),
                     target.text);
    alias->function->alias = real->function;
    alias->function->is_extern = false;
}

/* ---- bodies ------------------------------------------------------------------------------------ */

static void parse_registers(struct ptx_compiler *c)
{
    if (token_word(c, ".v2") || token_word(c, ".v4"))
        compile_fail(c, c->token.line, "not supported: vector registers; use scalar ones");
    if (token_word(c, ".b128"))
        compile_fail(c, c->token.line, "not supported: .b128 registers");
    enum ptx_type type = token_take_type(c);
    do {
        struct ptx_token name = token_take_name(c);
        if (!token_accept(c, '<')) {
            symbol_add(c, &name, SYMBOL_REGISTER)->type = type;
            continue;
        }
        if (c->token.kind != PTX_TOKEN_INTEGER)
            token_unexpected(c);
        uint64_t count = c->token.value;
        token_advance(c);
        if (count > MAX_REGISTERS || c->unit_registers + count > MAX_UNIT_REGISTERS)
            compile_fail(c, name.line, "too many registers '%.*s'", shown(&name), name.text);
        c->unit_registers += (unsigned)count;
        struct symbol *symbol = symbol_add(c, &name, SYMBOL_RANGE);
        symbol->type = type;
        symbol->count = (uint32_t)count;
        symbol->planes = compile_alloc(c, count + 1, sizeof *symbol->planes);
        memset(symbol->planes, 0xff, count * sizeof *symbol->planes);
        token_expect(c, '>');
    } while (token_accept(c, ','));
    token_expect(c, ';');
}

static void parse_frame_variables(struct ptx_compiler *c)
{
    do {
        struct declaration declaration;
        parse_declaration(c, &declaration);
        struct symbol *symbol = symbol_add(c, &declaration.name, SYMBOL_LOCAL);
        symbol->type = declaration.type;
        symbol->bytes = declaration.bytes;
        symbol->place = local_alloc(c, declaration.bytes, declaration.align);
        if (token_punct(c, '='))
            compile_fail(c, declaration.name.line, "not supported: an initial value for a local variable");
    } while (token_accept(c, ','));
    token_expect(c, ';');
}

/* label: .branchtargets a, b, c;   label: .callprototype ...;   label: .calltargets ...; */
static bool parse_table(struct ptx_compiler *c, const struct ptx_token *label)
{
    if (token_accept_word(c, ".branchtargets")) {
        struct symbol *symbol = symbol_add(c, label, SYMBOL_TARGETS);
        struct ptx_token *targets = NULL;
        size_t capacity = 0;
        do {
            targets = compile_grow(c, targets, symbol->count, &capacity, sizeof *targets);
            targets[symbol->count++] = token_take_name(c);
        } while (token_accept(c, ','));
        symbol->targets = targets;
        token_expect(c, ';');
        return true;
    }
    if (token_word(c, ".callprototype") || token_word(c, ".calltargets")) {
        symbol_add(c, label, SYMBOL_PROTOTYPE);
        while (!token_punct(c, ';')) {
            if (c->token.kind == PTX_TOKEN_END)
                token_unexpected(c);
            token_advance(c);
        }
        token_advance(c);
        return true;
    }
    return false;
}

static void parse_body_directive(struct ptx_compiler *c)
{
    static const struct linkage none = {0};
    if (token_accept_word(c, ".reg")) {
        parse_registers(c);
    } else if (token_accept_word(c, ".local") || token_accept_word(c, ".param")) {
        parse_frame_variables(c);
    } else if (token_word(c, ".shared") || token_word(c, ".global") || token_word(c, ".const")) {
        parse_data(c, &none);
    } else if (token_accept_word(c, ".loc")) {
        /* .loc file line column [, function_name label [+ offset], inlined_at file line column] */
        unsigned line = c->token.line;
        while (c->token.kind != PTX_TOKEN_END && c->token.line == line)
            token_advance(c);
    } else if (token_accept_word(c, ".pragma")) {
        while (!token_punct(c, ';')) {
            if (c->token.kind == PTX_TOKEN_END)
                token_unexpected(c);
            token_advance(c);
        }
        token_advance(c);
    } else {
        token_unexpected(c);
    }
}

static void split_opcode(struct ptx_compiler *c, struct instruction *in)
{
    char *copy = compile_copy(c, in->opcode, strlen(in->opcode));
    in->root = copy;
    for (char *p = copy; *p; p++) {
        if (*p != '.')
            continue;
        *p = 0;
        if (in->modifier_count == MAX_MODIFIERS)
            compile_fail(c, in->line, "Illegal modifiers for instruction '%s'", in->opcode);
        in->modifiers[in->modifier_count++] = p + 1;
    }
}

static void parse_guard(struct ptx_compiler *c, struct instruction *in)
{
    struct operand guard;
    in->has_guard = true;
    in->guard_negated = token_accept(c, '!');
    parse_operand(c, &guard);
    if (guard.kind != OPERAND_REGISTER || guard.type != PTX_PRED || guard.has_pair || guard.is_negated)
        compile_fail(c, c->token.line, "a predicate register is expected after '@'");
    in->guard = guard.plane;
}

static void parse_instruction(struct ptx_compiler *c)
{
    struct instruction in = {0};
    if (token_accept(c, '@'))
        parse_guard(c, &in);
    if (c->token.kind != PTX_TOKEN_WORD || c->token.text[0] == '.' || c->token.text[0] == '%')
        token_unexpected(c);
    in.line = c->token.line;
    in.opcode = compile_copy(c, c->token.text, c->token.length);
    token_advance(c);
    split_opcode(c, &in);
    if (strcmp(in.root, "call") == 0) {
        parse_call(c, &in);
        return;
    }
    while (!token_punct(c, ';')) {
        if (in.operand_count == MAX_OPERANDS)
            compile_fail(c, in.line, "Arguments mismatch for instruction '%s'", in.opcode);
        parse_operand(c, &in.operands[in.operand_count++]);
        if (!token_accept(c, ','))
            break;
    }
    token_expect(c, ';');
    decode_instruction(c, &in);
}

static void parse_label_or_instruction(struct ptx_compiler *c)
{
    struct ptx_lexer lexer = c->lexer;
    struct ptx_token token = c->token;
    if (token.kind == PTX_TOKEN_WORD && token.text[0] != '.') {
        token_advance(c);
        if (token_accept(c, ':')) {
            if (!parse_table(c, &token))
                symbol_add(c, &token, SYMBOL_LABEL)->place = c->builder.function->code_count;
            return;
        }
        c->lexer = lexer;
        c->token = token;
    }
    parse_instruction(c);
}

/* After the opening brace, to the one that closes it. */
void parse_body(struct ptx_compiler *c)
{
    unsigned outermost = c->scope;
    for (;;) {
        if (c->token.kind == PTX_TOKEN_END)
            token_unexpected(c);
        if (token_accept(c, ';'))
            continue;
        if (token_accept(c, '{')) {
            scope_enter(c);
        } else if (token_punct(c, '}')) {
            if (c->scope == outermost) {
                token_advance(c);
                return;
            }
            fixups_settle(c);
            scope_leave(c);
            token_advance(c);
        } else if (c->token.kind == PTX_TOKEN_WORD && c->token.text[0] == '.') {
            parse_body_directive(c);
        } else {
            parse_label_or_instruction(c);
        }
    }
}

/* Constant expressions and operands. */
#include <string.h>

#include "simgpu/ptx_compile.h"

/* ---- constant expressions ---------------------------------------------------------------------- */

struct number {
    uint64_t value;
    bool is_unsigned;
};

static struct number parse_conditional(struct ptx_compiler *c, unsigned depth);

static struct number parse_primary(struct ptx_compiler *c, unsigned depth)
{
    struct number result = {0};
    if (depth > MAX_NESTING)
        compile_fail(c, c->token.line, "the constant expression is nested deeper than %d", MAX_NESTING);
    if (token_accept(c, '(')) {
        if (c->token.kind == PTX_TOKEN_WORD && c->token.text[0] == '.') { /* a cast: (.s64), (.u64) */
            enum ptx_type type = token_take_type(c);
            token_expect(c, ')');
            result = parse_primary(c, depth + 1);
            result.is_unsigned = type == PTX_U64;
            return result;
        }
        result = parse_conditional(c, depth + 1);
        token_expect(c, ')');
        return result;
    }
    if (token_punct(c, '-') || token_punct(c, '~') || token_punct(c, '!') || token_punct(c, '+')) {
        unsigned punct = c->token.punct;
        token_advance(c);
        result = parse_primary(c, depth + 1);
        if (punct == '-')
            result.value = 0 - result.value;
        else if (punct == '~')
            result.value = ~result.value;
        else if (punct == '!')
            result = (struct number){.value = !result.value};
        return result;
    }
    if (token_accept_word(c, "WARP_SZ"))
        return (struct number){.value = PTX_LANES};
    if (c->token.kind != PTX_TOKEN_INTEGER)
        token_unexpected(c);
    result = (struct number){c->token.value, c->token.is_unsigned};
    token_advance(c);
    return result;
}

enum { SHIFT_LEFT = '<' << 8 | '<', SHIFT_RIGHT = '>' << 8 | '>', LESS_EQUAL = '<' << 8 | '=' };
enum { GREATER_EQUAL = '>' << 8 | '=', EQUAL = '=' << 8 | '=', NOT_EQUAL = '!' << 8 | '=' };
enum { AND_AND = '&' << 8 | '&', OR_OR = '|' << 8 | '|' };

static int precedence(unsigned punct)
{
    switch (punct) {
    case OR_OR:
        return 1;
    case AND_AND:
        return 2;
    case '|':
        return 3;
    case '^':
        return 4;
    case '&':
        return 5;
    case EQUAL:
    case NOT_EQUAL:
        return 6;
    case '<':
    case '>':
    case LESS_EQUAL:
    case GREATER_EQUAL:
        return 7;
    case SHIFT_LEFT:
    case SHIFT_RIGHT:
        return 8;
    case '+':
    case '-':
        return 9;
    case '*':
    case '/':
    case '%':
        return 10;
    default:
        return 0;
    }
}

static uint64_t divide(struct ptx_compiler *c, unsigned punct, struct number a, struct number b)
{
    if (b.value == 0)
        compile_fail(c, c->token.line, "division by zero in a constant expression");
    if (a.is_unsigned || b.is_unsigned)
        return punct == '/' ? a.value / b.value : a.value % b.value;
    if (b.value == UINT64_MAX) /* -1: the quotient of the smallest number overflows */
        return punct == '/' ? 0 - a.value : 0;
    int64_t x = (int64_t)a.value, y = (int64_t)b.value;
    return (uint64_t)(punct == '/' ? x / y : x % y);
}

static bool is_less(struct number a, struct number b)
{
    return a.is_unsigned || b.is_unsigned ? a.value < b.value : (int64_t)a.value < (int64_t)b.value;
}

static struct number apply(struct ptx_compiler *c, unsigned punct, struct number a, struct number b)
{
    struct number r = {.is_unsigned = a.is_unsigned || b.is_unsigned};
    unsigned shift = b.value & 63;
    switch (punct) {
    case '|':
        r.value = a.value | b.value;
        return r;
    case '^':
        r.value = a.value ^ b.value;
        return r;
    case '&':
        r.value = a.value & b.value;
        return r;
    case '+':
        r.value = a.value + b.value;
        return r;
    case '-':
        r.value = a.value - b.value;
        return r;
    case '*':
        r.value = a.value * b.value;
        return r;
    case '/':
    case '%':
        r.value = divide(c, punct, a, b);
        return r;
    case SHIFT_LEFT:
        return (struct number){a.value << shift, a.is_unsigned};
    case SHIFT_RIGHT:
        return (struct number){a.is_unsigned ? a.value >> shift : (uint64_t)((int64_t)a.value >> shift),
                               a.is_unsigned};
    case OR_OR:
        return (struct number){.value = a.value || b.value};
    case AND_AND:
        return (struct number){.value = a.value && b.value};
    case EQUAL:
        return (struct number){.value = a.value == b.value};
    case NOT_EQUAL:
        return (struct number){.value = a.value != b.value};
    case '<':
        return (struct number){.value = is_less(a, b)};
    case '>':
        return (struct number){.value = is_less(b, a)};
    case LESS_EQUAL:
        return (struct number){.value = !is_less(b, a)};
    default:
        return (struct number){.value = !is_less(a, b)};
    }
}

static struct number parse_binary(struct ptx_compiler *c, int least, unsigned depth)
{
    struct number left = parse_primary(c, depth);
    while (c->token.kind == PTX_TOKEN_PUNCT) {
        unsigned punct = c->token.punct;
        int level = precedence(punct);
        if (level == 0 || level < least)
            break;
        token_advance(c);
        left = apply(c, punct, left, parse_binary(c, level + 1, depth + 1));
    }
    return left;
}

static struct number parse_conditional(struct ptx_compiler *c, unsigned depth)
{
    struct number condition = parse_binary(c, 1, depth);
    if (!token_accept(c, '?'))
        return condition;
    struct number yes = parse_conditional(c, depth + 1);
    token_expect(c, ':');
    struct number no = parse_conditional(c, depth + 1);
    return condition.value ? yes : no;
}

uint64_t parse_integer_expression(struct ptx_compiler *c)
{
    return parse_conditional(c, 0).value;
}

void parse_constant(struct ptx_compiler *c, struct operand *operand)
{
    bool negative = false;
    struct ptx_lexer lexer = c->lexer;
    struct ptx_token token = c->token;
    while (token_punct(c, '-') || token_punct(c, '+')) {
        negative ^= token_punct(c, '-');
        token_advance(c);
    }
    if (c->token.kind == PTX_TOKEN_F32 || c->token.kind == PTX_TOKEN_F64) {
        operand->kind = c->token.kind == PTX_TOKEN_F32 ? OPERAND_F32 : OPERAND_F64;
        operand->value = c->token.value;
        if (negative)
            operand->value ^= operand->kind == OPERAND_F32 ? 1ull << 31 : 1ull << 63;
        token_advance(c);
        return;
    }
    c->lexer = lexer;
    c->token = token;
    operand->kind = OPERAND_INTEGER;
    operand->value = parse_integer_expression(c);
}

/* ---- operands ---------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    enum ptx_special special;
} specials[] = {
    {"%tid.x", PTX_SPECIAL_TID_X},
    {"%tid.y", PTX_SPECIAL_TID_Y},
    {"%tid.z", PTX_SPECIAL_TID_Z},
    {"%ntid.x", PTX_SPECIAL_NTID_X},
    {"%ntid.y", PTX_SPECIAL_NTID_Y},
    {"%ntid.z", PTX_SPECIAL_NTID_Z},
    {"%ctaid.x", PTX_SPECIAL_CTAID_X},
    {"%ctaid.y", PTX_SPECIAL_CTAID_Y},
    {"%ctaid.z", PTX_SPECIAL_CTAID_Z},
    {"%nctaid.x", PTX_SPECIAL_NCTAID_X},
    {"%nctaid.y", PTX_SPECIAL_NCTAID_Y},
    {"%nctaid.z", PTX_SPECIAL_NCTAID_Z},
    {"%laneid", PTX_SPECIAL_LANEID},
    {"%warpid", PTX_SPECIAL_WARPID},
    {"%nwarpid", PTX_SPECIAL_NWARPID},
    {"%smid", PTX_SPECIAL_SMID},
    {"%nsmid", PTX_SPECIAL_NSMID},
    {"%gridid", PTX_SPECIAL_GRIDID},
    {"%lanemask_eq", PTX_SPECIAL_LANEMASK_EQ},
    {"%lanemask_le", PTX_SPECIAL_LANEMASK_LE},
    {"%lanemask_lt", PTX_SPECIAL_LANEMASK_LT},
    {"%lanemask_ge", PTX_SPECIAL_LANEMASK_GE},
    {"%lanemask_gt", PTX_SPECIAL_LANEMASK_GT},
    {"%dynamic_smem_size", PTX_SPECIAL_DYNAMIC_SHARED},
    {"%total_smem_size", PTX_SPECIAL_TOTAL_SHARED},
    {"%aggr_smem_size", PTX_SPECIAL_TOTAL_SHARED},
    {"%reserved_smem_offset_begin", PTX_SPECIAL_ZERO},
    {"%reserved_smem_offset_end", PTX_SPECIAL_ZERO},
    {"%clusterid.x", PTX_SPECIAL_CTAID_X},
    {"%clusterid.y", PTX_SPECIAL_CTAID_Y},
    {"%clusterid.z", PTX_SPECIAL_CTAID_Z},
    {"%nclusterid.x", PTX_SPECIAL_NCTAID_X},
    {"%nclusterid.y", PTX_SPECIAL_NCTAID_Y},
    {"%nclusterid.z", PTX_SPECIAL_NCTAID_Z},
    {"%cluster_ctaid.x", PTX_SPECIAL_ZERO},
    {"%cluster_ctaid.y", PTX_SPECIAL_ZERO},
    {"%cluster_ctaid.z", PTX_SPECIAL_ZERO},
    {"%cluster_nctaid.x", PTX_SPECIAL_ONE},
    {"%cluster_nctaid.y", PTX_SPECIAL_ONE},
    {"%cluster_nctaid.z", PTX_SPECIAL_ONE},
    {"%cluster_ctarank", PTX_SPECIAL_ZERO},
    {"%cluster_nctarank", PTX_SPECIAL_ONE},
    {"%envreg0", PTX_SPECIAL_ZERO},
    {"%envreg1", PTX_SPECIAL_ENVREG1},
    {"%envreg2", PTX_SPECIAL_ENVREG2},
    {"%clock", PTX_SPECIAL_CLOCK},
    {"%clock_hi", PTX_SPECIAL_CLOCK_HI},
    {"%clock64", PTX_SPECIAL_CLOCK64},
    {"%globaltimer", PTX_SPECIAL_TIMER},
    {"%globaltimer_lo", PTX_SPECIAL_TIMER_LO},
    {"%globaltimer_hi", PTX_SPECIAL_TIMER_HI},
};

bool special_named(const char *text, size_t length, enum ptx_special *special)
{
    for (size_t i = 0; i < sizeof specials / sizeof specials[0]; i++) {
        if (strlen(specials[i].name) == length && memcmp(specials[i].name, text, length) == 0) {
            *special = specials[i].special;
            return true;
        }
    }
    return false;
}

/* A register by name: its plane is made when the register is first used. */
static bool find_register(struct ptx_compiler *c, const struct ptx_token *name, enum ptx_type *type,
                          uint32_t *plane)
{
    struct symbol *symbol = symbol_find(c, name->text, name->length);
    uint32_t *place, number;
    if (symbol && symbol->kind == SYMBOL_REGISTER) {
        place = &symbol->plane;
    } else if (!symbol && (symbol = symbol_find_range(c, name->text, name->length, &number))) {
        place = &symbol->planes[number];
    } else {
        return false;
    }
    if (*place == PTX_PLANE_NONE)
        *place = plane_alloc(c, ptx_type_bits(symbol->type));
    *type = symbol->type;
    *plane = *place;
    return true;
}

static void parse_word(struct ptx_compiler *c, struct operand *operand)
{
    struct ptx_token name = c->token;
    operand->name = name;
    if (name.length == 1 && name.text[0] == '_') {
        operand->kind = OPERAND_SINK;
        token_advance(c);
        return;
    }
    if (ptx_token_is(&name, "WARP_SZ")) {
        parse_constant(c, operand);
        return;
    }
    token_advance(c);
    if (ptx_token_is(&name, "generic") && token_accept(c, '(')) {
        name = operand->name = token_take_name(c);
        token_expect(c, ')');
    }
    if (find_register(c, &name, &operand->type, &operand->plane)) {
        operand->kind = OPERAND_REGISTER;
        return;
    }
    operand->symbol = symbol_find(c, name.text, name.length);
    if (operand->symbol && operand->symbol->kind != SYMBOL_LABEL && operand->symbol->kind != SYMBOL_TARGETS &&
        operand->symbol->kind != SYMBOL_PROTOTYPE) {
        operand->kind = OPERAND_SYMBOL;
        return;
    }
    if (special_named(name.text, name.length, &operand->special)) {
        operand->kind = OPERAND_SPECIAL;
        return;
    }
    if (name.text[0] == '%')
        compile_fail(c, name.line, "Unknown symbol '%.*s'", (int)(name.length < 200 ? name.length : 200),
                     name.text);
    operand->kind = OPERAND_NAME;
}

static void parse_offset(struct ptx_compiler *c, struct operand *operand)
{
    if (token_punct(c, '+')) {
        token_advance(c);
        operand->value += parse_integer_expression(c);
    } else if (token_punct(c, '-')) {
        operand->value += parse_integer_expression(c);
    }
}

static void parse_vector(struct ptx_compiler *c, struct operand *operand)
{
    operand->kind = OPERAND_VECTOR;
    operand->parts = compile_alloc(c, MAX_VECTOR, sizeof *operand->parts);
    do {
        if (operand->count == MAX_VECTOR)
            compile_fail(c, c->token.line, "a vector has at most %d elements", MAX_VECTOR);
        struct operand *part = &operand->parts[operand->count++];
        if (c->token.kind == PTX_TOKEN_WORD)
            parse_word(c, part);
        else
            parse_constant(c, part);
    } while (token_accept(c, ','));
    token_expect(c, '}');
}

static void parse_address(struct ptx_compiler *c, struct operand *operand)
{
    operand->is_address = true;
    if (c->token.kind == PTX_TOKEN_WORD && !token_word(c, "WARP_SZ")) {
        parse_word(c, operand);
        if (operand->kind == OPERAND_NAME || operand->kind == OPERAND_SINK ||
            operand->kind == OPERAND_SPECIAL)
            compile_fail(c, operand->name.line, "Unknown symbol '%.*s'",
                         (int)(operand->name.length < 200 ? operand->name.length : 200), operand->name.text);
        parse_offset(c, operand);
    } else {
        operand->kind = OPERAND_INTEGER;
        operand->value = parse_integer_expression(c);
    }
    if (token_accept(c, ',')) { /* coordinates, in a texture or surface */
        struct operand coordinates = {0};
        token_expect(c, '{');
        parse_vector(c, &coordinates);
        operand->count = coordinates.count;
        operand->parts = coordinates.parts;
    }
    token_expect(c, ']');
}

void parse_operand(struct ptx_compiler *c, struct operand *operand)
{
    memset(operand, 0, sizeof *operand);
    operand->plane = operand->pair_plane = PTX_PLANE_NONE;
    if (token_accept(c, '[')) {
        parse_address(c, operand);
        return;
    }
    if (token_accept(c, '{')) {
        parse_vector(c, operand);
        return;
    }
    if (token_punct(c, '!')) {
        struct ptx_lexer lexer = c->lexer;
        struct ptx_token token = c->token;
        token_advance(c);
        if (c->token.kind == PTX_TOKEN_WORD && !token_word(c, "WARP_SZ")) {
            operand->is_negated = true;
        } else {
            c->lexer = lexer;
            c->token = token;
        }
    }
    if (c->token.kind != PTX_TOKEN_WORD) {
        parse_constant(c, operand);
        return;
    }
    parse_word(c, operand);
    if (operand->kind == OPERAND_SYMBOL)
        parse_offset(c, operand);
    if ((operand->kind == OPERAND_REGISTER || operand->kind == OPERAND_SINK) && token_accept(c, '|')) {
        struct operand second = {0};
        if (c->token.kind != PTX_TOKEN_WORD)
            token_unexpected(c);
        parse_word(c, &second);
        if (second.kind == OPERAND_REGISTER && second.type == PTX_PRED)
            operand->pair_plane = second.plane;
        else if (second.kind != OPERAND_SINK)
            compile_fail(c, second.name.line, "a predicate register is expected after '|'");
        operand->has_pair = true;
    }
}

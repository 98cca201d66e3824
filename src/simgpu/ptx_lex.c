#include "simgpu/ptx_lex.h"

#include <stdlib.h>
#include <string.h>

void ptx_lexer_init(struct ptx_lexer *lexer, const char *text, size_t bytes)
{
    lexer->at = text;
    lexer->end = text + strnlen(text, bytes);
    lexer->line = 1;
}

bool ptx_token_is(const struct ptx_token *token, const char *word)
{
    return token->kind == PTX_TOKEN_WORD && token->length == strlen(word) &&
           memcmp(token->text, word, token->length) == 0;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' || c == '%';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static void skip_block_comment(struct ptx_lexer *lexer)
{
    lexer->at += 2;
    while (lexer->at < lexer->end) {
        if (*lexer->at == '*' && lexer->end - lexer->at > 1 && lexer->at[1] == '/') {
            lexer->at += 2;
            return;
        }
        if (*lexer->at++ == '\n')
            lexer->line++;
    }
}

/* White space and comments. Lines that start with # (left by a preprocessor) count as comments. */
static void skip_blank(struct ptx_lexer *lexer)
{
    while (lexer->at < lexer->end) {
        char c = *lexer->at;
        bool two = lexer->end - lexer->at > 1;
        if (c == '\n') {
            lexer->line++;
            lexer->at++;
        } else if (c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v') {
            lexer->at++;
        } else if ((c == '/' && two && lexer->at[1] == '/') || c == '#') {
            while (lexer->at < lexer->end && *lexer->at != '\n')
                lexer->at++;
        } else if (c == '/' && two && lexer->at[1] == '*') {
            skip_block_comment(lexer);
        } else {
            return;
        }
    }
}

/* A word goes on over letters and digits, and over `.` and `::` before a letter or digit, so that
 * `ld.global.L1::no_allocate.v4.f32` is one token. A directive ends at the next dot: `.reg.b32` is two. */
static void lex_word(struct ptx_lexer *lexer, struct ptx_token *token)
{
    const char *p = lexer->at + 1;
    while (p < lexer->end) {
        bool more = lexer->end - p > 1;
        if (is_letter(*p) && *p != '%')
            p++;
        else if (is_digit(*p))
            p++;
        else if (*p == '.' && more && *token->text != '.' && (is_letter(p[1]) || is_digit(p[1])))
            p++;
        else if (*p == ':' && lexer->end - p > 2 && p[1] == ':' && (is_letter(p[2]) || is_digit(p[2])))
            p += 2;
        else
            break;
    }
    token->kind = PTX_TOKEN_WORD;
    token->length = (size_t)(p - token->text);
    lexer->at = p;
}

/* 0fXXXXXXXX and 0dXXXXXXXXXXXXXXXX. Returns false when it is not one. */
static bool lex_float_bits(struct ptx_lexer *lexer, struct ptx_token *token)
{
    const char *p = lexer->at;
    if (lexer->end - p < 3 || p[0] != '0')
        return false;
    int digits;
    if (p[1] == 'f' || p[1] == 'F')
        digits = 8;
    else if (p[1] == 'd' || p[1] == 'D')
        digits = 16;
    else
        return false;
    if (lexer->end - p < 2 + digits)
        return false;
    uint64_t value = 0;
    for (int i = 0; i < digits; i++) {
        int digit = hex_value(p[2 + i]);
        if (digit < 0)
            return false;
        value = value << 4 | (uint64_t)digit;
    }
    token->kind = digits == 8 ? PTX_TOKEN_F32 : PTX_TOKEN_F64;
    token->value = value;
    token->length = (size_t)digits + 2;
    lexer->at = p + 2 + digits;
    return true;
}

/* A decimal number with a point or an exponent. */
static bool lex_decimal_float(struct ptx_lexer *lexer, struct ptx_token *token)
{
    const char *p = lexer->at;
    bool is_float = false;
    while (p < lexer->end && is_digit(*p))
        p++;
    if (p < lexer->end && *p == '.') {
        is_float = true;
        p++;
        while (p < lexer->end && is_digit(*p))
            p++;
    }
    if (p < lexer->end && (*p == 'e' || *p == 'E')) {
        const char *q = p + 1;
        if (q < lexer->end && (*q == '+' || *q == '-'))
            q++;
        if (q < lexer->end && is_digit(*q)) {
            is_float = true;
            while (q < lexer->end && is_digit(*q))
                q++;
            p = q;
        }
    }
    if (!is_float)
        return false;
    char digits[64];
    size_t length = (size_t)(p - lexer->at);
    if (length >= sizeof digits)
        length = sizeof digits - 1;
    memcpy(digits, lexer->at, length);
    digits[length] = 0;
    double number = strtod(digits, NULL);
    memcpy(&token->value, &number, 8);
    token->kind = PTX_TOKEN_F64;
    token->length = (size_t)(p - lexer->at);
    lexer->at = p;
    return true;
}

static void lex_integer(struct ptx_lexer *lexer, struct ptx_token *token)
{
    const char *p = lexer->at;
    unsigned base = 10;
    if (*p == '0' && lexer->end - p > 1) {
        if (p[1] == 'x' || p[1] == 'X')
            base = 16;
        else if (p[1] == 'b' || p[1] == 'B')
            base = 2;
        else if (is_digit(p[1]))
            base = 8;
        p += base == 16 || base == 2 ? 2 : 0;
    }
    uint64_t value = 0;
    const char *first = p;
    bool overflow = false;
    while (p < lexer->end) {
        int digit = hex_value(*p);
        if (digit < 0 || digit >= (int)base)
            break;
        overflow |= value > (UINT64_MAX - (unsigned)digit) / base;
        value = value * base + (unsigned)digit;
        p++;
    }
    bool empty = p == first;
    if (p < lexer->end && (*p == 'U' || *p == 'u')) {
        token->is_unsigned = true;
        p++;
    }
    if (value > INT64_MAX)
        token->is_unsigned = true;
    bool joined = p < lexer->end && (is_letter(*p) || is_digit(*p));
    token->kind = overflow || empty || joined ? PTX_TOKEN_BAD : PTX_TOKEN_INTEGER;
    token->value = value;
    token->length = (size_t)(p - token->text);
    lexer->at = p;
}

static void lex_string(struct ptx_lexer *lexer, struct ptx_token *token)
{
    const char *p = lexer->at + 1;
    token->text = p;
    while (p < lexer->end && *p != '"' && *p != '\n') {
        if (*p == '\\' && lexer->end - p > 1)
            p++;
        p++;
    }
    token->kind = p < lexer->end && *p == '"' ? PTX_TOKEN_STRING : PTX_TOKEN_BAD;
    token->length = (size_t)(p - token->text);
    lexer->at = p < lexer->end ? p + 1 : p;
}

static void lex_punct(struct ptx_lexer *lexer, struct ptx_token *token)
{
    static const char pairs[][2] = {{'<', '<'}, {'>', '>'}, {'<', '='}, {'>', '='},
                                    {'=', '='}, {'!', '='}, {'&', '&'}, {'|', '|'}};
    unsigned char c = (unsigned char)*lexer->at;
    token->kind = strchr("{}()[]<>,;:=+-*/%!~&|^?@.", c) && c ? PTX_TOKEN_PUNCT : PTX_TOKEN_BAD;
    token->punct = c;
    token->length = 1;
    for (size_t i = 0; lexer->end - lexer->at > 1 && i < sizeof pairs / sizeof pairs[0]; i++) {
        if (lexer->at[0] == pairs[i][0] && lexer->at[1] == pairs[i][1]) {
            token->punct = (unsigned)c << 8 | (unsigned char)lexer->at[1];
            token->length = 2;
            break;
        }
    }
    lexer->at += token->length;
}

struct ptx_token ptx_lexer_next(struct ptx_lexer *lexer)
{
    skip_blank(lexer);
    struct ptx_token token = {.kind = PTX_TOKEN_END, .text = lexer->at, .line = lexer->line};
    if (lexer->at >= lexer->end)
        return token;
    char c = *lexer->at;
    bool more = lexer->end - lexer->at > 1;
    if (is_digit(c)) {
        if (!lex_float_bits(lexer, &token) && !lex_decimal_float(lexer, &token))
            lex_integer(lexer, &token);
    } else if ((is_letter(c) && (c != '%' || (more && is_letter(lexer->at[1])))) ||
               (c == '.' && more && is_letter(lexer->at[1]))) {
        lex_word(lexer, &token);
    } else if (c == '"') {
        lex_string(lexer, &token);
    } else {
        lex_punct(lexer, &token);
    }
    return token;
}

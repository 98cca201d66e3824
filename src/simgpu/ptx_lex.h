/* Tokens of PTX text. Private to the engine. The text is only read, and never past its end. */
#ifndef SIMGPU_PTX_LEX_H
#define SIMGPU_PTX_LEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ptx_token_kind {
    PTX_TOKEN_END,
    PTX_TOKEN_WORD,    /* identifier, register, opcode with its modifiers, directive with its dot */
    PTX_TOKEN_INTEGER, /* value; is_unsigned when it had a U or does not fit a signed 64-bit integer */
    PTX_TOKEN_F32,     /* value: the bits (0fXXXXXXXX) */
    PTX_TOKEN_F64,     /* value: the bits (0dX..X or a decimal with point or exponent) */
    PTX_TOKEN_STRING,  /* text without the quotes */
    PTX_TOKEN_PUNCT,   /* punct: the character, or two packed: '<' << 8 | '<' */
    PTX_TOKEN_BAD,     /* a byte that cannot start a token: punct; or a number that is none: text */
};

struct ptx_token {
    enum ptx_token_kind kind;
    const char *text; /* into the input */
    size_t length;
    unsigned line;
    unsigned punct;
    uint64_t value;
    bool is_unsigned;
};

struct ptx_lexer {
    const char *at, *end;
    unsigned line;
};

void ptx_lexer_init(struct ptx_lexer *lexer, const char *text, size_t bytes);
struct ptx_token ptx_lexer_next(struct ptx_lexer *lexer);

/* Whether the token is this word. */
bool ptx_token_is(const struct ptx_token *token, const char *word);

#endif

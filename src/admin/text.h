/* Text for people: UTF-8, how many terminal columns it takes, and lists that wrap.
 *
 * All strings are UTF-8 and need not be valid: what is not, and every control character, is shown as '?',
 * so that nothing stored in the database can move the cursor or break a line. text_init() first. */
#ifndef VGPU_ADMIN_TEXT_H
#define VGPU_ADMIN_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Chooses a UTF-8 character classification for this process, whatever the user's locale is. Call once,
 * before threads start. */
void text_init(void);

/* The character at *cursor; moves the cursor behind it. A byte that starts no valid character is one
 * character, TEXT_INVALID. Returns 0 at the end of the string and stays there. */
#define TEXT_INVALID UINT32_MAX
uint32_t text_next(const char **cursor);

/* Whether a character of text_next() is no printable one: TEXT_INVALID, or it would move the cursor or turn
 * the direction of the line. */
bool text_is_control(uint32_t character);

/* Whether text is valid UTF-8 without control characters. */
bool text_is_printable(const char *text);

/* Columns that text_put() takes for text. */
size_t text_width(const char *text);

/* Writes at most max_width columns of text (SIZE_MAX: all of it); the last column is '…' when it is cut.
 * Returns the columns written. */
size_t text_put(FILE *out, const char *text, size_t max_width);

/* What a piece of text is, for a terminal with colours. */
enum text_style { TEXT_PLAIN, TEXT_HEADING, TEXT_GOOD, TEXT_BAD, TEXT_NOTABLE };

/* Around such a piece; nothing is written unless colour is true and the style is not plain. */
void text_style_begin(FILE *out, bool colour, enum text_style style);
void text_style_end(FILE *out, bool colour, enum text_style style);

/* A copy in which everything that text_put() would show as '?' is one: valid UTF-8. From malloc; NULL when
 * out of memory. */
char *text_clean(const char *text);

/* For error messages: text between single quotes, cut after 40 characters. Returns buffer. */
#define TEXT_QUOTE_BYTES 176
const char *text_quote(char buffer[TEXT_QUOTE_BYTES], const char *text);

/* Writes pieces one after the other and starts a new line, indented, where a piece would go beyond the
 * width. Spaces are the caller's: those at the front of a piece are dropped at the start of a line. */
struct text_flow {
    FILE *out;
    size_t width;  /* columns of a line */
    size_t indent; /* columns in front of every line but the first */
    size_t column; /* where the next piece goes */
};
void text_flow_put(struct text_flow *flow, const char *piece);

#endif

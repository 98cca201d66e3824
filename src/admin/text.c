#include "admin/text.h"

#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

void text_init(void)
{
    /* wcwidth() knows the characters of the locale only, so an ASCII locale would make every VM name
     * outside ASCII look one column wide. */
    if (setlocale(LC_CTYPE, "") != NULL && strcmp(nl_langinfo(CODESET), "UTF-8") == 0)
        return;
    if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
        setlocale(LC_CTYPE, "C");
}

/* Bytes of the character that starts with lead, 0 if none does. */
static size_t sequence_length(unsigned char lead)
{
    if (lead < 0x80)
        return 1;
    if (lead >= 0xC2 && lead < 0xE0)
        return 2;
    if (lead >= 0xE0 && lead < 0xF0)
        return 3;
    if (lead >= 0xF0 && lead < 0xF5)
        return 4;
    return 0;
}

uint32_t text_next(const char **cursor)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *bytes = (const unsigned char *)*cursor;
    if (bytes[0] == 0)
        return 0;
    size_t length = sequence_length(bytes[0]);
    uint32_t character = length == 1 ? bytes[0] : length == 0 ? 0 : bytes[0] & (0x7Fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xC0) != 0x80) {
            length = 0;
            break;
        }
        character = character << 6 | (bytes[i] & 0x3Fu);
    }
    if (length == 0 || character < smallest[length] || character > 0x10FFFF ||
        (character >= 0xD800 && character < 0xE000)) {
        *cursor += 1;
        return TEXT_INVALID;
    }
    *cursor += length;
    return character;
}

bool text_is_control(uint32_t character)
{
    return character == TEXT_INVALID || character < 0x20 || (character >= 0x7F && character < 0xA0) ||
           character == 0x2028 || character == 0x2029 || (character >= 0x202A && character <= 0x202E) ||
           (character >= 0x2066 && character <= 0x2069);
}

bool text_is_printable(const char *text)
{
    uint32_t character;
    while ((character = text_next(&text)) != 0)
        if (text_is_control(character))
            return false;
    return true;
}

static size_t character_width(uint32_t character)
{
    if (text_is_control(character))
        return 1;
    int width = wcwidth((wchar_t)character);
    return width < 0 ? 1 : (size_t)width;
}

/* Bytes at the front of text that are printable ASCII: one column each. Nearly all of what is shown is
 * nothing else, and of 10,000 VMs it is a lot. */
static size_t ascii_length(const char *text)
{
    size_t length = 0;
    while (text[length] >= ' ' && text[length] <= '~')
        length++;
    return length;
}

size_t text_width(const char *text)
{
    size_t width = ascii_length(text);
    uint32_t character;
    text += width;
    while ((character = text_next(&text)) != 0)
        width += character_width(character);
    return width;
}

size_t text_put(FILE *out, const char *text, size_t max_width)
{
    size_t ascii = ascii_length(text);
    if (ascii <= max_width && text[ascii] == '\0') {
        fwrite(text, 1, ascii, out);
        return ascii;
    }
    bool cut = text_width(text) > max_width;
    size_t room = cut && max_width > 0 ? max_width - 1 : max_width;
    size_t width = 0;
    for (;;) {
        const char *start = text;
        uint32_t character = text_next(&text);
        if (character == 0 || width + character_width(character) > room)
            break;
        if (text_is_control(character))
            fputc('?', out);
        else
            fwrite(start, 1, (size_t)(text - start), out);
        width += character_width(character);
    }
    if (cut && max_width > 0) {
        fputs("…", out);
        width++;
    }
    return width;
}

void text_style_begin(FILE *out, bool colour, enum text_style style)
{
    static const char *const sequences[] = {[TEXT_HEADING] = "\033[1m",
                                            [TEXT_GOOD] = "\033[32m",
                                            [TEXT_BAD] = "\033[31m",
                                            [TEXT_NOTABLE] = "\033[33m"};
    if (colour && style != TEXT_PLAIN)
        fputs(sequences[style], out);
}

void text_style_end(FILE *out, bool colour, enum text_style style)
{
    if (colour && style != TEXT_PLAIN)
        fputs("\033[0m", out);
}

char *text_clean(const char *text)
{
    char *clean = malloc(strlen(text) + 1); /* '?' is no longer than what it stands for */
    size_t used = 0;
    while (clean != NULL) {
        const char *start = text;
        uint32_t character = text_next(&text);
        if (character == 0) {
            clean[used] = '\0';
            break;
        }
        if (text_is_control(character)) {
            clean[used++] = '?';
        } else {
            memcpy(clean + used, start, (size_t)(text - start));
            used += (size_t)(text - start);
        }
    }
    return clean;
}

const char *text_quote(char buffer[TEXT_QUOTE_BYTES], const char *text)
{
    size_t used = 0;
    buffer[used++] = '\'';
    for (size_t count = 0; *text != '\0'; count++) {
        if (count == 40) {
            memcpy(buffer + used, "...", 3);
            used += 3;
            break;
        }
        const char *start = text;
        uint32_t character = text_next(&text);
        if (text_is_control(character)) {
            buffer[used++] = '?';
        } else {
            memcpy(buffer + used, start, (size_t)(text - start));
            used += (size_t)(text - start);
        }
    }
    buffer[used++] = '\'';
    buffer[used] = '\0';
    return buffer;
}

void text_flow_put(struct text_flow *flow, const char *piece)
{
    size_t width = text_width(piece);
    if (flow->column + width > flow->width && flow->column > flow->indent) {
        fprintf(flow->out, "\n%*s", (int)flow->indent, "");
        flow->column = flow->indent;
        while (*piece == ' ')
            piece++;
    }
    flow->column += text_put(flow->out, piece, SIZE_MAX);
}

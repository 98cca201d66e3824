/* The terminal below the dashboard: curses opened and closed, keys, and pieces of text and colour at the
 * cursor. Whatever stands in a piece, it never takes more columns than it was given. */
#ifndef VGPU_ADMIN_DASHBOARD_SCREEN_H
#define VGPU_ADMIN_DASHBOARD_SCREEN_H

#include <curses.h>
#include <stdbool.h>
#include <stddef.h>

#include "admin/dashboard_model.h"

enum colour { COLOUR_PLAIN, COLOUR_TITLE, COLOUR_GOOD, COLOUR_WARM, COLOUR_BAD };

/* Takes over the terminal; colours unless the terminal has none or NO_COLOR is set. False with one line in
 * why when curses cannot drive this terminal. */
bool screen_open(char *why, size_t why_bytes);

/* Gives the terminal back as it was. */
void screen_close(void);

/* The next key, waiting at most so long: an ASCII character, a KEY_... of curses, SCREEN_CHARACTER plus any
 * other character, SCREEN_LOST when the terminal has gone, or ERR when none came. */
#define SCREEN_CHARACTER (1 << 28)
#define SCREEN_LOST      (1 << 29)
int screen_key(int milliseconds);

/* The attribute that stands for a colour; on a terminal without, titles and what is bad are bold. */
attr_t screen_paint(enum colour colour);

/* Columns that text takes. What the terminal cannot show, and what would move its cursor, is '?'. */
int screen_width(const char *text);

/* Puts text at the cursor; what is beyond `width` columns is cut, with a mark in the last one. Returns the
 * columns used. */
int screen_put(const char *text, int width);

/* The same, filled up with blanks to `width`. `right`: the blanks come first. */
void screen_put_field(const char *text, int width, bool right);

/* Puts as much of the text as has room, without a mark, and returns what is left of it. */
const char *screen_put_part(const char *text, int width);

/* The last `width` values as a graph of one line; full height is `full`. */
void screen_put_graph(const struct series *series, float full, int width);

/* Whether the terminal shows more than ASCII. */
bool screen_is_unicode(void);

#endif

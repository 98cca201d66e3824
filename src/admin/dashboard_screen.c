#include "admin/dashboard_screen.h"

#include <math.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "admin/text.h"

static struct {
    SCREEN *screen;
    bool colours;
    bool unicode; /* the terminal shows block characters */
} screen;

/* Whether the user's locale says UTF-8, whatever the process itself uses. */
static bool locale_is_utf8(void)
{
    const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = getenv(names[i]);
        if (value != NULL && value[0] != '\0')
            return strcasestr(value, "UTF-8") != NULL || strcasestr(value, "UTF8") != NULL;
    }
    return false;
}

bool screen_open(char *why, size_t why_bytes)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    screen.screen = newterm(NULL, stdout, stdin);
    if (screen.screen == NULL) {
        snprintf(why, why_bytes,
                 "this terminal (TERM=%s) cannot be driven: set TERM, or use 'vgpu-admin status'",
                 term != NULL ? term : "");
        return false;
    }
    set_term(screen.screen);
    cbreak();
    noecho();
    keypad(stdscr, TRUE);
    set_escdelay(50);
    curs_set(0);
    screen.unicode = locale_is_utf8();
    screen.colours = has_colors() && !(no_color != NULL && no_color[0] != '\0');
    if (screen.colours) {
        start_color();
        use_default_colors();
        init_pair(COLOUR_TITLE, COLOR_CYAN, -1);
        init_pair(COLOUR_GOOD, COLOR_GREEN, -1);
        init_pair(COLOUR_WARM, COLOR_YELLOW, -1);
        init_pair(COLOUR_BAD, COLOR_RED, -1);
    }
    return true;
}

void screen_close(void)
{
    if (screen.screen == NULL)
        return;
    endwin();
    delscreen(screen.screen);
    screen.screen = NULL;
}

int screen_key(int milliseconds)
{
    wint_t character;
    timeout(milliseconds);
    switch (get_wch(&character)) {
    case KEY_CODE_YES:
        return (int)character;
    case ERR: {
        /* On a terminal that has been closed nothing is ever to wait for, and the caller would turn in
         * circles.
         */
        struct pollfd terminal = {.fd = STDIN_FILENO, .events = POLLIN};
        if (poll(&terminal, 1, 0) > 0 && (terminal.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0)
            return SCREEN_LOST;
        return ERR;
    }
    default:
        return character < 0x80 ? (int)character : (int)(SCREEN_CHARACTER | character);
    }
}

attr_t screen_paint(enum colour colour)
{
    if (screen.colours && colour != COLOUR_PLAIN)
        return (attr_t)COLOR_PAIR(colour);
    return colour == COLOUR_TITLE || colour == COLOUR_BAD ? A_BOLD : A_NORMAL;
}

bool screen_is_unicode(void)
{
    return screen.unicode;
}

/* What stands on the screen for a character, and how wide it is. */
static wchar_t shown(uint32_t character, int *columns)
{
    *columns = 1;
    if (character == 0xB5 && !screen.unicode)
        return L'u'; /* the micro sign */
    if (text_is_control(character) || (character > 0x7E && !screen.unicode))
        return L'?';
    int width = wcwidth((wchar_t)character);
    if (width < 0)
        return L'?';
    *columns = width;
    return (wchar_t)character;
}

int screen_width(const char *text)
{
    int width = 0, columns;
    uint32_t character;
    while ((character = text_next(&text)) != 0) {
        (void)shown(character, &columns);
        width += columns;
    }
    return width;
}

/* As screen_put_part; *used gets the columns. */
static const char *put_part(const char *text, int width, int *used)
{
    *used = 0;
    for (;;) {
        const char *start = text;
        int columns;
        uint32_t character = text_next(&text);
        wchar_t wide[] = {shown(character, &columns), 0};
        if (character == 0 || *used + columns > width)
            return start;
        addwstr(wide);
        *used += columns;
    }
}

const char *screen_put_part(const char *text, int width)
{
    int used;
    return put_part(text, width, &used);
}

int screen_put(const char *text, int width)
{
    int used;
    bool cut = screen_width(text) > width;
    put_part(text, cut ? width - 1 : width, &used);
    if (cut && width > 0) {
        addwstr(screen.unicode ? L"…" : L"~");
        used++;
    }
    return used;
}

void screen_put_field(const char *text, int width, bool right)
{
    int blanks = width - screen_width(text);
    if (right && blanks > 0)
        printw("%*s", blanks, "");
    int used = screen_put(text, width) + (right && blanks > 0 ? blanks : 0);
    if (used < width)
        printw("%*s", width - used, "");
}

void screen_put_graph(const struct series *series, float full, int width)
{
    static const wchar_t blocks[] = L"▁▂▃▄▅▆▇█";
    static const wchar_t ascii[] = L"_.-=+*%#";
    for (int column = 0; column < width; column++) {
        int at = (int)series->count - width + column;
        if (at < 0 || isnan(series->values[at])) {
            addch(' ');
            continue;
        }
        int level = (int)(series->values[at] / full * 8.0f);
        level = level < 0 ? 0 : level > 7 ? 7 : level;
        wchar_t wide[] = {screen.unicode ? blocks[level] : ascii[level], 0};
        addwstr(wide);
    }
}

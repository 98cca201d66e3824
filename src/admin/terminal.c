#include "admin/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* https://no-color.org: set and not empty, whatever it says. */
static bool wants_colour(void)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    return (no_color == NULL || *no_color == '\0') && term != NULL && *term != '\0' &&
           strcmp(term, "dumb") != 0;
}

struct terminal terminal_measure(FILE *out)
{
    struct winsize size = {0};
    int fd = fileno(out); /* -1 for a stream in memory */
    if (fd < 0 || !isatty(fd))
        return (struct terminal){0};
    struct terminal terminal = {.width = 80, .height = 24, .colour = wants_colour()};
    if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
        terminal.width = size.ws_col;
        terminal.height = size.ws_row;
    }
    return terminal;
}

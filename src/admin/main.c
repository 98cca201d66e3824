/* vgpu-admin: the control panel of a vgpu host.
 *
 *   main        the process: locale, terminal, exit status
 *   program     command line → command → one error line
 *   commands    the table of commands; options: what they take, and the parser
 *   *_commands  the handlers, which use the public API of libvgpu and nothing below it
 *   describe, format, table, text   how things look */
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "admin/program.h"
#include "admin/text.h"

/* Columns of the terminal that stdout is; 0 when it is none. */
static size_t terminal_width(void)
{
    struct winsize size = {0};
    if (!isatty(STDOUT_FILENO))
        return 0;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return 80;
    return size.ws_col;
}

int main(int argc, char **argv)
{
    text_init();
    return (int)program_run(argc, argv, stdout, terminal_width(), stderr);
}

/* vgpu-admin: the control panel of a vgpu host.
 *
 *   main        the process: locale, terminal, exit status
 *   program     command line → command → one error line
 *   commands    the table of commands; options: what they take, and the parser
 *   *_commands  the handlers, which use the public API of libvgpu and nothing below it
 *   selection   which VMs are meant; listing, document: how it is printed, as a table or as JSON
 *   describe, format, table, text   how things look; terminal, watch: where, and again and again */
#include <stdio.h>

#include "admin/program.h"
#include "admin/text.h"

int main(int argc, char **argv)
{
    text_init();
    struct terminal terminal = terminal_measure(stdout);
    return (int)program_run(argc, argv, stdout, &terminal, stderr);
}

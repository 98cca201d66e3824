/* --help, for the program and for each command, made from the command table. */
#ifndef VGPU_ADMIN_HELP_H
#define VGPU_ADMIN_HELP_H

#include <stdio.h>

#include "admin/command.h"

void help_print_overview(FILE *out);
void help_print_command(FILE *out, const struct command *command);

#endif

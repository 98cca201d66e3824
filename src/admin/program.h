/* The program from its command line to its exit status, apart from the process itself, so that tests can
 * call it. */
#ifndef VGPU_ADMIN_PROGRAM_H
#define VGPU_ADMIN_PROGRAM_H

#include <stdio.h>

#include "admin/terminal.h"

enum program_exit {
    PROGRAM_DONE = 0,
    PROGRAM_FAILED = 1,
    PROGRAM_WRONG_USAGE = 2,
};

/* Runs the command line argv[1..argc-1]. What was asked for goes to out, which is such a terminal or none; an
 * error is one line on errors: "vgpu-admin: <command>: what is wrong; what to do". */
enum program_exit program_run(int argc, char *const *argv, FILE *out, const struct terminal *terminal,
                              FILE *errors);

#endif

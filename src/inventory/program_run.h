/* Running programs for what they print, several at once, within one time limit. */
#ifndef VGPU_INVENTORY_PROGRAM_RUN_H
#define VGPU_INVENTORY_PROGRAM_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define PROGRAM_RUN_OUTPUT_MAX_BYTES ((size_t)32 << 20)

/* The caller sets arguments and zeroes the rest; program_run_fini() frees what came. */
struct program_run {
    const char *const *arguments; /* NULL-terminated; the first is the program, found in PATH */
    int start_errno;              /* why it could not be started; 0: it was */
    bool timed_out;
    bool too_much;   /* it printed more than PROGRAM_RUN_OUTPUT_MAX_BYTES, or than there is memory for */
    int exit_status; /* -1: ended by a signal, which is in `signal` */
    int signal;
    char *output; /* stdout and stderr together, NUL-terminated; NULL: nothing was printed */
    size_t length;
    /* While it runs: */
    pid_t child;
    int input;
    size_t room;
};

/* Starts all, each in a session of its own (so without a terminal to ask for a password at) with /dev/null as
 * stdin, reads what they print and waits for their end. What has not ended when the time is over is
 * killed with all its children. */
void program_run_all(struct program_run *runs, size_t count, int time_limit_ms);
void program_run_fini(struct program_run *run);

#endif

/* What a command is, and what its handler is given. commands.c holds the table of them all. */
#ifndef VGPU_ADMIN_COMMAND_H
#define VGPU_ADMIN_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <vgpu/error.h>

#include "admin/options.h"

struct table_layout;
struct vgpu;

#define COMMAND_MAX_OPTIONS 24
#define COMMAND_MAX_TABLES  2

struct command_context {
    const struct arguments *arguments;
    struct vgpu *vgpu; /* the library, open */
    FILE *out;         /* where the command prints what was asked for */
    size_t width;      /* columns of the terminal, 0 when out is none */
    bool colour;       /* out is a terminal that shows colours, and the user wants them */
    enum output_format output;
    const char *name; /* of the command */
    bool watched;     /* it is printed again and again: JSON in one line each time */
};

/* How a command takes an option. */
enum option_need {
    NEED_NONE, /* ends the list */
    NEED_REQUIRED,
    NEED_OPTIONAL,
    NEED_ONE_OF,           /* at least one of the options marked so */
    NEED_SELECT,           /* exactly one of the options marked so: says which VMs are meant */
    NEED_MAY_SELECT,       /* at most one of them */
    NEED_SELECT_OR_ONE_OF, /* says which VM is meant where no NEED_SELECT does, else as NEED_ONE_OF */
};

struct command_option {
    enum option_need need;
    enum option_id id;
};

/* Prints to context->out and returns VGPU_OK, or prints nothing, changes nothing and fills in err. */
typedef enum vgpu_status command_run(const struct command_context *context, struct vgpu_error *err);

struct command {
    const char *name;
    const char *group;   /* heading in --help, as in the requirement */
    const char *summary; /* one line */
    const char *details; /* what else a user should know; lines end with \n; may be NULL */
    const char *example; /* a command line that works */
    const char *operand; /* what it takes beside options, for --help; NULL: nothing. It is then required */
    struct command_option options[COMMAND_MAX_OPTIONS + 1];
    const struct table_layout *tables[COMMAND_MAX_TABLES]; /* that it prints: what --columns chooses from */
    bool changes;                                          /* it writes to the database */
    bool alone; /* it runs without the library open: context->vgpu is NULL */
    command_run *run;
};

extern const struct command command_table[];
extern const size_t command_count;

/* NULL when there is none of that name. */
const struct command *command_find(const char *name);

#endif

/* The options of vgpu-admin: one catalogue for all commands, so that --pool means and accepts the same
 * everywhere, and the parser that turns a command line into checked values. */
#ifndef VGPU_ADMIN_OPTIONS_H
#define VGPU_ADMIN_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vgpu/error.h>
#include <vgpu/types.h>

enum option_id {
    OPTION_GPU_ID,
    OPTION_POOL,  /* --pool, one letter */
    OPTION_POOLS, /* --pool, one letter or several; a command takes one of the two */
    OPTION_VM_UUID,
    OPTION_VM_NAME,
    OPTION_VM_ID,
    OPTION_PRIORITY,
    OPTION_VSOCK_CID,
    OPTION_LIMIT,
    OPTION_COUNT
};

/* What kind of value it is. Words are checked by libvgpu, so that every program takes the same. */
enum option_type {
    OPTION_TYPE_GPU_ID,
    OPTION_TYPE_POOL,
    OPTION_TYPE_POOLS,
    OPTION_TYPE_VM_UUID,
    OPTION_TYPE_VM_NAME,
    OPTION_TYPE_VM_ID,
    OPTION_TYPE_PRIORITY,
    OPTION_TYPE_NUMBER, /* decimal digits, least to most */
};

struct option_spec {
    const char *name; /* without the dashes */
    enum option_type type;
    const char *placeholder; /* what stands for the value in --help, as the requirement writes it */
    const char *help;
    int64_t least, most; /* OPTION_TYPE_NUMBER */
};

extern const struct option_spec option_catalogue[OPTION_COUNT];

struct option_value {
    bool given;
    int64_t number;                /* ids, numbers, enum vgpu_priority */
    char text[VGPU_VM_NAME_BYTES]; /* identifiers in canonical form, names, letters of pools */
};

struct arguments {
    struct option_value values[OPTION_COUNT];
    bool help; /* --help: nothing else is filled in and the command is not to run */
};

struct command;

/* Parses what follows the command's name: --name=value or --name value, each at most once. Checks that it
 * is an option of the command, that the value fits, and that nothing required is missing. On
 * VGPU_ERR_USAGE *arguments is undefined and err says what to type instead. */
enum vgpu_status arguments_parse(struct arguments *arguments, const struct command *command, int count,
                                 char *const *words, struct vgpu_error *err);

static inline bool arguments_has(const struct arguments *arguments, enum option_id id)
{
    return arguments->values[id].given;
}

/* 0 when the option was not given. */
static inline int64_t arguments_number(const struct arguments *arguments, enum option_id id)
{
    return arguments->values[id].number;
}

/* The letter of a pool; 0 when the option was not given. */
static inline char arguments_letter(const struct arguments *arguments, enum option_id id)
{
    return arguments->values[id].text[0];
}

/* NULL when the option was not given. */
static inline const char *arguments_text(const struct arguments *arguments, enum option_id id)
{
    return arguments->values[id].given ? arguments->values[id].text : NULL;
}

#endif

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
    OPTION_POOL,    /* --pool, one letter */
    OPTION_POOLS,   /* --pool, one letter or several; a command takes one of the two */
    OPTION_VM_UUID, /* of one that is registered: the whole or its beginning */
    OPTION_NEW_VM_UUID,
    OPTION_VM_NAME, /* of one that is registered */
    OPTION_NEW_VM_NAME,
    OPTION_VM_ID,  /* one number, for a VM to have */
    OPTION_VM_IDS, /* numbers and ranges, of VMs that are registered */
    OPTION_PRIORITY,
    OPTION_VSOCK_CID,
    OPTION_ALL_UNREGISTERED,
    OPTION_LIMIT,
    OPTION_SINCE,
    OPTION_CHANGES,
    OPTION_GRANTS,
    OPTION_GPUS,
    OPTION_DRY_RUN,
    OPTION_REASON,
    /* Limits, in the order of enum vgpu_limit. */
    OPTION_WEIGHT,
    OPTION_TIME_LIMIT,
    OPTION_CALL_RATE,
    OPTION_CALL_BURST,
    OPTION_BYTE_RATE,
    OPTION_BYTE_BURST,
    OPTION_QUEUE_DEPTH,
    OPTION_MEMORY,
    OPTION_PROCESSES,
    OPTION_MAX_FAULTS,
    OPTION_FAULT_WINDOW,
    OPTION_MODE,
    OPTION_AGEING,
    /* How it is printed. */
    OPTION_JSON,
    OPTION_OUTPUT,
    OPTION_COLUMNS,
    OPTION_NO_HEADER,
    OPTION_WATCH,
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
    OPTION_TYPE_VM_IDS,
    OPTION_TYPE_PRIORITY,
    OPTION_TYPE_NUMBER, /* decimal digits, least to most */
    OPTION_TYPE_TIME,
    OPTION_TYPE_FLAG,    /* takes no value */
    OPTION_TYPE_OUTPUT,  /* enum output_format */
    OPTION_TYPE_COLUMNS, /* names of columns of the command's tables */
    OPTION_TYPE_TEXT,    /* one line */
    OPTION_TYPE_LIMIT,   /* a value of the enum vgpu_limit that `least` is; "default": LIMIT_TO_CLEAR */
    OPTION_TYPE_SECONDS, /* may have a fraction; may be left out, and is only taken behind '=' */
};

enum output_format { OUTPUT_TABLE, OUTPUT_WIDE, OUTPUT_JSON };

#define WATCH_DEFAULT_MS 2000

#define LIMIT_TO_CLEAR (-1) /* what is set is not to be set any more */

struct option_spec {
    const char *name; /* without the dashes */
    enum option_type type;
    const char *placeholder; /* what stands for the value in --help, as the requirement writes it */
    const char *help;
    int64_t least, most; /* OPTION_TYPE_NUMBER; OPTION_TYPE_SECONDS: milliseconds; OPTION_TYPE_LIMIT: which */
    char letter;         /* of its short form, "-o"; 0: it has none */
};

extern const struct option_spec option_catalogue[OPTION_COUNT];

struct option_value {
    bool given;
    int64_t number; /* ids, numbers, enum vgpu_priority, enum output_format, microseconds since 1970, ms */
    char text[VGPU_VM_NAME_BYTES]; /* identifiers in canonical form, names, letters of pools, lists */
};

struct arguments {
    struct option_value values[OPTION_COUNT];
    enum option_id selector; /* the option that says which VMs are meant; OPTION_COUNT: none does */
    const char *operand;     /* the word without dashes; NULL where the command takes none */
    bool help;               /* --help: nothing else is filled in and the command is not to run */
};

struct command;

/* Parses what follows the command's name: --name=value or --name value, each at most once, and the operand
 * where the command takes one. Checks that it is an option of the command, that the value fits, that nothing
 * required is missing and that nothing contradicts. On VGPU_ERR_USAGE *arguments is undefined and err says
 * what to type instead. */
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

/* From --json and -o. */
enum output_format arguments_output(const struct arguments *arguments);

/* The letter of a pool; 0 when the option was not given. */
static inline char arguments_letter(const struct arguments *arguments, enum option_id id)
{
    return arguments->values[id].text[0];
}

/* What the options of limits set and clear. */
struct vgpu_limits arguments_limits(const struct arguments *arguments);

/* NULL when the option was not given. */
static inline const char *arguments_text(const struct arguments *arguments, enum option_id id)
{
    return arguments->values[id].given ? arguments->values[id].text : NULL;
}

#endif

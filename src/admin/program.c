#include "admin/program.h"

#include <errno.h>
#include <string.h>
#include <vgpu/vgpu.h>

#include "admin/command.h"
#include "admin/complete.h"
#include "admin/help.h"
#include "admin/text.h"
#include "admin/watch.h"
#include "base/error.h"
#include "base/suggest.h"

/* The one place where an error is told. command: NULL before it is known. */
static enum program_exit report(FILE *errors, const char *command, const struct vgpu_error *err)
{
    fputs("vgpu-admin: ", errors);
    if (command != NULL)
        fprintf(errors, "%s: ", command);
    text_put(errors, err->message, SIZE_MAX);
    fputc('\n', errors);
    return err->status == VGPU_ERR_USAGE ? PROGRAM_WRONG_USAGE : PROGRAM_FAILED;
}

/* typed is the front of some commands' names: "list-gpus, list-vms, list-pools". Returns how many. */
static size_t commands_beginning(const char *typed, char *list, size_t list_bytes)
{
    size_t found = 0;
    list[0] = '\0';
    if (strlen(typed) < 3)
        return 0;
    for (size_t i = 0; i < command_count; i++) {
        const char *name = command_table[i].name;
        if (strncmp(name, typed, strlen(typed)) != 0)
            continue;
        if (found++ > 0)
            strncat(list, " or ", list_bytes - strlen(list) - 1);
        strncat(list, name, list_bytes - strlen(list) - 1);
    }
    return found;
}

static enum vgpu_status refuse_command(const char *typed, struct vgpu_error *err)
{
    char quoted[TEXT_QUOTE_BYTES];
    char meant[256];
    const char *names[64];
    size_t count = 0;
    text_quote(quoted, typed);
    if (typed[0] == '-')
        return error_set(err, VGPU_ERR_USAGE,
                         "%s stands where the command should; write 'vgpu-admin COMMAND %s', see --help",
                         quoted, strncmp(typed, "--", 2) == 0 ? "--name=value ..." : "...");
    if (commands_beginning(typed, meant, sizeof meant) > 0)
        return error_set(err, VGPU_ERR_USAGE, "unknown command %s; did you mean %s?", quoted, meant);
    for (size_t i = 0; i < command_count && count < sizeof names / sizeof names[0]; i++)
        names[count++] = command_table[i].name;
    const char *nearest = suggest_nearest(typed, names, count);
    if (nearest != NULL)
        return error_set(err, VGPU_ERR_USAGE, "unknown command %s; did you mean %s?", quoted, nearest);
    return error_set(err, VGPU_ERR_USAGE, "unknown command %s; 'vgpu-admin --help' lists the commands",
                     quoted);
}

/* ---- Running ---- */

struct run {
    const struct command *command;
    const struct arguments *arguments;
    struct vgpu *vgpu;
};

/* watch_print */
static enum vgpu_status run_once(void *context, FILE *out, const struct terminal *terminal,
                                 struct vgpu_error *err)
{
    const struct run *run = context;
    struct command_context command_context = {
        .arguments = run->arguments,
        .vgpu = run->vgpu,
        .out = out,
        .width = terminal->width,
        .colour = terminal->colour,
        .output = arguments_output(run->arguments),
        .name = run->command->name,
        .watched = arguments_has(run->arguments, OPTION_WATCH),
    };
    return run->command->run(&command_context, err);
}

static enum vgpu_status run_command(const struct command *command, const struct arguments *arguments,
                                    FILE *out, const struct terminal *terminal, FILE *errors,
                                    struct vgpu_error *err)
{
    struct run run = {.command = command, .arguments = arguments};
    enum vgpu_status status = command->alone ? VGPU_OK : vgpu_open(NULL, &run.vgpu, err);
    if (status != VGPU_OK)
        return status;
    if (arguments_has(arguments, OPTION_WATCH))
        status = watch_run(out, errors, arguments_number(arguments, OPTION_WATCH),
                           arguments_output(arguments) == OUTPUT_JSON, run_once, &run, err);
    else
        status = run_once(&run, out, terminal, err);
    vgpu_close(run.vgpu);
    return status;
}

/* What was printed must have arrived: a full disk under a redirected listing is a failure. */
static enum vgpu_status finish_output(FILE *out, struct vgpu_error *err)
{
    static const char what[] =
        "the command was carried out but its output could not be written; see to where the output goes";
    if (fflush(out) != 0)
        return error_set_errno(err, VGPU_ERR_IO, "%s", what);
    if (ferror(out))
        return error_set(err, VGPU_ERR_IO, "%s", what);
    return VGPU_OK;
}

static bool is_word(const char *word, const char *long_form, const char *short_form)
{
    return strcmp(word, long_form) == 0 || strcmp(word, short_form) == 0;
}

enum program_exit program_run(int argc, char *const *argv, FILE *out, const struct terminal *terminal,
                              FILE *errors)
{
    struct vgpu_error err = {0};
    if (argc < 2) {
        error_set(&err, VGPU_ERR_USAGE, "no command is given; 'vgpu-admin --help' lists the commands");
        return report(errors, NULL, &err);
    }
    const char *word = argv[1];
    const struct command *command = command_find(word);
    enum vgpu_status status = VGPU_OK;
    if (command != NULL) {
        struct arguments arguments;
        status = arguments_parse(&arguments, command, argc - 2, argv + 2, &err);
        if (status == VGPU_OK && arguments.help)
            help_print_command(out, command);
        else if (status == VGPU_OK)
            status = run_command(command, &arguments, out, terminal, errors, &err);
    } else if (strcmp(word, COMPLETE_COMMAND) == 0) {
        complete_print(out, argc - 2, argv + 2);
    } else if (is_word(word, "--help", "-h") || (strcmp(word, "help") == 0 && argc == 2)) {
        help_print_overview(out);
    } else if (strcmp(word, "help") == 0) {
        const struct command *wanted = command_find(argv[2]);
        if (wanted != NULL)
            help_print_command(out, wanted);
        else
            status = refuse_command(argv[2], &err);
    } else if (is_word(word, "--version", "-V")) {
        fprintf(out, "vgpu-admin %s\n", vgpu_version());
    } else {
        status = refuse_command(word, &err);
    }
    if (status == VGPU_OK)
        status = finish_output(out, &err);
    return status == VGPU_OK ? PROGRAM_DONE : report(errors, command != NULL ? command->name : NULL, &err);
}

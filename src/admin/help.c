#include "admin/help.h"

#include <string.h>

#include "admin/table.h"
#include "admin/text.h"

static bool is_about_output(enum option_id id)
{
    return id >= OPTION_JSON;
}

/* The short form that the requirement writes; options of output and other ways to select are listed below. */
static void print_synopsis(FILE *out, const struct command *command)
{
    bool selected = false;
    fprintf(out, "vgpu-admin %s", command->name);
    for (const struct command_option *option = command->options; option->need != NEED_NONE; option++) {
        const struct option_spec *spec = &option_catalogue[option->id];
        bool required = option->need == NEED_REQUIRED || option->need == NEED_SELECT;
        if (is_about_output(option->id) || (option->need == NEED_SELECT && selected))
            continue;
        selected |= option->need == NEED_SELECT;
        fprintf(out, required ? " --%s" : " [--%s", spec->name);
        if (spec->placeholder != NULL)
            fprintf(out, "=%s", spec->placeholder);
        fputs(required ? "" : "]", out);
    }
    if (command->operand != NULL)
        fprintf(out, " %s", command->operand);
    fputc('\n', out);
}

static void print_group(FILE *out, const char *group)
{
    fprintf(out, "\n%s:\n", group);
    for (size_t i = 0; i < command_count; i++)
        if (strcmp(command_table[i].group, group) == 0)
            fprintf(out, "  %-14s %s\n", command_table[i].name, command_table[i].summary);
}

void help_print_overview(FILE *out)
{
    fputs("Usage: vgpu-admin COMMAND [--OPTION=VALUE ...]\n"
          "\n"
          "Scans the GPUs of this host, assigns GPUs and VMs to pools, and shows who uses what.\n",
          out);
    for (size_t i = 0; i < command_count; i++)
        if (i == 0 || strcmp(command_table[i].group, command_table[i - 1].group) != 0)
            print_group(out, command_table[i].group);
    fputs("\n"
          "'vgpu-admin COMMAND --help' shows a command's options and an example; 'vgpu-admin --version' the "
          "version.\n"
          "Exit status: 0 done, 1 failed, 2 wrong usage.\n",
          out);
}

/* How many options say which VM is meant. */
static size_t count_selectors(const struct command *command)
{
    size_t count = 0;
    for (const struct command_option *option = command->options; option->need != NEED_NONE; option++)
        count += option->need == NEED_SELECT || option->need == NEED_SELECT_OR_ONE_OF;
    return count;
}

static void print_option(FILE *out, const struct command *command, const struct command_option *option)
{
    const struct option_spec *spec = &option_catalogue[option->id];
    int used = spec->letter != '\0' ? fprintf(out, "  -%c, --%s", spec->letter, spec->name)
                                    : fprintf(out, "  --%s", spec->name);
    if (spec->placeholder != NULL)
        used += fprintf(out, spec->type == OPTION_TYPE_SECONDS ? "[=%s]" : "=%s", spec->placeholder);
    fprintf(out, "%*s%s", used < 32 ? 32 - used : 1, "", spec->help);
    if (spec->type == OPTION_TYPE_NUMBER)
        fprintf(out, ", %lld to %lld", (long long)spec->least, (long long)spec->most);
    bool alone = option->need == NEED_SELECT && count_selectors(command) == 1;
    if (option->need == NEED_REQUIRED || alone)
        fputs(" (required)\n", out);
    else
        fputs(option->need == NEED_SELECT ? " (one such is required)\n" : "\n", out);
}

static void print_columns(FILE *out, const struct table_layout *layout)
{
    char name[TABLE_NAME_BYTES];
    struct text_flow flow = {.out = out, .width = 100, .indent = 2};
    text_flow_put(&flow, "  ");
    for (size_t i = 0; i < layout->column_count; i++) {
        char piece[TABLE_NAME_BYTES + 4];
        snprintf(piece, sizeof piece, "%s%s", i > 0 ? ", " : "",
                 table_column_name(name, &layout->columns[i]));
        text_flow_put(&flow, piece);
    }
    fputc('\n', out);
}

void help_print_command(FILE *out, const struct command *command)
{
    fputs("Usage: ", out);
    print_synopsis(out, command);
    fprintf(out, "\n%s.\n", command->summary);
    if (command->details != NULL)
        fputs(command->details, out);
    if (command->options[0].need != NEED_NONE)
        fputs("\nOptions:\n", out);
    for (const struct command_option *option = command->options; option->need != NEED_NONE; option++)
        print_option(out, command, option);
    for (size_t i = 0; i < COMMAND_MAX_TABLES && command->tables[i] != NULL; i++) {
        fputs(i == 0 ? "\nColumns:\n" : "", out);
        print_columns(out, command->tables[i]);
    }
    fprintf(out, "\nExample:\n  %s\n", command->example);
}

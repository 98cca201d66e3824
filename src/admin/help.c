#include "admin/help.h"

#include <string.h>

static void print_synopsis(FILE *out, const struct command *command)
{
    fprintf(out, "vgpu-admin %s", command->name);
    for (const struct command_option *option = command->options; option->need != NEED_NONE; option++) {
        const struct option_spec *spec = &option_catalogue[option->id];
        const char *format = option->need == NEED_REQUIRED ? " --%s=%s" : " [--%s=%s]";
        fprintf(out, format, spec->name, spec->placeholder);
    }
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

static void print_option(FILE *out, const struct command_option *option)
{
    const struct option_spec *spec = &option_catalogue[option->id];
    int used = fprintf(out, "  --%s=%s", spec->name, spec->placeholder);
    fprintf(out, "%*s%s", used < 32 ? 32 - used : 1, "", spec->help);
    if (spec->type == OPTION_TYPE_NUMBER)
        fprintf(out, ", %lld to %lld", (long long)spec->least, (long long)spec->most);
    fputs(option->need == NEED_REQUIRED ? " (required)\n" : "\n", out);
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
        print_option(out, option);
    fprintf(out, "\nExample:\n  %s\n", command->example);
}

/* Prints the command table of vgpu-admin as JSON, so that tests are made from the table itself: a command or
 * an option that is added is tested without anybody thinking of it. */
#include <jansson.h>
#include <stdio.h>

#include "admin/command.h"
#include "admin/table.h"

static json_t *make_option(const struct command_option *option)
{
    static const char *const needs[] = {
        [NEED_REQUIRED] = "required",     [NEED_OPTIONAL] = "optional",
        [NEED_ONE_OF] = "one-of",         [NEED_SELECT] = "select",
        [NEED_MAY_SELECT] = "may-select", [NEED_SELECT_OR_ONE_OF] = "select-or-one-of"};
    static const char *const types[] = {
        [OPTION_TYPE_GPU_ID] = "gpu-id",   [OPTION_TYPE_POOL] = "pool",
        [OPTION_TYPE_POOLS] = "pools",     [OPTION_TYPE_VM_UUID] = "vm-uuid",
        [OPTION_TYPE_VM_NAME] = "vm-name", [OPTION_TYPE_VM_ID] = "vm-id",
        [OPTION_TYPE_VM_IDS] = "vm-ids",   [OPTION_TYPE_PRIORITY] = "priority",
        [OPTION_TYPE_NUMBER] = "number",   [OPTION_TYPE_TIME] = "time",
        [OPTION_TYPE_FLAG] = "flag",       [OPTION_TYPE_OUTPUT] = "output",
        [OPTION_TYPE_COLUMNS] = "columns", [OPTION_TYPE_SECONDS] = "seconds",
        [OPTION_TYPE_TEXT] = "text",       [OPTION_TYPE_LIMIT] = "limit"};
    const struct option_spec *spec = &option_catalogue[option->id];
    return json_pack("{s:s, s:s, s:s, s:I, s:I}", "name", spec->name, "need", needs[option->need], "type",
                     types[spec->type], "least", (json_int_t)spec->least, "most", (json_int_t)spec->most);
}

static json_t *make_command(const struct command *command)
{
    json_t *options = json_array();
    json_t *columns = json_array();
    for (const struct command_option *option = command->options; option->need != NEED_NONE; option++)
        json_array_append_new(options, make_option(option));
    for (size_t i = 0; i < COMMAND_MAX_TABLES && command->tables[i] != NULL; i++) {
        json_t *names = json_array();
        for (size_t j = 0; j < command->tables[i]->column_count; j++) {
            char name[TABLE_NAME_BYTES];
            table_column_name(name, &command->tables[i]->columns[j]);
            json_array_append_new(names, json_string(name));
        }
        json_array_append_new(columns, names);
    }
    return json_pack("{s:s, s:s, s:s?, s:b, s:o, s:o}", "name", command->name, "example", command->example,
                     "operand", command->operand, "changes", (int)command->changes, "options", options,
                     "tables", columns);
}

int main(void)
{
    json_t *commands = json_array();
    for (size_t i = 0; i < command_count; i++)
        json_array_append_new(commands, make_command(&command_table[i]));
    int failed = json_dumpf(commands, stdout, JSON_INDENT(1));
    json_decref(commands);
    return failed == 0 && putchar('\n') != EOF ? 0 : 1;
}

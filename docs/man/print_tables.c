/* Prints the command table of vgpu-admin and the settings as JSON, for make-manual: a program of the build,
 * not installed. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "admin/command.h"
#include "base/settings.h"

static json_t *text_or_null(const char *text)
{
    return text == NULL ? json_null() : json_string(text);
}

static json_t *make_option(const struct command_option *option)
{
    const struct option_spec *spec = &option_catalogue[option->id];
    return json_pack("{s:s, s:o, s:s, s:b, s:b, s:b, s:I, s:I, s:o}", "name", spec->name, "placeholder",
                     text_or_null(spec->placeholder), "help", spec->help, "required",
                     option->need == NEED_REQUIRED, "select", option->need == NEED_SELECT, "flag",
                     spec->type == OPTION_TYPE_FLAG, "least",
                     (json_int_t)(spec->type == OPTION_TYPE_NUMBER ? spec->least : 0), "most",
                     (json_int_t)(spec->type == OPTION_TYPE_NUMBER ? spec->most : 0), "letter",
                     spec->letter == 0 ? json_null() : json_stringn(&spec->letter, 1));
}

static json_t *make_command(const struct command *command)
{
    json_t *options = json_array();
    for (const struct command_option *option = command->options; option->need != NEED_NONE; option++)
        json_array_append_new(options, make_option(option));
    return json_pack("{s:s, s:s, s:s, s:o, s:s, s:o, s:o}", "name", command->name, "group", command->group,
                     "summary", command->summary, "details", text_or_null(command->details), "example",
                     command->example, "operand", text_or_null(command->operand), "options", options);
}

static json_t *make_setting(const struct setting_description *setting)
{
    static const char *const types[] = {
        [SETTING_TYPE_PATH] = "path",      [SETTING_TYPE_STRING] = "text",
        [SETTING_TYPE_INTEGER] = "number", [SETTING_TYPE_DURATION] = "duration",
        [SETTING_TYPE_SIZE] = "size",      [SETTING_TYPE_MODE] = "mode",
        [SETTING_TYPE_CHOICE] = "choice",  [SETTING_TYPE_FLAG] = "yes or no",
        [SETTING_TYPE_LIST] = "list",
    };
    json_t *choices = json_array();
    for (size_t i = 0; setting->choices != NULL && setting->choices[i] != NULL; i++)
        json_array_append_new(choices, json_string(setting->choices[i]));
    return json_pack("{s:s, s:s, s:o, s:I, s:I, s:o, s:s}", "name", setting->name, "type",
                     types[setting->type], "default", text_or_null(setting->default_text), "minimum",
                     (json_int_t)setting->minimum, "maximum", (json_int_t)setting->maximum, "choices",
                     choices, "summary", setting->summary);
}

int main(void)
{
    json_t *commands = json_array();
    json_t *settings = json_array();
    for (size_t i = 0; i < command_count; i++)
        json_array_append_new(commands, make_command(&command_table[i]));
    for (int key = 0; key < SETTING_COUNT; key++)
        json_array_append_new(settings, make_setting(settings_describe((enum setting_key)key)));
    json_t *all = json_pack("{s:o, s:o}", "commands", commands, "settings", settings);
    int result = all == NULL ? -1 : json_dumpf(all, stdout, JSON_INDENT(1));
    json_decref(all);
    return result == 0 ? 0 : 1;
}

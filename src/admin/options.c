#include "admin/options.h"

#include <stdio.h>
#include <string.h>
#include <vgpu/vgpu.h>

#include "admin/command.h"
#include "admin/table.h"
#include "admin/text.h"
#include "base/error.h"
#include "base/suggest.h"

/* The option for VGPU_LIMIT_<id>. */
#define LIMIT_OPTION(id, text, value, meaning)                                                               \
    [OPTION_##id] = {.name = (text),                                                                         \
                     .type = OPTION_TYPE_LIMIT,                                                              \
                     .placeholder = (value),                                                                 \
                     .help = (meaning),                                                                      \
                     .least = VGPU_LIMIT_##id}

_Static_assert(OPTION_AGEING - OPTION_WEIGHT == VGPU_LIMIT_COUNT - 1, "an option for each limit, in order");

const struct option_spec option_catalogue[OPTION_COUNT] = {
    [OPTION_GPU_ID] = {.name = "gpu-id",
                       .type = OPTION_TYPE_GPU_ID,
                       .placeholder = "<id>",
                       .help = "number of the GPU, as list-gpus shows it"},
    [OPTION_POOL] = {.name = "pool",
                     .type = OPTION_TYPE_POOL,
                     .placeholder = "<A|B>",
                     .help = "letter of the pool, as list-pools shows it"},
    [OPTION_POOLS] = {.name = "pool",
                      .type = OPTION_TYPE_POOLS,
                      .placeholder = "<A|B>",
                      .help = "letter of the pool; several, as A,B, share the GPU"},
    [OPTION_VM_UUID] = {.name = "vm-uuid",
                        .type = OPTION_TYPE_VM_UUID,
                        .placeholder = "<uuid>",
                        .help = "identifier of the VM, or the beginning of it"},
    [OPTION_NEW_VM_UUID] = {.name = "vm-uuid",
                            .type = OPTION_TYPE_VM_UUID,
                            .placeholder = "<uuid>",
                            .help = "identifier of the VM: a UUID, or any other word"},
    [OPTION_VM_NAME] = {.name = "vm-name",
                        .type = OPTION_TYPE_VM_NAME,
                        .placeholder = "<name>",
                        .help = "name of the VM"},
    [OPTION_NEW_VM_NAME] = {.name = "vm-name",
                            .type = OPTION_TYPE_VM_NAME,
                            .placeholder = "<name>",
                            .help = "name for the VM to have"},
    [OPTION_VM_ID] = {.name = "vm-id",
                      .type = OPTION_TYPE_VM_ID,
                      .placeholder = "<id>",
                      .help = "number of the VM, from 1 on, no two the same"},
    [OPTION_VM_IDS] = {.name = "vm-id",
                       .type = OPTION_TYPE_VM_IDS,
                       .placeholder = "<id>",
                       .help = "number of the VM; several, as 1-7 or 1-3,8, are all changed or none"},
    [OPTION_PRIORITY] = {.name = "priority",
                         .type = OPTION_TYPE_PRIORITY,
                         .placeholder = "<low|medium|high>",
                         .help = "class of the VM in the queue"},
    [OPTION_VSOCK_CID] = {.name = "vsock-cid",
                          .type = OPTION_TYPE_NUMBER,
                          .placeholder = "<cid>",
                          .help = "vsock address that the hypervisor gave the VM",
                          .least = 3,
                          .most = INT64_C(4294967294)},
    [OPTION_ALL_UNREGISTERED] = {.name = "all-unregistered",
                                 .type = OPTION_TYPE_FLAG,
                                 .help = "every VM of the hypervisors that is not registered yet"},
    [OPTION_LIMIT] = {.name = "limit",
                      .type = OPTION_TYPE_NUMBER,
                      .placeholder = "<count>",
                      .help = "print only the newest so many",
                      .least = 1,
                      .most = 1000000},
    [OPTION_SINCE] = {.name = "since",
                      .type = OPTION_TYPE_TIME,
                      .placeholder = "<time>",
                      .help = "only from then on: 2026-11-23, '2026-11-23 05:00', or 90s, 10m, 2h, 3d ago"},
    [OPTION_CHANGES] = {.name = "changes",
                        .type = OPTION_TYPE_FLAG,
                        .help = "the changes of the configuration"},
    [OPTION_GRANTS] = {.name = "grants", .type = OPTION_TYPE_FLAG, .help = "the grants of GPUs"},
    [OPTION_GPUS] = {.name = "gpus", .type = OPTION_TYPE_FLAG, .help = "of GPUs in place of VMs"},
    [OPTION_DRY_RUN] = {.name = "dry-run",
                        .type = OPTION_TYPE_FLAG,
                        .help = "show what would change, and change nothing"},
    [OPTION_REASON] = {.name = "reason",
                       .type = OPTION_TYPE_TEXT,
                       .placeholder = "<text>",
                       .help = "why, for those who look later"},
    LIMIT_OPTION(WEIGHT, "weight", "<1-1000>",
                 "its part of the GPU's time in its class; 1 where none is set"),
    LIMIT_OPTION(TIME_LIMIT, "time-limit", "<time>",
                 "how long one piece of work may run on the GPU, as 10s or 500ms"),
    LIMIT_OPTION(CALL_RATE, "call-rate", "<calls/s>", "calls a second"),
    LIMIT_OPTION(CALL_BURST, "call-burst", "<calls>", "calls at once after a pause"),
    LIMIT_OPTION(BYTE_RATE, "byte-rate", "<bytes/s>", "bytes a second that it may copy, as 2G"),
    LIMIT_OPTION(BYTE_BURST, "byte-burst", "<size>", "bytes at once after a pause, as 64M"),
    LIMIT_OPTION(QUEUE_DEPTH, "queue-depth", "<count>",
                 "pieces of work given to the GPU and not complete yet"),
    LIMIT_OPTION(MEMORY, "memory", "<size>", "device memory, as 16G"),
    LIMIT_OPTION(PROCESSES, "processes", "<count>", "guest processes at a time"),
    LIMIT_OPTION(MAX_FAULTS, "max-faults", "<count>",
                 "so many faults within the fault window, and the VM is quarantined"),
    LIMIT_OPTION(FAULT_WINDOW, "fault-window", "<time>", "how long a fault counts, as 10min"),
    LIMIT_OPTION(MODE, "mode", "<exclusive|shared:N>",
                 "of a pool: one VM at a time, or up to N of a class side by side"),
    LIMIT_OPTION(AGEING, "ageing", "<time>",
                 "of a pool: a waiting VM rises by a class each time this passes"),
    [OPTION_JSON] = {.name = "json",
                     .type = OPTION_TYPE_FLAG,
                     .help = "print JSON, as docs/json.md describes it"},
    [OPTION_OUTPUT] = {.name = "output",
                       .type = OPTION_TYPE_OUTPUT,
                       .placeholder = "<table|wide|json>",
                       .help = "-o wide: every column, none cut; -o json: as --json",
                       .letter = 'o'},
    [OPTION_COLUMNS] = {.name = "columns",
                        .type = OPTION_TYPE_COLUMNS,
                        .placeholder = "<name,...>",
                        .help = "these columns, in this order"},
    [OPTION_NO_HEADER] = {.name = "no-header", .type = OPTION_TYPE_FLAG, .help = "leave out the headings"},
    [OPTION_WATCH] = {.name = "watch",
                      .type = OPTION_TYPE_SECONDS,
                      .placeholder = "<seconds>",
                      .help = "print it again and again, every 2 seconds or so many, until Ctrl-C",
                      .least = 100,
                      .most = 3600000},
};

/* Digits only: no sign, no spaces, no 0x, no 1e3. */
static enum vgpu_status parse_number(const struct option_spec *spec, const char *text, int64_t *number,
                                     struct vgpu_error *err)
{
    char quoted[TEXT_QUOTE_BYTES];
    int64_t value = 0;
    const char *digit = text;
    while (*digit >= '0' && *digit <= '9' && value <= spec->most)
        value = value * 10 + (*digit++ - '0');
    if (*digit != '\0' || value < spec->least || value > spec->most)
        return error_set(err, VGPU_ERR_USAGE, "%s is not a whole number from %lld to %lld; give --%s=%s",
                         text_quote(quoted, text), (long long)spec->least, (long long)spec->most, spec->name,
                         spec->placeholder);
    *number = value;
    return VGPU_OK;
}

/* "2", "0.5": least to most, which are milliseconds. */
static enum vgpu_status parse_seconds(const struct option_spec *spec, const char *text, int64_t *milliseconds,
                                      struct vgpu_error *err)
{
    char quoted[TEXT_QUOTE_BYTES];
    int64_t value = 0;
    int64_t unit = 1000;
    bool digits = false;
    const char *at = text;
    for (; *at >= '0' && *at <= '9' && value <= spec->most; at++, digits = true)
        value = value * 10 + (*at - '0') * 1000;
    if (*at == '.' && digits)
        for (at++, digits = false; *at >= '0' && *at <= '9'; at++, digits = true)
            value += (*at - '0') * (unit /= 10);
    if (!digits || *at != '\0' || value < spec->least || value > spec->most)
        return error_set(err, VGPU_ERR_USAGE, "%s is no number of seconds from %g to %g; give --%s=2",
                         text_quote(quoted, text), (double)spec->least / 1000, (double)spec->most / 1000,
                         spec->name);
    *milliseconds = value;
    return VGPU_OK;
}

static enum vgpu_status parse_output(const char *text, int64_t *output, struct vgpu_error *err)
{
    static const char *const names[] = {
        [OUTPUT_TABLE] = "table", [OUTPUT_WIDE] = "wide", [OUTPUT_JSON] = "json"};
    char quoted[TEXT_QUOTE_BYTES];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i]) == 0) {
            *output = (int64_t)i;
            return VGPU_OK;
        }
    }
    return error_set(err, VGPU_ERR_USAGE, "%s is no form of output; give table, wide or json",
                     text_quote(quoted, text));
}

/* Every name must be that of a column of one of the command's tables. */
static enum vgpu_status parse_columns(const struct command *command, const char *text,
                                      struct option_value *value, struct vgpu_error *err)
{
    struct vgpu_error why = {0};
    if (strlen(text) >= sizeof value->text)
        return error_set(err, VGPU_ERR_USAGE, "%zu bytes are too many for a list of columns; name each once",
                         strlen(text));
    for (size_t i = 0; i < COMMAND_MAX_TABLES && command->tables[i] != NULL; i++) {
        if (table_check_columns(command->tables[i], text, &why) == VGPU_OK) {
            memcpy(value->text, text, strlen(text) + 1);
            return VGPU_OK;
        }
    }
    return error_set(err, VGPU_ERR_USAGE, "%s", why.message);
}

static enum vgpu_status parse_vm_ids(const char *text, struct option_value *value, struct vgpu_error *err)
{
    struct vgpu_vm_id_range ranges[VGPU_VM_ID_RANGES];
    size_t count = 0;
    if (strlen(text) >= sizeof value->text)
        return error_set(err, VGPU_ERR_USAGE,
                         "%zu bytes are too many for a list of numbers; use ranges, as 1-7", strlen(text));
    memcpy(value->text, text, strlen(text) + 1);
    return vgpu_parse_vm_ids(text, ranges, &count, err);
}

/* A line that may go into a table: printable, and not longer than a reason may be. */
static enum vgpu_status parse_text(const char *text, struct option_value *value, struct vgpu_error *err)
{
    if (strlen(text) >= VGPU_REASON_BYTES || !text_is_printable(text))
        return error_set(err, VGPU_ERR_USAGE,
                         "it is too long or has control characters; give one line of up to %d bytes",
                         VGPU_REASON_BYTES - 1);
    memcpy(value->text, text, strlen(text) + 1);
    return VGPU_OK;
}

static enum vgpu_status parse_limit(const struct option_spec *spec, const char *text, int64_t *number,
                                    struct vgpu_error *err)
{
    char quoted[TEXT_QUOTE_BYTES];
    if (strcmp(text, "default") == 0) {
        *number = LIMIT_TO_CLEAR;
        return VGPU_OK;
    }
    if (!text_is_printable(text))
        return error_set(err, VGPU_ERR_USAGE, "%s is no value; give --%s=%s", text_quote(quoted, text),
                         spec->name, spec->placeholder);
    return vgpu_parse_limit((enum vgpu_limit)spec->least, text, number, err);
}

static enum vgpu_status parse_value(const struct command *command, const struct option_spec *spec,
                                    const char *text, struct option_value *value, struct vgpu_error *err)
{
    enum vgpu_status status = VGPU_OK;
    int32_t id = 0;
    enum vgpu_priority priority = VGPU_PRIORITY_LOW;
    switch (spec->type) {
    case OPTION_TYPE_GPU_ID:
        status = vgpu_parse_gpu_id(text, &id, err);
        value->number = id;
        break;
    case OPTION_TYPE_POOL:
        status = vgpu_parse_pool(text, &value->text[0], err);
        break;
    case OPTION_TYPE_POOLS:
        status = vgpu_parse_pools(text, value->text, err);
        break;
    case OPTION_TYPE_VM_UUID:
        status = vgpu_parse_vm_uuid(text, value->text, err);
        break;
    case OPTION_TYPE_VM_NAME:
        status = vgpu_parse_vm_name(text, value->text, err);
        break;
    case OPTION_TYPE_VM_ID:
        status = vgpu_parse_vm_id(text, &id, err);
        value->number = id;
        break;
    case OPTION_TYPE_VM_IDS:
        status = parse_vm_ids(text, value, err);
        break;
    case OPTION_TYPE_PRIORITY:
        status = vgpu_parse_priority(text, &priority, err);
        value->number = priority;
        break;
    case OPTION_TYPE_NUMBER:
        status = parse_number(spec, text, &value->number, err);
        break;
    case OPTION_TYPE_TIME:
        status = vgpu_parse_time(text, &value->number, err);
        break;
    case OPTION_TYPE_OUTPUT:
        status = parse_output(text, &value->number, err);
        break;
    case OPTION_TYPE_COLUMNS:
        status = parse_columns(command, text, value, err);
        break;
    case OPTION_TYPE_SECONDS:
        status = parse_seconds(spec, text, &value->number, err);
        break;
    case OPTION_TYPE_TEXT:
        status = parse_text(text, value, err);
        break;
    case OPTION_TYPE_LIMIT:
        status = parse_limit(spec, text, &value->number, err);
        break;
    case OPTION_TYPE_FLAG: /* has no value to parse */
        break;
    }
    value->given = status == VGPU_OK;
    return status;
}

/* Says which option the value belongs to, in front of what is wrong with it. */
static enum vgpu_status refuse_value(const struct option_spec *spec, const struct vgpu_error *why,
                                     struct vgpu_error *err)
{
    if (strncmp(why->message, "--", 2) == 0)
        return error_set(err, why->status, "%s", why->message);
    return error_set(err, why->status, "--%s: %s", spec->name, why->message);
}

/* The option of this command whose name is the first length bytes of word; OPTION_COUNT: it takes none. */
static enum option_id find_option(const struct command *command, const char *word, size_t length)
{
    for (const struct command_option *option = command->options; option->need != NEED_NONE; option++) {
        const char *name = option_catalogue[option->id].name;
        if (strlen(name) == length && strncmp(name, word, length) == 0)
            return option->id;
    }
    return OPTION_COUNT;
}

/* word: the option as typed, behind its dashes. */
static enum vgpu_status refuse_unknown(const struct command *command, const char *word, size_t length,
                                       struct vgpu_error *err)
{
    char quoted[TEXT_QUOTE_BYTES];
    char name[128] = "--";
    strncat(name, word, length < sizeof name - 3 ? length : sizeof name - 3);
    const char *names[COMMAND_MAX_OPTIONS];
    size_t count = 0;
    for (const struct command_option *option = command->options; option->need != NEED_NONE; option++)
        names[count++] = option_catalogue[option->id].name;
    const char *nearest = suggest_nearest(name + 2, names, count);
    text_quote(quoted, name);
    if (nearest != NULL)
        return error_set(err, VGPU_ERR_USAGE, "unknown option %s; did you mean --%s?", quoted, nearest);
    return error_set(err, VGPU_ERR_USAGE, "unknown option %s; 'vgpu-admin %s --help' shows those it takes",
                     quoted, command->name);
}

/* What stands for the value: behind '=', or the next word. NULL: nothing does. */
static const char *find_value(const struct option_spec *spec, const char *equals, int count,
                              char *const *words, int *used)
{
    *used = 1;
    if (equals != NULL)
        return equals + 1;
    if (spec->type == OPTION_TYPE_SECONDS || count < 2 || strncmp(words[1], "--", 2) == 0)
        return NULL;
    *used = 2;
    return words[1];
}

/* Options that may stand without a value. */
static enum vgpu_status parse_bare(const struct option_spec *spec, const char *text,
                                   struct option_value *value, struct vgpu_error *err)
{
    if (spec->type == OPTION_TYPE_FLAG && text != NULL)
        return error_set(err, VGPU_ERR_USAGE, "--%s takes no value; write --%s alone", spec->name,
                         spec->name);
    value->number = WATCH_DEFAULT_MS; /* a flag does not care */
    value->given = true;
    return VGPU_OK;
}

/* One option whose value, where it has one, is in its own word behind '=' or in the next. */
static enum vgpu_status parse_found(struct arguments *arguments, const struct command *command,
                                    enum option_id id, const char *equals, int count, char *const *words,
                                    int *used, struct vgpu_error *err)
{
    const struct option_spec *spec = &option_catalogue[id];
    struct option_value *value = &arguments->values[id];
    struct vgpu_error why;
    if (value->given)
        return error_set(err, VGPU_ERR_USAGE, "--%s is given twice; give it once", spec->name);
    *used = 1;
    if (spec->type == OPTION_TYPE_FLAG || (spec->type == OPTION_TYPE_SECONDS && equals == NULL))
        return parse_bare(spec, equals, value, err);
    const char *text = find_value(spec, equals, count, words, used);
    if (text == NULL || *text == '\0')
        return error_set(err, VGPU_ERR_USAGE, "--%s %s; give --%s=%s", spec->name,
                         text == NULL ? "has no value" : "has an empty value", spec->name, spec->placeholder);
    if (parse_value(command, spec, text, value, &why) != VGPU_OK)
        return refuse_value(spec, &why, err);
    return VGPU_OK;
}

/* The option of this command with the short form at word, "-o"; OPTION_COUNT: it has none such. */
static enum option_id find_letter(const struct command *command, const char *word)
{
    for (const struct command_option *option = command->options; option->need != NEED_NONE; option++)
        if (word[0] == '-' && word[1] != '\0' && option_catalogue[option->id].letter == word[1])
            return option->id;
    return OPTION_COUNT;
}

/* One option at words[0]; *used becomes the words it took. */
static enum vgpu_status parse_option(struct arguments *arguments, const struct command *command, int count,
                                     char *const *words, int *used, struct vgpu_error *err)
{
    const char *word = words[0] + 2;
    enum option_id id = find_letter(command, words[0]);
    if (id != OPTION_COUNT) { /* "-o wide", "-o=wide", "-owide" */
        const char *equals = *word == '\0' ? NULL : *word == '=' ? word : word - 1;
        return parse_found(arguments, command, id, equals, count, words, used, err);
    }
    const char *equals = strchr(word, '=');
    size_t length = equals != NULL ? (size_t)(equals - word) : strlen(word);
    id = find_option(command, word, length);
    if (id == OPTION_COUNT)
        return refuse_unknown(command, word, length, err);
    return parse_found(arguments, command, id, equals, count, words, used, err);
}

/* ---- What must and must not stand together ---- */

/* Adds "--name" to a list of them. */
static void list_option(char *list, size_t size, enum option_id id, const char *between)
{
    size_t used = strlen(list);
    snprintf(list + used, size - used, "%s--%s", used == 0 ? "" : between, option_catalogue[id].name);
}

/* Settles which option says which VMs are meant. */
static enum vgpu_status check_selection(struct arguments *arguments, const struct command *command,
                                        struct vgpu_error *err)
{
    char known[128] = "";
    const struct option_spec *first = NULL;
    enum option_id either = OPTION_COUNT;
    bool required = false;
    arguments->selector = OPTION_COUNT;
    for (const struct command_option *option = command->options; option->need != NEED_NONE; option++) {
        bool given = arguments_has(arguments, option->id);
        if (option->need == NEED_SELECT_OR_ONE_OF && given)
            either = option->id;
        if (option->need == NEED_SELECT_OR_ONE_OF)
            list_option(known, sizeof known, option->id, " or ");
        if (option->need != NEED_SELECT && option->need != NEED_MAY_SELECT)
            continue;
        required |= option->need == NEED_SELECT;
        first = first == NULL ? &option_catalogue[option->id] : first;
        list_option(known, sizeof known, option->id, " or ");
        if (given && arguments->selector != OPTION_COUNT)
            return error_set(err, VGPU_ERR_USAGE,
                             "--%s and --%s both say which VM is meant; give one of them",
                             option_catalogue[arguments->selector].name, option_catalogue[option->id].name);
        if (given)
            arguments->selector = option->id;
    }
    if (arguments->selector == OPTION_COUNT)
        arguments->selector = either;
    if (!required || arguments->selector != OPTION_COUNT)
        return VGPU_OK;
    if (strstr(known, " or ") == NULL)
        return error_set(err, VGPU_ERR_USAGE, "--%s is missing; add --%s=%s", first->name, first->name,
                         first->placeholder);
    return error_set(err, VGPU_ERR_USAGE, "--%s is missing; add --%s=%s (one of %s)", first->name,
                     first->name, first->placeholder, known);
}

static enum vgpu_status check_needs(const struct arguments *arguments, const struct command *command,
                                    struct vgpu_error *err)
{
    char wanted[320] = "";
    bool one_of_given = false;
    for (const struct command_option *option = command->options; option->need != NEED_NONE; option++) {
        const struct option_spec *spec = &option_catalogue[option->id];
        bool given = arguments_has(arguments, option->id);
        if (option->need == NEED_REQUIRED && !given)
            return error_set(err, VGPU_ERR_USAGE, "--%s is missing; add --%s=%s", spec->name, spec->name,
                             spec->placeholder);
        if (option->need != NEED_ONE_OF && option->need != NEED_SELECT_OR_ONE_OF)
            continue;
        one_of_given |= given && arguments->selector != option->id;
        list_option(wanted, sizeof wanted, option->id, ", ");
    }
    if (wanted[0] != '\0' && !one_of_given)
        return error_set(err, VGPU_ERR_USAGE, "nothing to change is given; add one of %s", wanted);
    return VGPU_OK;
}

/* What only tables have, with an output that has none. */
static enum vgpu_status check_output(const struct arguments *arguments, struct vgpu_error *err)
{
    static const enum option_id of_tables[] = {OPTION_COLUMNS, OPTION_NO_HEADER};
    bool json = arguments_output(arguments) == OUTPUT_JSON;
    if (arguments_has(arguments, OPTION_JSON) && arguments_has(arguments, OPTION_OUTPUT) &&
        arguments_number(arguments, OPTION_OUTPUT) != OUTPUT_JSON)
        return error_set(err, VGPU_ERR_USAGE, "--json and --output contradict each other; give one of them");
    for (size_t i = 0; json && i < sizeof of_tables / sizeof of_tables[0]; i++)
        if (arguments_has(arguments, of_tables[i]))
            return error_set(err, VGPU_ERR_USAGE,
                             "--%s is for tables and JSON is none; leave it out, or give -o table",
                             option_catalogue[of_tables[i]].name);
    if (arguments_has(arguments, OPTION_COLUMNS) && arguments_number(arguments, OPTION_OUTPUT) == OUTPUT_WIDE)
        return error_set(err, VGPU_ERR_USAGE,
                         "--columns and -o wide both say which columns; give one of them");
    return VGPU_OK;
}

struct vgpu_limits arguments_limits(const struct arguments *arguments)
{
    struct vgpu_limits limits = {.set = 0};
    for (int limit = 0; limit < VGPU_LIMIT_COUNT; limit++) {
        enum option_id id = (enum option_id)(OPTION_WEIGHT + limit);
        if (!arguments_has(arguments, id))
            continue;
        if (arguments_number(arguments, id) == LIMIT_TO_CLEAR)
            limits.cleared |= 1u << limit;
        else
            limits.set |= 1u << limit;
        limits.values[limit] = arguments_number(arguments, id);
    }
    return limits;
}

enum output_format arguments_output(const struct arguments *arguments)
{
    if (arguments_has(arguments, OPTION_JSON))
        return OUTPUT_JSON;
    return (enum output_format)arguments_number(arguments, OPTION_OUTPUT);
}

/* ---- The whole command line ---- */

/* A word that is no option: the operand, where the command takes one. */
static enum vgpu_status parse_operand(struct arguments *arguments, const struct command *command,
                                      const char *word, struct vgpu_error *err)
{
    char quoted[TEXT_QUOTE_BYTES];
    text_quote(quoted, word);
    if (command->operand == NULL || (word[0] == '-' && word[1] != '\0'))
        return error_set(err, VGPU_ERR_USAGE,
                         "%s is not an option; options are written --name=value, see 'vgpu-admin %s --help'",
                         quoted, command->name);
    if (arguments->operand != NULL)
        return error_set(err, VGPU_ERR_USAGE, "%s is one %s too many; give one", quoted, command->operand);
    if (word[0] == '\0')
        return error_set(err, VGPU_ERR_USAGE, "the %s is empty; give its name", command->operand);
    arguments->operand = word;
    return VGPU_OK;
}

enum vgpu_status arguments_parse(struct arguments *arguments, const struct command *command, int count,
                                 char *const *words, struct vgpu_error *err)
{
    *arguments = (struct arguments){.selector = OPTION_COUNT};
    for (int i = 0; i < count; i++) {
        if (strcmp(words[i], "--help") == 0 || strcmp(words[i], "-h") == 0) {
            arguments->help = true;
            return VGPU_OK;
        }
    }
    enum vgpu_status status = VGPU_OK;
    for (int i = 0, used = 1; status == VGPU_OK && i < count; i += used) {
        bool is_option = (strncmp(words[i], "--", 2) == 0 && words[i][2] != '\0') ||
                         find_letter(command, words[i]) != OPTION_COUNT;
        used = 1;
        if (is_option)
            status = parse_option(arguments, command, count - i, words + i, &used, err);
        else
            status = parse_operand(arguments, command, words[i], err);
    }
    if (status == VGPU_OK)
        status = check_selection(arguments, command, err);
    if (status == VGPU_OK)
        status = check_needs(arguments, command, err);
    if (status == VGPU_OK)
        status = check_output(arguments, err);
    if (status == VGPU_OK && command->operand != NULL && arguments->operand == NULL)
        status = error_set(err, VGPU_ERR_USAGE, "the %s is missing; see 'vgpu-admin %s --help'",
                           command->operand, command->name);
    return status;
}

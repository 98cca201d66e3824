#include "admin/options.h"

#include <stdio.h>
#include <string.h>
#include <vgpu/vgpu.h>

#include "admin/command.h"
#include "admin/text.h"
#include "base/error.h"
#include "base/suggest.h"

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
                        .help = "identifier of the VM: a UUID, or any other word"},
    [OPTION_VM_NAME] = {.name = "vm-name",
                        .type = OPTION_TYPE_VM_NAME,
                        .placeholder = "<name>",
                        .help = "name of the VM, for people"},
    [OPTION_VM_ID] = {.name = "vm-id",
                      .type = OPTION_TYPE_VM_ID,
                      .placeholder = "<id>",
                      .help = "number of the VM, from 1 on, no two the same"},
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
    [OPTION_LIMIT] = {.name = "limit",
                      .type = OPTION_TYPE_NUMBER,
                      .placeholder = "<count>",
                      .help = "print only the newest so many",
                      .least = 1,
                      .most = 1000000},
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

static enum vgpu_status parse_value(const struct option_spec *spec, const char *text,
                                    struct option_value *value, struct vgpu_error *err)
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
    case OPTION_TYPE_PRIORITY:
        status = vgpu_parse_priority(text, &priority, err);
        value->number = priority;
        break;
    case OPTION_TYPE_NUMBER:
        status = parse_number(spec, text, &value->number, err);
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

/* One option at words[0]; *used becomes the words it took. */
static enum vgpu_status parse_option(struct arguments *arguments, const struct command *command, int count,
                                     char *const *words, int *used, struct vgpu_error *err)
{
    const char *word = words[0] + 2;
    const char *equals = strchr(word, '=');
    size_t length = equals != NULL ? (size_t)(equals - word) : strlen(word);
    enum option_id id = find_option(command, word, length);
    if (id == OPTION_COUNT)
        return refuse_unknown(command, word, length, err);
    const struct option_spec *spec = &option_catalogue[id];
    if (arguments->values[id].given)
        return error_set(err, VGPU_ERR_USAGE, "--%s is given twice; give it once", spec->name);
    const char *text = NULL;
    if (equals != NULL)
        text = equals + 1;
    else if (count > 1 && strncmp(words[1], "--", 2) != 0)
        text = words[1];
    if (text == NULL || *text == '\0')
        return error_set(err, VGPU_ERR_USAGE, "--%s %s; give --%s=%s", spec->name,
                         text == NULL ? "has no value" : "has an empty value", spec->name, spec->placeholder);
    *used = equals != NULL ? 1 : 2;
    struct vgpu_error why;
    if (parse_value(spec, text, &arguments->values[id], &why) != VGPU_OK)
        return refuse_value(spec, &why, err);
    return VGPU_OK;
}

static enum vgpu_status check_needs(const struct arguments *arguments, const struct command *command,
                                    struct vgpu_error *err)
{
    char wanted[128] = "";
    bool one_of_given = false;
    for (const struct command_option *option = command->options; option->need != NEED_NONE; option++) {
        const struct option_spec *spec = &option_catalogue[option->id];
        bool given = arguments_has(arguments, option->id);
        if (option->need == NEED_REQUIRED && !given)
            return error_set(err, VGPU_ERR_USAGE, "--%s is missing; add --%s=%s", spec->name, spec->name,
                             spec->placeholder);
        if (option->need != NEED_ONE_OF)
            continue;
        one_of_given |= given;
        strncat(wanted, wanted[0] == '\0' ? "--" : ", --", sizeof wanted - strlen(wanted) - 1);
        strncat(wanted, spec->name, sizeof wanted - strlen(wanted) - 1);
    }
    if (wanted[0] != '\0' && !one_of_given)
        return error_set(err, VGPU_ERR_USAGE, "nothing to change is given; add one of %s", wanted);
    return VGPU_OK;
}

enum vgpu_status arguments_parse(struct arguments *arguments, const struct command *command, int count,
                                 char *const *words, struct vgpu_error *err)
{
    *arguments = (struct arguments){0};
    for (int i = 0; i < count; i++) {
        if (strcmp(words[i], "--help") == 0 || strcmp(words[i], "-h") == 0) {
            arguments->help = true;
            return VGPU_OK;
        }
    }
    for (int i = 0, used = 0; i < count; i += used) {
        if (strncmp(words[i], "--", 2) != 0 || words[i][2] == '\0') {
            char quoted[TEXT_QUOTE_BYTES];
            return error_set(
                err, VGPU_ERR_USAGE,
                "%s is not an option; options are written --name=value, see 'vgpu-admin %s --help'",
                text_quote(quoted, words[i]), command->name);
        }
        enum vgpu_status status = parse_option(arguments, command, count - i, words + i, &used, err);
        if (status != VGPU_OK)
            return status;
    }
    return check_needs(arguments, command, err);
}

#include "admin/complete.h"

#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>
#include <vgpu/vgpu.h>

#include "admin/command.h"
#include "admin/table.h"
#include "admin/text.h"
#include "base/settings.h"

#define SCAN_TIME_LIMIT_MS 1000

/* Where candidates go, and what they must begin with. */
struct request {
    FILE *out;
    const char *front; /* of the word at the cursor that is not looked at: "--pool=", "a,b," */
    size_t front_length;
    const char *typed; /* the rest of it */
};

static void offer(const struct request *request, const char *text, const char *meaning)
{
    if (strncmp(text, request->typed, strlen(request->typed)) != 0 || !text_is_printable(text))
        return;
    fprintf(request->out, "%.*s%s", (int)request->front_length, request->front, text);
    if (meaning != NULL && *meaning != '\0') {
        fputc('\t', request->out);
        text_put(request->out, meaning, SIZE_MAX);
    }
    fputc('\n', request->out);
}

static void offer_number(const struct request *request, int64_t number, const char *meaning)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, number);
    offer(request, text, meaning);
}

static void offer_words(const struct request *request, const char *const *words)
{
    for (; *words != NULL; words++)
        offer(request, *words, NULL);
}

/* ---- Values from the database ---- */

/* NULL where there is no database: completing makes none. */
static struct vgpu *open_library(void)
{
    char path[PATH_MAX];
    struct settings *settings = NULL;
    struct vgpu *vgpu = NULL;
    if (settings_load(&settings, NULL, NULL) != VGPU_OK)
        return NULL;
    snprintf(path, sizeof path, "%s/vgpu.db", settings_text(settings, SETTING_STATE_DIR));
    settings_destroy(settings);
    if (access(path, R_OK) != 0 || vgpu_open(NULL, &vgpu, NULL) != VGPU_OK)
        return NULL;
    return vgpu;
}

static void offer_vms(const struct request *request, enum option_type type,
                      const struct vgpu_snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->vm_count; i++) {
        const struct vgpu_vm *vm = &snapshot->vms[i];
        if (type == OPTION_TYPE_VM_UUID)
            offer(request, vm->vm_uuid, vm->vm_name);
        else if (type == OPTION_TYPE_VM_NAME)
            offer(request, vm->vm_name, vm->vm_uuid);
        else
            offer_number(request, vm->vm_id, vm->vm_name);
    }
}

static void offer_gpus_and_pools(const struct request *request, enum option_type type,
                                 const struct vgpu_snapshot *snapshot)
{
    for (size_t i = 0; type == OPTION_TYPE_GPU_ID && i < snapshot->gpu_count; i++)
        offer_number(request, snapshot->gpus[i].gpu_id, snapshot->gpus[i].gpu_name);
    for (size_t i = 0; type != OPTION_TYPE_GPU_ID && i < snapshot->pool_count; i++)
        offer(request, (char[]){snapshot->pools[i].pool, '\0'}, NULL);
}

/* What could be registered is what the hypervisors have and is not. */
static void offer_unregistered(const struct request *request, struct vgpu *vgpu)
{
    struct vgpu_vm_scan scan;
    if (vgpu_scan_vms(vgpu, NULL, SCAN_TIME_LIMIT_MS, &scan, NULL) != VGPU_OK)
        return;
    for (size_t i = 0; i < scan.vm_count; i++)
        if (scan.vms[i].state == VGPU_VM_UNREGISTERED)
            offer(request, scan.vms[i].vm.vm_uuid, scan.vms[i].vm.vm_name);
    vgpu_vm_scan_fini(&scan);
}

static void offer_stored(const struct request *request, enum option_id id)
{
    enum option_type type = option_catalogue[id].type;
    struct vgpu_snapshot snapshot;
    struct vgpu *vgpu = open_library();
    if (vgpu == NULL)
        return;
    if (id == OPTION_NEW_VM_UUID) {
        offer_unregistered(request, vgpu);
    } else if (vgpu_get_snapshot(vgpu, &snapshot, NULL) == VGPU_OK) {
        if (type == OPTION_TYPE_GPU_ID || type == OPTION_TYPE_POOL || type == OPTION_TYPE_POOLS)
            offer_gpus_and_pools(request, type, &snapshot);
        else
            offer_vms(request, type, &snapshot);
        vgpu_snapshot_fini(&snapshot);
    }
    vgpu_close(vgpu);
}

/* ---- Values ---- */

static void offer_columns(const struct request *request, const struct command *command)
{
    for (size_t i = 0; i < COMMAND_MAX_TABLES && command->tables[i] != NULL; i++)
        for (size_t j = 0; j < command->tables[i]->column_count; j++) {
            char name[TABLE_NAME_BYTES];
            offer(request, table_column_name(name, &command->tables[i]->columns[j]), NULL);
        }
}

/* Leaves the pieces of a list that are complete to the front. */
static void skip_list(struct request *request)
{
    const char *comma = strrchr(request->typed, ',');
    if (comma == NULL)
        return;
    request->front_length += (size_t)(comma + 1 - request->typed);
    request->typed = comma + 1;
}

static void offer_values(struct request *request, const struct command *command, enum option_id id)
{
    static const char *const priorities[] = {"low", "medium", "high", NULL};
    static const char *const outputs[] = {"table", "wide", "json", NULL};
    static const char *const modes[] = {"exclusive", "shared:2", "shared:4", "shared:8", "default", NULL};
    static const char *const limits[] = {"none", "default", NULL};
    switch (option_catalogue[id].type) {
    case OPTION_TYPE_PRIORITY:
        offer_words(request, priorities);
        break;
    case OPTION_TYPE_OUTPUT:
        offer_words(request, outputs);
        break;
    case OPTION_TYPE_COLUMNS:
        skip_list(request);
        offer_columns(request, command);
        break;
    case OPTION_TYPE_POOLS:
    case OPTION_TYPE_VM_IDS:
        skip_list(request);
        offer_stored(request, id);
        break;
    case OPTION_TYPE_GPU_ID:
    case OPTION_TYPE_POOL:
    case OPTION_TYPE_VM_UUID:
        offer_stored(request, id);
        break;
    case OPTION_TYPE_VM_NAME:
        if (id == OPTION_VM_NAME)
            offer_stored(request, id);
        break;
    case OPTION_TYPE_LIMIT:
        offer_words(request, id == OPTION_MODE ? modes : limits);
        break;
    case OPTION_TYPE_VM_ID: /* what only the user knows */
    case OPTION_TYPE_TEXT:
    case OPTION_TYPE_NUMBER:
    case OPTION_TYPE_TIME:
    case OPTION_TYPE_SECONDS:
    case OPTION_TYPE_FLAG:
        break;
    }
}

/* ---- Options ---- */

static bool is_written_so(const struct option_spec *spec, const char *word)
{
    size_t length = strcspn(word, "=");
    if (strncmp(word, "--", 2) == 0)
        return strlen(spec->name) == length - 2 && strncmp(spec->name, word + 2, length - 2) == 0;
    return length == 2 && word[0] == '-' && word[1] == spec->letter;
}

/* The command's option written so, with or without a value behind '='; NULL: it has none. */
static const struct command_option *find_option(const struct command *command, const char *word)
{
    for (const struct command_option *option = command->options; option->need != NEED_NONE; option++)
        if (is_written_so(&option_catalogue[option->id], word))
            return option;
    return NULL;
}

static bool takes_next_word(enum option_id id)
{
    enum option_type type = option_catalogue[id].type;
    return type != OPTION_TYPE_FLAG && type != OPTION_TYPE_SECONDS;
}

/* Those that are not given yet; of those that say which VM is meant, none once one is. */
static void offer_options(const struct request *request, const struct command *command, int count,
                          char *const *words)
{
    bool selected = false;
    for (int i = 0; i < count; i++) {
        const struct command_option *given = find_option(command, words[i]);
        selected |= given != NULL && given->need == NEED_SELECT;
    }
    for (const struct command_option *option = command->options; option->need != NEED_NONE; option++) {
        const struct option_spec *spec = &option_catalogue[option->id];
        char text[64];
        bool given = option->need == NEED_SELECT && selected;
        for (int i = 0; i < count && !given; i++)
            given = find_option(command, words[i]) == option;
        snprintf(text, sizeof text, "--%s%s", spec->name, spec->type == OPTION_TYPE_FLAG ? "" : "=");
        if (!given)
            offer(request, text, spec->help);
    }
    offer(request, "--help", "how the command is used");
}

/* ---- The line ---- */

static void offer_commands(const struct request *request)
{
    for (size_t i = 0; i < command_count; i++)
        offer(request, command_table[i].name, command_table[i].summary);
    offer(request, "help", "how a command is used");
    offer(request, "--help", "what commands there are");
    offer(request, "--version", "the version");
}

/* words: behind the command's name. */
static void complete_command(struct request *request, const struct command *command, int count,
                             char *const *words)
{
    char *current = words[count - 1];
    const char *equals = strchr(current, '=');
    const struct command_option *option = find_option(command, current);
    const struct command_option *before = count > 1 ? find_option(command, words[count - 2]) : NULL;
    if (option != NULL && equals != NULL) {
        request->front_length = (size_t)(equals + 1 - current);
        request->typed = equals + 1;
        offer_values(request, command, option->id);
    } else if (before != NULL && strchr(words[count - 2], '=') == NULL && takes_next_word(before->id)) {
        offer_values(request, command, before->id);
    } else if (command->operand == NULL || strncmp(current, "-", 1) == 0) {
        offer_options(request, command, count - 1, words);
    }
}

void complete_print(FILE *out, int count, char *const *words)
{
    if (count < 1)
        return;
    struct request request = {.out = out, .front = words[count - 1], .typed = words[count - 1]};
    const struct command *command = count > 1 ? command_find(words[0]) : NULL;
    if (count == 1 || (count == 2 && strcmp(words[0], "help") == 0))
        offer_commands(&request);
    else if (command != NULL)
        complete_command(&request, command, count - 1, words + 1);
}

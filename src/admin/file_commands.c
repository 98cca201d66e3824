/* export, import: the whole configuration as one file. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <vgpu/vgpu.h>

#include "admin/commands.h"
#include "admin/document.h"
#include "admin/text.h"
#include "base/error.h"

#define FILE_MAX_BYTES   (64u << 20)
#define FILE_CHUNK_BYTES 65536

enum vgpu_status run_export(const struct command_context *context, struct vgpu_error *err)
{
    char *text = NULL;
    enum vgpu_status status = vgpu_export(context->vgpu, &text, err);
    if (status == VGPU_OK)
        fputs(text, context->out);
    vgpu_free(text);
    return status;
}

/* ---- Reading the file ---- */

struct content {
    char *text;
    size_t length;
};

static enum vgpu_status read_stream(FILE *in, const char *name, struct content *content,
                                    struct vgpu_error *err)
{
    for (;;) {
        char *larger = realloc(content->text, content->length + FILE_CHUNK_BYTES);
        if (larger == NULL)
            return error_set(err, VGPU_ERR_MEMORY, "out of memory while reading %s", name);
        content->text = larger;
        size_t got = fread(content->text + content->length, 1, FILE_CHUNK_BYTES, in);
        content->length += got;
        if (ferror(in))
            return error_set_errno(err, VGPU_ERR_IO, "cannot read %s", name);
        if (content->length > FILE_MAX_BYTES)
            return error_set(err, VGPU_ERR_CORRUPT,
                             "%s is larger than %u MiB: it is no configuration of vgpu", name,
                             FILE_MAX_BYTES >> 20);
        if (got == 0)
            return VGPU_OK;
    }
}

static enum vgpu_status read_file(const char *operand, const char *name, struct content *content,
                                  struct vgpu_error *err)
{
    if (strcmp(operand, "-") == 0)
        return read_stream(stdin, name, content, err);
    FILE *in = fopen(operand, "re");
    if (in == NULL)
        return error_set_errno(err, VGPU_ERR_IO, "cannot open %s", name);
    enum vgpu_status status = read_stream(in, name, content, err);
    fclose(in);
    return status;
}

/* ---- Showing the difference ---- */

struct change_counts {
    size_t added;
    size_t changed;
    size_t removed;
};

/* '+' what comes, '-' what goes, '~' what changes. */
static char change_sign(const struct vgpu_change *change)
{
    if (strncmp(change->action, "remove-", 7) == 0)
        return '-';
    bool comes = strncmp(change->action, "register-", 9) == 0 || strncmp(change->action, "add-", 4) == 0;
    return comes ? '+' : '~';
}

/* What stands for an empty value. "none" is a value of a limit: that it has no own is another thing. */
static const char *empty_word(const struct vgpu_change *change)
{
    bool of_limit = strcmp(change->action, "update-pool") == 0;
    for (int limit = 0; limit < VGPU_LIMIT_COUNT && !of_limit; limit++)
        of_limit = strcmp(change->field, vgpu_limit_name((enum vgpu_limit)limit)) == 0;
    return of_limit ? "not set" : "none";
}

static void print_change(FILE *out, const struct vgpu_change *change)
{
    char sign = change_sign(change);
    const char *empty = empty_word(change);
    fprintf(out, "%c %s", sign, change->subject);
    if (sign == '~') {
        fprintf(out, ": %s ", change->field);
        text_put(out, change->old_value[0] != '\0' ? change->old_value : empty, SIZE_MAX);
        fputs(" -> ", out);
        text_put(out, change->new_value[0] != '\0' ? change->new_value : empty, SIZE_MAX);
    } else if (change->old_value[0] != '\0' || change->new_value[0] != '\0') {
        fputs(": ", out);
        text_put(out, sign == '+' ? change->new_value : change->old_value, SIZE_MAX);
    }
    fputc('\n', out);
}

static struct change_counts count_changes(const struct vgpu_change *changes, size_t count)
{
    struct change_counts counts = {0};
    for (size_t i = 0; i < count; i++) {
        char sign = change_sign(&changes[i]);
        counts.added += sign == '+';
        counts.removed += sign == '-';
        counts.changed += sign == '~';
    }
    return counts;
}

static void print_import(FILE *out, bool dry_run, const struct vgpu_change *changes, size_t count)
{
    struct change_counts counts = count_changes(changes, count);
    if (count == 0) {
        fputs("The configuration is as the file says: nothing to change\n", out);
        return;
    }
    for (size_t i = 0; dry_run && i < count; i++)
        print_change(out, &changes[i]);
    fprintf(out, "%s: %zu added, %zu changed, %zu removed\n",
            dry_run ? "This would be changed" : "The configuration is now as the file says", counts.added,
            counts.changed, counts.removed);
}

static enum vgpu_status print_import_json(const struct command_context *context, bool dry_run,
                                          const struct vgpu_change *changes, size_t count,
                                          struct vgpu_error *err)
{
    struct change_counts counts = count_changes(changes, count);
    return document_print(context,
                          json_pack("{s:b, s:I, s:I, s:I, s:o}", "dry_run", (int)dry_run, "added",
                                    (json_int_t)counts.added, "changed", (json_int_t)counts.changed,
                                    "removed", (json_int_t)counts.removed, "changes",
                                    document_changes(changes, count)),
                          err);
}

enum vgpu_status run_import(const struct command_context *context, struct vgpu_error *err)
{
    const char *operand = context->arguments->operand;
    bool dry_run = arguments_has(context->arguments, OPTION_DRY_RUN);
    char name[TEXT_QUOTE_BYTES] = "standard input";
    struct content content = {0};
    struct vgpu_change *changes = NULL;
    size_t count = 0;
    struct vgpu_error why = {0};
    if (strcmp(operand, "-") != 0)
        text_quote(name, operand);
    enum vgpu_status status = read_file(operand, name, &content, err);
    if (status == VGPU_OK) {
        status = vgpu_import(context->vgpu, content.text, content.length, dry_run, &changes, &count, &why);
        bool about_file =
            status == VGPU_ERR_CORRUPT || status == VGPU_ERR_VERSION || status == VGPU_ERR_EXISTS;
        if (status != VGPU_OK)
            error_set(err, status, "%s%s%.330s", about_file ? name : "", about_file ? ": " : "", why.message);
    }
    if (status == VGPU_OK && context->output == OUTPUT_JSON)
        status = print_import_json(context, dry_run, changes, count, err);
    else if (status == VGPU_OK)
        print_import(context->out, dry_run, changes, count);
    vgpu_free(changes);
    free(content.text);
    return status;
}

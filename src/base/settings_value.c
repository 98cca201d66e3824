#include "base/settings_value.h"

#include "base/error.h"
#include "base/suggest.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit duration_units[] = {
    {"us", 1}, {"µs", 1}, {"ms", 1000}, {"s", 1000000}, {"min", 60000000}, {"h", 3600000000}, {NULL, 0},
};

static const struct unit size_units[] = {
    {"", 1},          {"B", 1},           {"K", 1LL << 10}, {"KiB", 1LL << 10},
    {"M", 1LL << 20}, {"MiB", 1LL << 20}, {"G", 1LL << 30}, {"GiB", 1LL << 30},
    {"T", 1LL << 40}, {"TiB", 1LL << 40}, {NULL, 0},
};

static const char *const flag_words[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};

static enum vgpu_status read_integer(int64_t *number, const char *text, struct vgpu_error *err)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || isspace((unsigned char)text[0]) || text[0] == '+')
        return error_set(err, VGPU_ERR_USAGE, "'%s' is not a whole number", text);
    if (errno == ERANGE)
        return error_set(err, VGPU_ERR_USAGE, "'%s' is too large a number", text);
    *number = value;
    return VGPU_OK;
}

/* A number, with a fraction or without, and a unit. kind and example are for the message. */
static enum vgpu_status read_quantity(int64_t *number, const char *text, const struct unit *units,
                                      const char *kind, const char *example, struct vgpu_error *err)
{
    size_t digits = strspn(text, "0123456789.");
    char figure[32];
    if (digits == 0 || digits >= sizeof figure || text[0] == '.' || text[digits - 1] == '.')
        return error_set(err, VGPU_ERR_USAGE, "'%s' is not a %s; write for example %s", text, kind, example);
    memcpy(figure, text, digits);
    figure[digits] = '\0';
    const char *unit = text + digits;
    while (*unit == ' ')
        unit++;
    for (; units->name != NULL; units++) {
        if (strcmp(unit, units->name) != 0)
            continue;
        char *end;
        double value = strtod(figure, &end) * (double)units->factor;
        if (*end != '\0')
            break;
        if (value >= 9e18)
            return error_set(err, VGPU_ERR_USAGE, "'%s' is too large a %s", text, kind);
        *number = (int64_t)(value + 0.5);
        return VGPU_OK;
    }
    return error_set(err, VGPU_ERR_USAGE, "'%s' is not a %s; write for example %s", text, kind, example);
}

static enum vgpu_status read_duration(int64_t *number, const char *text, struct vgpu_error *err)
{
    if (strcmp(text, "0") == 0) {
        *number = 0;
        return VGPU_OK;
    }
    return read_quantity(number, text, duration_units, "duration", "20ms or 1.5s", err);
}

static enum vgpu_status read_mode(int64_t *number, const char *text, struct vgpu_error *err)
{
    if (text[0] == '\0' || strspn(text, "01234567") != strlen(text) || strlen(text) > 6)
        return error_set(err, VGPU_ERR_USAGE, "'%s' is not a file mode; write octal digits, as 0660", text);
    *number = strtol(text, NULL, 8);
    return VGPU_OK;
}

static enum vgpu_status read_flag(int64_t *number, const char *text, struct vgpu_error *err)
{
    for (size_t i = 0; i < sizeof flag_words / sizeof flag_words[0]; i++) {
        if (strcasecmp(text, flag_words[i]) == 0) {
            *number = (int64_t)(i % 2);
            return VGPU_OK;
        }
    }
    return error_set(err, VGPU_ERR_USAGE, "'%s' is neither yes nor no", text);
}

static enum vgpu_status read_choice(int64_t *number, const struct setting_description *key, const char *text,
                                    struct vgpu_error *err)
{
    char all[256] = "";
    size_t count = 0, used = 0;
    for (; key->choices[count] != NULL; count++) {
        if (strcmp(key->choices[count], text) == 0) {
            *number = (int64_t)count;
            return VGPU_OK;
        }
        const char *before = count == 0 ? "" : key->choices[count + 1] == NULL ? " or " : ", ";
        used += (size_t)snprintf(all + used, sizeof all - used, "%s%s", before, key->choices[count]);
        if (used >= sizeof all)
            used = sizeof all - 1;
    }
    const char *nearest = suggest_nearest(text, key->choices, count);
    if (nearest != NULL)
        return error_set(err, VGPU_ERR_USAGE, "'%s' is not one of %s; did you mean '%s'?", text, all,
                         nearest);
    return error_set(err, VGPU_ERR_USAGE, "'%s' is not one of %s", text, all);
}

/* A bound as a person would write it. */
static void write_bound(char *text, size_t size, enum setting_type type, int64_t bound)
{
    if (type == SETTING_TYPE_MODE)
        snprintf(text, size, "%#llo", (unsigned long long)bound);
    else if (type != SETTING_TYPE_DURATION || bound == 0)
        snprintf(text, size, "%lld", (long long)bound);
    else if (bound % 1000000 == 0)
        snprintf(text, size, "%llds", (long long)(bound / 1000000));
    else if (bound % 1000 == 0)
        snprintf(text, size, "%lldms", (long long)(bound / 1000));
    else
        snprintf(text, size, "%lldus", (long long)bound);
}

static enum vgpu_status check_range(const struct setting_description *key, const char *text, int64_t number,
                                    struct vgpu_error *err)
{
    if (number >= key->minimum && number <= key->maximum)
        return VGPU_OK;
    char least[32], most[32];
    write_bound(least, sizeof least, key->type, key->minimum);
    write_bound(most, sizeof most, key->type, key->maximum);
    return error_set(err, VGPU_ERR_USAGE, "'%s' is out of range; write %s to %s", text, least, most);
}

static enum vgpu_status read_path(char **written, const char *text, const char *base_dir,
                                  struct vgpu_error *err)
{
    if (text[0] == '\0')
        return error_set(err, VGPU_ERR_USAGE, "an empty path; write an absolute one");
    bool relative = text[0] != '/';
    if (relative && base_dir == NULL)
        return error_set(err, VGPU_ERR_USAGE, "'%s' is not an absolute path", text);
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s%s%s", relative ? base_dir : "", relative ? "/" : "", text);
    if (length >= PATH_MAX)
        return error_set(err, VGPU_ERR_USAGE, "the path is too long: %d bytes, at most %d", length,
                         PATH_MAX - 1);
    while (length > 1 && path[length - 1] == '/')
        path[--length] = '\0';
    *written = strdup(path);
    return VGPU_OK;
}

static enum vgpu_status read_text(char **written, const struct setting_description *key, const char *text,
                                  struct vgpu_error *err)
{
    if (strlen(text) > (size_t)key->maximum)
        return error_set(err, VGPU_ERR_USAGE, "the value is too long: %zu bytes, at most %lld", strlen(text),
                         (long long)key->maximum);
    *written = strdup(text);
    return VGPU_OK;
}

/* Cuts value->written at its commas into items. */
static enum vgpu_status split_list(struct setting_value *value, struct vgpu_error *err)
{
    size_t count = 1;
    for (const char *c = value->written; *c != '\0'; c++)
        count += *c == ',';
    value->items = calloc(count + 1, sizeof *value->items);
    value->item_text = strdup(value->written);
    if (value->items == NULL || value->item_text == NULL)
        return error_set(err, VGPU_ERR_MEMORY, "out of memory");
    if (value->written[0] == '\0')
        return VGPU_OK;
    char *rest = value->item_text;
    for (size_t i = 0; i < count; i++) {
        char *item = strsep(&rest, ",");
        item += strspn(item, " \t");
        size_t length = strlen(item);
        while (length > 0 && strchr(" \t", item[length - 1]) != NULL)
            item[--length] = '\0';
        if (length == 0)
            return error_set(err, VGPU_ERR_USAGE, "'%s' has an empty entry between its commas",
                             value->written);
        value->items[i] = item;
    }
    return VGPU_OK;
}

static enum vgpu_status read_number(int64_t *number, const struct setting_description *key, const char *text,
                                    struct vgpu_error *err)
{
    switch (key->type) {
    case SETTING_TYPE_INTEGER:
        return read_integer(number, text, err);
    case SETTING_TYPE_DURATION:
        return read_duration(number, text, err);
    case SETTING_TYPE_SIZE:
        return read_quantity(number, text, size_units, "size", "512M or 2G", err);
    case SETTING_TYPE_MODE:
        return read_mode(number, text, err);
    case SETTING_TYPE_CHOICE:
        return read_choice(number, key, text, err);
    default:
        return read_flag(number, text, err);
    }
}

enum vgpu_status setting_value_read(struct setting_value *value, const struct setting_description *key,
                                    const char *text, const char *base_dir, struct vgpu_error *err)
{
    enum vgpu_status status;
    switch (key->type) {
    case SETTING_TYPE_PATH:
        status = read_path(&value->written, text, base_dir, err);
        break;
    case SETTING_TYPE_STRING:
    case SETTING_TYPE_LIST:
        status = read_text(&value->written, key, text, err);
        break;
    default:
        status = read_number(&value->number, key, text, err);
        if (status == VGPU_OK && key->type != SETTING_TYPE_CHOICE && key->type != SETTING_TYPE_FLAG)
            status = check_range(key, text, value->number, err);
        if (status == VGPU_OK)
            value->written = strdup(text);
        break;
    }
    if (status == VGPU_OK && value->written == NULL)
        status = error_set(err, VGPU_ERR_MEMORY, "out of memory");
    if (status == VGPU_OK && key->type == SETTING_TYPE_LIST)
        status = split_list(value, err);
    if (status != VGPU_OK)
        setting_value_fini(value);
    return status;
}

void setting_value_fini(struct setting_value *value)
{
    free(value->written);
    free(value->items);
    free(value->item_text);
    *value = (struct setting_value){0};
}

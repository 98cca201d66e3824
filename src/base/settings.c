#include "base/settings.h"

#include "base/error.h"
#include "base/settings_value.h"
#include "base/suggest.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct setting {
    struct setting_value value;
    char *source; /* owned; NULL for the default */
};

struct settings {
    struct setting all[SETTING_COUNT];
};

bool settings_nvidia_driver_present(const char *root)
{
    static const char *const signs[] = {"dev/nvidiactl", "proc/driver/nvidia/version"};
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", root, signs[i]);
        if (access(path, F_OK) == 0)
            return true;
    }
    return false;
}

/* The key called by the first `length` bytes of name, '-' as '_'; SETTING_COUNT where there is none. */
static enum setting_key key_by_name(const char *name, size_t length)
{
    for (int key = 0; key < SETTING_COUNT; key++) {
        const char *known = settings_describe((enum setting_key)key)->name;
        if (strlen(known) != length)
            continue;
        size_t same = 0;
        while (same < length && known[same] == (name[same] == '-' ? '_' : name[same]))
            same++;
        if (same == length)
            return (enum setting_key)key;
    }
    return SETTING_COUNT;
}

static enum vgpu_status unknown_key(const char *place, const char *name, struct vgpu_error *err)
{
    const char *names[SETTING_COUNT];
    for (int key = 0; key < SETTING_COUNT; key++)
        names[key] = settings_describe((enum setting_key)key)->name;
    const char *nearest = suggest_nearest(name, names, SETTING_COUNT);
    if (nearest != NULL)
        return error_set(err, VGPU_ERR_USAGE, "%s: unknown setting '%s'; did you mean '%s'?", place, name,
                         nearest);
    return error_set(err, VGPU_ERR_USAGE,
                     "%s: unknown setting '%s'; remove it or see vgpu.conf for the names", place, name);
}

/* Puts text in as the key's value. place is where it came from; NULL for the default. */
static enum vgpu_status set_value(struct settings *settings, enum setting_key key, const char *text,
                                  const char *place, bool from_file, struct vgpu_error *err)
{
    const struct setting_description *description = settings_describe(key);
    char working_folder[PATH_MAX];
    const char *base_dir = NULL;
    if (!from_file && getcwd(working_folder, sizeof working_folder) != NULL)
        base_dir = strcmp(working_folder, "/") == 0 ? "" : working_folder;
    struct setting_value value = {0};
    struct vgpu_error complaint;
    enum vgpu_status status = setting_value_read(&value, description, text, base_dir, &complaint);
    if (status != VGPU_OK)
        return error_set(err, status, "%s%s%s: %s", place, from_file ? ": " : "",
                         from_file ? description->name : "", complaint.message);
    char *source = place == NULL ? NULL : strdup(place);
    if (place != NULL && source == NULL) {
        setting_value_fini(&value);
        return error_set(err, VGPU_ERR_MEMORY, "%s: out of memory", place);
    }
    struct setting *setting = &settings->all[key];
    setting_value_fini(&setting->value);
    free(setting->source);
    setting->value = value;
    setting->source = source;
    return VGPU_OK;
}

static enum vgpu_status load_defaults(struct settings *settings, struct vgpu_error *err)
{
    for (int key = 0; key < SETTING_COUNT; key++) {
        const struct setting_description *description = settings_describe((enum setting_key)key);
        const char *text = description->default_text;
        if (text == NULL) /* driver is the one that depends on the machine */
            text = settings_nvidia_driver_present("") ? "nvidia" : "simulated";
        enum vgpu_status status = set_value(settings, (enum setting_key)key, text, NULL, false, err);
        if (status != VGPU_OK)
            return status;
    }
    return VGPU_OK;
}

/* Cuts blanks off both ends, in place. */
static char *trimmed(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    size_t length = strlen(text);
    while (length > 0 && isspace((unsigned char)text[length - 1]))
        text[--length] = '\0';
    return text;
}

/* The value behind '=': what stands in the quotes, or everything up to a comment. NULL when a quote is
 * missing or something follows the closing one. */
static char *value_of_line(char *text)
{
    text = trimmed(text);
    if (text[0] == '"') {
        char *closing = strchr(text + 1, '"');
        if (closing == NULL)
            return NULL;
        *closing = '\0';
        char *after = trimmed(closing + 1);
        return *after == '\0' || *after == '#' ? text + 1 : NULL;
    }
    for (char *c = text; *c != '\0'; c++) {
        if (*c == '#' && (c == text || isspace((unsigned char)c[-1]))) {
            *c = '\0';
            break;
        }
    }
    return trimmed(text);
}

/* One line of the file. place is "FILE:LINE"; seen marks the keys that the file has set so far. */
static enum vgpu_status load_line(struct settings *settings, char *line, const char *place,
                                  bool seen[SETTING_COUNT], struct vgpu_error *err)
{
    char *name = trimmed(line);
    if (name[0] == '\0' || name[0] == '#')
        return VGPU_OK;
    char *equals = strchr(name, '=');
    if (equals == NULL || equals == name)
        return error_set(err, VGPU_ERR_USAGE, "%s: '%s' is not of the form 'key = value'", place, name);
    *equals = '\0';
    name = trimmed(name);
    enum setting_key key = key_by_name(name, strlen(name));
    if (key == SETTING_COUNT)
        return unknown_key(place, name, err);
    if (seen[key])
        return error_set(err, VGPU_ERR_USAGE, "%s: '%s' is set a second time; remove one of the two", place,
                         name);
    seen[key] = true;
    const char *text = value_of_line(equals + 1);
    if (text == NULL)
        return error_set(err, VGPU_ERR_USAGE, "%s: %s: the value's quotes do not close at its end", place,
                         name);
    return set_value(settings, key, text, place, true, err);
}

static enum vgpu_status load_lines(struct settings *settings, FILE *file, const char *path,
                                   struct vgpu_error *err)
{
    bool seen[SETTING_COUNT] = {false};
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    unsigned number = 0;
    enum vgpu_status status = VGPU_OK;
    while (status == VGPU_OK && (length = getline(&line, &capacity, file)) >= 0) {
        char place[PATH_MAX + 16];
        snprintf(place, sizeof place, "%s:%u", path, ++number);
        if (strlen(line) != (size_t)length)
            status =
                error_set(err, VGPU_ERR_USAGE, "%s: the line has a NUL byte; is this a text file?", place);
        else
            status = load_line(settings, line, place, seen, err);
    }
    if (status == VGPU_OK && ferror(file))
        status = error_set_errno(err, VGPU_ERR_IO, "%s: cannot read the configuration file", path);
    free(line);
    return status;
}

static enum vgpu_status load_file(struct settings *settings, const char *config_path, struct vgpu_error *err)
{
    const char *path = config_path;
    if (path == NULL)
        path = getenv("VGPU_CONFIG");
    bool named = path != NULL && path[0] != '\0';
    if (!named)
        path = SETTINGS_DEFAULT_FILE;
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        if (errno == ENOENT && !named)
            return VGPU_OK;
        enum vgpu_status status = errno == EACCES ? VGPU_ERR_PERMISSION : VGPU_ERR_NOT_FOUND;
        return error_set_errno(err, status, "%s: cannot open the configuration file", path);
    }
    enum vgpu_status status = load_lines(settings, file, path, err);
    fclose(file);
    return status;
}

static enum vgpu_status load_environment(struct settings *settings, struct vgpu_error *err)
{
    for (int key = 0; key < SETTING_COUNT; key++) {
        char variable[64];
        int length =
            snprintf(variable, sizeof variable, "VGPU_%s", settings_describe((enum setting_key)key)->name);
        for (int i = 0; i < length; i++)
            variable[i] = (char)toupper((unsigned char)variable[i]);
        const char *text = getenv(variable);
        if (text == NULL || text[0] == '\0')
            continue;
        enum vgpu_status status = set_value(settings, (enum setting_key)key, text, variable, false, err);
        if (status != VGPU_OK)
            return status;
    }
    return VGPU_OK;
}

enum vgpu_status settings_load(struct settings **settings, const char *config_path, struct vgpu_error *err)
{
    struct settings *loaded = calloc(1, sizeof *loaded);
    if (loaded == NULL)
        return error_set(err, VGPU_ERR_MEMORY, "out of memory");
    enum vgpu_status status = load_defaults(loaded, err);
    if (status == VGPU_OK)
        status = load_file(loaded, config_path, err);
    if (status == VGPU_OK)
        status = load_environment(loaded, err);
    if (status == VGPU_OK)
        *settings = loaded;
    else
        settings_destroy(loaded);
    return status;
}

void settings_destroy(struct settings *settings)
{
    if (settings == NULL)
        return;
    for (int key = 0; key < SETTING_COUNT; key++) {
        setting_value_fini(&settings->all[key].value);
        free(settings->all[key].source);
    }
    free(settings);
}

bool settings_is_option(const char *argument)
{
    return strncmp(argument, "--", 2) == 0 &&
           key_by_name(argument + 2, strcspn(argument + 2, "=")) != SETTING_COUNT;
}

enum vgpu_status settings_set_option(struct settings *settings, const char *argument, struct vgpu_error *err)
{
    size_t name_length = strcspn(argument, "=");
    char option[64];
    snprintf(option, sizeof option, "%.*s", (int)(name_length < 63 ? name_length : 63), argument);
    if (strncmp(option, "--", 2) != 0)
        return error_set(err, VGPU_ERR_USAGE, "'%s' is not an option of the form --key=value", option);
    enum setting_key key = key_by_name(option + 2, strlen(option + 2));
    if (key == SETTING_COUNT)
        return unknown_key(option, option + 2, err);
    if (argument[name_length] != '=')
        return error_set(err, VGPU_ERR_USAGE, "%s: needs a value; write %s=VALUE", option, option);
    return set_value(settings, key, argument + name_length + 1, option, false, err);
}

static const struct setting_value *value_of(const struct settings *settings, enum setting_key key,
                                            enum setting_type type)
{
    assert(settings_describe(key)->type == type);
    (void)type;
    return &settings->all[key].value;
}

const char *settings_text(const struct settings *settings, enum setting_key key)
{
    enum setting_type type = settings_describe(key)->type;
    assert(type == SETTING_TYPE_PATH || type == SETTING_TYPE_STRING || type == SETTING_TYPE_CHOICE);
    return value_of(settings, key, type)->written;
}

int64_t settings_integer(const struct settings *settings, enum setting_key key)
{
    return value_of(settings, key, SETTING_TYPE_INTEGER)->number;
}

uint64_t settings_duration_us(const struct settings *settings, enum setting_key key)
{
    return (uint64_t)value_of(settings, key, SETTING_TYPE_DURATION)->number;
}

uint64_t settings_size_bytes(const struct settings *settings, enum setting_key key)
{
    return (uint64_t)value_of(settings, key, SETTING_TYPE_SIZE)->number;
}

unsigned settings_mode(const struct settings *settings, enum setting_key key)
{
    return (unsigned)value_of(settings, key, SETTING_TYPE_MODE)->number;
}

unsigned settings_choice(const struct settings *settings, enum setting_key key)
{
    return (unsigned)value_of(settings, key, SETTING_TYPE_CHOICE)->number;
}

bool settings_flag(const struct settings *settings, enum setting_key key)
{
    return value_of(settings, key, SETTING_TYPE_FLAG)->number != 0;
}

const char *const *settings_list(const struct settings *settings, enum setting_key key)
{
    return (const char *const *)value_of(settings, key, SETTING_TYPE_LIST)->items;
}

const char *settings_source(const struct settings *settings, enum setting_key key)
{
    const char *source = settings->all[key].source;
    return source == NULL ? "built-in default" : source;
}

const char *settings_written(const struct settings *settings, enum setting_key key)
{
    return settings->all[key].value.written;
}

#include "base/limit.h"

#include "base/error.h"
#include "base/settings.h"
#include "base/settings_value.h"
#include "base/suggest.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define US_PER_S     INT64_C(1000000)
#define US_PER_DAY   (86400 * US_PER_S)
#define MIB          (INT64_C(1) << 20)
#define TIB          (INT64_C(1) << 40)
#define SHARED_MOST  64
#define SHARED_START "shared:"

static const struct limit_description table[VGPU_LIMIT_COUNT] = {
    [VGPU_LIMIT_WEIGHT] = {"weight", "weight", LIMIT_COUNT_KIND, 1, 1000, false, false, "<1-1000>",
                           "part of the GPU's time among the VMs of its class"},
    [VGPU_LIMIT_TIME_LIMIT] = {"time-limit", "time_limit_us", LIMIT_DURATION_KIND, 1000, US_PER_DAY, true,
                               false, "<time>", "how long one piece of work may run on the GPU"},
    [VGPU_LIMIT_CALL_RATE] = {"call-rate", "calls_per_second", LIMIT_RATE_KIND, 1, 1000000000, true, false,
                              "<calls/s>", "calls a second"},
    [VGPU_LIMIT_CALL_BURST] = {"call-burst", "call_burst", LIMIT_COUNT_KIND, 1, 1000000000, true, false,
                               "<calls>",
                               "calls at once after a pause; none: as many as in a tenth of a second"},
    [VGPU_LIMIT_BYTE_RATE] = {"byte-rate", "bytes_per_second", LIMIT_BYTE_RATE_KIND, 1024, TIB, true, false,
                              "<bytes/s>", "bytes a second that it may copy"},
    [VGPU_LIMIT_BYTE_BURST] = {"byte-burst", "burst_bytes", LIMIT_SIZE_KIND, 1024, TIB, true, false, "<size>",
                               "bytes at once after a pause; none: as many as in a tenth of a second"},
    [VGPU_LIMIT_QUEUE_DEPTH] = {"queue-depth", "queue_depth", LIMIT_COUNT_KIND, 1, 65536, true, false,
                                "<count>", "pieces of work given to the GPU and not complete yet"},
    [VGPU_LIMIT_MEMORY] = {"memory", "memory_limit_bytes", LIMIT_SIZE_KIND, MIB, 1024 * TIB, true, false,
                           "<size>", "device memory"},
    [VGPU_LIMIT_PROCESSES] = {"processes", "process_limit", LIMIT_COUNT_KIND, 1, 65536, false, false,
                              "<count>", "guest processes at a time"},
    [VGPU_LIMIT_MAX_FAULTS] = {"max-faults", "fault_limit", LIMIT_COUNT_KIND, 1, 1000, true, false, "<count>",
                               "faults within the fault window that put the VM into quarantine"},
    [VGPU_LIMIT_FAULT_WINDOW] = {"fault-window", "fault_window_us", LIMIT_DURATION_KIND, US_PER_S,
                                 30 * US_PER_DAY, false, false, "<time>",
                                 "for how long a fault counts towards max-faults"},
    [VGPU_LIMIT_MODE] = {"mode", "shared_vms", LIMIT_MODE_KIND, 1, SHARED_MOST, false, true,
                         "<exclusive|shared:N>", "one VM at a time, or up to N of a class side by side"},
    [VGPU_LIMIT_AGEING] = {"ageing", "ageing_us", LIMIT_DURATION_KIND, 1, 3600 * US_PER_S, true, true,
                           "<time>", "a waiting VM rises by a class each time this passes"},
};

const struct limit_description *limit_describe(enum vgpu_limit limit)
{
    assert((unsigned)limit < VGPU_LIMIT_COUNT);
    return &table[limit];
}

/* ---- Text ---- */

/* In the largest of the units that divides it, as "16G". units end with a factor of 1. */
static void format_quantity(int64_t value, const char *const *names, const int64_t *factors, char *text)
{
    size_t unit = 0;
    while (value % factors[unit] != 0)
        unit++;
    snprintf(text, LIMIT_TEXT_BYTES, "%" PRId64 "%s", value / factors[unit], names[unit]);
}

static void format_duration(int64_t us, char *text)
{
    static const char *const names[] = {"h", "min", "s", "ms", "us"};
    static const int64_t factors[] = {3600 * US_PER_S, 60 * US_PER_S, US_PER_S, 1000, 1};
    format_quantity(us, names, factors, text);
}

static void format_size(int64_t bytes, char *text)
{
    static const char *const names[] = {"T", "G", "M", "K", ""};
    static const int64_t factors[] = {TIB, TIB >> 10, MIB, 1024, 1};
    format_quantity(bytes, names, factors, text);
}

const char *limit_format(enum vgpu_limit limit, int64_t value, char text[LIMIT_TEXT_BYTES])
{
    const struct limit_description *description = limit_describe(limit);
    bool none = value == 0 && description->may_be_none;
    text[0] = '\0';
    if (none)
        snprintf(text, LIMIT_TEXT_BYTES, "none");
    else if (description->kind == LIMIT_DURATION_KIND)
        format_duration(value, text);
    else if (description->kind == LIMIT_SIZE_KIND || description->kind == LIMIT_BYTE_RATE_KIND)
        format_size(value, text);
    else if (description->kind == LIMIT_MODE_KIND && value == 1)
        snprintf(text, LIMIT_TEXT_BYTES, "exclusive");
    else if (description->kind == LIMIT_MODE_KIND)
        snprintf(text, LIMIT_TEXT_BYTES, SHARED_START "%" PRId64, value);
    else
        snprintf(text, LIMIT_TEXT_BYTES, "%" PRId64, value);
    if (!none && (description->kind == LIMIT_RATE_KIND || description->kind == LIMIT_BYTE_RATE_KIND))
        strncat(text, "/s", LIMIT_TEXT_BYTES - strlen(text) - 1);
    return text;
}

enum vgpu_status limit_check(enum vgpu_limit limit, int64_t value, struct vgpu_error *err)
{
    const struct limit_description *description = limit_describe(limit);
    char least[LIMIT_TEXT_BYTES];
    char most[LIMIT_TEXT_BYTES];
    char given[LIMIT_TEXT_BYTES];
    if (value >= description->least && value <= description->most)
        return VGPU_OK;
    if (value == 0 && description->may_be_none)
        return VGPU_OK;
    if (value < 0)
        snprintf(given, sizeof given, "%" PRId64, value);
    else
        limit_format(limit, value, given);
    return error_set(err, VGPU_ERR_USAGE, "%s is out of range; give %s to %s%s", given,
                     limit_format(limit, description->least, least),
                     limit_format(limit, description->most, most),
                     description->may_be_none ? ", or none" : "");
}

/* 0: it is none of the words. */
static int64_t parse_mode(const char *text)
{
    char *end;
    size_t start = strlen(SHARED_START);
    if (strcmp(text, "exclusive") == 0)
        return 1;
    if (strncmp(text, SHARED_START, start) != 0 || text[start] < '1' || text[start] > '9')
        return 0;
    long count = strtol(text + start, &end, 10);
    return *end == '\0' && count >= 2 && count <= SHARED_MOST ? count : 0;
}

/* A number with a unit, as the settings have them. */
static enum vgpu_status parse_quantity(const struct limit_description *description, const char *text,
                                       int64_t *value, struct vgpu_error *err)
{
    static const enum setting_type types[] = {
        [LIMIT_COUNT_KIND] = SETTING_TYPE_INTEGER,  [LIMIT_DURATION_KIND] = SETTING_TYPE_DURATION,
        [LIMIT_SIZE_KIND] = SETTING_TYPE_SIZE,      [LIMIT_RATE_KIND] = SETTING_TYPE_INTEGER,
        [LIMIT_BYTE_RATE_KIND] = SETTING_TYPE_SIZE,
    };
    bool rate = description->kind == LIMIT_RATE_KIND || description->kind == LIMIT_BYTE_RATE_KIND;
    const struct setting_description as_setting = {.name = description->name,
                                                   .type = types[description->kind],
                                                   .minimum = INT64_MIN,
                                                   .maximum = INT64_MAX};
    struct setting_value read = {0};
    char figure[LIMIT_TEXT_BYTES];
    size_t length = strlen(text);
    if (rate && length > 2 && strcmp(text + length - 2, "/s") == 0)
        length -= 2;
    if (length >= sizeof figure)
        return error_set(err, VGPU_ERR_USAGE, "it is too long for a number; write for example %s",
                         description->kind == LIMIT_DURATION_KIND ? "10s" : "100");
    memcpy(figure, text, length);
    figure[length] = '\0';
    enum vgpu_status status = setting_value_read(&read, &as_setting, figure, NULL, err);
    *value = read.number;
    setting_value_fini(&read);
    return status;
}

static enum vgpu_status refuse_word(enum vgpu_limit limit, const char *text, struct vgpu_error *err)
{
    static const char *const none_words[] = {"none", "unlimited", "default"};
    static const char *const mode_words[] = {"exclusive", "shared:4", "default"};
    bool mode = limit_describe(limit)->kind == LIMIT_MODE_KIND;
    const char *nearest = suggest_nearest(text, mode ? mode_words : none_words, 3);
    if (mode && (nearest == NULL || strncmp(text, "shared", 6) == 0))
        return error_set(err, VGPU_ERR_USAGE,
                         "'%.40s' is no mode; give exclusive, or shared:N for N VMs side by side (2 to %d)",
                         text, SHARED_MOST);
    if (nearest != NULL)
        return error_set(err, VGPU_ERR_USAGE, "'%.40s' is no value; did you mean '%s'?", text, nearest);
    return VGPU_OK;
}

enum vgpu_status limit_parse(enum vgpu_limit limit, const char *text, int64_t *value, struct vgpu_error *err)
{
    const struct limit_description *description = limit_describe(limit);
    int64_t read = 0;
    enum vgpu_status status = VGPU_OK;
    bool none = strcmp(text, "none") == 0 || strcmp(text, "unlimited") == 0;
    if (none && !description->may_be_none)
        return error_set(err, VGPU_ERR_USAGE, "it always has a value; give one, or default");
    if (!none && description->kind == LIMIT_MODE_KIND)
        read = parse_mode(text);
    if (!none && (description->kind == LIMIT_MODE_KIND ? read == 0 : text[0] < '0' || text[0] > '9'))
        status = refuse_word(limit, text, err);
    if (status == VGPU_OK && !none && description->kind != LIMIT_MODE_KIND)
        status = parse_quantity(description, text, &read, err);
    if (status == VGPU_OK)
        status = limit_check(limit, read, err);
    if (status == VGPU_OK)
        *value = read;
    return status;
}

/* ---- Sets of limits ---- */

/* The settings with the defaults. What is not among them is built in. */
static const enum setting_key keys[VGPU_LIMIT_COUNT] = {
    [VGPU_LIMIT_WEIGHT] = SETTING_COUNT,
    [VGPU_LIMIT_TIME_LIMIT] = SETTING_TIME_LIMIT,
    [VGPU_LIMIT_CALL_RATE] = SETTING_CALL_RATE,
    [VGPU_LIMIT_CALL_BURST] = SETTING_CALL_BURST,
    [VGPU_LIMIT_BYTE_RATE] = SETTING_BYTE_RATE,
    [VGPU_LIMIT_BYTE_BURST] = SETTING_BYTE_BURST,
    [VGPU_LIMIT_QUEUE_DEPTH] = SETTING_QUEUE_DEPTH,
    [VGPU_LIMIT_MEMORY] = SETTING_MEMORY_LIMIT,
    [VGPU_LIMIT_PROCESSES] = SETTING_MAX_GUESTS_PER_VM,
    [VGPU_LIMIT_MAX_FAULTS] = SETTING_MAX_FAULTS,
    [VGPU_LIMIT_FAULT_WINDOW] = SETTING_FAULT_WINDOW,
    [VGPU_LIMIT_MODE] = SETTING_COUNT,
    [VGPU_LIMIT_AGEING] = SETTING_AGEING,
};

static int64_t setting_number(const struct settings *settings, enum setting_key key)
{
    switch (settings_describe(key)->type) {
    case SETTING_TYPE_DURATION:
        return (int64_t)settings_duration_us(settings, key);
    case SETTING_TYPE_SIZE:
        return (int64_t)settings_size_bytes(settings, key);
    default:
        return settings_integer(settings, key);
    }
}

enum vgpu_status limits_default(const struct settings *settings, struct vgpu_limits *defaults,
                                struct vgpu_error *err)
{
    struct vgpu_limits read = {.set = (1u << VGPU_LIMIT_COUNT) - 1};
    for (int number = 0; number < VGPU_LIMIT_COUNT; number++) {
        enum vgpu_limit limit = (enum vgpu_limit)number;
        struct vgpu_error why;
        read.values[limit] = keys[limit] == SETTING_COUNT ? 1 : setting_number(settings, keys[limit]);
        if (limit_check(limit, read.values[limit], &why) != VGPU_OK)
            return error_set(err, why.status, "%s: %s: %.200s", settings_source(settings, keys[limit]),
                             settings_describe(keys[limit])->name, why.message);
    }
    *defaults = read;
    return VGPU_OK;
}

/* A burst that nobody has set is what comes in a tenth of a second; without a rate there is none. */
static void resolve_burst(int64_t rate, int64_t *burst)
{
    if (rate == 0)
        *burst = 0;
    else if (*burst == 0)
        *burst = (rate + 9) / 10;
}

void limits_effective(const struct vgpu_limits *defaults, const struct vgpu_limits *pool,
                      const struct vgpu_limits *vm, int64_t values[VGPU_LIMIT_COUNT],
                      enum vgpu_limit_source sources[VGPU_LIMIT_COUNT])
{
    for (int number = 0; number < VGPU_LIMIT_COUNT; number++) {
        enum vgpu_limit limit = (enum vgpu_limit)number;
        const struct vgpu_limits *from = defaults;
        enum vgpu_limit_source source = VGPU_LIMIT_OF_HOST;
        if (vm != NULL && limits_has(vm, limit) && !limit_describe(limit)->of_pools) {
            from = vm;
            source = VGPU_LIMIT_OF_VM;
        } else if (pool != NULL && limits_has(pool, limit)) {
            from = pool;
            source = VGPU_LIMIT_OF_POOL;
        }
        values[limit] = from->values[limit];
        if (sources != NULL)
            sources[limit] = source;
    }
    resolve_burst(values[VGPU_LIMIT_CALL_RATE], &values[VGPU_LIMIT_CALL_BURST]);
    resolve_burst(values[VGPU_LIMIT_BYTE_RATE], &values[VGPU_LIMIT_BYTE_BURST]);
}

void limits_apply(struct vgpu_limits *limits, const struct vgpu_limits *change)
{
    for (int number = 0; number < VGPU_LIMIT_COUNT; number++) {
        enum vgpu_limit limit = (enum vgpu_limit)number;
        if ((change->cleared >> limit & 1u) != 0) {
            limits->set &= ~(1u << limit);
            limits->values[limit] = 0;
        }
        if (limits_has(change, limit))
            limits_set(limits, limit, change->values[limit]);
    }
}

struct vgpu_limits limits_replacement(const struct vgpu_limits *wanted)
{
    struct vgpu_limits change = *wanted;
    change.cleared = ((1u << VGPU_LIMIT_COUNT) - 1) & ~wanted->set;
    return change;
}

bool limits_equal(const struct vgpu_limits *first, const struct vgpu_limits *second)
{
    if (first->set != second->set)
        return false;
    for (int number = 0; number < VGPU_LIMIT_COUNT; number++)
        if (limits_has(first, (enum vgpu_limit)number) && first->values[number] != second->values[number])
            return false;
    return true;
}

/* What people write: each kind of word is checked in one function, and every message says what is allowed. */
#include "libvgpu/words.h"
#include "base/clock.h"

#include "base/error.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <vgpu/vgpu.h>

#define VM_UUID_MAX  (VGPU_VM_UUID_BYTES - 1)
#define VM_NAME_MAX  64 /* characters */
#define SHOWN_MAX    80 /* bytes of a refused word that are shown */
#define PRIORITY_MAX 2

/* ---- Showing a refused word ---- */

struct shown {
    char text[SHOWN_MAX + 8];
};

/* Safe on a terminal and in one line: what is not printable ASCII becomes '?', what is long is cut. */
static struct shown show(const char *word)
{
    struct shown shown;
    size_t length = strnlen(word, SHOWN_MAX + 1);
    bool cut = length > SHOWN_MAX;
    size_t kept = cut ? SHOWN_MAX : length;
    for (size_t i = 0; i < kept; i++)
        shown.text[i] = word[i] >= ' ' && word[i] <= '~' ? word[i] : '?';
    snprintf(shown.text + kept, sizeof shown.text - kept, "%s", cut ? "..." : "");
    return shown;
}

/* ---- VM identifiers ---- */

static bool is_hexadecimal(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_word_character(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_' || c == '.';
}

bool words_is_real_uuid(const char *text)
{
    static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    size_t i = 0;
    for (; shape[i] != '\0'; i++)
        if (shape[i] == 'x' ? !is_hexadecimal(text[i]) : text[i] != '-')
            return false;
    return text[i] == '\0';
}

enum vgpu_status vgpu_parse_vm_uuid(const char *text, char vm_uuid[VGPU_VM_UUID_BYTES],
                                    struct vgpu_error *err)
{
    size_t length = strnlen(text, VM_UUID_MAX + 1);
    if (length == 0)
        return error_set(err, VGPU_ERR_USAGE,
                         "a VM's identifier is empty: give its UUID, or a word like abc123");
    if (length > VM_UUID_MAX)
        return error_set(err, VGPU_ERR_USAGE,
                         "a VM's identifier has at most %d characters, '%s' has more: give a shorter one",
                         VM_UUID_MAX, show(text).text);
    bool good = text[0] != '-' && text[0] != '.';
    for (size_t i = 0; i < length; i++)
        good = good && is_word_character(text[i]);
    if (!good)
        return error_set(
            err, VGPU_ERR_USAGE,
            "'%s' cannot be a VM's identifier: use letters (a-z, A-Z), digits, '-', '_' and '.', "
            "beginning with a letter, a digit or '_'",
            show(text).text);
    bool lower = words_is_real_uuid(text);
    for (size_t i = 0; i <= length; i++)
        vm_uuid[i] = lower && text[i] >= 'A' && text[i] <= 'F' ? (char)(text[i] - 'A' + 'a') : text[i];
    return VGPU_OK;
}

/* ---- VM names ---- */

/* The bytes of the character at text, with its code point; 0 where it is no well-formed UTF-8. */
static size_t utf8_character(const unsigned char *text, unsigned *code)
{
    static const unsigned lowest[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char lead = text[0];
    size_t bytes = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 0;
    if (bytes <= 1) {
        *code = lead;
        return bytes;
    }
    unsigned value = lead & (0xFFu >> (bytes + 1));
    for (size_t i = 1; i < bytes; i++) {
        if ((text[i] & 0xC0) != 0x80)
            return 0;
        value = value << 6 | (text[i] & 0x3Fu);
    }
    if (lead > 0xF4 || value < lowest[bytes] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF))
        return 0;
    *code = value;
    return bytes;
}

/* Control characters, and those that move or hide the text around them: line and paragraph separators,
 * direction marks and overrides, the byte order mark. */
static bool is_control(unsigned code)
{
    return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x2028 || code == 0x2029 ||
           (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069) || code == 0xFEFF;
}

static bool is_space(unsigned code)
{
    return code == ' ' || code == 0xA0 || code == 0x3000 || (code >= 0x2000 && code <= 0x200B);
}

enum vgpu_status vgpu_parse_vm_name(const char *text, char vm_name[VGPU_VM_NAME_BYTES],
                                    struct vgpu_error *err)
{
    const unsigned char *rest = (const unsigned char *)text;
    size_t characters = 0;
    bool blank = true;
    while (*rest != '\0') {
        unsigned code = 0;
        size_t bytes = utf8_character(rest, &code);
        if (bytes == 0)
            return error_set(err, VGPU_ERR_USAGE, "the VM name '%s' is not UTF-8: write it in UTF-8",
                             show(text).text);
        if (is_control(code))
            return error_set(err, VGPU_ERR_USAGE,
                             "the VM name '%s' has a control character (U+%04X): leave it out",
                             show(text).text, code);
        if (++characters > VM_NAME_MAX)
            return error_set(err, VGPU_ERR_USAGE,
                             "a VM name has at most %d characters, '%s' has more: give a shorter one",
                             VM_NAME_MAX, show(text).text);
        blank = blank && is_space(code);
        rest += bytes;
    }
    if (blank)
        return error_set(err, VGPU_ERR_USAGE, "a VM name is empty: give 1 to %d characters, or none at all",
                         VM_NAME_MAX);
    memcpy(vm_name, text, strlen(text) + 1);
    return VGPU_OK;
}

/* Copies what a name may have, up to so many characters, whole ones. Returns whether there is one to be seen.
 */
static bool fit(const char *text, char *fitted, size_t size, size_t characters_most)
{
    const unsigned char *rest = (const unsigned char *)text;
    size_t used = 0;
    bool visible = false;
    for (size_t characters = 0; *rest != '\0' && characters < characters_most;) {
        unsigned code = 0;
        size_t bytes = utf8_character(rest, &code);
        size_t step = bytes == 0 ? 1 : bytes;
        if (used + step >= size)
            break;
        if (bytes > 0 && !is_control(code)) {
            memcpy(fitted + used, rest, bytes);
            used += bytes;
            characters++;
            visible = visible || !is_space(code);
        }
        rest += step;
    }
    fitted[used] = '\0';
    return visible;
}

void words_fit_vm_name(const char *text, char vm_name[VGPU_VM_NAME_BYTES])
{
    if (!fit(text, vm_name, VGPU_VM_NAME_BYTES, VM_NAME_MAX))
        vm_name[0] = '\0';
}

void words_fit_line(const char *text, char *line, size_t size)
{
    fit(text, line, size, size);
}

/* ---- Numbers ---- */

/* Digits alone, minimum..INT32_MAX. */
static bool parse_number(const char *text, int32_t minimum, int32_t *number)
{
    int64_t value = 0;
    if (text[0] == '\0')
        return false;
    for (const char *digit = text; *digit != '\0'; digit++) {
        if (*digit < '0' || *digit > '9')
            return false;
        value = value * 10 + (*digit - '0');
        if (value > INT32_MAX)
            return false;
    }
    if (value < minimum)
        return false;
    *number = (int32_t)value;
    return true;
}

enum vgpu_status vgpu_parse_vm_id(const char *text, int32_t *vm_id, struct vgpu_error *err)
{
    if (parse_number(text, 1, vm_id))
        return VGPU_OK;
    return error_set(err, VGPU_ERR_USAGE, "'%s' is no vm-id: give a whole number from 1 to %d",
                     show(text).text, VGPU_VM_ID_MAX);
}

enum vgpu_status vgpu_parse_gpu_id(const char *text, int32_t *gpu_id, struct vgpu_error *err)
{
    if (parse_number(text, 0, gpu_id))
        return VGPU_OK;
    return error_set(err, VGPU_ERR_USAGE,
                     "'%s' is no gpu-id: give a whole number from 0 on, as list-gpus shows it",
                     show(text).text);
}

/* Digits at *text, up to 9 of them; moves behind them. */
static bool parse_digits(const char **text, int64_t *number)
{
    const char *digit = *text;
    int64_t value = 0;
    while (*digit >= '0' && *digit <= '9' && digit - *text < 10)
        value = value * 10 + (*digit++ - '0');
    bool good = digit != *text && (*digit < '0' || *digit > '9');
    *text = digit;
    *number = value;
    return good;
}

/* One number or range at *text; moves behind it. */
static bool parse_range(const char **text, struct vgpu_vm_id_range *range)
{
    int64_t first = 0;
    int64_t last = 0;
    if (!parse_digits(text, &first))
        return false;
    last = first;
    if (**text == '-') {
        (*text)++;
        if (!parse_digits(text, &last))
            return false;
    }
    if (first < 1 || last > VGPU_VM_ID_MAX || first > last)
        return false;
    range->first = (int32_t)first;
    range->last = (int32_t)last;
    return true;
}

enum vgpu_status vgpu_parse_vm_ids(const char *text, struct vgpu_vm_id_range ranges[VGPU_VM_ID_RANGES],
                                   size_t *count, struct vgpu_error *err)
{
    struct vgpu_vm_id_range read[VGPU_VM_ID_RANGES];
    const char *rest = text;
    size_t length = 0;
    for (;;) {
        if (length == VGPU_VM_ID_RANGES)
            return error_set(err, VGPU_ERR_USAGE,
                             "'%s' names more than %d numbers and ranges: do it in several steps",
                             show(text).text, VGPU_VM_ID_RANGES);
        if (!parse_range(&rest, &read[length]) || (*rest != ',' && *rest != '\0'))
            return error_set(err, VGPU_ERR_USAGE,
                             "'%s' is no vm-id and no list of them: give numbers from 1 to %d and ranges, "
                             "like 3 or 1-7 or 1-3,8",
                             show(text).text, VGPU_VM_ID_MAX);
        length++;
        if (*rest == '\0')
            break;
        rest++;
    }
    memcpy(ranges, read, length * sizeof *ranges);
    *count = length;
    return VGPU_OK;
}

/* ---- Times ---- */

/* "90s", "10m", "2h", "3d": so long ago. */
static bool parse_ago(const char *text, int64_t *us)
{
    static const struct {
        char letter;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    int64_t number = 0;
    if (!parse_digits(&text, &number) || number > 1000000000 || text[0] == '\0' || text[1] != '\0')
        return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (units[i].letter != text[0])
            continue;
        int64_t ago_seconds = number * units[i].seconds;
        int64_t now_us = (int64_t)clock_wall_us();
        *us = ago_seconds < now_us / 1000000 ? now_us - ago_seconds * 1000000 : 0;
        return true;
    }
    return false;
}

/* "2026-11-23", with " 05:00" or " 05:00:30" behind it (or a T between), in the time zone of the process. */
static bool parse_date(const char *text, int64_t *us)
{
    static const char *const formats[] = {"%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M",
                                          "%Y-%m-%dT%H:%M:%S"};
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        struct tm date = {.tm_isdst = -1};
        const char *end = strptime(text, formats[i], &date);
        int day = date.tm_mday;
        if (end == NULL || *end != '\0' || date.tm_year < 70 || date.tm_year > 8000)
            continue;
        date.tm_isdst = -1;
        time_t seconds = mktime(&date);
        if (seconds == (time_t)-1 || date.tm_mday != day)
            return false; /* 31 February */
        *us = (int64_t)seconds * 1000000;
        return true;
    }
    return false;
}

enum vgpu_status vgpu_parse_time(const char *text, int64_t *us, struct vgpu_error *err)
{
    if (parse_ago(text, us) || parse_date(text, us))
        return VGPU_OK;
    return error_set(err, VGPU_ERR_USAGE,
                     "'%s' is no time: give a date as 2026-11-23 or '2026-11-23 05:00', or how long ago as "
                     "90s, 10m, 2h or 3d",
                     show(text).text);
}

/* ---- Pools ---- */

/* 0: no letter. */
static char pool_of_letter(char c)
{
    if (c >= 'a' && c <= 'z')
        return (char)(c - 'a' + 'A');
    return c >= 'A' && c <= 'Z' ? c : '\0';
}

enum vgpu_status vgpu_parse_pool(const char *text, char *pool, struct vgpu_error *err)
{
    char letter = pool_of_letter(text[0]);
    if (letter == '\0' || text[1] != '\0')
        return error_set(err, VGPU_ERR_USAGE, "'%s' is no pool: give one letter, like A or B",
                         show(text).text);
    *pool = letter;
    return VGPU_OK;
}

enum vgpu_status vgpu_parse_pools(const char *text, char pools[VGPU_POOLS_BYTES], struct vgpu_error *err)
{
    char read[VGPU_POOLS_BYTES] = "";
    size_t count = 0;
    for (size_t i = 0;; i += 2) {
        char letter = pool_of_letter(text[i]);
        bool last = letter != '\0' && text[i + 1] == '\0';
        if (letter == '\0' || (!last && text[i + 1] != ','))
            return error_set(err, VGPU_ERR_USAGE,
                             "'%s' is no list of pools: give letters with commas between them, like A or A,B",
                             show(text).text);
        if (strchr(read, letter) != NULL)
            return error_set(err, VGPU_ERR_USAGE, "pool %c stands twice in '%s': name each pool once", letter,
                             show(text).text);
        read[count++] = letter;
        if (last)
            break;
    }
    memcpy(pools, read, sizeof read);
    return VGPU_OK;
}

/* ---- Words with fixed meanings ---- */

static const char *const priority_names[] = {"low", "medium", "high"};
static const char *const gpu_status_names[] = {"online", "offline", "error"};
static const char *const power_names[] = {"unknown",       "running",  "paused", "suspended",
                                          "shutting down", "shut off", "crashed"};
static const char *const registration_names[] = {"registered", "unregistered", "vanished"};
static const char *const status_names[] = {"ok",      "usage",       "not-found",  "exists",
                                           "busy",    "unavailable", "permission", "corrupt",
                                           "version", "io",          "memory",     "ambiguous"};

enum vgpu_status vgpu_parse_priority(const char *text, enum vgpu_priority *priority, struct vgpu_error *err)
{
    for (int i = 0; i <= PRIORITY_MAX; i++) {
        char digit[2] = {(char)('0' + i), '\0'};
        if (strcasecmp(text, priority_names[i]) == 0 || strcmp(text, digit) == 0) {
            *priority = (enum vgpu_priority)i;
            return VGPU_OK;
        }
    }
    return error_set(err, VGPU_ERR_USAGE, "'%s' is no priority: give low, medium or high", show(text).text);
}

const char *vgpu_priority_name(enum vgpu_priority priority)
{
    return (unsigned)priority < VGPU_PRIORITY_COUNT ? priority_names[priority] : "unknown";
}

const char *vgpu_gpu_status_name(enum vgpu_gpu_status status)
{
    return (unsigned)status <= VGPU_GPU_ERROR ? gpu_status_names[status] : "unknown";
}

const char *vgpu_power_name(enum vgpu_power power)
{
    return (unsigned)power <= VGPU_POWER_CRASHED ? power_names[power] : "unknown";
}

const char *vgpu_registration_state_name(enum vgpu_registration_state state)
{
    return (unsigned)state <= VGPU_VM_VANISHED ? registration_names[state] : "unknown";
}

const char *vgpu_status_name(enum vgpu_status status)
{
    return (unsigned)status <= VGPU_ERR_AMBIGUOUS ? status_names[status] : "unknown";
}

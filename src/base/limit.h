/* The limits of VMs and pools (enum vgpu_limit): one table says of each what it is called, what it may be and
 * what it is where nobody has set it. */
#ifndef VGPU_BASE_LIMIT_H
#define VGPU_BASE_LIMIT_H

#include <stdbool.h>
#include <stdint.h>
#include <vgpu/error.h>
#include <vgpu/types.h>

struct settings;

enum limit_kind {
    LIMIT_COUNT_KIND,
    LIMIT_DURATION_KIND,  /* microseconds; written 10s, 500ms */
    LIMIT_SIZE_KIND,      /* bytes; written 16G */
    LIMIT_RATE_KIND,      /* a second; written 1000 or 1000/s */
    LIMIT_BYTE_RATE_KIND, /* bytes a second; written 2G or 2G/s */
    LIMIT_MODE_KIND,      /* written exclusive or shared:4 */
};

struct limit_description {
    const char *name;   /* "time-limit": the option of vgpu-admin, and the name in the history */
    const char *member; /* "time_limit_us": the column of the database, and the member in JSON */
    enum limit_kind kind;
    int64_t least, most;
    bool may_be_none; /* 0 is allowed below least; what that means stands at enum vgpu_limit */
    bool of_pools;    /* not to be set for one VM */
    const char *placeholder;
    const char *summary; /* one line for people */
};

const struct limit_description *limit_describe(enum vgpu_limit limit);

/* From what a person wrote. "none" (and "unlimited") is 0 where that is allowed. On VGPU_ERR_USAGE the
 * message is the complaint alone: "'10x' is not a duration; write for example 20ms or 1.5s". */
enum vgpu_status limit_parse(enum vgpu_limit limit, const char *text, int64_t *value, struct vgpu_error *err);
/* The same for a number: from a file, or a program. */
enum vgpu_status limit_check(enum vgpu_limit limit, int64_t value, struct vgpu_error *err);

/* As limit_parse() takes it: "10s", "16G", "none", "shared:4". Returns text. */
#define LIMIT_TEXT_BYTES 32
const char *limit_format(enum vgpu_limit limit, int64_t value, char text[LIMIT_TEXT_BYTES]);

/* What counts where nobody has set it: of vgpu.conf, or built in. All are set. VGPU_ERR_USAGE: a setting is
 * out of its range; the message names it. */
enum vgpu_status limits_default(const struct settings *settings, struct vgpu_limits *defaults,
                                struct vgpu_error *err);

/* What counts for a VM (NULL: for its pool). pool may be NULL: it has none. values[] gets all of them, with
 * bursts resolved: 0 only where the rate is. sources may be NULL. */
void limits_effective(const struct vgpu_limits *defaults, const struct vgpu_limits *pool,
                      const struct vgpu_limits *vm, int64_t values[VGPU_LIMIT_COUNT],
                      enum vgpu_limit_source sources[VGPU_LIMIT_COUNT]);

static inline bool limits_has(const struct vgpu_limits *limits, enum vgpu_limit limit)
{
    return (limits->set >> limit & 1u) != 0;
}

static inline void limits_set(struct vgpu_limits *limits, enum vgpu_limit limit, int64_t value)
{
    limits->set |= 1u << limit;
    limits->values[limit] = value;
}

/* Carries out what change sets and clears. */
void limits_apply(struct vgpu_limits *limits, const struct vgpu_limits *change);

/* The change that makes limits `wanted` of whatever they are. */
struct vgpu_limits limits_replacement(const struct vgpu_limits *wanted);

bool limits_equal(const struct vgpu_limits *first, const struct vgpu_limits *second);

#endif

/* Settings of the host's programs: built-in default < configuration file < environment < option.
 *
 * The file is /etc/vgpu/vgpu.conf or the one VGPU_CONFIG names: lines `key = value`, empty lines, and
 * comments from a '#' that begins a line or follows a blank to the line's end; a value in double quotes is
 * taken as it stands. An unknown key, a key given twice and a bad value are errors that name file and line.
 * A file at the default place may be absent; one that was named must exist.
 * The environment's name of a key is VGPU_ and the key in capitals; empty counts as not set. An option is
 * --key=value, '-' and '_' alike.
 *
 * The keys stand in one table, settings_table.c. To add one: a line in enum setting_key, a line in the
 * table, and one in packaging/vgpu.conf (a test compares them). */
#ifndef VGPU_BASE_SETTINGS_H
#define VGPU_BASE_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vgpu/error.h>

#define SETTINGS_DEFAULT_FILE "/etc/vgpu/vgpu.conf"

enum setting_key {
    SETTING_STATE_DIR,
    SETTING_RUN_DIR,
    SETTING_DRIVER,
    SETTING_LOG_LEVEL,
    SETTING_QUANTUM,
    SETTING_AGEING,
    SETTING_MIN_HOLD,
    SETTING_DRAIN_TIMEOUT,
    SETTING_GRANT_HISTORY,
    SETTING_GPU_RESCAN,
    SETTING_GUEST_SOCKET_MODE,
    SETTING_GUEST_SOCKET_OWNER,
    SETTING_LISTEN_VSOCK_PORT,
    SETTING_LISTEN_TCP,
    SETTING_WINDOW_SIZE,
    SETTING_WINDOW_DIR,
    SETTING_MAX_GUESTS_PER_VM,
    SETTING_MAX_GUESTS,
    SETTING_WARM_WORKERS,
    SETTING_SPIN_US,
    SETTING_IMAGE_STORE,
    SETTING_HYPERVISOR_URIS,
    /* What counts for a VM where nothing is set for it or its pool (base/limit.h). */
    SETTING_TIME_LIMIT,
    SETTING_CALL_RATE,
    SETTING_CALL_BURST,
    SETTING_BYTE_RATE,
    SETTING_BYTE_BURST,
    SETTING_QUEUE_DEPTH,
    SETTING_MEMORY_LIMIT,
    SETTING_MAX_FAULTS,
    SETTING_FAULT_WINDOW,
    SETTING_METRICS_ADDRESS,
    SETTING_METRICS_MAX_VMS,
    SETTING_COUNT,
};

enum setting_type {
    SETTING_TYPE_PATH,     /* absolute; one from the environment or an option may be relative to the working
                            * folder and is made absolute */
    SETTING_TYPE_STRING,   /* any line of text of at most `maximum` bytes */
    SETTING_TYPE_INTEGER,  /* decimal */
    SETTING_TYPE_DURATION, /* 250us, 20ms, 1.5s, 2min, 1h; kept in microseconds; 0 needs no unit */
    SETTING_TYPE_SIZE,     /* bytes, or with K, M, G, T (powers of 1024, also written KiB, ...) */
    SETTING_TYPE_MODE,     /* file permission bits in octal, as 0660 */
    SETTING_TYPE_CHOICE,   /* one of `choices` */
    SETTING_TYPE_FLAG,     /* yes or no; true, on, 1, false, off, 0 */
    SETTING_TYPE_LIST,     /* strings with commas between them; blanks around each are dropped */
};

/* One row of the table. */
struct setting_description {
    const char *name;
    enum setting_type type;
    const char *default_text; /* as it would be written in the file; "" where nothing is the default; NULL
                               * where it depends on the machine (driver) */
    int64_t minimum, maximum; /* INTEGER as is, DURATION in µs, SIZE in bytes; STRING, LIST: longest text */
    const char *const *choices; /* CHOICE: NULL-terminated */
    const char *summary;        /* one line for people */
};

struct settings;

/* Defaults, then the file (config_path, or where NULL: VGPU_CONFIG, else the default place), then the
 * environment. On error *settings is untouched and err says which line or variable is wrong. */
enum vgpu_status settings_load(struct settings **settings, const char *config_path, struct vgpu_error *err);

void settings_destroy(struct settings *settings); /* NULL is allowed */

/* Whether argument begins "--" followed by the name of a key and "=" or its end: a program's way to tell
 * a setting from its own options. */
bool settings_is_option(const char *argument);

/* Sets what an option "--key=value" says, over everything else. VGPU_ERR_USAGE for anything else. */
enum vgpu_status settings_set_option(struct settings *settings, const char *argument, struct vgpu_error *err);

/* Getters. The key must be of the right type (asserted). What they return lives as long as settings. */
const char *settings_text(const struct settings *settings, enum setting_key key); /* PATH, STRING, CHOICE */
int64_t settings_integer(const struct settings *settings, enum setting_key key);
uint64_t settings_duration_us(const struct settings *settings, enum setting_key key);
uint64_t settings_size_bytes(const struct settings *settings, enum setting_key key);
unsigned settings_mode(const struct settings *settings, enum setting_key key);
unsigned settings_choice(const struct settings *settings, enum setting_key key); /* index into choices */
bool settings_flag(const struct settings *settings, enum setting_key key);
/* NULL-terminated; an empty list is one NULL. */
const char *const *settings_list(const struct settings *settings, enum setting_key key);

/* Where the value came from: "built-in default", "FILE:LINE", "VGPU_KEY" or "--key". */
const char *settings_source(const struct settings *settings, enum setting_key key);

/* The value as it would be written in the file, whatever its type. */
const char *settings_written(const struct settings *settings, enum setting_key key);

const struct setting_description *settings_describe(enum setting_key key);

/* Indices of settings_choice(). LOG_LEVEL's are enum log_level. */
enum setting_driver { SETTING_DRIVER_NVIDIA, SETTING_DRIVER_SIMULATED };

/* Whether the kernel has a GPU driver loaded that CUDA programs could use: what decides the default of
 * `driver`. Looks at root/dev/nvidiactl and root/proc/driver/nvidia/version; root is "" but in tests. */
bool settings_nvidia_driver_present(const char *root);

#endif

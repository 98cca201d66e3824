/* libvgpu: the configuration of a vgpu host (GPUs, pools, VMs) and what its daemon is doing.
 *
 * Errors. Every function that can fail returns an enum vgpu_status and, when err is not NULL, fills in *err
 * on failure: one line that names the thing, says what is wrong and what to do. On failure nothing has
 * changed, and out parameters are untouched. An answered change is on disk: it survives a crash of the
 * program and of the machine.
 *
 * Ownership. A list comes back as one array from malloc and is given back with vgpu_free(); an empty list is
 * NULL with count 0. Structs hold their texts themselves. Pointers passed in are only used during the call.
 *
 * Threads. A handle may be used by one thread at a time; several handles, in one process or in many, may
 * be used at once. A handle does not survive fork().
 *
 * Changes act at once: after a change the library tells the daemon, if there is one, to look. */
#ifndef VGPU_VGPU_H
#define VGPU_VGPU_H

#include <vgpu/error.h>
#include <vgpu/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- The handle ---------------------------------------------------------------------------------- */

struct vgpu;

/* What is NULL comes from the environment (VGPU_STATE_DIR, VGPU_RUN_DIR, VGPU_DRIVER), else from the
 * configuration file, else from the built-in default. */
struct vgpu_options {
    const char *config_file; /* default: VGPU_CONFIG, else /etc/vgpu/vgpu.conf */
    const char *state_dir;   /* where vgpu.db is; default /var/lib/vgpu */
    const char *run_dir;     /* where admin.sock is; default /run/vgpu */
    const char *driver;      /* "nvidia" or "simulated"; default: nvidia where its driver is found */
};

/* Opens the configuration database, making it (and its directory, mode 0750, the file 0640) when absent and
 * bringing an older one up to date. options may be NULL: all defaults.
 * VGPU_ERR_PERMISSION, VGPU_ERR_CORRUPT, VGPU_ERR_VERSION (made by a newer vgpu), VGPU_ERR_BUSY, VGPU_ERR_IO.
 */
enum vgpu_status vgpu_open(const struct vgpu_options *options, struct vgpu **handle, struct vgpu_error *err);
void vgpu_close(struct vgpu *handle); /* NULL is fine; rolls back what vgpu_begin() began */

/* Reads the whole database and checks that it is well. VGPU_ERR_CORRUPT: it is not, the message says what. */
enum vgpu_status vgpu_check_database(struct vgpu *handle, struct vgpu_error *err);

/* Gives back an array that a function of this library returned. NULL is fine. */
void vgpu_free(void *array);

const char *vgpu_version(void);                        /* "0.1.0" */
const char *vgpu_status_name(enum vgpu_status status); /* "ok", "not-found", ...: fixed words for programs */
const char *
vgpu_state_dir(const struct vgpu *handle); /* as settled by vgpu_open; lives as long as the handle */
const char *vgpu_run_dir(const struct vgpu *handle);     /* likewise */
const char *vgpu_driver_name(const struct vgpu *handle); /* "nvidia" or "simulated"; likewise */

/* Where the window of a VM is: the file that its hypervisor shows it as a device, in memory shared with the
 * host. Returns its size in bytes; 0 where VMs have none, and path is empty. The daemon makes it. */
uint64_t vgpu_window(const struct vgpu *handle, const char *vm_uuid, char *path, size_t path_bytes);

/* Makes the changes that follow one transaction: all of them or none. While it is open other writers wait
 * (up to twenty seconds), so do not wait for a person inside. A change that fails inside leaves the ones
 * before it in place; whoever began decides between commit and rollback. Does not nest (VGPU_ERR_USAGE). */
enum vgpu_status vgpu_begin(struct vgpu *handle, struct vgpu_error *err);
enum vgpu_status vgpu_commit(struct vgpu *handle, struct vgpu_error *err); /* failed: nothing has changed */
void vgpu_rollback(struct vgpu *handle);

/* ---- Words: what people write, checked in one place ------------------------------------------------ */

/* A VM's identifier is a word of 1 to 64 letters (a-z, A-Z), digits, '-', '_' and '.', that does not begin
 * with '-' or '.'. A real UUID (8-4-4-4-12 hexadecimal digits) is put into canonical lower case;
 * any other word is kept as it is. VGPU_ERR_USAGE otherwise. */
enum vgpu_status vgpu_parse_vm_uuid(const char *text, char vm_uuid[VGPU_VM_UUID_BYTES],
                                    struct vgpu_error *err);
/* 1 to 64 characters of UTF-8, none of them a control character, not only white space. */
enum vgpu_status vgpu_parse_vm_name(const char *text, char vm_name[VGPU_VM_NAME_BYTES],
                                    struct vgpu_error *err);
/* A decimal integer 1..VGPU_VM_ID_MAX, digits only. */
enum vgpu_status vgpu_parse_vm_id(const char *text, int32_t *vm_id, struct vgpu_error *err);
/* Such numbers and ranges of them with commas between: "3", "1-7", "1-3,8". */
enum vgpu_status vgpu_parse_vm_ids(const char *text, struct vgpu_vm_id_range ranges[VGPU_VM_ID_RANGES],
                                   size_t *count, struct vgpu_error *err);
/* A date, "2026-11-23", "2026-11-23 05:00" or "2026-11-23 05:00:30" in the time zone of the process, or how
 * long ago, "90s", "10m", "2h", "3d". *us: microseconds since 1970 (UTC). */
enum vgpu_status vgpu_parse_time(const char *text, int64_t *us, struct vgpu_error *err);
/* A decimal integer from 0 on, digits only. Whether there is such a GPU is not looked at. */
enum vgpu_status vgpu_parse_gpu_id(const char *text, int32_t *gpu_id, struct vgpu_error *err);
/* One letter A..Z; a small letter is taken as its capital. Whether there is such a pool is not looked at. */
enum vgpu_status vgpu_parse_pool(const char *text, char *pool, struct vgpu_error *err);
/* Letters with commas between them, "A,B": the primary pool first. */
enum vgpu_status vgpu_parse_pools(const char *text, char pools[VGPU_POOLS_BYTES], struct vgpu_error *err);
/* "low", "medium", "high", in any case, or "0", "1", "2". */
enum vgpu_status vgpu_parse_priority(const char *text, enum vgpu_priority *priority, struct vgpu_error *err);

/* What a limit may be: a number, with a unit where it has one ("10s", "16G", "1000/s"), "none" where there
 * may be none; of VGPU_LIMIT_MODE "exclusive" or "shared:4". */
enum vgpu_status vgpu_parse_limit(enum vgpu_limit limit, const char *text, int64_t *value,
                                  struct vgpu_error *err);
/* As vgpu_parse_limit() takes it. Returns text. */
#define VGPU_LIMIT_TEXT_BYTES 32
const char *vgpu_format_limit(enum vgpu_limit limit, int64_t value, char text[VGPU_LIMIT_TEXT_BYTES]);
const char *vgpu_limit_name(enum vgpu_limit limit);   /* "time-limit": the option of vgpu-admin */
const char *vgpu_limit_member(enum vgpu_limit limit); /* "time_limit_us": in JSON, with its unit */
bool vgpu_limit_is_of_pools(enum vgpu_limit limit);   /* it cannot be set for one VM */

const char *vgpu_priority_name(enum vgpu_priority priority);   /* "low", "medium", "high" */
const char *vgpu_gpu_status_name(enum vgpu_gpu_status status); /* "online", "offline", "error" */
const char *vgpu_power_name(enum vgpu_power power);            /* "running", "shut off", ... "unknown" */
/* "registered", "unregistered", "vanished" */
const char *vgpu_registration_state_name(enum vgpu_registration_state state);

/* ---- GPUs ------------------------------------------------------------------------------------------ */

/* Looks for the physical GPUs of this host (NVML, else nvidia-smi, and the PCI bus), brings the database up
 * to date and returns what was found now, by gpu_id. A stored GPU that was not found becomes
 * offline in the database and is not in the list. VGPU_ERR_UNAVAILABLE: the driver is there but does not
 * answer. */
enum vgpu_status vgpu_scan_gpus(struct vgpu *handle, struct vgpu_gpu **gpus, size_t *count,
                                struct vgpu_error *err);

/* Adds one GPU to the database, or brings the stored one with the same gpu_uuid (or the same PCI address,
 * where one of the two has no UUID of its own yet) up to date. Of *gpu everything counts but pools and the
 * timestamps; gpu_id is a wish, a taken or negative one becomes the lowest free. registered (may be
 * NULL) gets the row as stored. */
enum vgpu_status vgpu_register_gpu(struct vgpu *handle, const struct vgpu_gpu *gpu,
                                   struct vgpu_gpu *registered, struct vgpu_error *err);

/* All stored GPUs, by gpu_id, with the values of the last scan. pool: only those that serve it; 0: all. */
enum vgpu_status vgpu_list_gpus(struct vgpu *handle, char pool, struct vgpu_gpu **gpus, size_t *count,
                                struct vgpu_error *err);
/* One stored GPU, with the values of the last scan. VGPU_ERR_NOT_FOUND. */
enum vgpu_status vgpu_get_gpu(struct vgpu *handle, int32_t gpu_id, struct vgpu_gpu *gpu,
                              struct vgpu_error *err);

/* As vgpu_get_gpu, with memory, utilisation, temperature, power and status asked from the driver now.
 * Nothing is stored. Where the driver does not know the GPU, it is offline with the reason. */
enum vgpu_status vgpu_get_gpu_status(struct vgpu *handle, int32_t gpu_id, struct vgpu_gpu *gpu,
                                     struct vgpu_error *err);
/* The same for many at once: fills in what is live in each of the count GPUs of a list. */
enum vgpu_status vgpu_refresh_gpus(struct vgpu *handle, struct vgpu_gpu *gpus, size_t count,
                                   struct vgpu_error *err);

/* Makes the GPU serve this pool, and no other. VGPU_ERR_NOT_FOUND: no such GPU or pool. */
enum vgpu_status vgpu_assign_gpu_to_pool(struct vgpu *handle, int32_t gpu_id, char pool,
                                         struct vgpu_error *err);
/* Makes the GPU serve exactly these pools, the first as its primary one: "A", "AB" (time-sliced between the
 * VMs of both), "" for none. */
enum vgpu_status vgpu_assign_gpu_to_pools(struct vgpu *handle, int32_t gpu_id, const char *pools,
                                          struct vgpu_error *err);

/* ---- Pools ----------------------------------------------------------------------------------------- */

/* By letter. A and B exist from the start. */
enum vgpu_status vgpu_list_pools(struct vgpu *handle, struct vgpu_pool **pools, size_t *count,
                                 struct vgpu_error *err);
enum vgpu_status vgpu_add_pool(struct vgpu *handle, char pool, struct vgpu_error *err); /* VGPU_ERR_EXISTS */
/* VGPU_ERR_BUSY while VMs or GPUs are in it; VGPU_ERR_USAGE for A and B, which stay. */
enum vgpu_status vgpu_remove_pool(struct vgpu *handle, char pool, struct vgpu_error *err);

/* Sets change->set and clears change->cleared, the others stay. updated (may be NULL) gets those there are
 * then. VGPU_ERR_NOT_FOUND: no such pool. VGPU_ERR_USAGE: a value is out of its range. */
enum vgpu_status vgpu_set_pool_limits(struct vgpu *handle, char pool, const struct vgpu_limits *change,
                                      struct vgpu_limits *updated, struct vgpu_error *err);
/* What counts where nothing is set, as the daemon that runs has been told; where none runs: vgpu.conf, or
 * built in. All are set. */
enum vgpu_status vgpu_get_default_limits(struct vgpu *handle, struct vgpu_limits *defaults,
                                         struct vgpu_error *err);
/* What counts for a VM (vm NULL: for its pool) in the pool with these limits (NULL: none set). sources may be
 * NULL. */
void vgpu_effective_limits(const struct vgpu_limits *defaults, const struct vgpu_limits *pool,
                           const struct vgpu_limits *vm, int64_t values[VGPU_LIMIT_COUNT],
                           enum vgpu_limit_source sources[VGPU_LIMIT_COUNT]);

/* ---- VMs ------------------------------------------------------------------------------------------- */

struct vgpu_vm_registration {
    const char *vm_uuid; /* checked and put into canonical form as by vgpu_parse_vm_uuid */
    const char *vm_name; /* NULL: "VM-<vm_id>", also when its vm_id changes */
    char pool;
    enum vgpu_priority priority;
    int32_t vm_id;      /* 0: the lowest free one */
    uint32_t vsock_cid; /* 0: none; else 3 or more, unique */
    struct vgpu_limits limits;
};

/* registered (may be NULL) gets the row as stored. VGPU_ERR_EXISTS: the identifier, vm_id or vsock_cid is
 * taken, the message names the VM that has it. VGPU_ERR_NOT_FOUND: no such pool. */
enum vgpu_status vgpu_register_vm(struct vgpu *handle, const struct vgpu_vm_registration *registration,
                                  struct vgpu_vm *registered, struct vgpu_error *err);

/* vm_uuid in any form that vgpu_parse_vm_uuid takes. VGPU_ERR_NOT_FOUND. */
enum vgpu_status vgpu_get_vm(struct vgpu *handle, const char *vm_uuid, struct vgpu_vm *vm,
                             struct vgpu_error *err);

struct vgpu_vm_filter {
    char pool;    /* 0: any */
    int priority; /* enum vgpu_priority; -1: any */
};
/* By vm_id. filter may be NULL: all. */
enum vgpu_status vgpu_list_vms(struct vgpu *handle, const struct vgpu_vm_filter *filter, struct vgpu_vm **vms,
                               size_t *count, struct vgpu_error *err);

/* Names VMs as a person does: exactly one member is not NULL. */
struct vgpu_vm_selection {
    const char *vm_uuid; /* the identifier of one VM, or the beginning of exactly one */
    const char *vm_name; /* the name of exactly one */
    const char *vm_ids;  /* numbers and ranges, as vgpu_parse_vm_ids() takes them */
};
/* The VMs so named, at least one, by vm_id and each once. VGPU_ERR_NOT_FOUND: none, or nobody has one of the
 * numbers, or one of the ranges is empty. VGPU_ERR_AMBIGUOUS: more than one, the message lists them.
 * To change what was found, do both between vgpu_begin() and vgpu_commit(). */
enum vgpu_status vgpu_find_vms(struct vgpu *handle, const struct vgpu_vm_selection *selection,
                               struct vgpu_vm **vms, size_t *count, struct vgpu_error *err);

struct vgpu_vm_update {
    uint32_t fields; /* enum vgpu_vm_field, ORed: the members below that count */
    char pool;
    enum vgpu_priority priority;
    int32_t vm_id;
    const char *vm_name; /* NULL: back to "VM-<vm_id>" */
    uint32_t vsock_cid;  /* 0: none */
    bool paused;
    struct vgpu_limits limits; /* what it sets and clears */
    bool quarantined;
    const char *quarantine_reason; /* why; NULL where there is nothing to say. Cut to what fits */
};
/* Changes the fields named, all of them or none. updated (may be NULL) gets the row as stored. */
enum vgpu_status vgpu_update_vm(struct vgpu *handle, const char *vm_uuid, const struct vgpu_vm_update *update,
                                struct vgpu_vm *updated, struct vgpu_error *err);

/* removed (may be NULL) gets the row as it was. Its guest processes lose the GPU. VGPU_ERR_NOT_FOUND. */
enum vgpu_status vgpu_remove_vm(struct vgpu *handle, const char *vm_uuid, struct vgpu_vm *removed,
                                struct vgpu_error *err);

/* ---- VMs of the hypervisors --------------------------------------------------------------------------- */

/* Asks the hypervisors of this host (setting hypervisor_uris) for their VMs, all at once and for at most
 * time_limit_ms (0: ten seconds), and compares with what is registered. A VM is the registered one with its
 * UUID, else the one registered under its name as identifier. No hypervisor, or one that does not answer, is
 * no error but stands in the scan. snapshot: what is registered, where the caller has it already; else NULL.
 */
enum vgpu_status vgpu_scan_vms(struct vgpu *handle, const struct vgpu_snapshot *snapshot,
                               uint32_t time_limit_ms, struct vgpu_vm_scan *scan, struct vgpu_error *err);
void vgpu_vm_scan_fini(struct vgpu_vm_scan *scan); /* frees the lists and empties it */

/* Registers each unregistered VM of a scan, under the hypervisor's name and with the lowest free vm_id, in
 * one transaction: all or none. One that has been registered meanwhile is left as it is. registered (may be
 * NULL with count NULL) gets the rows as stored. VGPU_ERR_NOT_FOUND: no such pool. */
enum vgpu_status vgpu_register_scanned_vms(struct vgpu *handle, const struct vgpu_vm_scan *scan, char pool,
                                           enum vgpu_priority priority, struct vgpu_vm **registered,
                                           size_t *count, struct vgpu_error *err);

/* ---- All of it, at one moment ------------------------------------------------------------------------ */

/* What is stored, read in one transaction: the three lists fit together. */
enum vgpu_status vgpu_get_snapshot(struct vgpu *handle, struct vgpu_snapshot *snapshot,
                                   struct vgpu_error *err);
void vgpu_snapshot_fini(struct vgpu_snapshot *snapshot); /* frees the lists and empties it */

/* ---- History --------------------------------------------------------------------------------------- */

struct vgpu_history_filter {
    const char *vm_uuid; /* NULL: any VM */
    int32_t gpu_id;      /* -1: any GPU. Changes are of a VM or of a GPU: with both given, those of either */
    size_t limit;        /* the newest so many; 0: all that are kept */
    int64_t since_us;    /* from then on, microseconds since 1970 (UTC); 0: from the beginning */
};
/* Grants that have ended, oldest first. The daemon writes them every second or so. filter may be NULL. */
enum vgpu_status vgpu_list_grants(struct vgpu *handle, const struct vgpu_history_filter *filter,
                                  struct vgpu_grant **grants, size_t *count, struct vgpu_error *err);
/* Changes of the configuration, oldest first. filter may be NULL. */
enum vgpu_status vgpu_list_changes(struct vgpu *handle, const struct vgpu_history_filter *filter,
                                   struct vgpu_change **changes, size_t *count, struct vgpu_error *err);

/* ---- The configuration as a file ----------------------------------------------------------------------- */

/* The whole configuration as JSON text (docs/json.md describes it), *text to be given back with vgpu_free().
 * The same configuration always gives the same text, one line for each GPU and each VM. */
enum vgpu_status vgpu_export(struct vgpu *handle, char **text, struct vgpu_error *err);

/* Makes the configuration what such a text says, all of it or nothing: what is not in it is removed, but a
 * GPU, which then serves no pool. A GPU is known by its gpu_uuid; one that is not known yet is added as
 * offline, until a scan finds it. *changes gets what differed, as the history shows it. dry_run: the same,
 * and nothing is changed. Not between vgpu_begin() and its end. VGPU_ERR_CORRUPT: not such a text, the
 * message says where. VGPU_ERR_VERSION: made by a newer vgpu. */
enum vgpu_status vgpu_import(struct vgpu *handle, const char *text, size_t length, bool dry_run,
                             struct vgpu_change **changes, size_t *count, struct vgpu_error *err);

/* ---- Live: what only the daemon knows ---------------------------------------------------------------- */

struct vgpu_live_waiting {
    char vm_uuid[VGPU_VM_UUID_BYTES];
    enum vgpu_priority priority;
    uint64_t waiting_us;
};

/* Of durations: what so many of 100 did not exceed. Not known before the first; at most 7% above the true
 * value. */
struct vgpu_percentiles {
    struct vgpu_optional p50_us, p95_us, p99_us;
};

/* Counted since the daemon started. What a daemon of an older version does not tell is not known. */
struct vgpu_live_gpu {
    int32_t gpu_id;
    char gpu_uuid[VGPU_GPU_UUID_BYTES];
    char holder[VGPU_VM_UUID_BYTES];   /* vm_uuid; empty: nobody holds it */
    uint64_t held_us;                  /* for so long; 0 when nobody holds it */
    uint64_t generation;               /* grants of this GPU since the daemon started */
    struct vgpu_live_waiting *waiting; /* first to be served first */
    size_t waiting_count;
    char background[VGPU_VM_UUID_BYTES]; /* vm_uuid of who runs in the gaps that the holder leaves; empty:
                                            nobody */
    char preemption[32];               /* "hardware time slices" or "drain": how a higher class gets it from a
                                        * lower; empty: no worker has told yet */
    struct vgpu_optional warm_workers; /* that wait for a guest process with a context made, and the device */
    struct vgpu_optional warm_memory_bytes; /* memory they hold; 0: not known yet */
    struct vgpu_optional places;            /* VMs that may hold it side by side */
    struct vgpu_optional handovers;         /* grants to another VM than the one before */
    struct vgpu_optional preemptions;       /* grants that ended because they were revoked */
    struct vgpu_optional wait_us;           /* that all its grants were waited for */
    struct vgpu_optional ended_grants;      /* that have ended, and how long these lasted */
    struct vgpu_optional ended_hold_us;
    struct vgpu_percentiles wait, hold;
};

struct vgpu_live_vm {
    char vm_uuid[VGPU_VM_UUID_BYTES];
    uint32_t processes; /* guest processes connected now */
    uint64_t grants;
    uint64_t wait_us;                         /* time spent waiting for a grant, in all */
    uint64_t hold_us;                         /* time spent holding one, in all */
    uint64_t calls;                           /* calls executed */
    uint64_t gpu_calls;                       /* of these, calls that put work on the GPU */
    uint64_t device_memory_bytes;             /* held now */
    struct vgpu_optional waiting;             /* GPUs that it waits for now */
    struct vgpu_optional gpu_time_us;         /* that it has had work on a GPU */
    struct vgpu_optional preemptions;         /* grants that ended because they were revoked */
    struct vgpu_optional timeouts;            /* guest processes ended by the execution time limit */
    struct vgpu_optional limited_calls;       /* calls that were held up by its rate limits */
    struct vgpu_optional limited_us;          /* for so long */
    struct vgpu_optional refused_allocations; /* over its device memory limit */
    struct vgpu_optional faults;              /* see docs/vgpud.md */
    struct vgpu_percentiles wait, hold;       /* of its grants; holds of those that have ended */
};

struct vgpu_live {
    char version[32]; /* of the daemon */
    int64_t pid;
    uint64_t uptime_us;
    char driver[16]; /* "nvidia" or "simulated" */
    struct vgpu_live_gpu *gpus;
    size_t gpu_count;
    struct vgpu_live_vm *vms; /* registered VMs that have had a guest process */
    size_t vm_count;
};

/* Asks the daemon. VGPU_ERR_UNAVAILABLE: none is running (or it does not answer within five seconds);
 * VGPU_ERR_PERMISSION: this user may not ask it. */
enum vgpu_status vgpu_get_live(struct vgpu *handle, struct vgpu_live *live, struct vgpu_error *err);
void vgpu_live_fini(struct vgpu_live *live); /* frees the lists and empties it */

#ifdef __cplusplus
}
#endif
#endif

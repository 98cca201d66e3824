/* The things vgpu speaks of: GPUs, VMs, pools, grants and changes, as plain values.
 *
 * Texts are UTF-8, NUL-terminated, held in the struct itself; an empty text means "not known" or "none".
 * Timestamps for people are UTC text "YYYY-MM-DD HH:MM:SS", as the database has them; names ending
 * in _us are microseconds. */
#ifndef VGPU_TYPES_H
#define VGPU_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Sizes of texts, the terminating NUL included. */
#define VGPU_VM_UUID_BYTES     65  /* 64 characters, see vgpu_parse_vm_uuid() */
#define VGPU_VM_NAME_BYTES     257 /* 64 characters of up to 4 bytes */
#define VGPU_GPU_UUID_BYTES    96
#define VGPU_GPU_NAME_BYTES    96
#define VGPU_PCI_ADDRESS_BYTES 20 /* 0000:01:00.0 */
#define VGPU_POOLS_BYTES       27 /* each letter at most once */
#define VGPU_TIMESTAMP_BYTES   20
#define VGPU_REASON_BYTES      160
#define VGPU_USER_BYTES        64
#define VGPU_HYPERVISOR_BYTES  256

#define VGPU_VM_ID_MAX 2147483647

/* A number that the hardware may not give. value means nothing unless known is true. */
struct vgpu_optional {
    bool known;
    int64_t value;
};

enum vgpu_gpu_status {
    VGPU_GPU_ONLINE = 0,  /* a driver serves it */
    VGPU_GPU_OFFLINE = 1, /* vanished, or on the PCI bus without a driver: see reason */
    VGPU_GPU_ERROR = 2,   /* the driver sees it but it does not work: see reason */
};

enum vgpu_priority {
    VGPU_PRIORITY_LOW = 0,
    VGPU_PRIORITY_MEDIUM = 1,
    VGPU_PRIORITY_HIGH = 2,
};
#define VGPU_PRIORITY_COUNT 3

/* What an administrator may set for a VM, for a pool, or for the host (vgpu.conf). What is set for the VM
 * counts before what is set for its pool, and that before the host's. 0 means "no limit" but where it says
 * otherwise. */
enum vgpu_limit {
    VGPU_LIMIT_WEIGHT,       /* its part of the GPU's time among the VMs of its class: 1..1000 */
    VGPU_LIMIT_TIME_LIMIT,   /* microseconds that one piece of work may run on the GPU */
    VGPU_LIMIT_CALL_RATE,    /* calls a second */
    VGPU_LIMIT_CALL_BURST,   /* calls at once, after a pause; 0: as many as in a tenth of a second */
    VGPU_LIMIT_BYTE_RATE,    /* bytes a second that it copies */
    VGPU_LIMIT_BYTE_BURST,   /* bytes at once, after a pause; 0: as many as in a tenth of a second */
    VGPU_LIMIT_QUEUE_DEPTH,  /* pieces of work given to the GPU and not complete yet */
    VGPU_LIMIT_MEMORY,       /* bytes of device memory */
    VGPU_LIMIT_PROCESSES,    /* guest processes at a time; never 0 */
    VGPU_LIMIT_MAX_FAULTS,   /* so many faults within the window, and the VM is quarantined */
    VGPU_LIMIT_FAULT_WINDOW, /* microseconds; never 0 */
    /* Of pools and of the host alone: */
    VGPU_LIMIT_MODE,   /* VMs of a class that run side by side on a GPU whose primary pool it is; 1: exclusive
                        */
    VGPU_LIMIT_AGEING, /* microseconds of waiting after which a VM rises by a class; 0: never */
};
#define VGPU_LIMIT_COUNT 13

/* Bit 1u << enum vgpu_limit. */
struct vgpu_limits {
    uint32_t set;     /* those that are set; the other values mean nothing */
    uint32_t cleared; /* in a change alone: those not to be set any more; else 0 */
    int64_t values[VGPU_LIMIT_COUNT];
};

/* Where an effective limit comes from. */
enum vgpu_limit_source {
    VGPU_LIMIT_OF_HOST = 0, /* vgpu.conf, or built in */
    VGPU_LIMIT_OF_POOL = 1,
    VGPU_LIMIT_OF_VM = 2,
};

struct vgpu_gpu {
    /* The NVML index when first seen, from then on bound to gpu_uuid. */
    int32_t gpu_id;
    /* As NVML gives it, "GPU-...". A GPU that only the PCI bus shows is "PCI-0000:01:00.0" until a driver
     * gives its UUID; it stays the same GPU. */
    char gpu_uuid[VGPU_GPU_UUID_BYTES];
    char gpu_name[VGPU_GPU_NAME_BYTES];
    char pci_address[VGPU_PCI_ADDRESS_BYTES]; /* 0000:01:00.0, lower case */
    /* Letters of the pools it serves, the primary one first, the others in order of the alphabet. */
    char pools[VGPU_POOLS_BYTES];
    struct vgpu_optional memory_total_mib;
    struct vgpu_optional memory_used_mib;
    struct vgpu_optional utilization_percent;
    struct vgpu_optional temperature_c;
    struct vgpu_optional power_mw;
    enum vgpu_gpu_status status;
    char reason[VGPU_REASON_BYTES]; /* why it is not online */
    char created_at[VGPU_TIMESTAMP_BYTES];
    char updated_at[VGPU_TIMESTAMP_BYTES];
    char last_seen_at[VGPU_TIMESTAMP_BYTES]; /* last time a scan found it */
};

struct vgpu_vm {
    int32_t vm_id; /* 1..VGPU_VM_ID_MAX, unique */
    char vm_uuid[VGPU_VM_UUID_BYTES];
    char vm_name[VGPU_VM_NAME_BYTES]; /* never empty: "VM-<vm_id>" when none was given */
    char pool;                        /* 'A'..'Z' */
    enum vgpu_priority priority;
    uint32_t vsock_cid; /* 0: none */
    bool paused;        /* gets no grant; its programs wait, nothing of theirs is lost */
    /* The GPU of its pool that serves it: the one with fewest VMs when it came, and it stays there for as
     * long as that GPU serves the pool and is online, or no other does. Not known: its pool has no GPU. */
    struct vgpu_optional gpu_id;
    struct vgpu_limits limits; /* those of its own */
    /* Its guest processes have been ended and no more may come. Why and since when, empty where it is not. */
    bool quarantined;
    char quarantine_reason[VGPU_REASON_BYTES];
    char quarantined_at[VGPU_TIMESTAMP_BYTES];
    char created_at[VGPU_TIMESTAMP_BYTES];
    char updated_at[VGPU_TIMESTAMP_BYTES];
};

/* Members of a VM that can be changed; ORed together. */
enum vgpu_vm_field {
    VGPU_VM_POOL = 1 << 0,
    VGPU_VM_PRIORITY = 1 << 1,
    VGPU_VM_ID = 1 << 2,
    VGPU_VM_NAME = 1 << 3,
    VGPU_VM_VSOCK_CID = 1 << 4,
    VGPU_VM_PAUSED = 1 << 5,
    VGPU_VM_LIMITS = 1 << 6,     /* those that limits.set and limits.cleared name; the others stay */
    VGPU_VM_QUARANTINE = 1 << 7, /* quarantined and quarantine_reason */
};

/* vm_id from first to last, both included. */
struct vgpu_vm_id_range {
    int32_t first;
    int32_t last;
};
#define VGPU_VM_ID_RANGES 64 /* that one list of them may have */

struct vgpu_pool {
    char pool;
    uint32_t gpu_count; /* GPUs that serve it, online or not */
    uint32_t vm_count;
    uint32_t vm_count_by_priority[VGPU_PRIORITY_COUNT]; /* index: enum vgpu_priority */
    struct vgpu_limits limits;
};

/* All that is configured, at one moment. */
struct vgpu_snapshot {
    struct vgpu_gpu *gpus; /* by gpu_id */
    size_t gpu_count;
    struct vgpu_vm *vms; /* by vm_id */
    size_t vm_count;
    struct vgpu_pool *pools; /* by letter */
    size_t pool_count;
};

/* What a hypervisor says of a VM. */
enum vgpu_power {
    VGPU_POWER_UNKNOWN = 0, /* no hypervisor knows it, or it does not say */
    VGPU_POWER_RUNNING = 1,
    VGPU_POWER_PAUSED = 2,
    VGPU_POWER_SUSPENDED = 3, /* asleep, or its memory is saved to disk */
    VGPU_POWER_SHUTTING_DOWN = 4,
    VGPU_POWER_SHUT_OFF = 5,
    VGPU_POWER_CRASHED = 6,
};

/* A hypervisor that was asked for its VMs. */
struct vgpu_hypervisor {
    char name[VGPU_HYPERVISOR_BYTES]; /* libvirt's URI, or "xe" */
    bool answered;
    uint32_t vm_count;              /* VMs that it has */
    char reason[VGPU_REASON_BYTES]; /* why it did not answer */
};

enum vgpu_registration_state {
    VGPU_VM_REGISTERED = 0,
    VGPU_VM_UNREGISTERED = 1, /* a hypervisor has it */
    VGPU_VM_VANISHED = 2,     /* registered under a real UUID, which no hypervisor knows: all that were asked
                               * have answered, and there was one at least */
};

/* One VM of a scan. */
struct vgpu_scanned_vm {
    enum vgpu_registration_state state;
    /* As registered. Of an unregistered one only vm_uuid and vm_name are set: what to register it as; the
     * name is the hypervisor's, cut to what vgpu_parse_vm_name() takes, and may be empty. */
    struct vgpu_vm vm;
    enum vgpu_power power;
    char hypervisor[VGPU_HYPERVISOR_BYTES]; /* the name of the one that has it; empty: none that answered */
};

struct vgpu_vm_scan {
    struct vgpu_hypervisor *hypervisors; /* those asked */
    size_t hypervisor_count;
    struct vgpu_scanned_vm *vms; /* those registered by vm_id, then the others by name */
    size_t vm_count;
};

/* One grant that has ended. Times are microseconds since 1970 (UTC). */
struct vgpu_grant {
    int64_t grant_id; /* rises with time; 0 in a grant not yet stored */
    char vm_uuid[VGPU_VM_UUID_BYTES];
    char vm_name[VGPU_VM_NAME_BYTES]; /* as it was then */
    int32_t gpu_id;
    enum vgpu_priority priority;
    int64_t asked_us;
    int64_t got_us;
    int64_t gave_back_us;
    char reason[32]; /* why it ended: "idle", "revoked", "exit", ... */
};

/* One change of the configuration: one row per field that changed. */
struct vgpu_change {
    int64_t change_id; /* rises with time */
    int64_t at_us;     /* microseconds since 1970 (UTC) */
    int64_t uid;       /* the user's number on the host */
    char user_name[VGPU_USER_BYTES];
    char action[24];  /* "register-vm", "update-vm", "remove-vm", "register-gpu", "assign-gpu", ... */
    char subject[80]; /* "vm abc123", "gpu 0", "pool C" */
    char field[24];   /* "pool", "priority", ...; empty where the whole thing came or went */
    char old_value[VGPU_VM_NAME_BYTES];
    char new_value[VGPU_VM_NAME_BYTES];
};

#ifdef __cplusplus
}
#endif
#endif

/* The connection of a guest's libnvidia-ml.so.1 to vgpud: questions of one size, and answers. It comes in at
 * the same door as those of guest processes, and costs no worker; its first byte tells it from theirs
 * (MONITOR_MAGIC against HANDSHAKE_MAGIC).
 *
 *   guest  → daemon   struct monitor_question
 *   daemon → guest    struct monitor_answer, then process_count times struct monitor_process
 *
 * A guest asks again only after it has been answered, and is answered at most so often. All fields
 * little-endian. */
#ifndef VGPU_WIRE_MONITOR_H
#define VGPU_WIRE_MONITOR_H

#include <stdint.h>

#include "cuda/nvml_facts.h"

#define MONITOR_MAGIC 0x4c4d564eu /* "NVML" */

/* A connection is answered no sooner than this after the answer before. */
#define MONITOR_INTERVAL_MS 20

struct monitor_question {
    uint32_t magic;
    uint32_t layout; /* NVML_FACT_LAYOUT: both sides must be made of the same table */
};

enum monitor_status {
    MONITOR_OK = 0,
    MONITOR_NO_GPU = 1, /* the VM's pool has none that is online; what follows is 0 */
    MONITOR_OTHER_LAYOUT = 2,
    MONITOR_NOT_READABLE = 3, /* the host's NVML does not answer */
};

/* As the VM has it. */
struct monitor_answer {
    uint32_t magic;
    uint32_t status; /* enum monitor_status */
    uint32_t process_count;
    uint32_t utilization_percent; /* of the VM alone, or MONITOR_UNKNOWN */
    uint64_t memory_total_bytes;  /* its quota, or the GPU's */
    uint64_t memory_used_bytes;
    uint64_t memory_free_bytes;
    uint64_t memory_reserved_bytes;
    uint64_t time_us; /* of the answer, since 1970 */
    struct nvml_facts facts;
};

/* One guest process of the VM. */
struct monitor_process {
    uint32_t pid;                 /* in the guest's own numbering */
    uint32_t utilization_percent; /* or MONITOR_UNKNOWN */
    uint64_t memory_bytes;
};

#define MONITOR_UNKNOWN       UINT32_MAX
#define MONITOR_PROCESSES_MAX 1024u

#endif

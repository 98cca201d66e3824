/* What the dashboard shows, apart from how: GPUs with their recent past, VMs with rates, sorted and filtered.
 * No terminal here, and no clock of its own, so that tests can feed it. */
#ifndef VGPU_ADMIN_DASHBOARD_MODEL_H
#define VGPU_ADMIN_DASHBOARD_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vgpu/vgpu.h>

/* The last values of one metric, oldest first. A value the hardware did not give is NAN. */
#define SERIES_LENGTH 120
struct series {
    float values[SERIES_LENGTH];
    size_t count;
};

struct dashboard_gpu {
    struct vgpu_gpu gpu;
    struct series utilization, memory, temperature, power; /* percent, percent of total, °C, W */
    char holder[VGPU_VM_UUID_BYTES];                       /* vm_uuid; empty: free */
    char background[VGPU_VM_UUID_BYTES];                   /* who runs in its gaps; empty: nobody */
    uint64_t held_us;
    struct vgpu_live_waiting *waiting; /* in the model's live data */
    size_t waiting_count;
    bool live; /* the daemon serves it */
};

enum dashboard_vm_state {
    VM_STATE_NONE,
    VM_STATE_IDLE,
    VM_STATE_WAITING,
    VM_STATE_HOLDING,
    VM_STATE_PAUSED,
    VM_STATE_QUARANTINED
};

struct dashboard_vm {
    struct vgpu_vm vm;
    enum dashboard_vm_state state; /* NONE: no guest process */
    uint32_t processes;
    /* Percent of the time since the last update in which it had work on a GPU (or held one, where the daemon
     * does not tell); NAN: not known. */
    double gpu_share;
    double calls_per_second; /* NAN: not known */
    uint64_t memory_bytes;
    struct vgpu_optional wait_p50_us, wait_p99_us;
    uint64_t calls, used_us; /* totals, as the next update needs them */
    bool live;               /* the daemon has seen it */
};

enum dashboard_sort {
    SORT_ID,
    SORT_NAME,
    SORT_POOL,
    SORT_CLASS,
    SORT_SHARE,
    SORT_MEMORY,
    SORT_CALLS,
    SORT_WAIT,
    SORT_COUNT
};

#define FILTER_BYTES 64

struct dashboard_model {
    struct dashboard_gpu *gpus; /* by gpu_id */
    size_t gpu_count;
    struct dashboard_vm *vms; /* by vm_uuid */
    size_t vm_count;
    size_t *rows; /* indices into vms: those that pass the filter, in the order of the sort */
    size_t row_count;
    struct vgpu_live live;
    bool has_live;
    char daemon_note[512]; /* why there is none */
    char driver_note[512]; /* why GPUs' values are unknown */
    char pools[VGPU_POOLS_BYTES];
    uint64_t updated_us; /* 0: never */
    enum dashboard_sort sort;
    bool descending;
    char filter[FILTER_BYTES];
};

void dashboard_model_init(struct dashboard_model *model);
void dashboard_model_fini(struct dashboard_model *model);

/* Takes over what has been read at now_us (any steady clock); live is NULL when there is no daemon, which
 * daemon_note then explains. *live is emptied: the model owns it. VGPU_ERR_MEMORY leaves the model as it was.
 */
enum vgpu_status dashboard_model_update(struct dashboard_model *model, const struct vgpu_snapshot *snapshot,
                                        struct vgpu_live *live, const char *daemon_note, uint64_t now_us,
                                        struct vgpu_error *err);

/* Orders the rows anew; by the column it is sorted by already: the other way round. */
void dashboard_model_sort(struct dashboard_model *model, enum dashboard_sort sort);

/* Shows only VMs whose name, identifier, pool, class or state contains the text, whatever its case; a single
 * letter that is a pool's: the VMs of that pool. "" shows all. */
void dashboard_model_filter(struct dashboard_model *model, const char *text);

/* The VM in a row; NULL beyond the last. */
const struct dashboard_vm *dashboard_model_row(const struct dashboard_model *model, size_t row);

/* The index of a GPU, or gpu_count when there is no such GPU. */
size_t dashboard_model_find_gpu(const struct dashboard_model *model, int32_t gpu_id);

/* The row of a VM, or row_count when it is not shown. */
size_t dashboard_model_find_row(const struct dashboard_model *model, const char *vm_uuid);

/* A VM's name, or its identifier when it is not registered any more. */
const char *dashboard_model_vm_name(const struct dashboard_model *model, const char *vm_uuid);

const char *dashboard_state_name(
    enum dashboard_vm_state state); /* "holding", "waiting", "idle", "paused", "quarant", "-" */

#endif

/* The columns of limits, which vms and pools have alike. NULL: not set. */
#ifndef VGPU_STORE_LIMIT_COLUMNS_H
#define VGPU_STORE_LIMIT_COLUMNS_H

#include "store/database.h"

/* In the order of enum vgpu_limit. A pool has all of them, a VM those in front of VGPU_LIMIT_MODE. */
#define LIMIT_COLUMNS_OF_VM                                                                                  \
    "weight, time_limit_us, calls_per_second, call_burst, bytes_per_second, burst_bytes, queue_depth,"       \
    " memory_limit_bytes, process_limit, fault_limit, fault_window_us"
#define LIMIT_COLUMNS_OF_POOL LIMIT_COLUMNS_OF_VM ", shared_vms, ageing_us"
#define LIMIT_COUNT_OF_VM     VGPU_LIMIT_MODE
#define LIMIT_COUNT_OF_POOL   VGPU_LIMIT_COUNT

/* count columns from first_column on. */
void limits_read(const struct query *query, int first_column, int count, struct vgpu_limits *limits);
/* count parameters from first_parameter on. */
void limits_bind(struct query *query, int first_parameter, int count, const struct vgpu_limits *limits);

/* One row of the history for each that differs. */
enum vgpu_status limits_record(struct store *store, const char *action, const char *subject,
                               const struct vgpu_limits *before, const struct vgpu_limits *after,
                               struct vgpu_error *err);

#endif

/* Looks every few seconds which GPUs are there, so that one that vanishes, or comes back, is noticed. The
 * driver is asked, and the database written when something is different, by a thread of the pool: a driver
 * that hangs holds up nothing else. The configuration watch then sees the change. */
#ifndef VGPU_DAEMON_RESCAN_H
#define VGPU_DAEMON_RESCAN_H

#include "inventory/inventory.h"

#include <stdint.h>
#include <uv.h>

struct rescan;

/* The first look begins at once. */
enum vgpu_status rescan_open(uv_loop_t *loop, const char *database_path,
                             const struct inventory_options *inventory, uint64_t interval_us,
                             struct rescan **rescan, struct vgpu_error *err);

/* NULL is fine. The memory goes when the loop comes round and no look goes on. */
void rescan_close(struct rescan *rescan);

#endif

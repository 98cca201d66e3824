/* Inside of libvgpu: what a handle holds. */
#ifndef VGPU_LIBVGPU_HANDLE_H
#define VGPU_LIBVGPU_HANDLE_H

#include <vgpu/vgpu.h>

#include "base/settings.h"
#include "inventory/inventory.h"
#include "store/store.h"

struct vgpu {
    struct settings *settings;
    struct store *store;
    struct inventory *inventory; /* NULL until the hardware is first asked for */
    bool in_transaction;
    bool changed; /* in this transaction: the daemon is told at its end */
};

/* After a change that was answered with status: tells the daemon, at once or when the transaction ends.
 * Returns status. A daemon that cannot be told finds out by itself within a second. */
enum vgpu_status handle_changed(struct vgpu *handle, enum vgpu_status status);

#endif

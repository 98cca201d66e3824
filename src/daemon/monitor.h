/* Guests' NVML libraries that have come in: each asks, and is told of the GPU of its VM and of the VM's own
 * processes on it (wire/monitor.h). */
#ifndef VGPU_DAEMON_MONITOR_H
#define VGPU_DAEMON_MONITOR_H

#include "daemon/gpu_facts.h"
#include "daemon/host.h"

struct monitor;
LIST_HEAD(monitor_list, monitor);

struct monitors {
    uv_loop_t *loop;
    const struct host *host;
    struct gpu_facts *facts;
    struct monitor_list list;
};

/* Takes fd over: a connection of this VM. */
void monitor_accept(struct monitors *monitors, const char *vm_uuid, int fd);

/* Ends those of the VM; NULL: all. */
void monitors_end(struct monitors *monitors, const char *vm_uuid);

#endif

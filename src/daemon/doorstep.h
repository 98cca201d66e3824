/* Connections that have come in and said nothing yet. The first byte tells whether it is a guest process, for
 * a worker to greet, or a guest's NVML (wire/monitor.h); it stays unread. */
#ifndef VGPU_DAEMON_DOORSTEP_H
#define VGPU_DAEMON_DOORSTEP_H

#include <stdbool.h>
#include <sys/queue.h>
#include <uv.h>
#include <vgpu/types.h>

/* fd: blocking, the callee's to close. */
typedef void (*doorstep_known)(void *context, const char *vm_uuid, int fd, bool is_monitor);

struct visitor;
LIST_HEAD(visitor_list, visitor);

/* Connections that wait at the doors. */
struct doorstep {
    uv_loop_t *loop;
    struct visitor_list list;
    unsigned per_vm_max;
    doorstep_known known;
    void *context;
};

/* Takes fd over, and calls `known` when the first byte is there: at once if it is already. One that has said
 * nothing for ten seconds is closed. False: the VM has too many waiting, or out of memory; fd is still the
 * caller's. */
bool doorstep_add(struct doorstep *doorstep, const char *vm_uuid, int fd);

/* Closes those of the VM; NULL: all. */
void doorstep_clear(struct doorstep *doorstep, const char *vm_uuid);

#endif

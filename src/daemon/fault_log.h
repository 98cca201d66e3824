/* The latest faults of a VM: whether there were too many in too short a time. */
#ifndef VGPU_DAEMON_FAULT_LOG_H
#define VGPU_DAEMON_FAULT_LOG_H

#include <stdbool.h>
#include <stdint.h>

/* Zeroed: empty. */
struct fault_log {
    uint64_t *times_us; /* a ring of `room` */
    uint32_t room;
    uint32_t count;
    uint32_t next;
};

/* A fault at now_us (which never goes back). True: with it there were `limit` within the window, and the log
 * is empty again. limit 0: never. A limit other than before, like a lack of memory, begins anew. */
bool fault_log_add(struct fault_log *log, uint64_t now_us, uint32_t limit, uint64_t window_us);
void fault_log_fini(struct fault_log *log);

#endif

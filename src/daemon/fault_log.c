#include "daemon/fault_log.h"

#include <stdlib.h>

bool fault_log_add(struct fault_log *log, uint64_t now_us, uint32_t limit, uint64_t window_us)
{
    if (limit != log->room) {
        fault_log_fini(log);
        log->times_us = limit == 0 ? NULL : calloc(limit, sizeof *log->times_us);
        log->room = log->times_us == NULL ? 0 : limit;
    }
    if (log->room == 0)
        return false;
    log->times_us[log->next] = now_us;
    log->next = (log->next + 1) % log->room;
    if (log->count < log->room)
        log->count++;
    /* With the ring full, the oldest of the latest `limit` stands where the next one will. */
    if (log->count < log->room || now_us - log->times_us[log->next] >= window_us)
        return false;
    fault_log_fini(log);
    return true;
}

void fault_log_fini(struct fault_log *log)
{
    free(log->times_us);
    *log = (struct fault_log){.room = 0};
}

/* The log of grants: collected in memory as they end, written to the database in batches by a thread of the
 * pool. Adding never blocks and never fails: what does not fit, or cannot be written, is counted, and said
 * once when it begins and once when it is over. */
#ifndef VGPU_DAEMON_GRANT_LOG_H
#define VGPU_DAEMON_GRANT_LOG_H

#include <stddef.h>
#include <uv.h>
#include <vgpu/error.h>
#include <vgpu/types.h>

struct grant_log;

struct grant_log_entry {
    const struct vgpu_vm *vm;
    int32_t gpu_id;
    uint64_t asked_us, got_us, gave_back_us; /* of schedule_now_us() */
    const char *reason;                      /* "idle", "revoked", "exit" */
};

/* keep: how many of the latest the database keeps; 0: none are logged at all. */
enum vgpu_status grant_log_open(uv_loop_t *loop, const char *database_path, size_t keep,
                                struct grant_log **log, struct vgpu_error *err);

void grant_log_add(struct grant_log *log, const struct grant_log_entry *entry);

/* Writes what is left, waiting for the database (a few seconds at most); the memory goes when the loop comes
 * round. Nothing may be added any more. NULL is fine. */
void grant_log_close(struct grant_log *log);

#endif

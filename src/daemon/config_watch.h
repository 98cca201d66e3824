/* Watches the configuration database: a change committed by whatever program is taken over within a quarter
 * of a second, one that is asked for (the admin socket's "reload") at once. Reading is done by a thread of
 * the pool, taking over by the loop. */
#ifndef VGPU_DAEMON_CONFIG_WATCH_H
#define VGPU_DAEMON_CONFIG_WATCH_H

#include <uv.h>
#include <vgpu/error.h>
#include <vgpu/types.h>

struct config_watch;

struct config_watch_options {
    const char *database_path; /* copied where kept */
    /* Takes the configuration over. */
    void (*changed)(void *context, const struct vgpu_snapshot *snapshot);
    /* Every config_watch_request up to this ticket has been answered. */
    void (*answered)(void *context, uint64_t ticket);
    void *context;
};

/* Opens (or makes) the database and reads it once, before it returns. */
enum vgpu_status config_watch_open(uv_loop_t *loop, const struct config_watch_options *options,
                                   struct config_watch **watch, struct vgpu_error *err);

/* Reads the database anew, whether it has changed or not. Returns a ticket that is above all before. */
uint64_t config_watch_request(struct config_watch *watch);

/* NULL is fine. Nothing is called any more; the memory goes when the loop comes round. */
void config_watch_close(struct config_watch *watch);

#endif

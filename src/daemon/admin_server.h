/* The admin socket: answers requests of libvgpu/admin_protocol.h. A client costs bounded memory: one request
 * line in, one answer out, and no further request is read before that is sent. */
#ifndef VGPU_DAEMON_ADMIN_SERVER_H
#define VGPU_DAEMON_ADMIN_SERVER_H

#include <stdint.h>
#include <uv.h>
#include <vgpu/error.h>

struct admin_server;

struct admin_server_options {
    /* op "state": a line from malloc with its '\n', NULL when out of memory. */
    char *(*state)(void *context);
    /* op "limits": likewise. */
    char *(*limits)(void *context);
    /* op "reload": begins it; admin_server_reloaded says when it is done. */
    uint64_t (*reload)(void *context);
    void *context;
};

/* fd: the listening socket; path: its file, unlinked at the end, or NULL. Takes fd over, on error too. */
enum vgpu_status admin_server_open(uv_loop_t *loop, int fd, const char *path,
                                   const struct admin_server_options *options, struct admin_server **server,
                                   struct vgpu_error *err);

/* Every reload up to this ticket is done. */
void admin_server_reloaded(struct admin_server *server, uint64_t ticket);

/* NULL is fine. The memory goes when the loop comes round. */
void admin_server_close(struct admin_server *server);

#endif

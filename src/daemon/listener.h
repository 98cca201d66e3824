/* A listening socket in the event loop: hands each connection it accepts to its owner. */
#ifndef VGPU_DAEMON_LISTENER_H
#define VGPU_DAEMON_LISTENER_H

#include <stdbool.h>
#include <uv.h>
#include <vgpu/error.h>

struct listener;

/* fd: a blocking connection that closes on exec; the callee's to close. */
typedef void (*listener_accepted)(void *context, struct listener *listener, int fd);

struct listener_options {
    listener_accepted accepted;
    void *context;
    const char *name; /* for log lines; for a socket file its path. Copied */
    bool remove_file; /* name is a socket file of ours: unlink it at the end */
    bool is_of_one;   /* one VM alone comes in here: what comes faster than it may waits in the kernel */
};

/* Takes fd over, on error too. */
enum vgpu_status listener_open(uv_loop_t *loop, int fd, const struct listener_options *options,
                               struct listener **listener, struct vgpu_error *err);

/* No more connections from here on; the memory goes when the loop comes round. NULL is fine. */
void listener_close(struct listener *listener);

#endif

#include "daemon/listener.h"

#include "base/error.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Connections taken in one go, so that a flood at one socket leaves the others their turn. */
#define ACCEPT_BATCH 16

/* Without a descriptor or memory for it a connection cannot be taken and stays ready: look again after this.
 */
#define PAUSE_MS 100

/* Connections of one VM taken in PAUSE_MS; a storm of more costs the daemon no more time than they do. */
#define ACCEPTS_PER_PAUSE 32

struct listener {
    uv_poll_t poll;
    uv_timer_t pause;
    unsigned open_handles;
    int fd;
    uint64_t counted_ms; /* since when `taken` counts */
    unsigned taken;
    bool complained; /* about the shortage that lasts */
    struct listener_options options;
    char *name;
};

static void poll_ready(uv_poll_t *poll, int status, int events);

static void handle_closed(uv_handle_t *handle)
{
    struct listener *listener = handle->data;
    if (--listener->open_handles > 0)
        return;
    close(listener->fd);
    free(listener->name);
    free(listener);
}

static void pause_over(uv_timer_t *timer)
{
    struct listener *listener = timer->data;
    uv_poll_start(&listener->poll, UV_READABLE, poll_ready);
}

static void pause_accepting(struct listener *listener)
{
    uv_poll_stop(&listener->poll);
    uv_timer_start(&listener->pause, pause_over, PAUSE_MS, 0);
}

static void accept_failed(struct listener *listener, int error)
{
    if (error == EAGAIN || error == EINTR || error == ECONNABORTED)
        return;
    if (!listener->complained)
        log_warning("%s: cannot accept a connection now: %s", listener->name, strerror(error));
    listener->complained = true;
    pause_accepting(listener);
}

/* Whether it has taken as many as it may for now. */
static bool count_accepted(struct listener *listener)
{
    uint64_t now_ms = uv_now(listener->poll.loop);
    if (now_ms - listener->counted_ms >= PAUSE_MS) {
        listener->counted_ms = now_ms;
        listener->taken = 0;
    }
    return ++listener->taken >= ACCEPTS_PER_PAUSE && listener->options.is_of_one;
}

static void poll_ready(uv_poll_t *poll, int status, int events)
{
    struct listener *listener = poll->data;
    for (int taken = 0; taken < ACCEPT_BATCH && !uv_is_closing((uv_handle_t *)poll); taken++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            accept_failed(listener, errno);
            return;
        }
        listener->complained = false;
        bool enough = count_accepted(listener);
        listener->options.accepted(listener->options.context, listener, fd);
        if (enough && !uv_is_closing((uv_handle_t *)poll)) {
            pause_accepting(listener);
            return;
        }
    }
}

enum vgpu_status listener_open(uv_loop_t *loop, int fd, const struct listener_options *options,
                               struct listener **listener, struct vgpu_error *err)
{
    struct listener *made = calloc(1, sizeof *made);
    char *name = strdup(options->name);
    if (!made || !name || uv_poll_init(loop, &made->poll, fd) != 0) {
        free(made);
        free(name);
        close(fd);
        return error_set(err, VGPU_ERR_MEMORY, "%s: out of memory", options->name);
    }
    made->fd = fd;
    made->options = *options;
    made->options.name = name;
    made->name = name;
    made->open_handles = 2;
    made->poll.data = made;
    made->pause.data = made;
    uv_timer_init(loop, &made->pause);
    uv_poll_start(&made->poll, UV_READABLE, poll_ready);
    *listener = made;
    return VGPU_OK;
}

void listener_close(struct listener *listener)
{
    if (!listener)
        return;
    if (listener->options.remove_file)
        unlink(listener->name);
    uv_close((uv_handle_t *)&listener->poll, handle_closed);
    uv_close((uv_handle_t *)&listener->pause, handle_closed);
}

#include "daemon/refusal.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINGER_MS 1000

/* Connections that linger at a time; beyond that the oldest answer must do without. */
#define LINGERING_MAX 64

struct refusal {
    uv_poll_t poll;
    uv_timer_t limit;
    unsigned open_handles;
    int fd;
};

static unsigned lingering; /* the event loop's thread only */

static void handle_closed(uv_handle_t *handle)
{
    struct refusal *refusal = handle->data;
    if (--refusal->open_handles > 0)
        return;
    close(refusal->fd);
    free(refusal);
    lingering--;
}

static void refusal_end(struct refusal *refusal)
{
    if (uv_is_closing((uv_handle_t *)&refusal->poll))
        return;
    uv_close((uv_handle_t *)&refusal->poll, handle_closed);
    uv_close((uv_handle_t *)&refusal->limit, handle_closed);
}

static void guest_hung_up(uv_poll_t *poll, int status, int events)
{
    refusal_end(poll->data);
}

static void limit_reached(uv_timer_t *timer)
{
    refusal_end(timer->data);
}

static void linger(uv_loop_t *loop, int fd)
{
    struct refusal *refusal = lingering < LINGERING_MAX ? calloc(1, sizeof *refusal) : NULL;
    if (!refusal || uv_poll_init(loop, &refusal->poll, fd) != 0) {
        free(refusal);
        close(fd);
        return;
    }
    lingering++;
    refusal->fd = fd;
    refusal->open_handles = 2;
    refusal->poll.data = refusal;
    refusal->limit.data = refusal;
    uv_timer_init(loop, &refusal->limit);
    uv_poll_start(&refusal->poll, UV_DISCONNECT, guest_hung_up);
    uv_timer_start(&refusal->limit, limit_reached, LINGER_MS, 0);
}

void refusal_send(uv_loop_t *loop, int fd, enum handshake_status status, const char *text)
{
    struct server_welcome welcome = {
        .magic = htole32(HANDSHAKE_MAGIC),
        .version = htole32(HANDSHAKE_VERSION),
        .status = htole32(status),
    };
    snprintf(welcome.text, sizeof welcome.text, "%s", text);
    ssize_t sent = send(fd, &welcome, sizeof welcome, MSG_DONTWAIT | MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
    if (sent == (ssize_t)sizeof welcome)
        linger(loop, fd);
    else
        close(fd);
}

#include "libvgpu/admin_client.h"

#include "base/clock.h"
#include "base/error.h"
#include "libvgpu/admin_protocol.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <vgpu/vgpu.h>

/* A daemon on a busy machine is not one that hangs: what is changed counts when this returns. */
#define RELOAD_TIMEOUT_MS 5000
#define READ_CHUNK_BYTES  16384

struct connection {
    int fd;
    const char *path;
    int timeout_ms;
    uint64_t deadline_ns; /* CLOCK_MONOTONIC */
};

/* ---- The socket ---- */

static enum vgpu_status fail_connect(const char *path, struct vgpu_error *err)
{
    if (errno == EACCES || errno == EPERM)
        return error_set(err, VGPU_ERR_PERMISSION,
                         "this user may not ask the daemon at %s: run as root or as a user who may open it",
                         path);
    if (errno == ENOENT || errno == ECONNREFUSED || errno == ENOTDIR)
        return error_set(err, VGPU_ERR_UNAVAILABLE,
                         "no daemon is running (nobody answers at %s): start vgpud", path);
    return error_set_errno(err, VGPU_ERR_UNAVAILABLE, "cannot reach the daemon at %s", path);
}

static enum vgpu_status connect_to(struct connection *connection, struct vgpu_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(connection->path) >= sizeof address.sun_path)
        return error_set(err, VGPU_ERR_USAGE,
                         "the socket's path %s is longer than %zu bytes: choose a shorter run directory",
                         connection->path, sizeof address.sun_path - 1);
    memcpy(address.sun_path, connection->path, strlen(connection->path) + 1);
    /* Not blocking: a daemon that hangs must not take the caller with it. */
    connection->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (connection->fd < 0)
        return error_set_errno(err, VGPU_ERR_IO, "cannot make a socket");
    if (connect(connection->fd, (const struct sockaddr *)&address, sizeof address) != 0)
        return fail_connect(connection->path, err);
    return VGPU_OK;
}

/* Until the socket is ready, or the time is over. */
static enum vgpu_status wait_until_ready(const struct connection *connection, short events,
                                         struct vgpu_error *err)
{
    for (;;) {
        uint64_t now_ns = clock_monotonic_ns();
        if (now_ns >= connection->deadline_ns)
            return error_set(err, VGPU_ERR_UNAVAILABLE,
                             "the daemon at %s does not answer within %d ms: see its log, or restart it",
                             connection->path, connection->timeout_ms);
        struct pollfd wait = {.fd = connection->fd, .events = events};
        int ready = poll(&wait, 1, (int)((connection->deadline_ns - now_ns) / 1000000u) + 1);
        if (ready > 0)
            return VGPU_OK;
        if (ready < 0 && errno != EINTR)
            return error_set_errno(err, VGPU_ERR_IO, "cannot wait for the daemon at %s", connection->path);
    }
}

static bool is_retry(void)
{
    return errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK;
}

static enum vgpu_status fail_hung_up(const struct connection *connection, struct vgpu_error *err)
{
    return error_set(err, VGPU_ERR_UNAVAILABLE,
                     "the daemon at %s hung up without an answer: see its log, or start it again",
                     connection->path);
}

static enum vgpu_status send_all(const struct connection *connection, const char *text, size_t length,
                                 struct vgpu_error *err)
{
    while (length > 0) {
        ssize_t sent = send(connection->fd, text, length, MSG_NOSIGNAL);
        if (sent < 0 && !is_retry())
            return fail_hung_up(connection, err);
        if (sent > 0) {
            text += sent;
            length -= (size_t)sent;
            continue;
        }
        enum vgpu_status status = wait_until_ready(connection, POLLOUT, err);
        if (status != VGPU_OK)
            return status;
    }
    return VGPU_OK;
}

/* One line, without its end. *line is from malloc. */
static enum vgpu_status receive_line(const struct connection *connection, char **line, struct vgpu_error *err)
{
    char *text = NULL;
    size_t length = 0;
    enum vgpu_status status = VGPU_OK;
    for (;;) {
        status = wait_until_ready(connection, POLLIN, err);
        if (status != VGPU_OK)
            break;
        char *larger = length > ADMIN_ANSWER_MAX_BYTES ? NULL : realloc(text, length + READ_CHUNK_BYTES);
        if (larger == NULL) {
            status = error_set(err, VGPU_ERR_MEMORY, "the daemon's answer does not fit into memory");
            break;
        }
        text = larger;
        ssize_t got = recv(connection->fd, text + length, READ_CHUNK_BYTES, 0);
        if (got == 0 || (got < 0 && !is_retry())) {
            status = fail_hung_up(connection, err);
            break;
        }
        char *end = got > 0 ? memchr(text + length, '\n', (size_t)got) : NULL;
        length += got > 0 ? (size_t)got : 0;
        if (end != NULL) {
            *end = '\0';
            *line = text;
            return VGPU_OK;
        }
    }
    free(text);
    return status;
}

/* ---- Question and answer ---- */

static enum vgpu_status status_of_name(const char *name)
{
    for (int status = VGPU_ERR_USAGE; status <= VGPU_ERR_AMBIGUOUS; status++)
        if (strcmp(vgpu_status_name((enum vgpu_status)status), name) == 0)
            return (enum vgpu_status)status;
    return VGPU_ERR_UNAVAILABLE;
}

static enum vgpu_status read_answer(const char *line, json_t **answer, struct vgpu_error *err)
{
    json_error_t where;
    json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, &where);
    const json_t *ok = json_object_get(object, "ok");
    if (json_is_true(ok)) {
        *answer = object;
        return VGPU_OK;
    }
    enum vgpu_status status;
    if (json_is_false(ok)) {
        const char *word = json_string_value(json_object_get(object, "status"));
        const char *message = json_string_value(json_object_get(object, "message"));
        status = error_set(err, status_of_name(word == NULL ? "" : word), "the daemon refuses: %s",
                           message == NULL ? "it does not say why" : message);
    } else {
        status = error_set(err, VGPU_ERR_CORRUPT,
                           "the daemon's answer makes no sense (is it of the same version?): restart vgpud");
    }
    json_decref(object);
    return status;
}

static enum vgpu_status converse(struct connection *connection, const char *op, json_t **answer,
                                 struct vgpu_error *err)
{
    char request[64];
    char *line = NULL;
    int length = snprintf(request, sizeof request, "{\"op\": \"%s\"}\n", op);
    enum vgpu_status status = connect_to(connection, err);
    if (status == VGPU_OK)
        status = send_all(connection, request, (size_t)length, err);
    if (status == VGPU_OK)
        status = receive_line(connection, &line, err);
    if (status == VGPU_OK)
        status = read_answer(line, answer, err);
    free(line);
    return status;
}

enum vgpu_status admin_client_ask(const char *run_dir, const char *op, int timeout_ms, json_t **answer,
                                  struct vgpu_error *err)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", run_dir, ADMIN_SOCKET_NAME) < 0)
        return error_set(err, VGPU_ERR_MEMORY, "out of memory");
    struct connection connection = {
        .fd = -1,
        .path = path,
        .timeout_ms = timeout_ms,
        .deadline_ns = clock_monotonic_ns() + (uint64_t)timeout_ms * 1000000u,
    };
    enum vgpu_status status = converse(&connection, op, answer, err);
    if (connection.fd >= 0)
        close(connection.fd);
    free(path);
    return status;
}

void admin_client_reload(const char *run_dir)
{
    json_t *answer = NULL;
    if (admin_client_ask(run_dir, ADMIN_OP_RELOAD, RELOAD_TIMEOUT_MS, &answer, NULL) == VGPU_OK)
        json_decref(answer);
}

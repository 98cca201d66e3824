#include "daemon/admin_server.h"

#include "base/error.h"
#include "base/log.h"
#include "daemon/listener.h"
#include "libvgpu/admin_protocol.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#define CLIENTS_MAX 64

/* A client that has not taken its answer after this is cut off. */
#define SEND_TIMEOUT_MS 10000

struct admin_client {
    LIST_ENTRY(admin_client) in_server;
    struct admin_server *server;
    uv_pipe_t pipe;
    uv_timer_t timer; /* runs while an answer is being sent */
    uv_write_t write;
    unsigned open_handles;
    bool ended;
    bool last_answer;       /* what it says makes no sense any more */
    char *answer;           /* being sent; NULL: none is */
    uint64_t reload_ticket; /* waited for; 0: none is */
    size_t used;
    char request[ADMIN_REQUEST_MAX_BYTES + 1];
};
LIST_HEAD(admin_client_list, admin_client);

struct admin_server {
    struct admin_server_options options;
    uv_loop_t *loop;
    struct listener *listener;
    struct admin_client_list clients;
    unsigned client_count;
    bool closing;
};

static void requests_answer(struct admin_client *client);
static void read_space(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer);
static void read_done(uv_stream_t *stream, ssize_t got, const uv_buf_t *buffer);

/* ---- Ends ---- */

static void server_free_if_done(struct admin_server *server)
{
    if (server->closing && !server->client_count)
        free(server);
}

static void client_handle_closed(uv_handle_t *handle)
{
    struct admin_client *client = handle->data;
    struct admin_server *server = client->server;
    if (--client->open_handles > 0)
        return;
    free(client->answer);
    free(client);
    server->client_count--;
    server_free_if_done(server);
}

static void client_end(struct admin_client *client)
{
    if (client->ended)
        return;
    client->ended = true;
    LIST_REMOVE(client, in_server);
    uv_close((uv_handle_t *)&client->pipe, client_handle_closed);
    uv_close((uv_handle_t *)&client->timer, client_handle_closed);
}

/* ---- Answers ---- */

static void answer_timed_out(uv_timer_t *timer)
{
    client_end(timer->data);
}

static void answer_sent(uv_write_t *write, int status)
{
    struct admin_client *client = write->data;
    uv_timer_stop(&client->timer);
    free(client->answer);
    client->answer = NULL;
    if (status < 0 || client->last_answer)
        client_end(client);
    else
        requests_answer(client);
}

/* Takes answer, a line from malloc, over; NULL (out of memory) ends the client. */
static void answer_send(struct admin_client *client, char *answer)
{
    if (client->ended) {
        free(answer);
        return;
    }
    client->answer = answer;
    uv_buf_t buffer = {.base = answer, .len = answer ? strlen(answer) : 0};
    client->write.data = client;
    if (!answer || uv_write(&client->write, (uv_stream_t *)&client->pipe, &buffer, 1, answer_sent) < 0) {
        client_end(client);
        return;
    }
    uv_timer_start(&client->timer, answer_timed_out, SEND_TIMEOUT_MS, 0);
}

static char *error_line(const char *status, const char *message)
{
    json_t *object = json_pack("{s:b, s:s, s:s}", "ok", 0, "status", status, "message", message);
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    char *line = NULL;
    if (text && asprintf(&line, "%s\n", text) < 0)
        line = NULL;
    free(text);
    json_decref(object);
    return line;
}

static void request_answer(struct admin_client *client, const char *line, size_t bytes)
{
    struct admin_server *server = client->server;
    json_t *request = json_loadb(line, bytes, JSON_REJECT_DUPLICATES, NULL);
    const char *op = json_string_value(json_object_get(request, "op"));
    if (!op) {
        answer_send(client, error_line("usage", "the request is no JSON object with an \"op\""));
    } else if (strcmp(op, ADMIN_OP_STATE) == 0) {
        answer_send(client, server->options.state(server->options.context));
    } else if (strcmp(op, ADMIN_OP_LIMITS) == 0) {
        answer_send(client, server->options.limits(server->options.context));
    } else if (strcmp(op, ADMIN_OP_RELOAD) == 0) {
        client->reload_ticket = server->options.reload(server->options.context);
    } else {
        answer_send(client,
                    error_line("usage", "the daemon does not know this \"op\"; it is older or newer"));
    }
    json_decref(request);
}

/* As many requests as are there whole, one at a time. While an answer is under way nothing is read. */
static void requests_answer(struct admin_client *client)
{
    while (!client->ended && !client->answer && !client->reload_ticket) {
        char *end = memchr(client->request, '\n', client->used);
        if (!end) {
            if (client->used > ADMIN_REQUEST_MAX_BYTES) {
                client->last_answer = true;
                answer_send(client, error_line("usage", "the request is too long"));
            }
            if (!client->answer)
                uv_read_start((uv_stream_t *)&client->pipe, read_space, read_done);
            return;
        }
        /* Taken out first: the answer may come before request_answer returns. */
        char line[ADMIN_REQUEST_MAX_BYTES + 1];
        size_t bytes = (size_t)(end - client->request);
        memcpy(line, client->request, bytes);
        client->used -= bytes + 1;
        memmove(client->request, end + 1, client->used);
        request_answer(client, line, bytes);
    }
    if (!client->ended)
        uv_read_stop((uv_stream_t *)&client->pipe);
}

void admin_server_reloaded(struct admin_server *server, uint64_t ticket)
{
    struct admin_client *client;
    struct admin_client *next;
    for (client = LIST_FIRST(&server->clients); client; client = next) {
        next = LIST_NEXT(client, in_server);
        if (!client->reload_ticket || client->reload_ticket > ticket)
            continue;
        client->reload_ticket = 0;
        answer_send(client, strdup("{\"ok\": true}\n"));
    }
}

/* ---- Clients ---- */

static void read_space(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct admin_client *client = handle->data;
    buffer->base = client->request + client->used;
    buffer->len = sizeof client->request - client->used;
}

static void read_done(uv_stream_t *stream, ssize_t got, const uv_buf_t *buffer)
{
    struct admin_client *client = stream->data;
    if (got < 0) {
        client_end(client);
        return;
    }
    client->used += (size_t)got;
    requests_answer(client);
}

static void accepted(void *context, struct listener *listener, int fd)
{
    struct admin_server *server = context;
    struct admin_client *client = server->client_count < CLIENTS_MAX ? calloc(1, sizeof *client) : NULL;
    if (!client) {
        log_warning("the admin socket has %u clients; refusing another", server->client_count);
        close(fd);
        return;
    }
    client->server = server;
    client->open_handles = 2;
    uv_pipe_init(server->loop, &client->pipe, 0);
    uv_timer_init(server->loop, &client->timer);
    client->pipe.data = client;
    client->timer.data = client;
    server->client_count++;
    LIST_INSERT_HEAD(&server->clients, client, in_server);
    if (uv_pipe_open(&client->pipe, fd) < 0) {
        close(fd);
        client_end(client);
        return;
    }
    requests_answer(client);
}

enum vgpu_status admin_server_open(uv_loop_t *loop, int fd, const char *path,
                                   const struct admin_server_options *options, struct admin_server **server,
                                   struct vgpu_error *err)
{
    struct admin_server *made = calloc(1, sizeof *made);
    if (!made) {
        close(fd);
        return error_set(err, VGPU_ERR_MEMORY, "out of memory");
    }
    made->loop = loop;
    made->options = *options;
    LIST_INIT(&made->clients);
    const struct listener_options listening = {.accepted = accepted,
                                               .context = made,
                                               .name = path ? path : "admin socket",
                                               .remove_file = path != NULL};
    enum vgpu_status status = listener_open(loop, fd, &listening, &made->listener, err);
    if (status != VGPU_OK)
        free(made);
    else
        *server = made;
    return status;
}

void admin_server_close(struct admin_server *server)
{
    if (!server)
        return;
    server->closing = true;
    listener_close(server->listener);
    struct admin_client *client;
    while ((client = LIST_FIRST(&server->clients)))
        client_end(client);
    server_free_if_done(server);
}

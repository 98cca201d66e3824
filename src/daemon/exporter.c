#include "daemon/exporter.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "daemon/exposition.h"
#include "daemon/socket.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <microhttpd.h>

#define CONNECTIONS_MAX      32u
#define CONNECTION_TIMEOUT_S 10u

/* A text younger than this is given again. */
#define KEEP_NS UINT64_C(250000000)

/* So long the loop is waited for. */
#define PATIENCE_S 2

static const char content_type[] = "text/plain; version=0.0.4; charset=utf-8";

struct exporter {
    struct exporter_options options;
    uv_async_t async; /* "collect": to the loop */
    struct MHD_Daemon *server;

    /* Of the server's thread alone. */
    char *text;
    size_t text_bytes;
    uint64_t text_ns; /* when it was written */

    /* Of both, under the lock. */
    pthread_mutex_t lock;
    pthread_cond_t answered;
    struct exposition *collected; /* for the server's thread to take */
    uint64_t asked, answers;
    bool closing;
};

/* ---- The loop's side ---- */

static void collect(uv_async_t *async)
{
    struct exporter *exporter = async->data;
    struct exposition *collected = exporter->options.collect(exporter->options.context);
    pthread_mutex_lock(&exporter->lock);
    exposition_destroy(exporter->collected);
    exporter->collected = collected;
    exporter->answers = exporter->asked;
    pthread_cond_signal(&exporter->answered);
    pthread_mutex_unlock(&exporter->lock);
}

/* ---- The server's side ---- */

/* NULL: the loop does not answer. */
static struct exposition *ask_loop(struct exporter *exporter)
{
    struct timespec limit;
    clock_gettime(CLOCK_MONOTONIC, &limit);
    limit.tv_sec += PATIENCE_S;
    pthread_mutex_lock(&exporter->lock);
    uint64_t wanted = ++exporter->asked;
    uv_async_send(&exporter->async);
    int result = 0;
    while (exporter->answers < wanted && !exporter->closing && result == 0)
        result = pthread_cond_timedwait(&exporter->answered, &exporter->lock, &limit);
    struct exposition *collected = exporter->collected;
    exporter->collected = NULL;
    pthread_mutex_unlock(&exporter->lock);
    return collected;
}

/* False: there is nothing to give. */
static bool renew_text(struct exporter *exporter)
{
    uint64_t now_ns = clock_monotonic_ns();
    if (exporter->text && now_ns - exporter->text_ns < KEEP_NS)
        return true;
    struct exposition *collected = ask_loop(exporter);
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = collected ? open_memstream(&text, &bytes) : NULL;
    if (out)
        exposition_print(out, collected);
    exposition_destroy(collected);
    if (!out || fclose(out) != 0) {
        free(text);
        return false;
    }
    free(exporter->text);
    exporter->text = text;
    exporter->text_bytes = bytes;
    exporter->text_ns = now_ns;
    return true;
}

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *type,
                              const char *body, size_t bytes)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(bytes, (void *)body, MHD_RESPMEM_MUST_COPY);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, "Content-Type", type);
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, "Allow", "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer_line(struct MHD_Connection *connection, unsigned status, const char *line)
{
    return answer(connection, status, "text/plain; charset=utf-8", line, strlen(line));
}

static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_bytes, void **request)
{
    struct exporter *exporter = context;
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return answer_line(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "vgpud: only GET is answered here\n");
    if (strcmp(url, "/") == 0)
        return answer_line(connection, MHD_HTTP_OK, "vgpud: its metrics are at /metrics\n");
    if (strcmp(url, "/metrics") != 0)
        return answer_line(connection, MHD_HTTP_NOT_FOUND, "vgpud: there is /metrics and nothing else\n");
    if (!renew_text(exporter))
        return answer_line(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
                           "vgpud: busy, or without memory; try again\n");
    return answer(connection, MHD_HTTP_OK, content_type, exporter->text, exporter->text_bytes);
}

/* ---- Opening and closing ---- */

static void async_closed(uv_handle_t *handle)
{
    struct exporter *exporter = handle->data;
    exposition_destroy(exporter->collected);
    pthread_cond_destroy(&exporter->answered);
    pthread_mutex_destroy(&exporter->lock);
    free(exporter->text);
    free(exporter);
}

static struct exporter *exporter_create(uv_loop_t *loop, const struct exporter_options *options)
{
    struct exporter *made = calloc(1, sizeof *made);
    pthread_condattr_t monotonic;
    if (!made)
        return NULL;
    made->options = *options;
    made->options.address = NULL;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->answered, &monotonic);
    pthread_condattr_destroy(&monotonic);
    made->async.data = made;
    uv_async_init(loop, &made->async, collect);
    return made;
}

enum vgpu_status exporter_open(uv_loop_t *loop, const struct exporter_options *options,
                               struct exporter **exporter, struct vgpu_error *err)
{
    int fd;
    enum vgpu_status status = socket_listen_tcp("metrics_address", options->address, &fd, err);
    if (status != VGPU_OK)
        return status;
    struct exporter *made = exporter_create(loop, options);
    if (!made) {
        close(fd);
        return error_set(err, VGPU_ERR_MEMORY, "out of memory");
    }
    made->server =
        MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, handle, made,
                         MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
                         MHD_OPTION_CONNECTION_TIMEOUT, CONNECTION_TIMEOUT_S, MHD_OPTION_END);
    if (!made->server) {
        close(fd);
        exporter_close(made);
        return error_set(err, VGPU_ERR_IO, "metrics_address: %s: the HTTP server does not start",
                         options->address);
    }
    log_info("metrics at http://%s/metrics", options->address);
    *exporter = made;
    return VGPU_OK;
}

void exporter_close(struct exporter *exporter)
{
    if (!exporter)
        return;
    pthread_mutex_lock(&exporter->lock);
    exporter->closing = true;
    pthread_cond_signal(&exporter->answered);
    pthread_mutex_unlock(&exporter->lock);
    if (exporter->server)
        MHD_stop_daemon(exporter->server); /* its thread is gone then */
    uv_close((uv_handle_t *)&exporter->async, async_closed);
}

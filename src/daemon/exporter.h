/* Metrics over HTTP, for Prometheus: GET /metrics. A thread of libmicrohttpd's speaks with whoever asks; the
 * event loop only copies numbers, four times a second at most, however many ask and however slowly they read.
 */
#ifndef VGPU_DAEMON_EXPORTER_H
#define VGPU_DAEMON_EXPORTER_H

#include <uv.h>
#include <vgpu/error.h>

struct exporter;
struct exposition;

struct exporter_options {
    const char *address; /* "127.0.0.1:9877" */
    /* Called by the loop. The caller's to destroy; NULL: not now. */
    struct exposition *(*collect)(void *context);
    void *context;
};

/* VGPU_ERR_USAGE, VGPU_ERR_IO: the address cannot be listened on. */
enum vgpu_status exporter_open(uv_loop_t *loop, const struct exporter_options *options,
                               struct exporter **exporter, struct vgpu_error *err);
/* NULL is fine. The memory goes when the loop comes round. */
void exporter_close(struct exporter *exporter);

#endif

/* The client's end of the admin socket; see admin_protocol.h for what is said. */
#ifndef VGPU_LIBVGPU_ADMIN_CLIENT_H
#define VGPU_LIBVGPU_ADMIN_CLIENT_H

#include <jansson.h>
#include <vgpu/error.h>

/* Asks the daemon one thing and waits for its answer, at most timeout_ms in all. *answer (the caller's, to be
 * given back with json_decref) is the object that says "ok": true; a refusal comes back as its status and
 * message. VGPU_ERR_UNAVAILABLE: no daemon, or none that answers. VGPU_ERR_CORRUPT: an answer that is none.
 */
enum vgpu_status admin_client_ask(const char *run_dir, const char *op, int timeout_ms, json_t **answer,
                                  struct vgpu_error *err);

/* Tells a daemon, if there is one, to read the configuration now, and waits a moment until it has. */
void admin_client_reload(const char *run_dir);

#endif

/* Telling a guest process why it cannot be served: a welcome that refuses (wire/handshake.h), then the end.
 */
#ifndef VGPU_DAEMON_REFUSAL_H
#define VGPU_DAEMON_REFUSAL_H

#include "wire/handshake.h"

#include <uv.h>

/* Takes fd over. Never blocks: the answer fits into the empty send buffer of a fresh connection. The
 * connection stays open until the guest has hung up, a second at most, because closing it while the
 * guest's hello lies unread would make the kernel throw the answer away. */
void refusal_send(uv_loop_t *loop, int fd, enum handshake_status status, const char *text);

#endif

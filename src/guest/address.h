/* Where the server is. */
#ifndef VGPU_GUEST_ADDRESS_H
#define VGPU_GUEST_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

/* Connects to VGPU_SERVER, or to the usual places when it is not set: /run/vgpu/guest.sock (a container's own
 * socket, mounted there), then vsock port 4756 of the host. Returns a descriptor with close-on-exec, or -1
 * with one line in why. *can_share: descriptors can be passed over it (AF_UNIX, unless
 * VGPU_TRANSPORT=stream). */
int address_connect(bool *can_share, char *why, size_t why_bytes);

/* VGPU_TRANSPORT=stream: memory is not to be shared, whatever the way. */
bool address_wants_stream(void);

#endif

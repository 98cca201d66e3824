/* The first message each way on a guest's connection (a stream socket: AF_UNIX, AF_VSOCK or TCP).
 *
 *   guest  → worker   struct guest_hello; with HANDSHAKE_WINDOW, the key of the window that it sees
 *                     (wire/window.h) behind it
 *   worker → guest    struct server_welcome   (status HANDSHAKE_OK, or a refusal in text)
 *
 * The daemon reads nothing from a guest process, and looks at its first byte alone (wire/monitor.h). When it
 * has no worker to give (no GPU in the pool, ...) it writes a welcome that refuses and closes. All fields
 * little-endian; sizes are fixed for good: a newer version says so in `version` and is refused in words both
 * sides understand. */
#ifndef VGPU_WIRE_HANDSHAKE_H
#define VGPU_WIRE_HANDSHAKE_H

#include <stdint.h>

#define HANDSHAKE_MAGIC   0x55504756u /* "VGPU" */
#define HANDSHAKE_VERSION 3u

enum handshake_status {
    HANDSHAKE_OK = 0,
    HANDSHAKE_NO_GPU = 1,    /* the VM's pool has no GPU online */
    HANDSHAKE_NO_VM = 2,     /* not registered any more */
    HANDSHAKE_NO_DRIVER = 3, /* the host's driver could not be started */
    HANDSHAKE_VERSION_MISMATCH = 4,
    HANDSHAKE_BUSY = 5,        /* the host cannot take another guest process now */
    HANDSHAKE_QUARANTINED = 7, /* the administrator, or too many faults, keep the VM out */
    HANDSHAKE_RETRY = 6,       /* the address range proposed is taken in the worker: propose another */
};

enum handshake_flags {
    HANDSHAKE_SHARED_MEMORY = 1, /* hello: can map descriptors; welcome: the lanes are shared memory */
    HANDSHAKE_WINDOW = 2, /* hello: sees a window; welcome, with the other: what is shared lies there */
};

struct guest_hello {
    uint32_t magic;
    uint32_t version;
    uint32_t flags;
    uint32_t pid;        /* in the guest's own numbering; for logs only */
    uint64_t arena_base; /* address range the guest has reserved for memory at one address in both */
    uint64_t arena_bytes;
    char program[32]; /* for logs only: anything may stand here */
};

struct server_welcome {
    uint32_t magic;
    uint32_t version;
    uint32_t status; /* enum handshake_status */
    uint32_t flags;
    char text[240]; /* when refused: one line for the guest's user, NUL-terminated */
};

#endif

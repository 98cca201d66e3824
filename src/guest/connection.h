/* The one connection of this process to its worker. */
#ifndef VGPU_GUEST_CONNECTION_H
#define VGPU_GUEST_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "cuda/cuda_types.h"
#include "wire/frame.h"

/* Connects to the server that VGPU_SERVER names (unix:PATH, vsock:CID:PORT, tcp:HOST:PORT) or, with none set,
 * to the usual places, and greets. Any thread, any number of times: connects once; after a failure the next
 * call tries again. On failure says why on stderr, once per process, and returns the error that a CUDA
 * program understands. */
CUresult connection_open(void);

/* CUDA_SUCCESS while calls can be made; CUDA_ERROR_NOT_INITIALIZED before connection_open() and in a forked
 * child, CUDA_ERROR_DEVICE_UNAVAILABLE once the worker is gone. */
CUresult connection_state(void);

/* Memory is shared with the worker, by descriptors or in a window (guest/window.h); otherwise everything goes
 * through the socket. */
bool connection_shares_memory(void);

/* Looks whether the worker is still there, for a thread that has waited a while. Returns connection_state().
 */
CUresult connection_check(void);

/* The connection was found broken, or the worker has said that it ends: `why` is its word, or NULL. Says why
 * on stderr, once. */
void connection_lost(const char *why);
/* Likewise, with what calls return from now on (the worker's word on that goes before). */
void connection_lost_with(CUresult result, const char *why);

/* One at a time: an exchange of frames that brings a descriptor (shared memory without a window only).
 * Between these two, the socket's reading side is the caller's. */
void connection_lock(void);
void connection_unlock(void);

/* Sends one frame; any thread. 0, or -1 when the connection is lost. */
int connection_send(const struct frame_header *header, const void *body, size_t body_bytes);

/* Under connection_lock(): the next frame, which must be of this type, with its descriptor. 0 or -1. */
int connection_receive_descriptor(uint32_t type, struct frame_header *header, int *fd);

/* Without shared memory, or in a window: the reading side of the socket, for one thread at a time
 * (guest/reader.c). */
int connection_read(void *buffer, size_t bytes);

/* The next free lane number. */
uint32_t connection_lane_number(void);

#endif

/* The guest's connection: the handshake, lanes coming and going, and, over a stream, calls and answers. */
#ifndef VGPU_WORKER_CONNECTION_H
#define VGPU_WORKER_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "cuda/cuda_types.h"

struct lane;
struct shared_memory;

/* Greets the guest. False when it is not one of ours, or has gone. */
bool connection_greet(int fd);

/* Refuses the guest in words it can print. */
void connection_refuse(int fd, uint32_t status, const char *text);

/* Serves until the guest has gone. The main thread. */
void connection_serve(void);

/* Tells the guest why, and ends the process. Any thread. */
__attribute__((noreturn)) void connection_end(const char *text);
/* Likewise, with what the guest's calls return from now on instead of CUDA_ERROR_DEVICE_UNAVAILABLE. */
__attribute__((noreturn)) void connection_end_with(CUresult result, const char *text);

/* Lane threads: an answer, a forgotten call's error (stream). */
void connection_reply(uint32_t lane, const void *reply, uint32_t bytes);
void connection_error(uint32_t lane, CUresult result);

/* Lane threads, in a window: the guest sleeps at this lane. */
void connection_wake(uint32_t lane);

/* Passes a segment whose answer has just been given (shared memory). */
void connection_pass(struct shared_memory *memory);

/* The lane's thread ends. */
void connection_forget_lane(struct lane *lane);

/* The guest has closed its side, or is dead, whatever of it is still to be read. */
bool connection_is_gone(void);

/* Memory is shared with this guest, through descriptors or a window. */
bool connection_shares_memory(void);

#endif

/* What the library keeps for each of the program's threads: its lane and its stack of contexts. */
#ifndef VGPU_GUEST_THREAD_H
#define VGPU_GUEST_THREAD_H

#include <stdbool.h>
#include <stdint.h>

#include "cuda/cuda_types.h"
#include "wire/lane.h"

#define CONTEXT_STACK_DEPTH 64

/* How many calls of each way all threads have sent. */
struct calls_sent {
    uint64_t forgotten, asked;
};

struct guest_thread {
    /* The lane; opened by the thread's first call that needs the worker. */
    bool lane_open;
    uint32_t lane_id;
    struct lane_shared *lane; /* shared with the worker, or NULL over a stream socket */
    uint64_t head;            /* bytes published in the ring */
    uint64_t tail_seen;       /* the worker's tail as last read */
    uint32_t answers;         /* answers had so far */

    /* Over a stream socket: the record being built, the answer that came, the forgotten call's error. */
    uint8_t *stream_record;
    uint8_t *stream_reply;
    _Atomic uint32_t stream_answered;
    _Atomic uint32_t stream_error;

    /* The connection's reader tells it (guest/reader.h). */
    _Atomic uint32_t reader_wake; /* counted up to wake the thread */
    uint32_t window_block;        /* where its lane begins in the window, once that is known */
    _Atomic bool window_known;

    /* Pageable copies: the staging area (NULL until the first one) and the slots used so far. */
    uint8_t *staging;
    uint32_t staging_sent; /* to the device */
    uint32_t staging_read; /* from the device */

    /* Nothing of this stream was left to run when the process had sent this much; guest/stream_wait.c. */
    uint64_t waited_stream;
    struct calls_sent waited_at;
    bool waited;
    struct calls_sent asked_at; /* when it asked last, its own call included */

    /* CUDA's per-thread stack. The worker's thread of this lane always has its top current. */
    CUcontext contexts[CONTEXT_STACK_DEPTH];
    uint32_t context_count;

    CUstreamCaptureMode capture_mode;
    void *capture_nodes; /* what the thread was last told of a capture; guest/capture.c */
    bool in_callback;    /* it calls a function of the program's: no calls of CUDA's */

    struct kept_answer *kept; /* guest/kept_answers.h; NULL until there is one */

    struct guest_thread *next; /* in the reader's list */
};

/* The calling thread's, made at its first call and freed when it ends. NULL when there is no memory. */
struct guest_thread *thread_self(void);

/* In a forked child: what the parent's threads had is not ours. */
void thread_forget(void);

#endif

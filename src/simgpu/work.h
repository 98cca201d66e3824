/* Work on the simulated GPU: what streams run, in which order, and who waits for it.
 *
 * A piece of work runs when its stream has reached it and everything it needs is done. A stream is a queue
 * with a thread of its own, made when it first has to run something that nobody waits for. A thread that
 * waits for a stream runs what is ready there itself, rather than sleep until the stream's thread has woken.
 *
 * All states below change under one lock of the process; work runs outside it. */
#ifndef VGPU_SIMGPU_WORK_H
#define VGPU_SIMGPU_WORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cuda/cuda_types.h"

struct CUctx_st;
struct CUstream_st;

/* The first member of a larger structure that holds what the work is about. Counted: its stream, events and
 * work that needs it hold it. */
struct work {
    unsigned int references;
    void (*run)(struct work *work); /* NULL: only marks a place in the stream */
    /* Frees what the work holds, after run or instead of it. May be NULL. */
    void (*finish)(struct work *work);
    bool runs_after_error;      /* also in a context that has failed */
    bool runs_in_stream_thread; /* never in the thread of a caller: it calls the program */
    /* As a node of a graph: its type, and its parameters as programs see them, with pointers into the work.
     * Not every work can be one. */
    bool is_node;
    CUgraphNodeType node_type;
    void (*describe)(struct work *work, CUgraphNodeParams *params); /* may be NULL */
    bool is_done;
    uint64_t done_ns;           /* clock_monotonic_ns */
    struct CUctx_st *context;   /* set by submit */
    struct CUstream_st *stream; /* likewise; there until the work is done */
    struct work *next;          /* in its stream's queue */
    struct work **needs;        /* done before this one runs; held */
    size_t need_count;
    size_t need_room;
};

/* Once, before anything else of this file. */
void work_init(void);

/* Zeros, with one reference for the caller. bytes is the size of the larger structure. NULL: out of host
 * memory. */
struct work *work_create(size_t bytes, void (*run)(struct work *work), void (*finish)(struct work *work));
void work_reference(struct work *work);
void work_release(struct work *work); /* NULL is allowed */

/* Before submitting: work must not run before needed is done. False: out of host memory. */
bool work_needs(struct work *work, struct work *needed);

enum work_mode {
    WORK_QUEUED,  /* the call returns before the work is done */
    WORK_AT_ONCE, /* likewise, but where nothing is in front of it, it is short enough to be done by the
                     caller */
    WORK_WAITED,  /* the call returns once it is done */
};

/* Puts work at the end of the stream. Takes over the caller's reference. The result is of the submitting;
 * what goes wrong in the work itself is found in the context. */
CUresult work_submit(struct CUstream_st *stream, struct work *work, enum work_mode mode);

/* A mark that was not submitted, but stands for something that another work has come to, in a stream. */
void work_place(struct work *mark, struct CUstream_st *stream);
void work_complete(struct work *mark);

bool work_is_done(struct work *work);
void work_wait(struct work *work);

#endif

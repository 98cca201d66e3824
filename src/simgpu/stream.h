/* Streams: an ordered queue of work. See work.h for how they run. */
#ifndef VGPU_SIMGPU_STREAM_H
#define VGPU_SIMGPU_STREAM_H

#include <pthread.h>

#include "simgpu/context.h"
#include "simgpu/work.h"

/* The range that current cards give. */
#define STREAM_PRIORITY_LEAST    0
#define STREAM_PRIORITY_GREATEST (-5)

enum stream_kind {
    STREAM_LEGACY,       /* waits for all blocking streams and they for it */
    STREAM_BLOCKING,     /* an ordinary one */
    STREAM_NON_BLOCKING, /* knows nothing of the legacy stream */
};

struct CUstream_st {
    struct CUctx_st *context;
    enum stream_kind kind;
    unsigned int flags;
    int priority;
    unsigned long long id;
    struct stream_capture *capture; /* under capture.c's lock */
    CUsynchronizationPolicy sync_policy;
    CUaccessPolicyWindow window;

    /* Under the lock of work.c. */
    struct CUstream_st *next; /* in its context's list, until it is freed */
    struct work *head;        /* not yet running */
    struct work *last;        /* last of the queue */
    struct work *tail;        /* last one ever submitted, held; NULL: none */
    size_t queued;
    bool is_running; /* something of it runs, in its thread or in a waiting one */
    bool has_thread;
    bool is_destroyed;   /* goes when it is empty */
    pthread_cond_t wake; /* of the thread: there is work, or it is destroyed */
};

/* Makes a stream of the context. NULL: out of host memory. */
struct CUstream_st *stream_create(struct CUctx_st *context, enum stream_kind kind, unsigned int flags,
                                  int priority);
/* What is in it still runs; then it is freed. */
void stream_destroy(struct CUstream_st *stream);

/* The stream that a handle means for the calling thread: 0 and CU_STREAM_LEGACY are the legacy stream of the
 * current context, CU_STREAM_PER_THREAD the thread's own in it. Reports what is wrong with the current
 * context. */
CUresult stream_resolve(CUstream handle, struct CUstream_st **stream);

/* Whether everything submitted before has been done, and waiting for that. For the legacy stream that is all
 * of the blocking streams too. */
bool stream_is_idle(struct CUstream_st *stream);
void stream_wait(struct CUstream_st *stream);

/* Waits for all streams of the context. */
void stream_wait_all(struct CUctx_st *context);

/* Before submitting: the work runs after all that the context's streams have been given. False: out of host
 * memory. */
bool stream_need_all(struct CUctx_st *context, struct work *work);
/* All that the context's streams are given from now on runs after that work. */
bool stream_all_need(struct CUctx_st *context, struct work *awaited);

/* Destroys all streams of a context that is going; waits until they are gone. */
void stream_destroy_all(struct CUctx_st *context);

#endif

/* Stream capture: what streams are given becomes nodes of a graph instead of being done.
 *
 * A capture begins in one stream; others join it by waiting for an event that was recorded in it. What a
 * capture forbids ends it: from then on its streams answer CUDA_ERROR_STREAM_CAPTURE_INVALIDATED until it is
 * ended. All states are under one lock of capture.c. */
#ifndef VGPU_SIMGPU_CAPTURE_H
#define VGPU_SIMGPU_CAPTURE_H

#include "simgpu/event.h"
#include "simgpu/frontier.h"
#include "simgpu/stream.h"

/* Work is about to be submitted. *captured: it has become a node, or was refused and freed; the result is the
 * call's. Otherwise an error forbids it in a stream that does not capture. */
CUresult capture_work(struct CUstream_st *stream, struct work *work, bool *captured);

/* Recording and waiting for events. */
CUresult capture_record(struct CUstream_st *stream, struct CUevent_st *event, bool is_external,
                        bool *captured);
CUresult capture_wait(struct CUstream_st *stream, struct CUevent_st *event, bool is_external, bool *captured);

/* Asking after, or waiting for, something that captures is forbidden; so is launching a graph in a stream
 * that does. */
CUresult capture_ask_stream(struct CUstream_st *stream);
CUresult capture_ask_event(struct CUevent_st *event);
CUresult capture_ask_context(struct CUctx_st *context);

/* A call that could wait for what is captured elsewhere: whether the calling thread may make it. */
CUresult capture_unsafe(void);

/* The stream captures, so that memory it allocates belongs to a graph. */
bool capture_is_in(struct CUstream_st *stream);

/* Begins one in a stream that is not the legacy one. graph: the program's, whose nodes the dependencies are,
 * or NULL for a graph of the capture's own. edges, one each, may be NULL. */
CUresult capture_begin(struct CUstream_st *stream, struct CUgraph_st *graph, const CUgraphNode *dependencies,
                       const CUgraphEdgeData *edges, size_t count, CUstreamCaptureMode mode);

/* Ends the capture that began in the stream. *graph is the caller's; it is left as it was where the result is
 * not CUDA_SUCCESS. */
CUresult capture_end(struct CUstream_st *stream, struct CUgraph_st **graph);

struct capture_description {
    CUstreamCaptureStatus status; /* not active: all else is 0 */
    cuuint64_t id;
    struct CUgraph_st *graph;
    struct frontier frontier; /* the capture's, until the stream is given more */
};

/* Written whatever the result is. */
CUresult capture_describe(struct CUstream_st *stream, struct capture_description *description);

/* What the stream is given next comes after these as well, or, where they replace, after these alone. */
CUresult capture_depend(struct CUstream_st *stream, const CUgraphNode *dependencies,
                        const CUgraphEdgeData *edges, size_t count, bool replaces);

/* The calling thread's mode from now on; returns the one before. */
CUstreamCaptureMode capture_exchange_mode(CUstreamCaptureMode mode);

void capture_forget_stream(struct CUstream_st *stream);
void capture_forget_event(struct CUevent_st *event);

#endif

#include "simgpu/capture.h"

#include <stdlib.h>
#include <string.h>

#include "cuda_api.h"
#include "simgpu/graph.h"
#include "simgpu/handle.h"

/* Nodes that something comes after. */
struct frontier {
    CUgraphNode *nodes;
    CUgraphEdgeData *edges;
    size_t count;
};

/* One capture, from its beginning to its end. Counted: its streams, and events recorded in it. */
struct capture {
    unsigned int references;
    cuuint64_t id;
    CUstreamCaptureMode mode;
    pthread_t thread;
    struct CUgraph_st *graph;
    bool has_own_graph; /* not the program's */
    bool is_invalid, is_over;
    struct CUstream_st *origin;
    struct capture *next; /* in the list of those not over */
};

/* A stream's part in one. */
struct stream_capture {
    struct capture *capture;
    struct frontier frontier;
    bool joins_back; /* an event behind all it has captured was waited for in the origin's branch */
    struct CUstream_st *stream;
    struct stream_capture *next; /* in the list of all */
};

struct event_capture {
    struct capture *capture;
    struct frontier frontier;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct capture *captures;
static struct stream_capture *parts;
static _Atomic unsigned int under_way;
static cuuint64_t last_id;
static _Thread_local CUstreamCaptureMode thread_mode = CU_STREAM_CAPTURE_MODE_GLOBAL;

/* --- frontiers --- */

static void frontier_clear(struct frontier *frontier)
{
    free(frontier->nodes);
    free(frontier->edges);
    *frontier = (struct frontier){0};
}

static bool frontier_add(struct frontier *frontier, CUgraphNode node, const CUgraphEdgeData *edge)
{
    for (size_t i = 0; i < frontier->count; i++)
        if (frontier->nodes[i] == node)
            return true;
    CUgraphNode *nodes = realloc(frontier->nodes, (frontier->count + 1) * sizeof *nodes);
    if (nodes)
        frontier->nodes = nodes;
    CUgraphEdgeData *edges = realloc(frontier->edges, (frontier->count + 1) * sizeof *edges);
    if (edges)
        frontier->edges = edges;
    if (!nodes || !edges)
        return false;
    nodes[frontier->count] = node;
    edges[frontier->count++] = edge ? *edge : (CUgraphEdgeData){0};
    return true;
}

static bool frontier_join(struct frontier *frontier, const struct frontier *other)
{
    bool good = true;
    for (size_t i = 0; i < other->count && good; i++)
        good = frontier_add(frontier, other->nodes[i], &other->edges[i]);
    return good;
}

static bool frontier_set(struct frontier *frontier, CUgraphNode node)
{
    frontier->count = 0;
    return frontier_add(frontier, node, NULL);
}

/* --- captures; all under the lock --- */

static void capture_release(struct capture *capture)
{
    if (--capture->references == 0)
        free(capture);
}

static void end_part(struct CUstream_st *stream)
{
    struct stream_capture *part = stream->capture;
    stream->capture = NULL;
    for (struct stream_capture **link = &parts; *link; link = &(*link)->next) {
        if (*link == part) {
            *link = part->next;
            break;
        }
    }
    frontier_clear(&part->frontier);
    capture_release(part->capture);
    free(part);
}

static struct stream_capture *begin_part(struct CUstream_st *stream, struct capture *capture)
{
    struct stream_capture *part = calloc(1, sizeof *part);
    if (!part)
        return NULL;
    part->capture = capture;
    part->stream = stream;
    part->next = parts;
    parts = part;
    capture->references++;
    stream->capture = part;
    return part;
}

static void end_capture(struct capture *capture)
{
    struct stream_capture *next;
    for (struct capture **link = &captures; *link; link = &(*link)->next) {
        if (*link == capture) {
            *link = capture->next;
            break;
        }
    }
    capture->is_over = true;
    atomic_fetch_sub(&under_way, 1);
    for (struct stream_capture *part = parts; part; part = next) {
        next = part->next;
        if (part->capture == capture)
            end_part(part->stream);
    }
    capture_release(capture);
}

static CUresult invalidate(struct capture *capture, CUresult result)
{
    if (capture->is_invalid)
        return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    capture->is_invalid = true;
    return result;
}

/* The legacy stream may not be used while a blocking stream of its context captures. */
static CUresult check_legacy(struct CUstream_st *stream)
{
    CUresult result = CUDA_SUCCESS;
    for (struct stream_capture *part = parts; part; part = part->next)
        if (stream->kind == STREAM_LEGACY && part->stream->kind == STREAM_BLOCKING &&
            part->stream->context == stream->context) {
            part->capture->is_invalid = true;
            result = CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
        }
    return result;
}

/* A new node behind all that the stream has captured. */
static CUresult add_node(struct stream_capture *part, CUgraphNodeType type, struct graph_template *template,
                         CUgraphNode *made)
{
    struct CUgraphNode_st *node = graph_add(part->capture->graph, type, template);
    CUresult result = node ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < part->frontier.count && !result; i++)
        result = graph_depend(node, part->frontier.nodes[i], &part->frontier.edges[i]);
    if (!result && !frontier_set(&part->frontier, node))
        result = CUDA_ERROR_OUT_OF_MEMORY;
    part->joins_back = false;
    *made = node;
    return result;
}

/* --- what streams are given --- */

static CUresult capture_work_locked(struct CUstream_st *stream, struct work *work, bool *captured)
{
    struct stream_capture *part = stream->capture;
    CUgraphNode node;
    *captured = part != NULL;
    if (!part)
        return check_legacy(stream);
    if (part->capture->is_invalid || !work->is_node) {
        if (work->finish)
            work->finish(work);
        work_release(work);
        return invalidate(part->capture, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    }
    work_place(work, stream);
    struct graph_template *template = template_create(work);
    return template ? add_node(part, work->node_type, template, &node) : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult capture_work(struct CUstream_st *stream, struct work *work, bool *captured)
{
    *captured = false;
    if (atomic_load(&under_way) == 0)
        return CUDA_SUCCESS;
    pthread_mutex_lock(&lock);
    CUresult result = capture_work_locked(stream, work, captured);
    pthread_mutex_unlock(&lock);
    return result;
}

CUresult capture_launch(struct CUstream_st *stream)
{
    CUresult result;
    if (atomic_load(&under_way) == 0)
        return CUDA_SUCCESS;
    pthread_mutex_lock(&lock);
    result = stream->capture ? invalidate(stream->capture->capture, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED)
                             : check_legacy(stream);
    pthread_mutex_unlock(&lock);
    return result;
}

bool capture_is_in(struct CUstream_st *stream)
{
    if (atomic_load(&under_way) == 0)
        return false;
    pthread_mutex_lock(&lock);
    bool is = stream->capture != NULL && !stream->capture->capture->is_invalid;
    pthread_mutex_unlock(&lock);
    return is;
}

/* --- events --- */

static void forget_event(struct CUevent_st *event)
{
    if (!event->capture)
        return;
    frontier_clear(&event->capture->frontier);
    capture_release(event->capture->capture);
    free(event->capture);
    event->capture = NULL;
}

static CUresult record_locked(struct CUstream_st *stream, struct CUevent_st *event, bool is_external,
                              bool *captured)
{
    struct stream_capture *part = stream->capture;
    CUgraphNode node;
    *captured = part != NULL;
    if (!part) {
        CUresult result = check_legacy(stream);
        if (!result)
            forget_event(event);
        return result;
    }
    if (part->capture->is_invalid)
        return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    if (is_external) {
        CUresult result = add_node(part, CU_GRAPH_NODE_TYPE_EVENT_RECORD, NULL, &node);
        if (node)
            node->event = event;
        return result;
    }
    struct event_capture *mark = calloc(1, sizeof *mark);
    if (!mark || !frontier_join(&mark->frontier, &part->frontier)) {
        free(mark);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    mark->capture = part->capture;
    part->capture->references++;
    forget_event(event);
    event->capture = mark;
    return CUDA_SUCCESS;
}

CUresult capture_record(struct CUstream_st *stream, struct CUevent_st *event, bool is_external,
                        bool *captured)
{
    pthread_mutex_lock(&lock);
    CUresult result = record_locked(stream, event, is_external, captured);
    pthread_mutex_unlock(&lock);
    return result;
}

/* Marks the streams whose captured work is all behind what was waited for. */
static void note_joined(const struct capture *capture, const struct frontier *frontier)
{
    for (struct stream_capture *part = parts; part; part = part->next) {
        bool all = part->capture == capture;
        for (size_t i = 0; i < part->frontier.count && all; i++) {
            bool found = false;
            for (size_t k = 0; k < frontier->count && !found; k++)
                found = frontier->nodes[k] == part->frontier.nodes[i];
            all = found;
        }
        if (all)
            part->joins_back = true;
    }
}

static CUresult wait_locked(struct CUstream_st *stream, struct CUevent_st *event, bool is_external,
                            bool *captured)
{
    struct stream_capture *part = stream->capture;
    struct event_capture *mark = event->capture && !event->capture->capture->is_over ? event->capture : NULL;
    CUgraphNode node;
    *captured = part || mark;
    if (!*captured)
        return check_legacy(stream);
    if ((part && part->capture->is_invalid) || (mark && mark->capture->is_invalid))
        return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    if (part && is_external) {
        CUresult result = add_node(part, CU_GRAPH_NODE_TYPE_WAIT_EVENT, NULL, &node);
        if (node)
            node->event = event;
        return result;
    }
    if (!mark)
        return invalidate(part->capture, CUDA_ERROR_STREAM_CAPTURE_ISOLATION);
    if (stream->kind == STREAM_LEGACY)
        return invalidate(mark->capture, CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
    if (part && part->capture != mark->capture) {
        invalidate(mark->capture, CUDA_ERROR_STREAM_CAPTURE_MERGE);
        return invalidate(part->capture, CUDA_ERROR_STREAM_CAPTURE_MERGE);
    }
    if (!part && !(part = begin_part(stream, mark->capture)))
        return CUDA_ERROR_OUT_OF_MEMORY;
    bool good = frontier_join(&part->frontier, &mark->frontier);
    note_joined(mark->capture, &part->frontier);
    part->joins_back = false;
    return good ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult capture_wait(struct CUstream_st *stream, struct CUevent_st *event, bool is_external, bool *captured)
{
    *captured = false;
    if (atomic_load(&under_way) == 0)
        return CUDA_SUCCESS;
    pthread_mutex_lock(&lock);
    CUresult result = wait_locked(stream, event, is_external, captured);
    pthread_mutex_unlock(&lock);
    return result;
}

void capture_forget_event(struct CUevent_st *event)
{
    pthread_mutex_lock(&lock);
    forget_event(event);
    pthread_mutex_unlock(&lock);
}

void capture_forget_stream(struct CUstream_st *stream)
{
    pthread_mutex_lock(&lock);
    struct stream_capture *part = stream->capture;
    struct capture *capture = part ? part->capture : NULL;
    if (capture) {
        invalidate(capture, CUDA_SUCCESS);
        bool is_origin = capture->origin == stream;
        struct CUgraph_st *graph = is_origin && capture->has_own_graph ? capture->graph : NULL;
        if (is_origin)
            end_capture(capture);
        else
            end_part(stream);
        if (graph)
            graph_destroy(graph);
    }
    pthread_mutex_unlock(&lock);
}

/* --- what is forbidden --- */

CUresult capture_ask_stream(struct CUstream_st *stream)
{
    if (atomic_load(&under_way) == 0)
        return CUDA_SUCCESS;
    pthread_mutex_lock(&lock);
    CUresult result = stream->capture
                          ? invalidate(stream->capture->capture, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED)
                          : check_legacy(stream);
    pthread_mutex_unlock(&lock);
    return result;
}

CUresult capture_ask_event(struct CUevent_st *event)
{
    CUresult result = CUDA_SUCCESS;
    pthread_mutex_lock(&lock);
    if (event->capture) {
        if (!event->capture->capture->is_over)
            event->capture->capture->is_invalid = true;
        result = CUDA_ERROR_CAPTURED_EVENT;
    }
    pthread_mutex_unlock(&lock);
    return result;
}

CUresult capture_ask_context(struct CUctx_st *context)
{
    CUresult result = CUDA_SUCCESS;
    if (atomic_load(&under_way) == 0)
        return result;
    pthread_mutex_lock(&lock);
    for (struct stream_capture *part = parts; part; part = part->next) {
        if (part->stream->context == context) {
            part->capture->is_invalid = true;
            result = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
        }
    }
    pthread_mutex_unlock(&lock);
    return result;
}

CUresult capture_unsafe(void)
{
    CUresult result = CUDA_SUCCESS;
    if (atomic_load(&under_way) == 0 || thread_mode == CU_STREAM_CAPTURE_MODE_RELAXED)
        return result;
    pthread_mutex_lock(&lock);
    for (struct capture *capture = captures; capture; capture = capture->next) {
        bool own = pthread_equal(capture->thread, pthread_self());
        bool concerns = own ? capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED
                            : capture->mode == CU_STREAM_CAPTURE_MODE_GLOBAL &&
                                  thread_mode == CU_STREAM_CAPTURE_MODE_GLOBAL;
        if (concerns) {
            capture->is_invalid = true;
            result = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
        }
    }
    pthread_mutex_unlock(&lock);
    return result;
}

/* --- beginning and ending --- */

static CUresult begin_locked(struct CUstream_st *stream, struct CUgraph_st *graph, CUstreamCaptureMode mode)
{
    if (stream->capture)
        return CUDA_ERROR_ILLEGAL_STATE;
    struct capture *capture = calloc(1, sizeof *capture);
    if (!capture)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *capture = (struct capture){.references = 1,
                                .id = ++last_id,
                                .mode = mode,
                                .thread = pthread_self(),
                                .graph = graph ? graph : graph_create(),
                                .has_own_graph = !graph,
                                .origin = stream};
    if (!capture->graph || !begin_part(stream, capture)) {
        if (capture->graph && capture->has_own_graph)
            graph_destroy(capture->graph);
        free(capture);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    capture->next = captures;
    captures = capture;
    atomic_fetch_add(&under_way, 1);
    return CUDA_SUCCESS;
}

CUresult cuStreamBeginCaptureToGraph(CUstream hStream, CUgraph hGraph, const CUgraphNode *dependencies,
                                     const CUgraphEdgeData *dependencyData, size_t numDependencies,
                                     CUstreamCaptureMode mode)
{
    struct CUstream_st *stream;
    CUresult result = stream_resolve(hStream, &stream);
    if (!result && ((unsigned int)mode > CU_STREAM_CAPTURE_MODE_RELAXED ||
                    (hGraph && !handle_is(hGraph, HANDLE_GRAPH)) || (numDependencies && !dependencies)))
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result && stream->kind == STREAM_LEGACY)
        result = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    for (size_t i = 0; i < numDependencies && !result; i++)
        if (!handle_is(dependencies[i], HANDLE_GRAPH_NODE) || dependencies[i]->graph != hGraph)
            result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    pthread_mutex_lock(&lock);
    result = begin_locked(stream, hGraph, mode);
    for (size_t i = 0; i < numDependencies && !result; i++)
        frontier_add(&stream->capture->frontier, dependencies[i], dependencyData ? &dependencyData[i] : NULL);
    pthread_mutex_unlock(&lock);
    return result;
}

CUresult cuStreamBeginCapture_v2(CUstream hStream, CUstreamCaptureMode mode)
{
    return cuStreamBeginCaptureToGraph(hStream, NULL, NULL, NULL, 0, mode);
}

CUresult cuStreamBeginCapture(CUstream hStream)
{
    return cuStreamBeginCapture_v2(hStream, CU_STREAM_CAPTURE_MODE_GLOBAL);
}

static bool has_unjoined(const struct capture *capture)
{
    for (const struct stream_capture *part = parts; part; part = part->next)
        if (part->capture == capture && part->stream != capture->origin && !part->joins_back)
            return true;
    return false;
}

static CUresult end_locked(struct CUstream_st *stream, CUgraph *graph)
{
    if (!stream->capture)
        return CUDA_ERROR_ILLEGAL_STATE;
    struct capture *capture = stream->capture->capture;
    if (capture->origin != stream)
        return invalidate(capture, CUDA_ERROR_STREAM_CAPTURE_UNMATCHED);
    bool is_elsewhere =
        capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED && !pthread_equal(capture->thread, pthread_self());
    CUresult result = is_elsewhere            ? CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD
                      : capture->is_invalid   ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED
                      : has_unjoined(capture) ? CUDA_ERROR_STREAM_CAPTURE_UNJOINED
                                              : CUDA_SUCCESS;
    struct CUgraph_st *captured = capture->graph;
    bool is_own = capture->has_own_graph;
    end_capture(capture);
    if (!result)
        *graph = captured;
    else if (is_own)
        graph_destroy(captured);
    return result;
}

CUresult cuStreamEndCapture(CUstream hStream, CUgraph *phGraph)
{
    struct CUstream_st *stream;
    CUresult result = stream_resolve(hStream, &stream);
    if (!result && !phGraph)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    *phGraph = NULL;
    pthread_mutex_lock(&lock);
    result = end_locked(stream, phGraph);
    pthread_mutex_unlock(&lock);
    return result;
}

/* --- asking --- */

CUresult cuStreamGetCaptureInfo_v3(CUstream hStream, CUstreamCaptureStatus *captureStatus_out,
                                   cuuint64_t *id_out, CUgraph *graph_out,
                                   const CUgraphNode **dependencies_out, const CUgraphEdgeData **edgeData_out,
                                   size_t *numDependencies_out)
{
    struct CUstream_st *stream;
    CUresult result = stream_resolve(hStream, &stream);
    if (!result && !captureStatus_out)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    *captureStatus_out = CU_STREAM_CAPTURE_STATUS_NONE;
    if (atomic_load(&under_way) == 0)
        return CUDA_SUCCESS;
    pthread_mutex_lock(&lock);
    const struct stream_capture *part = stream->capture;
    for (const struct stream_capture *other = parts; other && stream->kind == STREAM_LEGACY;
         other = other->next)
        if (other->stream->kind == STREAM_BLOCKING && other->stream->context == stream->context)
            result = CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    if (part && part->capture->is_invalid)
        *captureStatus_out = CU_STREAM_CAPTURE_STATUS_INVALIDATED;
    if (part && !part->capture->is_invalid) {
        *captureStatus_out = CU_STREAM_CAPTURE_STATUS_ACTIVE;
        if (id_out)
            *id_out = part->capture->id;
        if (graph_out)
            *graph_out = part->capture->graph;
        if (dependencies_out)
            *dependencies_out = part->frontier.nodes;
        if (edgeData_out)
            *edgeData_out = part->frontier.edges;
        if (numDependencies_out)
            *numDependencies_out = part->frontier.count;
    }
    pthread_mutex_unlock(&lock);
    return result;
}

CUresult cuStreamGetCaptureInfo_v2(CUstream hStream, CUstreamCaptureStatus *captureStatus_out,
                                   cuuint64_t *id_out, CUgraph *graph_out,
                                   const CUgraphNode **dependencies_out, size_t *numDependencies_out)
{
    return cuStreamGetCaptureInfo_v3(hStream, captureStatus_out, id_out, graph_out, dependencies_out, NULL,
                                     numDependencies_out);
}

CUresult cuStreamGetCaptureInfo(CUstream hStream, CUstreamCaptureStatus *captureStatus_out,
                                cuuint64_t *id_out)
{
    return cuStreamGetCaptureInfo_v3(hStream, captureStatus_out, id_out, NULL, NULL, NULL, NULL);
}

CUresult cuStreamIsCapturing(CUstream hStream, CUstreamCaptureStatus *captureStatus)
{
    return cuStreamGetCaptureInfo_v3(hStream, captureStatus, NULL, NULL, NULL, NULL, NULL);
}

/* --- changing --- */

CUresult cuStreamUpdateCaptureDependencies_v2(CUstream hStream, CUgraphNode *dependencies,
                                              const CUgraphEdgeData *dependencyData, size_t numDependencies,
                                              unsigned int flags)
{
    struct CUstream_st *stream;
    CUresult result = stream_resolve(hStream, &stream);
    if (!result && ((numDependencies && !dependencies) || flags > CU_STREAM_SET_CAPTURE_DEPENDENCIES))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    pthread_mutex_lock(&lock);
    struct stream_capture *part = stream->capture;
    if (!part)
        result = CUDA_ERROR_ILLEGAL_STATE;
    else if (part->capture->is_invalid)
        result = CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    for (size_t i = 0; i < numDependencies && !result; i++)
        if (!handle_is(dependencies[i], HANDLE_GRAPH_NODE) || dependencies[i]->graph != part->capture->graph)
            result = CUDA_ERROR_INVALID_VALUE;
    if (!result && flags == CU_STREAM_SET_CAPTURE_DEPENDENCIES)
        part->frontier.count = 0;
    for (size_t i = 0; i < numDependencies && !result; i++)
        if (!frontier_add(&part->frontier, dependencies[i], dependencyData ? &dependencyData[i] : NULL))
            result = CUDA_ERROR_OUT_OF_MEMORY;
    pthread_mutex_unlock(&lock);
    return result;
}

CUresult cuStreamUpdateCaptureDependencies(CUstream hStream, CUgraphNode *dependencies,
                                           size_t numDependencies, unsigned int flags)
{
    return cuStreamUpdateCaptureDependencies_v2(hStream, dependencies, NULL, numDependencies, flags);
}

CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode)
{
    if (!mode)
        return CUDA_ERROR_INVALID_VALUE;
    CUstreamCaptureMode before = thread_mode;
    thread_mode = *mode;
    *mode = before;
    return CUDA_SUCCESS;
}

#include "simgpu/capture.h"

#include <stdlib.h>
#include <string.h>

#include "simgpu/frontier.h"
#include "simgpu/graph.h"
#include "simgpu/handle.h"

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
    if (node)
        node->is_captured = true;
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
        if (mark)
            frontier_clear(&mark->frontier);
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
    return frontier_join(&part->frontier, &mark->frontier) ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
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

CUresult capture_begin(struct CUstream_st *stream, struct CUgraph_st *graph, const CUgraphNode *dependencies,
                       const CUgraphEdgeData *edges, size_t count, CUstreamCaptureMode mode)
{
    pthread_mutex_lock(&lock);
    CUresult result = begin_locked(stream, graph, mode);
    for (size_t i = 0; i < count && !result; i++)
        if (!frontier_add(&stream->capture->frontier, dependencies[i], edges ? &edges[i] : NULL))
            result = CUDA_ERROR_OUT_OF_MEMORY;
    if (result == CUDA_ERROR_OUT_OF_MEMORY && stream->capture)
        end_capture(stream->capture->capture);
    pthread_mutex_unlock(&lock);
    return result;
}

#define NODE_IS_BEFORE 1u /* in a node's place: the origin's next node comes after it */

static void mark_before(const struct capture *capture, const struct stream_capture *origin)
{
    const struct CUgraph_st *graph = capture->graph;
    bool more = true;
    for (size_t i = 0; i < graph->count; i++)
        graph->nodes[i]->place = 0;
    for (size_t i = 0; i < origin->frontier.count; i++)
        origin->frontier.nodes[i]->place = NODE_IS_BEFORE;
    while (more) {
        more = false;
        for (size_t i = graph->count; i-- > 0;) {
            const struct CUgraphNode_st *node = graph->nodes[i];
            for (size_t e = 0; node->place == NODE_IS_BEFORE && e < node->edge_count; e++) {
                more = more || node->edges[e].from->place != NODE_IS_BEFORE;
                node->edges[e].from->place = NODE_IS_BEFORE;
            }
        }
    }
}

/* Whether another stream's next node would come after one that was captured and that the origin's would not.
 * That is what the real driver asks: it lets streams be that captured nothing, or that were told to forget
 * what. */
static bool has_unjoined(const struct capture *capture)
{
    mark_before(capture, capture->origin->capture);
    for (const struct stream_capture *part = parts; part; part = part->next)
        for (size_t i = 0; part->capture == capture && i < part->frontier.count; i++)
            if (part->frontier.nodes[i]->is_captured && part->frontier.nodes[i]->place != NODE_IS_BEFORE)
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

CUresult capture_end(struct CUstream_st *stream, struct CUgraph_st **graph)
{
    pthread_mutex_lock(&lock);
    CUresult result = end_locked(stream, graph);
    pthread_mutex_unlock(&lock);
    return result;
}

/* --- asking and changing --- */

CUresult capture_describe(struct CUstream_st *stream, struct capture_description *description)
{
    CUresult result = CUDA_SUCCESS;
    *description = (struct capture_description){.status = CU_STREAM_CAPTURE_STATUS_NONE};
    if (atomic_load(&under_way) == 0)
        return CUDA_SUCCESS;
    pthread_mutex_lock(&lock);
    const struct stream_capture *part = stream->capture;
    for (const struct stream_capture *other = parts; other && stream->kind == STREAM_LEGACY;
         other = other->next)
        if (other->stream->kind == STREAM_BLOCKING && other->stream->context == stream->context)
            result = CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    if (part && part->capture->is_invalid)
        description->status = CU_STREAM_CAPTURE_STATUS_INVALIDATED;
    if (part && !part->capture->is_invalid)
        *description = (struct capture_description){.status = CU_STREAM_CAPTURE_STATUS_ACTIVE,
                                                    .id = part->capture->id,
                                                    .graph = part->capture->graph,
                                                    .frontier = part->frontier};
    pthread_mutex_unlock(&lock);
    return result;
}

CUresult capture_depend(struct CUstream_st *stream, const CUgraphNode *dependencies,
                        const CUgraphEdgeData *edges, size_t count, bool replaces)
{
    CUresult result = CUDA_SUCCESS;
    pthread_mutex_lock(&lock);
    struct stream_capture *part = stream->capture;
    if (!part)
        result = CUDA_ERROR_ILLEGAL_STATE;
    else if (part->capture->is_invalid)
        result = CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    for (size_t i = 0; i < count && !result; i++)
        if (!handle_is(dependencies[i], HANDLE_GRAPH_NODE) || dependencies[i]->graph != part->capture->graph)
            result = CUDA_ERROR_INVALID_VALUE;
    if (!result && replaces)
        part->frontier.count = 0;
    for (size_t i = 0; i < count && !result; i++)
        if (!frontier_add(&part->frontier, dependencies[i], edges ? &edges[i] : NULL))
            result = CUDA_ERROR_OUT_OF_MEMORY;
    pthread_mutex_unlock(&lock);
    return result;
}

CUstreamCaptureMode capture_exchange_mode(CUstreamCaptureMode mode)
{
    CUstreamCaptureMode before = thread_mode;
    thread_mode = mode;
    return before;
}

/* Stream capture. A capture puts no work on the GPU, so none of this waits for the grant. */
#include "worker/capture.h"

#include <stdlib.h>
#include <string.h>

#include "driver_api.h"
#include "wire/graph_calls.h"
#include "worker/drain.h"
#include "worker/gate.h"
#include "worker/graph.h"
#include "worker/handle_map.h"
#include "worker/serve.h"

_Atomic unsigned captures_under_way;

bool capture_has(CUstream stream)
{
    CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
    return driver.cuStreamIsCapturing(stream, &status) == CUDA_SUCCESS &&
           status != CU_STREAM_CAPTURE_STATUS_NONE;
}

CUstreamCaptureMode capture_step_aside(void)
{
    CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
    if (capture_is_under_way())
        driver.cuThreadExchangeStreamCaptureMode(&mode);
    return mode;
}

void capture_step_back(CUstreamCaptureMode mode)
{
    if (mode != CU_STREAM_CAPTURE_MODE_RELAXED)
        driver.cuThreadExchangeStreamCaptureMode(&mode);
}

/* Nodes and edges of a request's variable part, for the driver. */
struct dependencies {
    CUgraphNode *nodes;
    CUgraphEdgeData *edges; /* NULL: none were given */
};

static void dependencies_end(struct dependencies *dependencies)
{
    free(dependencies->nodes);
    free(dependencies->edges);
}

/* Under graph_lock(). dependencies_end() follows in any case. */
static CUresult dependencies_read(struct dependencies *dependencies, const struct call *call, uint32_t count,
                                  bool has_edges)
{
    uint64_t each = sizeof(uint64_t) + (has_edges ? sizeof(CUgraphEdgeData) : 0);
    *dependencies = (struct dependencies){0};
    if (count > GRAPH_DEPENDENCIES_MAX || count * each > call->tail_bytes)
        return CUDA_ERROR_INVALID_VALUE;
    dependencies->nodes = calloc(count + 1, sizeof(CUgraphNode));
    dependencies->edges = has_edges ? calloc(count + 1, sizeof(CUgraphEdgeData)) : NULL;
    if (dependencies->nodes == NULL || (has_edges && dependencies->edges == NULL))
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t handle;
        void *node;
        memcpy(&handle, call->tail + i * sizeof handle, sizeof handle);
        if (handle == 0 || !handle_look(HANDLE_GRAPH_NODE, handle, &node))
            return CUDA_ERROR_INVALID_VALUE;
        dependencies->nodes[i] = node;
    }
    if (has_edges)
        memcpy(dependencies->edges, call->tail + count * sizeof(uint64_t), count * sizeof(CUgraphEdgeData));
    return CUDA_SUCCESS;
}

static CUresult begin_to_graph(const struct call *call, const struct request_capture_begin *request,
                               CUstream stream)
{
    struct dependencies dependencies = {0};
    void *graph;
    if (driver.cuStreamBeginCaptureToGraph == NULL)
        return CUDA_ERROR_NOT_SUPPORTED;
    graph_lock();
    CUresult result =
        handle_look(HANDLE_GRAPH, request->graph, &graph)
            ? dependencies_read(&dependencies, call, request->dependency_count, request->has_edges)
            : CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        result = driver.cuStreamBeginCaptureToGraph(
            stream, graph, request->dependency_count > 0 ? dependencies.nodes : NULL, dependencies.edges,
            request->dependency_count, request->mode);
    graph_unlock();
    dependencies_end(&dependencies);
    return result;
}

/* The draining thread does not wait for contexts meanwhile: it must know of a capture before it begins. */
CUresult serve_capture_begin(struct call *call)
{
    const struct request_capture_begin *request = call->request;
    void *stream;
    if (!handle_find(HANDLE_STREAM, request->stream, &stream))
        return CUDA_ERROR_INVALID_HANDLE;
    gate_contexts_lock();
    CUresult result = drain_mark(stream);
    if (result == CUDA_SUCCESS)
        result = request->graph != 0 ? begin_to_graph(call, request, stream)
                                     : driver.cuStreamBeginCapture_v2(stream, request->mode);
    if (result == CUDA_SUCCESS)
        atomic_fetch_add(&captures_under_way, 1);
    gate_contexts_unlock();
    return result;
}

/* The graph that the stream captures into; NULL: none. */
static CUgraph graph_of(CUstream stream)
{
    CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
    CUgraph graph = NULL;
    cuuint64_t id;
    if (driver.cuStreamGetCaptureInfo_v2 == NULL ||
        driver.cuStreamGetCaptureInfo_v2(stream, &status, &id, &graph, NULL, NULL) != CUDA_SUCCESS)
        return NULL;
    return graph;
}

/* A capture that fails takes its graph with it, and so its name and those of its nodes. */
static void forget_graph(CUgraph graph)
{
    uint64_t name = graph != NULL ? handle_known(HANDLE_GRAPH, graph) : 0;
    void *found;
    if (name != 0 && handle_withdraw(HANDLE_GRAPH, name, &found))
        handle_withdrawn_end(name, HANDLE_GONE);
}

CUresult serve_capture_end(struct call *call)
{
    const struct request_capture_end *request = call->request;
    struct reply_capture_end reply = {0};
    CUgraph graph = NULL;
    void *stream;
    CUresult result = handle_check_name(HANDLE_GRAPH, request->graph);
    if (result != CUDA_SUCCESS)
        return result;
    if (!handle_find(HANDLE_STREAM, request->stream, &stream))
        return CUDA_ERROR_INVALID_HANDLE;
    graph_lock();
    bool captured = capture_has(stream);
    CUgraph before = captured ? graph_of(stream) : NULL;
    result = driver.cuStreamEndCapture(stream, &graph);
    reply.over = captured && !capture_has(stream);
    if (reply.over)
        atomic_fetch_sub(&captures_under_way, 1);
    if (result == CUDA_SUCCESS && graph != NULL)
        reply.graph = call_name(HANDLE_GRAPH, request->graph, graph, 0);
    if (reply.over && before != graph)
        forget_graph(before);
    graph_unlock();
    call_reply_append(call, &reply, sizeof reply);
    return result;
}

CUresult serve_capture_info(struct call *call)
{
    const struct request_capture_info *request = call->request;
    CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
    cuuint64_t id = 0;
    CUgraph graph = NULL;
    const CUgraphNode *nodes = NULL;
    const CUgraphEdgeData *edges = NULL;
    size_t count = 0;
    void *stream;
    if (driver.cuStreamGetCaptureInfo_v2 == NULL)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (request->name_count > GRAPH_DEPENDENCIES_MAX ||
        request->name_count * sizeof(uint64_t) > call->tail_bytes)
        return CUDA_ERROR_INVALID_VALUE;
    if (!handle_find(HANDLE_STREAM, request->stream, &stream))
        return CUDA_ERROR_INVALID_HANDLE;
    graph_lock();
    CUresult result =
        driver.cuStreamGetCaptureInfo_v3 != NULL && request->wants_edges
            ? driver.cuStreamGetCaptureInfo_v3(stream, &status, &id, &graph, &nodes, &edges, &count)
            : driver.cuStreamGetCaptureInfo_v2(stream, &status, &id, &graph, &nodes, &count);
    if (result == CUDA_SUCCESS) {
        bool active = status == CU_STREAM_CAPTURE_STATUS_ACTIVE;
        struct reply_capture_info reply = {.status = status, .id = id};
        reply.count = active ? (uint32_t)count : 0;
        if (active && handle_check_name(HANDLE_GRAPH, request->graph) == CUDA_SUCCESS)
            reply.graph = call_name(HANDLE_GRAPH, request->graph, graph, 0);
        call_reply_append(call, &reply, sizeof reply);
        for (uint32_t i = 0; i < reply.count && reply.count <= request->name_count; i++) {
            uint64_t name;
            memcpy(&name, call->tail + i * sizeof name, sizeof name);
            name = call_name(HANDLE_GRAPH_NODE, name, nodes[i], reply.graph);
            call_reply_append(call, &name, sizeof name);
        }
        if (edges != NULL && reply.count <= request->name_count)
            call_reply_append(call, edges, reply.count * sizeof *edges);
    }
    graph_unlock();
    return result;
}

CUresult serve_capture_dependencies(struct call *call)
{
    const struct request_capture_dependencies *request = call->request;
    struct dependencies dependencies = {0};
    void *stream;
    if (driver.cuStreamUpdateCaptureDependencies == NULL)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (!handle_find(HANDLE_STREAM, request->stream, &stream))
        return CUDA_ERROR_INVALID_HANDLE;
    graph_lock();
    CUresult result = dependencies_read(&dependencies, call, request->count, request->has_edges);
    if (result == CUDA_SUCCESS)
        result = request->has_edges && driver.cuStreamUpdateCaptureDependencies_v2 != NULL
                     ? driver.cuStreamUpdateCaptureDependencies_v2(
                           stream, dependencies.nodes, dependencies.edges, request->count, request->flags)
                     : driver.cuStreamUpdateCaptureDependencies(stream, dependencies.nodes, request->count,
                                                                request->flags);
    graph_unlock();
    dependencies_end(&dependencies);
    return result;
}

CUresult serve_capture_mode(struct call *call)
{
    const struct request_capture_mode *request = call->request;
    CUstreamCaptureMode mode = request->mode;
    return driver.cuThreadExchangeStreamCaptureMode(&mode);
}

/* Stream capture. Programs ask all the time whether a stream captures; while this process has begun no
 * capture, the answer is known here. During a capture nothing is forgotten once sent: what may not be
 * captured is refused at the call itself, and ends the capture. */
#include "guest/capture.h"

#include <stdlib.h>
#include <string.h>

#include "cuda_api.h"
#include "guest/call.h"
#include "guest/context.h"
#include "guest/export.h"
#include "guest/graph.h"
#include "guest/handle_table.h"
#include "guest/init.h"
#include "guest_forward.h"
#include "wire/own_calls.h"

bool capture_is_possible(void)
{
    return call_captures() != 0;
}

bool capture_is_in(CUstream stream)
{
    CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
    return capture_is_possible() && forward_cuStreamIsCapturing(stream, &status) == CUDA_SUCCESS &&
           status == CU_STREAM_CAPTURE_STATUS_ACTIVE;
}

/* No stream captures, and nothing else is wrong. */
static bool surely_not(CUstream stream)
{
    return !capture_is_possible() && !call_errors_stay() && context_required() == CUDA_SUCCESS &&
           ((uintptr_t)stream <= (uintptr_t)CU_STREAM_PER_THREAD ||
            handle_alive(HANDLE_STREAM, (uintptr_t)stream));
}

/* --- beginning and ending --- */

static CUresult begin(CUstream stream, CUgraph graph, const CUgraphNode *nodes, const CUgraphEdgeData *edges,
                      size_t count, CUstreamCaptureMode mode)
{
    struct request_capture_begin request = {.stream = (uintptr_t)stream,
                                            .graph = (uintptr_t)graph,
                                            .mode = mode,
                                            .dependency_count = (uint32_t)count,
                                            .has_edges = edges != NULL};
    size_t nodes_bytes = count * sizeof *nodes, edges_bytes = edges != NULL ? count * sizeof *edges : 0;
    struct message message;
    if (count > GRAPH_DEPENDENCIES_MAX || (count > 0 && nodes == NULL))
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = message_begin(&message, CALL_capture_begin, sizeof request + nodes_bytes + edges_bytes);
    if (result != CUDA_SUCCESS)
        return result;
    uint8_t *body = message.body;
    memcpy(body, &request, sizeof request);
    if (nodes_bytes > 0)
        memcpy(body + sizeof request, nodes, nodes_bytes);
    if (edges_bytes > 0)
        memcpy(body + sizeof request + nodes_bytes, edges, edges_bytes);
    call_capture_begun();
    result = message_wait(&message, NULL, 0);
    if (result != CUDA_SUCCESS)
        call_capture_ended();
    return result;
}

VGPU_EXPORT CUresult cuStreamBeginCapture_v2(CUstream hStream, CUstreamCaptureMode mode)
{
    return begin(hStream, NULL, NULL, NULL, 0, mode);
}

VGPU_EXPORT CUresult cuStreamBeginCapture(CUstream hStream)
{
    return begin(hStream, NULL, NULL, NULL, 0, CU_STREAM_CAPTURE_MODE_GLOBAL);
}

VGPU_EXPORT CUresult cuStreamBeginCaptureToGraph(CUstream hStream, CUgraph hGraph,
                                                 const CUgraphNode *dependencies,
                                                 const CUgraphEdgeData *dependencyData,
                                                 size_t numDependencies, CUstreamCaptureMode mode)
{
    if (hGraph == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    return begin(hStream, hGraph, dependencies, dependencyData, numDependencies, mode);
}

VGPU_EXPORT CUresult cuStreamEndCapture(CUstream hStream, CUgraph *phGraph)
{
    if (phGraph == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    struct request_capture_end request = {.stream = (uintptr_t)hStream,
                                          .graph = handle_reserve(HANDLE_GRAPH)};
    struct reply_capture_end reply = {0};
    if (request.graph == 0)
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult result = call_wait(CALL_capture_end, &request, sizeof request, NULL, 0, &reply, sizeof reply);
    handle_settle(request.graph, reply.graph);
    if (reply.over)
        call_capture_ended();
    *phGraph = (CUgraph)(uintptr_t)reply.graph;
    return result;
}

/* --- asking --- */

VGPU_EXPORT CUresult cuStreamIsCapturing(CUstream hStream, CUstreamCaptureStatus *captureStatus)
{
    if (captureStatus == NULL || !surely_not(hStream))
        return forward_cuStreamIsCapturing(hStream, captureStatus);
    *captureStatus = CU_STREAM_CAPTURE_STATUS_NONE;
    return CUDA_SUCCESS;
}

/* What a program asks for; all but the status may be NULL. */
struct capture_question {
    CUstreamCaptureStatus *status;
    cuuint64_t *id;
    CUgraph *graph;
    const CUgraphNode **nodes;
    const CUgraphEdgeData **edges;
    size_t *count;
};

#define NAMES_FIRST 64u

/* The program reads nodes and edges until it asks again: they are kept with the thread. */
static bool keep(const uint64_t *names, const CUgraphEdgeData *edges, uint32_t count,
                 const struct capture_question *question)
{
    struct guest_thread *thread = thread_self();
    size_t bytes = count * (sizeof(CUgraphNode) + sizeof *edges);
    uint8_t *memory = thread != NULL ? realloc(thread->capture_nodes, bytes > 0 ? bytes : 1) : NULL;
    if (memory == NULL)
        return false;
    thread->capture_nodes = memory;
    memcpy(memory, names, count * sizeof *names);
    if (edges != NULL)
        memcpy(memory + count * sizeof *names, edges, count * sizeof *edges);
    if (question->nodes != NULL)
        *question->nodes = (const CUgraphNode *)memory;
    if (question->edges != NULL)
        *question->edges = (const CUgraphEdgeData *)(memory + count * sizeof *names);
    return true;
}

/* One exchange with room for `room` nodes. *reply says how many there are. */
static CUresult ask(CUstream stream, const struct capture_question *question, uint32_t room,
                    struct reply_capture_info *reply)
{
    uint64_t *names = calloc(room, sizeof *names);
    struct request_capture_info request = {.stream = (uintptr_t)stream,
                                           .graph = handle_reserve(HANDLE_GRAPH),
                                           .name_count = room,
                                           .wants_edges = question->edges != NULL};
    struct message message;
    CUresult result = names == NULL || request.graph == 0 ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS;
    for (uint32_t i = 0; i < room && result == CUDA_SUCCESS; i++)
        names[i] = handle_reserve(HANDLE_GRAPH_NODE);
    if (result == CUDA_SUCCESS)
        result = message_begin(&message, CALL_capture_info, sizeof request + room * sizeof *names);
    if (result == CUDA_SUCCESS) {
        memcpy(message.body, &request, sizeof request);
        memcpy((uint8_t *)message.body + sizeof request, names, room * sizeof *names);
        result = message_wait(&message, reply, sizeof *reply);
    }
    size_t bytes = 0;
    const uint8_t *body = result == CUDA_SUCCESS ? message_reply(&message, &bytes) : NULL;
    uint32_t count = result == CUDA_SUCCESS && reply->count <= room ? reply->count : 0;
    const uint64_t *given = (const uint64_t *)(body + sizeof *reply);
    const CUgraphEdgeData *edges = (const CUgraphEdgeData *)(given + count);
    if (result == CUDA_SUCCESS && bytes < sizeof *reply + count * sizeof *given)
        count = 0;
    if (result == CUDA_SUCCESS && reply->count == count &&
        !keep(given, bytes >= sizeof *reply + count * (sizeof *given + sizeof *edges) ? edges : NULL, count,
              question))
        result = CUDA_ERROR_OUT_OF_MEMORY;
    handle_settle(request.graph, result == CUDA_SUCCESS ? reply->graph : 0);
    for (uint32_t i = 0; i < room && names != NULL; i++) {
        handle_settle(names[i], i < count ? given[i] : 0);
        if (i < count && given[i] == names[i])
            graph_owns(reply->graph, given[i]);
    }
    free(names);
    return result;
}

static CUresult capture_info(CUstream stream, const struct capture_question *question)
{
    if (question->status == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    if (surely_not(stream)) {
        *question->status = CU_STREAM_CAPTURE_STATUS_NONE;
        return CUDA_SUCCESS;
    }
    struct reply_capture_info reply = {0};
    CUresult result = ask(stream, question, NAMES_FIRST, &reply);
    if (result == CUDA_SUCCESS && reply.count > NAMES_FIRST && reply.count <= GRAPH_DEPENDENCIES_MAX)
        result = ask(stream, question, reply.count, &reply);
    if (result != CUDA_SUCCESS)
        return result;
    *question->status = reply.status;
    if (reply.status != CU_STREAM_CAPTURE_STATUS_ACTIVE)
        return CUDA_SUCCESS;
    if (question->id != NULL)
        *question->id = reply.id;
    if (question->graph != NULL)
        *question->graph = (CUgraph)(uintptr_t)reply.graph;
    if (question->count != NULL)
        *question->count = reply.count;
    return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuStreamGetCaptureInfo(CUstream hStream, CUstreamCaptureStatus *captureStatus_out,
                                            cuuint64_t *id_out)
{
    struct capture_question question = {.status = captureStatus_out, .id = id_out};
    return capture_info(hStream, &question);
}

VGPU_EXPORT CUresult cuStreamGetCaptureInfo_v2(CUstream hStream, CUstreamCaptureStatus *captureStatus_out,
                                               cuuint64_t *id_out, CUgraph *graph_out,
                                               const CUgraphNode **dependencies_out,
                                               size_t *numDependencies_out)
{
    struct capture_question question = {captureStatus_out, id_out, graph_out,
                                        dependencies_out,  NULL,   numDependencies_out};
    return capture_info(hStream, &question);
}

VGPU_EXPORT CUresult cuStreamGetCaptureInfo_v3(CUstream hStream, CUstreamCaptureStatus *captureStatus_out,
                                               cuuint64_t *id_out, CUgraph *graph_out,
                                               const CUgraphNode **dependencies_out,
                                               const CUgraphEdgeData **edgeData_out,
                                               size_t *numDependencies_out)
{
    struct capture_question question = {captureStatus_out, id_out,       graph_out,
                                        dependencies_out,  edgeData_out, numDependencies_out};
    return capture_info(hStream, &question);
}

/* --- changing --- */

VGPU_EXPORT CUresult cuStreamUpdateCaptureDependencies_v2(CUstream hStream, CUgraphNode *dependencies,
                                                          const CUgraphEdgeData *dependencyData,
                                                          size_t numDependencies, unsigned int flags)
{
    struct request_capture_dependencies request = {.stream = (uintptr_t)hStream,
                                                   .count = (uint32_t)numDependencies,
                                                   .has_edges = dependencyData != NULL,
                                                   .flags = flags};
    size_t nodes_bytes = numDependencies * sizeof *dependencies;
    size_t edges_bytes = dependencyData != NULL ? numDependencies * sizeof *dependencyData : 0;
    struct message message;
    if (numDependencies > GRAPH_DEPENDENCIES_MAX || (numDependencies > 0 && dependencies == NULL))
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result =
        message_begin(&message, CALL_capture_dependencies, sizeof request + nodes_bytes + edges_bytes);
    if (result != CUDA_SUCCESS)
        return result;
    uint8_t *body = message.body;
    memcpy(body, &request, sizeof request);
    if (nodes_bytes > 0)
        memcpy(body + sizeof request, dependencies, nodes_bytes);
    if (edges_bytes > 0)
        memcpy(body + sizeof request + nodes_bytes, dependencyData, edges_bytes);
    return message_wait(&message, NULL, 0);
}

VGPU_EXPORT CUresult cuStreamUpdateCaptureDependencies(CUstream hStream, CUgraphNode *dependencies,
                                                       size_t numDependencies, unsigned int flags)
{
    return cuStreamUpdateCaptureDependencies_v2(hStream, dependencies, NULL, numDependencies, flags);
}

/* The worker's thread of this lane follows. */
VGPU_EXPORT CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode)
{
    CUresult result = library_state();
    struct guest_thread *thread = thread_self();
    if (result != CUDA_SUCCESS)
        return result;
    if (mode == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    if (thread == NULL)
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUstreamCaptureMode before = thread->capture_mode;
    if (*mode != before) {
        struct request_capture_mode request = {.mode = *mode};
        result = call_send(CALL_capture_mode, &request, sizeof request, NULL, 0);
    }
    if (result == CUDA_SUCCESS) {
        thread->capture_mode = *mode;
        *mode = before;
    }
    return result;
}

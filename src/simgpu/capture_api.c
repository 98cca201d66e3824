/* The calls about stream capture: what they are given is checked here, what they do is in capture.c. */
#include "cuda_api.h"
#include "simgpu/capture.h"
#include "simgpu/graph.h"
#include "simgpu/handle.h"

/* --- beginning and ending --- */

/* hGraph: NULL for one that the capture makes. */
static CUresult begin(CUstream hStream, CUgraph hGraph, const CUgraphNode *dependencies,
                      const CUgraphEdgeData *dependencyData, size_t numDependencies, CUstreamCaptureMode mode)
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
    return result ? result
                  : capture_begin(stream, hGraph, dependencies, dependencyData, numDependencies, mode);
}

CUresult cuStreamBeginCaptureToGraph(CUstream hStream, CUgraph hGraph, const CUgraphNode *dependencies,
                                     const CUgraphEdgeData *dependencyData, size_t numDependencies,
                                     CUstreamCaptureMode mode)
{
    if (!hGraph)
        return CUDA_ERROR_INVALID_VALUE;
    return begin(hStream, hGraph, dependencies, dependencyData, numDependencies, mode);
}

CUresult cuStreamBeginCapture_v2(CUstream hStream, CUstreamCaptureMode mode)
{
    return begin(hStream, NULL, NULL, NULL, 0, mode);
}

CUresult cuStreamBeginCapture(CUstream hStream)
{
    return cuStreamBeginCapture_v2(hStream, CU_STREAM_CAPTURE_MODE_GLOBAL);
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
    return capture_end(stream, phGraph);
}

/* --- asking --- */

CUresult cuStreamGetCaptureInfo_v3(CUstream hStream, CUstreamCaptureStatus *captureStatus_out,
                                   cuuint64_t *id_out, CUgraph *graph_out,
                                   const CUgraphNode **dependencies_out, const CUgraphEdgeData **edgeData_out,
                                   size_t *numDependencies_out)
{
    struct CUstream_st *stream;
    struct capture_description capture;
    CUresult result = stream_resolve(hStream, &stream);
    if (!result && !captureStatus_out)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    result = capture_describe(stream, &capture);
    *captureStatus_out = capture.status;
    if (capture.status != CU_STREAM_CAPTURE_STATUS_ACTIVE)
        return result;
    if (id_out)
        *id_out = capture.id;
    if (graph_out)
        *graph_out = capture.graph;
    if (dependencies_out)
        *dependencies_out = capture.frontier.nodes;
    if (edgeData_out)
        *edgeData_out = capture.frontier.edges;
    if (numDependencies_out)
        *numDependencies_out = capture.frontier.count;
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
    return result ? result
                  : capture_depend(stream, dependencies, dependencyData, numDependencies,
                                   flags == CU_STREAM_SET_CAPTURE_DEPENDENCIES);
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
    *mode = capture_exchange_mode(*mode);
    return CUDA_SUCCESS;
}

/* Work of a stream that is not the GPU's: functions of the program. */
#include "cuda_api.h"
#include "simgpu/graph.h"
#include "simgpu/per_thread.h"

struct callback_work {
    struct work work;
    CUhostFn host_function;
    CUstreamCallback callback;
    CUstream stream; /* as the program named it */
    void *data;
};

static void run_callback(struct work *work)
{
    struct callback_work *job = (struct callback_work *)work;
    context_set_in_callback(true);
    if (job->host_function)
        job->host_function(job->data);
    else
        job->callback(job->stream, context_error(work->context), job->data);
    context_set_in_callback(false);
}

static void describe_callback(struct work *work, CUgraphNodeParams *params)
{
    const struct callback_work *job = (const struct callback_work *)work;
    params->host = (CUDA_HOST_NODE_PARAMS){job->host_function, job->data};
}

CUresult host_work_make(CUhostFn function, void *data, struct work **work)
{
    if (!function)
        return CUDA_ERROR_INVALID_VALUE;
    struct callback_work *job = (struct callback_work *)work_create(sizeof *job, run_callback, NULL);
    if (!job)
        return CUDA_ERROR_OUT_OF_MEMORY;
    job->work.runs_in_stream_thread = true;
    job->work.is_node = true;
    job->work.node_type = CU_GRAPH_NODE_TYPE_HOST;
    job->work.describe = describe_callback;
    job->host_function = function;
    job->data = data;
    *work = &job->work;
    return CUDA_SUCCESS;
}

static CUresult launch_host_function(CUstream handle, CUhostFn function, void *data)
{
    struct CUstream_st *stream;
    struct work *work;
    CUresult result = stream_resolve(handle, &stream);
    if (!result)
        result = host_work_make(function, data, &work);
    return result ? result : work_submit(stream, work, WORK_QUEUED);
}

/* Not for capture: a callback is told of errors, and a host function is left out then. */
static CUresult add_callback(CUstream handle, CUstreamCallback callback, void *data, unsigned int flags)
{
    struct CUstream_st *stream;
    CUresult result = stream_resolve(handle, &stream);
    if (!result && (!callback || flags))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    struct callback_work *job = (struct callback_work *)work_create(sizeof *job, run_callback, NULL);
    if (!job)
        return CUDA_ERROR_OUT_OF_MEMORY;
    job->work.runs_after_error = true;
    job->work.runs_in_stream_thread = true;
    job->callback = callback;
    job->stream = handle;
    job->data = data;
    return work_submit(stream, &job->work, WORK_QUEUED);
}

CUresult cuLaunchHostFunc(CUstream hStream, CUhostFn fn, void *userData)
{
    return launch_host_function(hStream, fn, userData);
}

CUresult cuLaunchHostFunc_ptsz(CUstream hStream, CUhostFn fn, void *userData)
{
    return launch_host_function(per_thread(hStream), fn, userData);
}

CUresult cuStreamAddCallback(CUstream hStream, CUstreamCallback callback, void *userData, unsigned int flags)
{
    return add_callback(hStream, callback, userData, flags);
}

CUresult cuStreamAddCallback_ptsz(CUstream hStream, CUstreamCallback callback, void *userData,
                                  unsigned int flags)
{
    return add_callback(per_thread(hStream), callback, userData, flags);
}

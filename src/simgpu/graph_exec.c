/* Executable graphs: making them, changing them, launching them. */
#include <stdlib.h>
#include <string.h>

#include "cuda_api.h"
#include "simgpu/capture.h"
#include "simgpu/graph.h"
#include "simgpu/handle.h"
#include "simgpu/per_thread.h"

#define FLAGS_KNOWN                                                                                          \
    (CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH | CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD |                  \
     CUDA_GRAPH_INSTANTIATE_FLAG_USE_NODE_PRIORITY)

/* --- making --- */

static CUresult instantiate(CUgraphExec *exec, CUgraph graph, uint64_t flags)
{
    CUresult result = driver_check();
    if (!result && (!exec || !handle_is(graph, HANDLE_GRAPH) || (flags & ~(uint64_t)FLAGS_KNOWN)))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    struct CUgraphNode_st **order = graph_order(graph);
    if (!order)
        return CUDA_ERROR_INVALID_VALUE;
    free(order);
    struct CUgraphExec_st *made = calloc(1, sizeof *made);
    if (!made || !(made->copy = graph_copy(graph)) || !handle_add(made, HANDLE_GRAPH_EXEC)) {
        if (made && made->copy)
            graph_destroy(made->copy);
        free(made);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    made->flags = flags;
    *exec = made;
    return CUDA_SUCCESS;
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec *phGraphExec, CUgraph hGraph, unsigned long long flags)
{
    return instantiate(phGraphExec, hGraph, flags);
}

CUresult cuGraphInstantiateWithParams(CUgraphExec *phGraphExec, CUgraph hGraph,
                                      CUDA_GRAPH_INSTANTIATE_PARAMS *instantiateParams)
{
    if (!instantiateParams)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = instantiate(phGraphExec, hGraph, instantiateParams->flags);
    instantiateParams->hErrNode_out = NULL;
    instantiateParams->result_out = result ? CUDA_GRAPH_INSTANTIATE_ERROR : CUDA_GRAPH_INSTANTIATE_SUCCESS;
    return result;
}

CUresult cuGraphInstantiateWithParams_ptsz(CUgraphExec *phGraphExec, CUgraph hGraph,
                                           CUDA_GRAPH_INSTANTIATE_PARAMS *instantiateParams)
{
    return cuGraphInstantiateWithParams(phGraphExec, hGraph, instantiateParams);
}

CUresult cuGraphInstantiate(CUgraphExec *phGraphExec, CUgraph hGraph, CUgraphNode *phErrorNode,
                            char *logBuffer, size_t bufferSize)
{
    if (logBuffer && bufferSize)
        *logBuffer = '\0';
    if (phErrorNode)
        *phErrorNode = NULL;
    return instantiate(phGraphExec, hGraph, 0);
}

CUresult cuGraphInstantiate_v2(CUgraphExec *phGraphExec, CUgraph hGraph, CUgraphNode *phErrorNode,
                               char *logBuffer, size_t bufferSize)
{
    return cuGraphInstantiate(phGraphExec, hGraph, phErrorNode, logBuffer, bufferSize);
}

static CUresult check_exec(CUgraphExec exec)
{
    CUresult result = driver_check();
    return !result && !handle_is(exec, HANDLE_GRAPH_EXEC) ? CUDA_ERROR_INVALID_VALUE : result;
}

CUresult cuGraphExecDestroy(CUgraphExec hGraphExec)
{
    CUresult result = check_exec(hGraphExec);
    if (result)
        return result;
    handle_remove(hGraphExec);
    graph_destroy(hGraphExec->copy);
    work_release(hGraphExec->last);
    free(hGraphExec);
    return CUDA_SUCCESS;
}

CUresult cuGraphExecGetFlags(CUgraphExec hGraphExec, cuuint64_t *flags)
{
    CUresult result = check_exec(hGraphExec);
    if (!result && !flags)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *flags = hGraphExec->flags;
    return result;
}

/* --- changing as a whole --- */

static CUgraphExecUpdateResult compare(const struct CUgraph_st *copy, const struct CUgraph_st *graph,
                                       CUgraphNode *wrong)
{
    if (copy->count != graph->count)
        return CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
    for (size_t i = 0; i < graph->count; i++) {
        copy->nodes[i]->place = graph->nodes[i]->place = i;
    }
    for (size_t i = 0; i < graph->count; i++) {
        const struct CUgraphNode_st *old = copy->nodes[i], *new = graph->nodes[i];
        *wrong = graph->nodes[i];
        if (old->type != new->type)
            return CU_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED;
        if (old->edge_count != new->edge_count)
            return CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
        for (size_t e = 0; e < new->edge_count; e++)
            if (old->edges[e].from->place != new->edges[e].from->place)
                return CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
        if (!new->child)
            continue;
        CUgraphExecUpdateResult result = compare(old->child, new->child, wrong);
        if (result)
            return result;
    }
    *wrong = NULL;
    return CU_GRAPH_EXEC_UPDATE_SUCCESS;
}

static void take_over(struct CUgraph_st *copy, const struct CUgraph_st *graph)
{
    for (size_t i = 0; i < graph->count; i++) {
        struct CUgraphNode_st *old = copy->nodes[i], *new = graph->nodes[i];
        template_release(old->template);
        old->template = template_hold(new->template);
        old->event = new->event;
        if (new->child)
            take_over(old->child, new->child);
    }
}

CUresult cuGraphExecUpdate_v2(CUgraphExec hGraphExec, CUgraph hGraph, CUgraphExecUpdateResultInfo *resultInfo)
{
    CUresult result = check_exec(hGraphExec);
    if (!result && (!handle_is(hGraph, HANDLE_GRAPH) || !resultInfo))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    *resultInfo = (CUgraphExecUpdateResultInfo){0};
    resultInfo->result = compare(hGraphExec->copy, hGraph, &resultInfo->errorNode);
    if (resultInfo->result)
        return CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
    take_over(hGraphExec->copy, hGraph);
    return CUDA_SUCCESS;
}

CUresult cuGraphExecUpdate(CUgraphExec hGraphExec, CUgraph hGraph, CUgraphNode *hErrorNode_out,
                           CUgraphExecUpdateResult *updateResult_out)
{
    CUgraphExecUpdateResultInfo info = {0};
    CUresult result = cuGraphExecUpdate_v2(hGraphExec, hGraph, &info);
    if (hErrorNode_out)
        *hErrorNode_out = info.errorNode;
    if (updateResult_out)
        *updateResult_out = info.result;
    return result;
}

/* --- launching --- */

/* What a launch does, one after the other: the executable graph may be changed meanwhile. */
struct item {
    struct graph_template *template; /* to be run, or NULL */
    CUevent event;                   /* to be recorded with the mark, or to be waited for */
    struct work *mark;
};

struct graph_work {
    struct work work;
    struct item *items;
    size_t count;
};

static void run_graph(struct work *work)
{
    struct graph_work *job = (struct graph_work *)work;
    for (size_t i = 0; i < job->count; i++) {
        struct item *item = &job->items[i];
        if (item->mark) {
            work_complete(item->mark);
        } else if (item->event && handle_is(item->event, HANDLE_EVENT)) {
            struct work *awaited = event_recorded(item->event);
            if (awaited)
                work_wait(awaited);
            work_release(awaited);
        } else if (item->template && item->template->work->run && !context_error(work->context)) {
            item->template->work->run(item->template->work);
        }
    }
}

static void finish_graph(struct work *work)
{
    struct graph_work *job = (struct graph_work *)work;
    for (size_t i = 0; job->items && i < job->count; i++) {
        if (job->items[i].mark)
            work_complete(job->items[i].mark);
        work_release(job->items[i].mark);
        template_release(job->items[i].template);
    }
    free(job->items);
}

static size_t count_items(const struct CUgraph_st *graph)
{
    size_t count = graph->count;
    for (size_t i = 0; i < graph->count; i++)
        if (graph->nodes[i]->child)
            count += count_items(graph->nodes[i]->child);
    return count;
}

static bool add_items(struct graph_work *job, const struct CUgraph_st *graph, struct CUstream_st *stream)
{
    struct CUgraphNode_st **order = graph_order(graph);
    bool good = order != NULL;
    for (size_t i = 0; i < graph->count && good; i++) {
        const struct CUgraphNode_st *node = order[i];
        struct item item = {.event = node->event};
        if (node->is_disabled)
            continue;
        if (node->child) {
            good = add_items(job, node->child, stream);
            continue;
        }
        if (node->type == CU_GRAPH_NODE_TYPE_EVENT_RECORD && handle_is(node->event, HANDLE_EVENT)) {
            item.mark = work_create(sizeof *item.mark, NULL, NULL);
            good = item.mark != NULL;
            if (good) {
                work_place(item.mark, stream);
                event_set_recorded(node->event, item.mark);
            }
        }
        item.template = template_hold(node->template);
        job->work.runs_in_stream_thread |= node->template && node->template->work->runs_in_stream_thread;
        job->items[job->count++] = item;
    }
    free(order);
    return good;
}

CUresult graph_launch(struct CUgraphExec_st *exec, struct CUstream_st *stream)
{
    CUresult result = capture_ask_stream(stream);
    if (result)
        return result;
    struct graph_work *job = (struct graph_work *)work_create(sizeof *job, run_graph, finish_graph);
    if (!job)
        return CUDA_ERROR_OUT_OF_MEMORY;
    job->items = calloc(count_items(exec->copy) + 1, sizeof *job->items);
    job->work.runs_after_error = true; /* its events are recorded all the same */
    if (!job->items || !add_items(job, exec->copy, stream) ||
        (exec->last && !work_needs(&job->work, exec->last))) {
        finish_graph(&job->work);
        work_release(&job->work);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    work_release(exec->last);
    work_reference(&job->work);
    exec->last = &job->work;
    return work_submit(stream, &job->work, WORK_QUEUED);
}

CUresult cuGraphLaunch(CUgraphExec hGraphExec, CUstream hStream)
{
    struct CUstream_st *stream;
    CUresult result = check_exec(hGraphExec);
    if (!result)
        result = stream_resolve(hStream, &stream);
    return result ? result : graph_launch(hGraphExec, stream);
}

CUresult cuGraphUpload(CUgraphExec hGraphExec, CUstream hStream)
{
    struct CUstream_st *stream;
    CUresult result = check_exec(hGraphExec);
    return result ? result : stream_resolve(hStream, &stream);
}

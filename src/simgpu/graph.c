#include "simgpu/graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_api.h"
#include "simgpu/handle.h"

/* --- work that nodes share --- */

struct graph_template *template_create(struct work *work)
{
    struct graph_template *template = work ? calloc(1, sizeof *template) : NULL;
    if (!template) {
        if (work && work->finish)
            work->finish(work);
        work_release(work);
        return NULL;
    }
    template->references = 1;
    template->work = work;
    return template;
}

struct graph_template *template_hold(struct graph_template *template)
{
    if (template)
        atomic_fetch_add(&template->references, 1);
    return template;
}

void template_release(struct graph_template *template)
{
    if (!template || atomic_fetch_sub(&template->references, 1) > 1)
        return;
    if (template->work->finish)
        template->work->finish(template->work);
    work_release(template->work);
    free(template);
}

/* --- life --- */

struct CUgraph_st *graph_create(void)
{
    struct CUgraph_st *graph = calloc(1, sizeof *graph);
    if (graph && !handle_add(graph, HANDLE_GRAPH)) {
        free(graph);
        return NULL;
    }
    return graph;
}

static void free_node(struct CUgraphNode_st *node)
{
    handle_remove(node);
    template_release(node->template);
    if (node->child)
        graph_destroy(node->child);
    free(node->edges);
    free(node);
}

void graph_destroy(struct CUgraph_st *graph)
{
    handle_remove(graph);
    for (size_t i = 0; i < graph->count; i++)
        free_node(graph->nodes[i]);
    graph_drop_objects(graph);
    free(graph->nodes);
    free(graph);
}

struct CUgraphNode_st *graph_add(struct CUgraph_st *graph, CUgraphNodeType type,
                                 struct graph_template *template)
{
    if (graph->count == graph->room) {
        size_t room = graph->room ? graph->room * 2 : 16;
        struct CUgraphNode_st **nodes = realloc(graph->nodes, room * sizeof *nodes);
        if (nodes) {
            graph->nodes = nodes;
            graph->room = room;
        }
    }
    struct CUgraphNode_st *node = graph->count < graph->room ? calloc(1, sizeof *node) : NULL;
    if (!node || !handle_add(node, HANDLE_GRAPH_NODE)) {
        free(node);
        template_release(template);
        return NULL;
    }
    node->graph = graph;
    node->type = type;
    node->template = template;
    graph->nodes[graph->count++] = node;
    return node;
}

static bool depends(const struct CUgraphNode_st *node, const struct CUgraphNode_st *from)
{
    for (size_t i = 0; i < node->edge_count; i++)
        if (node->edges[i].from == from)
            return true;
    return false;
}

CUresult graph_depend(struct CUgraphNode_st *node, struct CUgraphNode_st *from, const CUgraphEdgeData *data)
{
    if (node->graph != from->graph || node == from || depends(node, from))
        return CUDA_ERROR_INVALID_VALUE;
    if (node->edge_count == node->edge_room) {
        size_t room = node->edge_room ? node->edge_room * 2 : 4;
        struct graph_edge *edges = realloc(node->edges, room * sizeof *edges);
        if (!edges)
            return CUDA_ERROR_OUT_OF_MEMORY;
        node->edges = edges;
        node->edge_room = room;
    }
    node->edges[node->edge_count++] = (struct graph_edge){from, data ? *data : (CUgraphEdgeData){0}};
    return CUDA_SUCCESS;
}

struct CUgraphNode_st *graph_find(const struct CUgraph_st *graph, const struct CUgraphNode_st *origin)
{
    for (size_t i = 0; i < graph->count; i++) {
        struct CUgraphNode_st *node = graph->nodes[i];
        struct CUgraphNode_st *within = node->child ? graph_find(node->child, origin) : NULL;
        if (node->origin == origin)
            return node;
        if (within)
            return within;
    }
    return NULL;
}

static bool copy_node(struct CUgraph_st *copy, const struct CUgraphNode_st *node)
{
    struct CUgraphNode_st *made = graph_add(copy, node->type, template_hold(node->template));
    if (!made)
        return false;
    made->origin = node;
    made->event = node->event;
    made->is_disabled = node->is_disabled;
    memcpy(made->has_attribute, node->has_attribute, sizeof made->has_attribute);
    memcpy(made->attributes, node->attributes, sizeof made->attributes);
    if (node->child && !(made->child = graph_copy(node->child)))
        return false;
    if (made->child)
        made->child->is_child = true;
    return true;
}

struct CUgraph_st *graph_copy(const struct CUgraph_st *graph)
{
    struct CUgraph_st *copy = graph_create();
    bool good = copy != NULL;
    for (size_t i = 0; i < graph->count && good; i++) {
        graph->nodes[i]->place = i;
        good = copy_node(copy, graph->nodes[i]);
    }
    for (size_t i = 0; i < graph->count && good; i++) {
        const struct CUgraphNode_st *node = graph->nodes[i];
        for (size_t e = 0; e < node->edge_count && good; e++)
            good =
                !graph_depend(copy->nodes[i], copy->nodes[node->edges[e].from->place], &node->edges[e].data);
    }
    if (!good) {
        if (copy)
            graph_destroy(copy);
        return NULL;
    }
    copy->origin = graph;
    graph_hold_objects(copy, graph);
    return copy;
}

struct CUgraphNode_st **graph_order(const struct CUgraph_st *graph)
{
    struct CUgraphNode_st **order = calloc(graph->count + 1, sizeof *order);
    size_t placed = 0, before;
    if (!order)
        return NULL;
    for (size_t i = 0; i < graph->count; i++)
        graph->nodes[i]->place = SIZE_MAX;
    do {
        before = placed;
        for (size_t i = 0; i < graph->count; i++) {
            struct CUgraphNode_st *node = graph->nodes[i];
            bool ready = node->place == SIZE_MAX;
            for (size_t e = 0; e < node->edge_count && ready; e++)
                ready = node->edges[e].from->place != SIZE_MAX;
            if (!ready)
                continue;
            node->place = placed;
            order[placed++] = node;
        }
    } while (placed > before && placed < graph->count);
    if (placed == graph->count)
        return order;
    free(order);
    return NULL;
}

/* --- entry points --- */

CUresult cuGraphCreate(CUgraph *phGraph, unsigned int flags)
{
    CUresult result = driver_check();
    if (!result && (!phGraph || flags))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    *phGraph = graph_create();
    return *phGraph ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult check_graph(CUgraph graph)
{
    CUresult result = driver_check();
    return !result && !handle_is(graph, HANDLE_GRAPH) ? CUDA_ERROR_INVALID_VALUE : result;
}

static CUresult check_node(CUgraphNode node)
{
    CUresult result = driver_check();
    return !result && !handle_is(node, HANDLE_GRAPH_NODE) ? CUDA_ERROR_INVALID_VALUE : result;
}

CUresult cuGraphDestroy(CUgraph hGraph)
{
    CUresult result = check_graph(hGraph);
    if (!result && hGraph->is_child)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        graph_destroy(hGraph);
    return result;
}

CUresult cuGraphClone(CUgraph *phGraphClone, CUgraph originalGraph)
{
    CUresult result = check_graph(originalGraph);
    if (!result && !phGraphClone)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    *phGraphClone = graph_copy(originalGraph);
    return *phGraphClone ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuGraphNodeFindInClone(CUgraphNode *phNode, CUgraphNode hOriginalNode, CUgraph hClonedGraph)
{
    CUresult result = check_graph(hClonedGraph);
    if (!result)
        result = check_node(hOriginalNode);
    if (!result && !phNode)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    *phNode = graph_find(hClonedGraph, hOriginalNode);
    return *phNode ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGraphDestroyNode(CUgraphNode hNode)
{
    CUresult result = check_node(hNode);
    if (result)
        return result;
    struct CUgraph_st *graph = hNode->graph;
    size_t left = 0;
    for (size_t i = 0; i < graph->count; i++) {
        struct CUgraphNode_st *node = graph->nodes[i];
        size_t edges = 0;
        for (size_t e = 0; e < node->edge_count; e++)
            if (node->edges[e].from != hNode)
                node->edges[edges++] = node->edges[e];
        node->edge_count = edges;
        if (node != hNode)
            graph->nodes[left++] = node;
    }
    graph->count = left;
    free_node(hNode);
    return CUDA_SUCCESS;
}

CUresult cuGraphNodeGetType(CUgraphNode hNode, CUgraphNodeType *type)
{
    CUresult result = check_node(hNode);
    if (!result && !type)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *type = hNode->type;
    return result;
}

/* --- lists --- */

/* Where the program's list ends; it may only ask how long it would be. */
struct listing {
    CUgraphNode *nodes, *to;
    CUgraphEdgeData *edges;
    size_t room, found;
    bool is_lossy; /* an edge says more than was asked for */
};

static void list(struct listing *listing, CUgraphNode node, CUgraphNode to, const CUgraphEdgeData *data)
{
    static const CUgraphEdgeData plain;
    if (listing->nodes && listing->found < listing->room) {
        listing->nodes[listing->found] = node;
        if (listing->to)
            listing->to[listing->found] = to;
        if (listing->edges)
            listing->edges[listing->found] = *data;
        else if (data && memcmp(data, &plain, sizeof plain) != 0)
            listing->is_lossy = true;
    }
    listing->found++;
}

static CUresult end_list(struct listing *listing, size_t *count)
{
    for (size_t i = listing->found; listing->nodes && i < listing->room; i++) {
        listing->nodes[i] = NULL;
        if (listing->to)
            listing->to[i] = NULL;
    }
    *count = !listing->nodes || listing->found < listing->room ? listing->found : listing->room;
    return listing->is_lossy ? CUDA_ERROR_LOSSY_QUERY : CUDA_SUCCESS;
}

CUresult cuGraphGetNodes(CUgraph hGraph, CUgraphNode *nodes, size_t *numNodes)
{
    CUresult result = check_graph(hGraph);
    if (!result && !numNodes)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    struct listing listing = {.nodes = nodes, .room = *numNodes};
    for (size_t i = 0; i < hGraph->count; i++)
        list(&listing, hGraph->nodes[i], NULL, NULL);
    return end_list(&listing, numNodes);
}

CUresult cuGraphGetRootNodes(CUgraph hGraph, CUgraphNode *rootNodes, size_t *numRootNodes)
{
    CUresult result = check_graph(hGraph);
    if (!result && !numRootNodes)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    struct listing listing = {.nodes = rootNodes, .room = *numRootNodes};
    for (size_t i = 0; i < hGraph->count; i++)
        if (!hGraph->nodes[i]->edge_count)
            list(&listing, hGraph->nodes[i], NULL, NULL);
    return end_list(&listing, numRootNodes);
}

CUresult cuGraphGetEdges_v2(CUgraph hGraph, CUgraphNode *from, CUgraphNode *to, CUgraphEdgeData *edgeData,
                            size_t *numEdges)
{
    CUresult result = check_graph(hGraph);
    if (!result && (!numEdges || !from != !to))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    struct listing listing = {.nodes = from, .to = to, .edges = edgeData, .room = *numEdges};
    for (size_t i = 0; i < hGraph->count; i++)
        for (size_t e = 0; e < hGraph->nodes[i]->edge_count; e++)
            list(&listing, hGraph->nodes[i]->edges[e].from, hGraph->nodes[i],
                 &hGraph->nodes[i]->edges[e].data);
    return end_list(&listing, numEdges);
}

CUresult cuGraphGetEdges(CUgraph hGraph, CUgraphNode *from, CUgraphNode *to, size_t *numEdges)
{
    return cuGraphGetEdges_v2(hGraph, from, to, NULL, numEdges);
}

CUresult cuGraphNodeGetDependencies_v2(CUgraphNode hNode, CUgraphNode *dependencies,
                                       CUgraphEdgeData *edgeData, size_t *numDependencies)
{
    CUresult result = check_node(hNode);
    if (!result && !numDependencies)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    struct listing listing = {.nodes = dependencies, .edges = edgeData, .room = *numDependencies};
    for (size_t e = 0; e < hNode->edge_count; e++)
        list(&listing, hNode->edges[e].from, NULL, &hNode->edges[e].data);
    return end_list(&listing, numDependencies);
}

CUresult cuGraphNodeGetDependencies(CUgraphNode hNode, CUgraphNode *dependencies, size_t *numDependencies)
{
    return cuGraphNodeGetDependencies_v2(hNode, dependencies, NULL, numDependencies);
}

CUresult cuGraphNodeGetDependentNodes_v2(CUgraphNode hNode, CUgraphNode *dependentNodes,
                                         CUgraphEdgeData *edgeData, size_t *numDependentNodes)
{
    CUresult result = check_node(hNode);
    if (!result && !numDependentNodes)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    struct listing listing = {.nodes = dependentNodes, .edges = edgeData, .room = *numDependentNodes};
    const struct CUgraph_st *graph = hNode->graph;
    for (size_t i = 0; i < graph->count; i++)
        for (size_t e = 0; e < graph->nodes[i]->edge_count; e++)
            if (graph->nodes[i]->edges[e].from == hNode)
                list(&listing, graph->nodes[i], NULL, &graph->nodes[i]->edges[e].data);
    return end_list(&listing, numDependentNodes);
}

CUresult cuGraphNodeGetDependentNodes(CUgraphNode hNode, CUgraphNode *dependentNodes,
                                      size_t *numDependentNodes)
{
    return cuGraphNodeGetDependentNodes_v2(hNode, dependentNodes, NULL, numDependentNodes);
}

/* --- dependencies --- */

CUresult cuGraphAddDependencies_v2(CUgraph hGraph, const CUgraphNode *from, const CUgraphNode *to,
                                   const CUgraphEdgeData *edgeData, size_t numDependencies)
{
    CUresult result = check_graph(hGraph);
    for (size_t i = 0; i < numDependencies && !result; i++) {
        result = check_node(from[i]);
        if (!result)
            result = check_node(to[i]);
        if (!result && (from[i]->graph != hGraph || to[i]->graph != hGraph))
            result = CUDA_ERROR_INVALID_VALUE;
        if (!result)
            result = graph_depend(to[i], from[i], edgeData ? &edgeData[i] : NULL);
    }
    return result;
}

CUresult cuGraphAddDependencies(CUgraph hGraph, const CUgraphNode *from, const CUgraphNode *to,
                                size_t numDependencies)
{
    return cuGraphAddDependencies_v2(hGraph, from, to, NULL, numDependencies);
}

static CUresult remove_edge(CUgraphNode from, CUgraphNode to)
{
    for (size_t e = 0; e < to->edge_count; e++) {
        if (to->edges[e].from == from) {
            to->edges[e] = to->edges[--to->edge_count];
            return CUDA_SUCCESS;
        }
    }
    return CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGraphRemoveDependencies_v2(CUgraph hGraph, const CUgraphNode *from, const CUgraphNode *to,
                                      const CUgraphEdgeData *edgeData, size_t numDependencies)
{
    CUresult result = check_graph(hGraph);
    for (size_t i = 0; i < numDependencies && !result; i++) {
        result = check_node(from[i]);
        if (!result)
            result = check_node(to[i]);
        if (!result)
            result = remove_edge(from[i], to[i]);
    }
    return result;
}

CUresult cuGraphRemoveDependencies(CUgraph hGraph, const CUgraphNode *from, const CUgraphNode *to,
                                   size_t numDependencies)
{
    return cuGraphRemoveDependencies_v2(hGraph, from, to, NULL, numDependencies);
}

/* --- as text --- */

CUresult cuGraphDebugDotPrint(CUgraph hGraph, const char *path, unsigned int flags)
{
    static const char *const types[] = {"KERNEL", "MEMCPY",   "MEMSET",       "HOST",       "GRAPH",
                                        "EMPTY",  "WAIT",     "RECORD",       "EXT_SIGNAL", "EXT_WAIT",
                                        "ALLOC",  "MEM_FREE", "BATCH_MEM_OP", "CONDITIONAL"};
    CUresult result = check_graph(hGraph);
    if (!result && !path)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    FILE *file = fopen(path, "w");
    if (!file)
        return CUDA_ERROR_OPERATING_SYSTEM;
    fputs("digraph dot {\n", file);
    for (size_t i = 0; i < hGraph->count; i++) {
        hGraph->nodes[i]->place = i;
        fprintf(file, "\"graph_node_%zu\" [label=\"%zu\\n%s\"];\n", i, i, types[hGraph->nodes[i]->type]);
    }
    for (size_t i = 0; i < hGraph->count; i++)
        for (size_t e = 0; e < hGraph->nodes[i]->edge_count; e++)
            fprintf(file, "\"graph_node_%zu\" -> \"graph_node_%zu\";\n",
                    hGraph->nodes[i]->edges[e].from->place, i);
    fputs("}\n", file);
    return fclose(file) == 0 ? CUDA_SUCCESS : CUDA_ERROR_OPERATING_SYSTEM;
}

#include "simgpu/frontier.h"

#include <stdlib.h>

void frontier_clear(struct frontier *frontier)
{
    free(frontier->nodes);
    free(frontier->edges);
    *frontier = (struct frontier){0};
}

bool frontier_add(struct frontier *frontier, CUgraphNode node, const CUgraphEdgeData *edge)
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

bool frontier_join(struct frontier *frontier, const struct frontier *other)
{
    bool good = true;
    for (size_t i = 0; i < other->count && good; i++)
        good = frontier_add(frontier, other->nodes[i], &other->edges[i]);
    return good;
}

bool frontier_set(struct frontier *frontier, CUgraphNode node)
{
    frontier->count = 0;
    return frontier_add(frontier, node, NULL);
}

/* Nodes of a graph that the next one comes after, each once and with the data of the edge to it.
 *
 * All zero: none. No locks: it belongs to what it is part of. */
#ifndef VGPU_SIMGPU_FRONTIER_H
#define VGPU_SIMGPU_FRONTIER_H

#include <stdbool.h>
#include <stddef.h>

#include "cuda/cuda_types.h"

struct frontier {
    CUgraphNode *nodes;
    CUgraphEdgeData *edges;
    size_t count;
};

/* Frees what it holds; it may be used again. */
void frontier_clear(struct frontier *frontier);

/* Adds a node unless it is there; edge may be NULL: an ordinary one. False: out of host memory. */
bool frontier_add(struct frontier *frontier, CUgraphNode node, const CUgraphEdgeData *edge);

/* Adds all of the other's nodes. False: out of host memory, and only some were added. */
bool frontier_join(struct frontier *frontier, const struct frontier *other);

/* From now on this node alone. False: out of host memory. */
bool frontier_set(struct frontier *frontier, CUgraphNode node);

#endif

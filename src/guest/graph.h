/* Graphs. They live in the worker; the guest has their names, and what programs may read through pointers. */
#ifndef VGPU_GUEST_GRAPH_H
#define VGPU_GUEST_GRAPH_H

#include <stddef.h>
#include <stdint.h>

#include "cuda/cuda_types.h"
#include "wire/own_calls.h"

/* The node's name goes with the graph's. */
void graph_owns(uint64_t graph, uint64_t node);

/* A node's parameters on their way to the worker. `room` holds what has no fixed size. */
struct node_wire {
    struct graph_node_params params;
    const void *tail; /* params.tail_bytes */
    union {
        uint8_t parameters[PARAMETER_BYTES_MAX];
        uint64_t names[CONDITIONAL_GRAPHS_MAX];
    } room;
};

/* From a program's structure. */
CUresult node_wire_fill(struct node_wire *wire, const CUgraphNodeParams *params);

/* Adds a node; the answer's parts that the program gets with it are written into params. */
CUresult node_add(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies,
                  const CUgraphEdgeData *edges, size_t count, CUgraphNodeParams *params);

/* exec NULL: of the node in its graph. */
CUresult node_set(CUgraphExec exec, CUgraphNode node, const CUgraphNodeParams *params);

/* A node's parameters as the worker has them, and the bytes of their tail, valid until the thread's next
 * call. */
CUresult node_get(CUgraphNode node, CUgraphNodeType type, struct graph_node_params *params,
                  const uint8_t **tail);

/* Memory that lives as long as the node's name, or until other parameters are asked for: the same as long as
 * `bytes` are. NULL: none to be had. */
void *node_keep(uint64_t node, size_t bytes);

/* What is kept with the node, if it has so many bytes; NULL: not so. */
const void *node_kept(uint64_t node, size_t bytes);

/* Adds or removes dependencies. */
CUresult edges_change(CUgraph graph, const CUgraphNode *from, const CUgraphNode *to,
                      const CUgraphEdgeData *edges, size_t count, int removes);

#endif

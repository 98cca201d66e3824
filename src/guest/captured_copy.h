/* Copies in graphs between the device and memory of the program's that the worker does not see. */
#ifndef VGPU_GUEST_CAPTURED_COPY_H
#define VGPU_GUEST_CAPTURED_COPY_H

#include <stdbool.h>
#include <stddef.h>

#include "cuda/cuda_types.h"

/* Captures a copy in a stream that captures. Each launch of the graph copies what the program's memory has
 * then: between the two goes memory that both sides share, and a function that copies to or from it when the
 * graph comes to it. So it becomes two nodes. CUDA_ERROR_NOT_SUPPORTED where nothing is shared. */
CUresult captured_copy(CUdeviceptr device, void *host, size_t bytes, CUstream stream, bool to_device);

/* Likewise for a node: true when one side of the copy is such memory. Then the node is a graph of the two,
 * which passes for a node that copies: captured_node_params() has what the program gave. */
bool captured_node_wanted(const CUDA_MEMCPY3D *copy);
CUresult captured_node_add(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies,
                           const CUgraphEdgeData *edges, size_t count, const CUDA_MEMCPY_NODE_PARAMS *params);
/* Of an executable graph: the node copies something else from now on. */
CUresult captured_node_set(CUgraphExec exec, CUgraphNode node, const CUDA_MEMCPY_NODE_PARAMS *params);
/* NULL: the node is no such node. */
const CUDA_MEMCPY_NODE_PARAMS *captured_node_params(CUgraphNode node);

#endif

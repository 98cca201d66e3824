/* Memory that nodes of graphs allocate. It has an address from the moment the node is made, but the driver
 * knows it as memory of the GPU only once a graph has run that allocates it. Any thread. */
#ifndef VGPU_WORKER_GRAPH_MEMORY_H
#define VGPU_WORKER_GRAPH_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

/* The driver has given this address range to a node. */
void graph_memory_add(uint64_t address, uint64_t bytes);

/* The address lies in such a range, and is no memory that this process could read: the graph may have gone,
 * and something of the worker's own have taken its place. */
bool graph_memory_holds(uint64_t address);

#endif

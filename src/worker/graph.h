/* Graphs in the worker: the lock that the driver does not have, and nodes' parameters on their way between
 * wire (wire/graph_calls.h) and driver. */
#ifndef VGPU_WORKER_GRAPH_H
#define VGPU_WORKER_GRAPH_H

#include <stdint.h>

#include "wire/graph_calls.h"
#include "worker/call.h"

/* Around every use of a graph, a node or an executable graph by the driver. What handle_look() finds of these
 * kinds stays while the lock is held, as they are destroyed under it. A lane takes it after the gate. */
void graph_lock(void);
void graph_unlock(void);

/* A node's parameters as the driver takes them. */
struct node_params {
    CUgraphNodeParams driver;
    void *pointers; /* owned: what the parameters point to */
    void *function; /* a host node's (worker/callback.h), not yet anybody's */
    CUmemAccessDesc access[ALLOC_ACCESS_MAX];
    CUstreamBatchMemOpParams operations[BATCH_OPERATIONS_MAX];
};

/* Checks what the guest sent and translates it, under graph_lock(). tail: the variable part, tail_bytes of
 * which are there. On success node_params_end() must follow. */
CUresult node_params_read(struct node_params *params, const struct graph_node_params *wire,
                          const uint8_t *tail, uint32_t tail_bytes);
void node_params_end(struct node_params *params);

/* Appends a node's parameters to the reply, under graph_lock(). function_name: for a kernel node's function,
 * should it have none; of its kind, and free. */
CUresult node_params_reply(struct call *call, CUgraphNode node, uint32_t type, uint64_t function_name);

/* Waiting for or writing words of memory: what may not go to the driver is refused. */
CUresult batch_check(const CUstreamBatchMemOpParams *operations, uint32_t count);

/* A conditional handle that the driver gave this guest. */
void conditional_remember(CUgraphConditionalHandle handle);

#endif

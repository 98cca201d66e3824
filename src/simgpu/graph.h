/* Graphs: nodes of work that is not done when it is described, but whenever the graph is launched.
 *
 * A node holds a piece of work (work.h) that is run again and again and never submitted itself. A graph made
 * executable is a copy of it: the copy's nodes know those they stand for, and may be given other work. A
 * launch is one piece of work of a stream that runs the nodes one after another, each after those it depends
 * on. */
#ifndef VGPU_SIMGPU_GRAPH_H
#define VGPU_SIMGPU_GRAPH_H

#include "simgpu/event.h"
#include "simgpu/stream.h"

/* Work that nodes share. Counted. */
struct graph_template {
    _Atomic unsigned int references;
    struct work *work;
};

struct graph_edge {
    struct CUgraphNode_st *from;
    CUgraphEdgeData data;
};

#define NODE_ATTRIBUTES 17

struct CUgraphNode_st {
    struct CUgraph_st *graph;
    CUgraphNodeType type;
    struct graph_template *template; /* NULL: the node does nothing itself */
    CUevent event;                   /* recorded or waited for */
    struct CUgraph_st *child;        /* owned */
    struct graph_edge *edges;        /* on what it depends */
    size_t edge_count, edge_room;
    const struct CUgraphNode_st *origin; /* in a copy: the node that it stands for */
    bool is_disabled, is_captured;       /* from a stream */
    bool has_attribute[NODE_ATTRIBUTES];
    CUlaunchAttributeValue attributes[NODE_ATTRIBUTES];
    size_t place; /* while nodes are put in order */
};

struct graph_user_object {
    struct CUuserObject_st *object;
    unsigned int count;
};

struct CUgraph_st {
    struct CUgraphNode_st **nodes; /* in the order of their making */
    size_t count, room;
    const struct CUgraph_st *origin; /* what it is a clone of */
    bool is_child;                   /* belongs to a node */
    struct graph_user_object *objects;
    size_t object_count;
};

struct CUgraphExec_st {
    struct CUgraph_st *copy;
    cuuint64_t flags;
    struct work *last; /* held: the last launch, which the next one waits for */
};

/* --- graph.c --- */

struct CUgraph_st *graph_create(void);
void graph_destroy(struct CUgraph_st *graph);
/* A copy whose nodes have those of the graph as origins. NULL: out of host memory. */
struct CUgraph_st *graph_copy(const struct CUgraph_st *graph);
/* Takes over the template. NULL: out of host memory. */
struct CUgraphNode_st *graph_add(struct CUgraph_st *graph, CUgraphNodeType type,
                                 struct graph_template *template);
CUresult graph_depend(struct CUgraphNode_st *node, struct CUgraphNode_st *from, const CUgraphEdgeData *data);
/* The node standing for that one; NULL: none does. */
struct CUgraphNode_st *graph_find(const struct CUgraph_st *graph, const struct CUgraphNode_st *origin);
/* The nodes, each behind those it depends on, to be freed by the caller; NULL where they go in circles (or
 * there is no memory). */
struct CUgraphNode_st **graph_order(const struct CUgraph_st *graph);

struct graph_template *template_create(struct work *work); /* takes over the work, also when it fails */
struct graph_template *template_hold(struct graph_template *template);
void template_release(struct graph_template *template);

/* --- graph_node.c: work for nodes --- */

CUresult kernel_work_make(struct CUctx_st *context, const CUDA_KERNEL_NODE_PARAMS *params,
                          struct work **work);
CUresult memset_work_make(const CUDA_MEMSET_NODE_PARAMS_v2 *params, struct work **work);
CUresult box_work_make(const CUDA_MEMCPY3D *copy, struct work **work);
CUresult host_work_make(CUhostFn function, void *data, struct work **work);
CUresult batch_work_make(const CUDA_BATCH_MEM_OP_NODE_PARAMS *params, struct work **work);

/* --- graph_exec.c --- */

CUresult graph_launch(struct CUgraphExec_st *exec, struct CUstream_st *stream);

/* --- user_object.c --- */

void graph_hold_objects(struct CUgraph_st *copy, const struct CUgraph_st *graph);
void graph_drop_objects(struct CUgraph_st *graph);

#endif

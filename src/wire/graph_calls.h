/* Requests and replies of our own calls about graphs, captures and functions of the program in streams; part
 * of wire/own_calls.h. Handles travel as the guest's values. */
#ifndef VGPU_WIRE_GRAPH_CALLS_H
#define VGPU_WIRE_GRAPH_CALLS_H

#include <stdint.h>

#include "cuda/cuda_types.h"

/* Parameters of a node of any type. What has no fixed size stands in the variable part: a kernel's parameters
 * as the kernel expects them, the operations of a batch, the access descriptions of an allocation, new names
 * for the graphs of a conditional node. */
struct graph_node_params {
    uint32_t type; /* CUgraphNodeType */
    uint32_t tail_bytes;
    uint64_t context; /* 0: the current one */
    union {
        struct {
            uint64_t function; /* a function, or a kernel standing in for one */
            uint32_t grid[3];
            uint32_t block[3];
            uint32_t shared_bytes;
            uint32_t parameter_bytes;
            uint32_t has_function; /* in replies: the driver names a function beside the kernel */
            uint32_t reserved;
        } kernel;
        CUDA_MEMCPY3D copy;
        CUDA_MEMSET_NODE_PARAMS memset;
        struct {
            uint64_t function; /* in the guest */
            uint64_t data;
        } host;
        struct {
            uint64_t graph;
            uint32_t ownership;
            uint32_t reserved;
        } child;
        uint64_t event;
        struct {
            CUmemPoolProps pool;
            uint64_t bytes;
            uint64_t address; /* in replies */
            uint32_t access_count;
            uint32_t reserved;
        } alloc;
        uint64_t free_address;
        struct {
            uint32_t count;
            uint32_t flags;
        } batch;
        struct {
            uint64_t handle;
            uint32_t type;
            uint32_t count;
        } conditional;
    };
};
#define BATCH_OPERATIONS_MAX   256u
#define CONDITIONAL_GRAPHS_MAX 64u
#define ALLOC_ACCESS_MAX       64u

/* Variable part: dependency_count handles, then as many CUgraphEdgeData if has_edges, then the tail. */
struct request_graph_node_add {
    uint64_t graph;
    uint64_t node; /* the new one's name */
    uint32_t dependency_count;
    uint32_t has_edges;
    struct graph_node_params params;
};
#define GRAPH_DEPENDENCIES_MAX 4096u /* in one call; more are added with graph_edges */

/* Variable part: names of a conditional node's graphs. */
struct reply_graph_node_add {
    uint64_t node;
    uint64_t address; /* of an allocation */
};

struct request_graph_node_set {
    uint64_t exec; /* 0: the node in its graph */
    uint64_t node;
    struct graph_node_params params;
};

/* Reply: graph_node_params and its tail. */
struct request_graph_node_get {
    uint64_t node;
    uint64_t function; /* of a kernel node: a name for its function, should it have none */
    uint32_t type;
    uint32_t reserved;
};

enum graph_list {
    GRAPH_NODES = 0,
    GRAPH_ROOTS,
    GRAPH_EDGES,
    GRAPH_NODE_DEPENDENCIES,
    GRAPH_NODE_DEPENDENTS,
};
/* A part of a list. Variable part: `count` new names (twice as many for edges), for what has none yet. Reply:
 * the structure, its count of names (for edges: the froms, then the tos), and as many CUgraphEdgeData if
 * wants_edges. */
struct request_graph_list {
    uint64_t object; /* a graph, or a node */
    uint64_t offset;
    uint32_t what; /* enum graph_list */
    uint32_t count;
    uint32_t wants_edges;
    uint32_t reserved;
};
struct reply_graph_list {
    uint64_t total;
    uint32_t count;
    uint32_t reserved;
};
#define GRAPH_LIST_MAX 4096u

/* Variable part: count froms, count tos, count CUgraphEdgeData if has_edges. */
struct request_graph_edges {
    uint64_t graph;
    uint32_t count;
    uint32_t has_edges;
    uint32_t removes;
    uint32_t reserved;
};

struct request_graph_instantiate {
    uint64_t exec; /* the new one's name */
    uint64_t graph;
    uint64_t flags;
    uint64_t error_node; /* a name for it, should it have none */
};
struct reply_graph_instantiate {
    uint64_t exec;
    uint64_t error_node;
    uint32_t result; /* CUgraphInstantiateResult */
    uint32_t reserved;
};

struct request_graph_exec_update {
    uint64_t exec;
    uint64_t graph;
    uint64_t names[2]; /* for the error nodes, should they have none */
};
struct reply_graph_exec_update {
    uint64_t error_nodes[2]; /* the node, the node before it */
    uint32_t result;         /* CUgraphExecUpdateResult */
    uint32_t reserved;
};

/* Reply: total_bytes as uint64_t, and the text from offset on. */
struct request_graph_dot {
    uint64_t graph;
    uint64_t offset;
    uint32_t flags;
    uint32_t reserved;
};

struct request_user_object_create {
    uint64_t object; /* the new one's name */
    uint64_t destroy;
    uint64_t data;
    uint32_t references;
    uint32_t flags;
};
struct reply_user_object_create {
    uint64_t object;
};

/* graph 0: a new one. Variable part: dependency_count handles and as many CUgraphEdgeData if has_edges. */
struct request_capture_begin {
    uint64_t stream;
    uint64_t graph;
    uint32_t mode;
    uint32_t dependency_count;
    uint32_t has_edges;
    uint32_t reserved;
};
struct request_capture_end {
    uint64_t stream;
    uint64_t graph; /* a name for it, should it have none */
};
/* Also when the call failed. */
struct reply_capture_end {
    uint64_t graph;
    uint32_t over; /* the stream captures no more */
    uint32_t reserved;
};

/* Variable part: name_count new names for nodes. Reply: the structure, name_count names, as many
 * CUgraphEdgeData if wants_edges. */
struct request_capture_info {
    uint64_t stream;
    uint64_t graph; /* a name for it */
    uint32_t name_count;
    uint32_t wants_edges;
};
struct reply_capture_info {
    uint32_t status;
    uint32_t count; /* of dependencies; names follow only when there were enough */
    uint64_t id;
    uint64_t graph;
};

/* Variable part: count handles, count CUgraphEdgeData if has_edges. */
struct request_capture_dependencies {
    uint64_t stream;
    uint32_t count;
    uint32_t has_edges;
    uint32_t flags;
    uint32_t reserved;
};

struct request_capture_mode {
    uint32_t mode;
    uint32_t reserved;
};

/* A function of the program to be called when the stream has come to it. */
struct request_host_function {
    uint64_t stream;
    uint64_t function;
    uint64_t data;
    uint32_t is_callback; /* of cuStreamAddCallback */
    uint32_t reserved;
};

/* Asked by the guest's thread that calls the program's functions: `done` is the number of the one that has
 * returned, or 0. The answer comes when another is to be called. */
struct request_callback_next {
    uint64_t done;
};
enum callback_kind { CALLBACK_HOST_FUNCTION = 1, CALLBACK_STREAM, CALLBACK_DESTRUCTOR };
struct reply_callback_next {
    uint64_t number;
    uint64_t function;
    uint64_t data;
    uint64_t stream;
    uint32_t kind; /* enum callback_kind */
    uint32_t status;
};

/* An attribute of a stream or of a kernel node. */
struct request_attribute_get {
    uint64_t object;
    uint32_t attribute; /* CUlaunchAttributeID */
    uint32_t reserved;
};
struct reply_attribute_get {
    CUlaunchAttributeValue value;
};
struct request_attribute_set {
    uint64_t object;
    uint32_t attribute;
    uint32_t reserved;
    CUlaunchAttributeValue value;
};

/* Variable part: count CUstreamBatchMemOpParams. */
struct request_stream_batch {
    uint64_t stream;
    uint32_t count;
    uint32_t flags;
};

#endif

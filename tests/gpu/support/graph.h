/* What the suites about graphs and captures share: blocks of words, and work upon them of which it shows in
 * what order, and how often, it was done. All need gpu_use() before, and end the case when the driver
 * refuses. */
#ifndef VGPU_TESTS_GPU_GRAPH_H
#define VGPU_TESTS_GPU_GRAPH_H

#include "support/gpu.h"

#define WORDS 256u /* in each block */

/* Into the stream: each word becomes word * factor + term. */
void words_change(CUdeviceptr words, uint32_t factor, uint32_t term, CUstream stream);

/* The first word of a block. */
uint32_t words_first(CUdeviceptr words);

/* The value of every word of a block; fails the case if they differ. */
uint32_t words_value(CUdeviceptr words);

/* Does the work with two blocks on the host; skips the case where graphs cannot copy from and to there. */
typedef void words_work(uint32_t *in, uint32_t *out);
void words_in_pinned_memory(words_work *work);
void words_in_pageable_memory(words_work *work);

/* The same change as a kernel of a node. What is returned points into it. */
struct affine {
    CUdeviceptr words;
    uint32_t factor, term, count;
    void *list[4];
};
CUDA_KERNEL_NODE_PARAMS affine_params(struct affine *affine);

/* New nodes: behind another one, or, where that is NULL, behind none. */
CUgraphNode graph_add_affine(CUgraph graph, CUgraphNode after, CUdeviceptr words, uint32_t factor,
                             uint32_t term);
CUgraphNode graph_add_memset(CUgraph graph, CUgraphNode after, CUdeviceptr words, uint32_t value);

size_t graph_node_count(CUgraph graph);

/* Destroys the graph that it makes executable. */
CUgraphExec graph_executable(CUgraph graph);

/* Launches it in the legacy stream, waits, and returns the value of the words. */
uint32_t graph_run(CUgraphExec exec, CUdeviceptr words);

CUstream stream_create(unsigned flags);

#endif

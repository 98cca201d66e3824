/* A priority queue of nodes embedded in the things queued: it allocates nothing, so it cannot fail.
 *
 * A pairing heap: adding is O(1), removing any node O(log n) amortised. Equal keys come out in the order of
 * `order`, which makes every run of the scheduler repeatable. One thread. */
#ifndef VGPU_SCHED_HEAP_H
#define VGPU_SCHED_HEAP_H

#include <stdbool.h>
#include <stdint.h>

/* Zero-initialised: in no heap. key and order may be changed only while it is in none. */
struct heap_node {
    uint64_t key;   /* smallest first */
    uint64_t order; /* smallest first among equal keys */
    bool queued;
    struct heap_node *child;    /* the first of those below */
    struct heap_node *next;     /* the sibling to the right */
    struct heap_node *previous; /* the sibling to the left; for a first child, its parent */
};

/* Zero-initialised: empty. */
struct heap {
    struct heap_node *root;
};

void heap_add(struct heap *heap, struct heap_node *node);

/* node must be in this heap. */
void heap_remove(struct heap *heap, struct heap_node *node);

/* The smallest, NULL when empty. */
static inline struct heap_node *heap_first(const struct heap *heap)
{
    return heap->root;
}

#endif

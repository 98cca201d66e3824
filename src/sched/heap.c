#include "sched/heap.h"

#include <stddef.h>

static bool node_before(const struct heap_node *a, const struct heap_node *b)
{
    return a->key != b->key ? a->key < b->key : a->order < b->order;
}

/* Two roots (either may be NULL) become one. */
static struct heap_node *merge(struct heap_node *a, struct heap_node *b)
{
    if (!a)
        return b;
    if (!b)
        return a;
    if (node_before(b, a)) {
        struct heap_node *smaller = b;
        b = a;
        a = smaller;
    }
    b->previous = a;
    b->next = a->child;
    if (a->child)
        a->child->previous = b;
    a->child = b;
    return a;
}

/* A list of siblings becomes one root: in pairs from the left, then the pairs from the right. This order is
 * what makes removal O(log n) amortised. */
static struct heap_node *merge_siblings(struct heap_node *first)
{
    struct heap_node *pairs = NULL;
    while (first) {
        struct heap_node *a = first;
        struct heap_node *b = a->next;
        first = b ? b->next : NULL;
        a->next = NULL;
        if (b)
            b->next = NULL;
        struct heap_node *pair = merge(a, b);
        pair->next = pairs;
        pairs = pair;
    }
    struct heap_node *root = NULL;
    while (pairs) {
        struct heap_node *pair = pairs;
        pairs = pair->next;
        pair->next = NULL;
        root = merge(root, pair);
    }
    if (root)
        root->previous = NULL;
    return root;
}

void heap_add(struct heap *heap, struct heap_node *node)
{
    node->child = NULL;
    node->next = NULL;
    node->previous = NULL;
    node->queued = true;
    heap->root = merge(heap->root, node);
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
    struct heap_node *below = merge_siblings(node->child);
    if (heap->root == node) {
        heap->root = below;
    } else {
        if (node->previous->child == node)
            node->previous->child = node->next;
        else
            node->previous->next = node->next;
        if (node->next)
            node->next->previous = node->previous;
        heap->root = merge(heap->root, below);
    }
    node->child = NULL;
    node->next = NULL;
    node->previous = NULL;
    node->queued = false;
}

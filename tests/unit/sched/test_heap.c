/* The heap gives its nodes back in order whatever is added and removed, and in what order. */
#include "sched/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NODES 200

static struct heap_node *smallest(struct heap_node *nodes)
{
    struct heap_node *best = NULL;
    for (size_t i = 0; i < NODES; i++) {
        struct heap_node *node = &nodes[i];
        if (node->queued &&
            (!best || node->key < best->key || (node->key == best->key && node->order < best->order)))
            best = node;
    }
    return best;
}

static void gives_the_smallest_after_any_change(void **state)
{
    for (unsigned seed = 1; seed <= 50; seed++) {
        struct heap heap = {0};
        struct heap_node nodes[NODES] = {0};
        uint64_t order = 0;
        unsigned random = seed;
        for (int step = 0; step < 2000; step++) {
            struct heap_node *node = &nodes[(unsigned)rand_r(&random) % NODES];
            if (node->queued) {
                heap_remove(&heap, node);
            } else {
                node->key = (uint64_t)rand_r(&random) % 20;
                node->order = order++;
                heap_add(&heap, node);
            }
            assert_ptr_equal(heap_first(&heap), smallest(nodes));
        }
    }
}

static void equal_keys_come_out_in_their_order(void **state)
{
    struct heap heap = {0};
    struct heap_node nodes[NODES] = {0};
    for (size_t i = 0; i < NODES; i++) {
        nodes[i].order = (i * 7) % NODES;
        heap_add(&heap, &nodes[i]);
    }
    for (uint64_t order = 0; order < NODES; order++) {
        assert_int_equal(heap_first(&heap)->order, order);
        heap_remove(&heap, heap_first(&heap));
    }
    assert_null(heap_first(&heap));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_smallest_after_any_change),
        cmocka_unit_test(equal_keys_come_out_in_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

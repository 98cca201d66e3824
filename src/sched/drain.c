#include "sched/drain.h"

#include "sched/fair.h"
#include "sched/places.h"
#include "sched/queue.h"

#include <stddef.h>

/* In the background a drain may take so many quanta: having kernels stand still, and others go on, takes a
 * millisecond of the GPU, and there nobody is in a hurry. */
#define BACKGROUND_QUANTA 5

/* Whether somebody of this rank would come in if one that drains went behind: one that waits, or another one
 * that drains, behind it. */
static bool equal_waits(struct review *review, int rank)
{
    struct candidate list[CANDIDATES_MAX];
    unsigned count = candidates_now(review, list);
    for (unsigned i = 0; i < count; i++) {
        if (list[i].rank == rank && list[i].vm->preemptible)
            return true;
    }
    for (const struct sched_vm *vm = review->gpu->holders; vm; vm = vm->next_holder) {
        if (vm->late && class_rank(vm->class, false) == rank)
            return true;
    }
    return false;
}

bool drain_takes_too_long(struct review *review)
{
    struct places places = places_now(review->gpu);
    for (struct sched_vm *vm = review->gpu->holders; vm && places.preemptible; vm = vm->next_holder) {
        int rank = holder_rank(vm);
        uint64_t quanta = rank == places.top ? 1 : BACKGROUND_QUANTA;
        if (vm->state != SCHED_VM_REVOKING || vm->late ||
            (rank != places.top && rank != places.background_top) || !equal_waits(review, rank) ||
            !is_due(review, time_add(vm->revoked_us, quanta * quantum_us(review->sched))))
            continue;
        fair_settle(review->sched, review->gpu);
        vm->late = true;
        return true;
    }
    return false;
}

/* Of those that drain behind the others, the one furthest behind in virtual time. */
static struct sched_vm *first_late(const struct sched_gpu *gpu)
{
    struct sched_vm *first = NULL;
    for (struct sched_vm *vm = gpu->holders; vm; vm = vm->next_holder) {
        if (vm->late && (!first || vm->virtual_us < first->virtual_us))
            first = vm;
    }
    return first;
}

bool late_one_returns(struct review *review)
{
    struct sched_vm *late = first_late(review->gpu);
    if (!late)
        return false;
    struct places places = places_now(review->gpu);
    int rank = class_rank(late->class, false);
    if (rank <= places.top && (rank == places.top || places.background_top > RANK_LATE))
        return false;
    for (int class = SCHED_HIGH; class >= (int)late->class; class --) {
        const struct heap_node *behind = heap_first(&review->gpu->queues[class].fair);
        if (behind && class_rank((enum sched_class) class, false) != places.top &&
            (class > (int)late->class || behind->key < late->virtual_us))
            return false;
    }
    late->late = false;
    late->revoked_us = review->sched->now_us;
    return true;
}

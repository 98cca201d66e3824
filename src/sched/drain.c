#include "sched/drain.h"

#include "sched/fair.h"
#include "sched/places.h"
#include "sched/queue.h"

#include <stddef.h>

bool drain_takes_too_long(struct review *review)
{
    struct candidate list[CANDIDATES_MAX];
    struct places places = places_now(review->gpu);
    unsigned count = places.preemptible ? candidates_now(review, list) : 0;
    for (struct sched_vm *vm = review->gpu->holders; vm && count; vm = vm->next_holder) {
        if (vm->state != SCHED_VM_REVOKING || vm->late || holder_rank(vm) != places.top)
            continue;
        for (unsigned i = 0; i < count; i++) {
            if (list[i].rank != places.top || !list[i].vm->preemptible ||
                !is_due(review, time_add(vm->revoked_us, quantum_us(review->sched))))
                continue;
            fair_settle(review->sched, review->gpu);
            vm->late = true;
            return true;
        }
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

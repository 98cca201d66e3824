#include "sched/turn.h"

#include "sched/ageing.h"
#include "sched/fair.h"
#include "sched/places.h"
#include "sched/queue.h"

#include <assert.h>
#include <stddef.h>

/* ---- Its begin ---- */

/* Whether there is a place for it now. */
static bool admissible(struct review *review, const struct places *places, const struct candidate *candidate)
{
    bool joins = places->preemptible && candidate->vm->preemptible;
    if (places->top == RANK_NONE)
        return true;
    if (candidate->rank == places->top && (joins || !places->background))
        return places->front < review->gpu->places;
    if (!joins)
        return false;
    if (candidate->rank < places->top) /* who is lower and drains there goes on behind it */
        return places->background_holding == 0 && places->background_top < candidate->rank;
    /* A class goes before a lower one at once; who is only served for its wait lets the front have its turn.
     */
    bool aged = candidate->rank % 2;
    return !aged || is_due(review, time_add(places->front_us, quantum_us(review->sched)));
}

static void take_place(struct sched *sched, const struct candidate *candidate)
{
    struct sched_vm *vm = candidate->vm;
    struct sched_gpu *gpu = vm->gpu;
    fair_settle(sched, gpu);
    queue_leave(vm);
    vm->state = SCHED_VM_HOLDING;
    vm->told = false;
    vm->aged = candidate->rank % 2;
    vm->held_class = (enum sched_class)(candidate->rank / 2);
    vm->granted_us = vm->turn_us = sched->now_us;
    vm->lapsed = vm->late = false;
    vm->next_holder = gpu->holders;
    gpu->holders = vm;
    gpu->holder_count++;
    fair_begin(sched, vm);
}

bool somebody_is_granted(struct review *review)
{
    struct candidate list[CANDIDATES_MAX];
    unsigned count = candidates_now(review, list);
    struct places places = places_now(review->gpu);
    for (unsigned i = 0; i < count; i++) {
        if (admissible(review, &places, &list[i])) {
            take_place(review->sched, &list[i]);
            return true;
        }
        if (list[i].rank > places.top) /* what it waits for must not be given to a lower one */
            break;
    }
    return false;
}

/* ---- Its end ---- */

void holder_revoke(struct sched *sched, struct sched_vm *vm)
{
    assert(vm->told); /* nobody takes a place to lose it in the same review */
    vm->state = SCHED_VM_REVOKING;
    vm->revoked_us = sched->now_us;
    vm->drain_us = 0;
    sched->actions->revoke(sched->context, vm);
}

void holder_leave(struct sched *sched, struct sched_vm *vm)
{
    aged_turn_leave(sched, vm);
    struct sched_vm **link = &vm->gpu->holders;
    while (*link != vm)
        link = &(*link)->next_holder;
    *link = vm->next_holder;
    vm->next_holder = NULL;
    vm->gpu->holder_count--;
    struct sched_queue *queue = &vm->gpu->queues[vm->class];
    queue->turn_virtual_us = time_later(fair_of_use(vm, sched->now_us - vm->granted_us),
                                        queue->turn_virtual_us - queue->turn_virtual_us / 64);
    vm->interrupted = vm->state == SCHED_VM_REVOKING;
    vm->state = SCHED_VM_IDLE;
    vm->contended = vm->late = false;
}

/* Of the holders of a place that are not revoked, the one to go first: the lowest rank, then whoever is
 * furthest ahead. */
static struct sched_vm *first_to_go(const struct sched *sched, const struct sched_gpu *gpu, bool front)
{
    struct sched_vm *first = NULL;
    int top = gpu_top_rank(gpu);
    for (struct sched_vm *vm = gpu->holders; vm; vm = vm->next_holder) {
        if (vm->state != SCHED_VM_HOLDING || (holder_rank(vm) == top) != front)
            continue;
        if (!first || holder_rank(vm) < holder_rank(first) ||
            (holder_rank(vm) == holder_rank(first) && fair_estimate(sched, vm) > fair_estimate(sched, first)))
            first = vm;
    }
    return first;
}

/* More than there is room for: a class has changed, or a turn has lapsed. */
static struct sched_vm *one_too_many(const struct review *review, const struct places *places)
{
    unsigned background_room = places->preemptible ? 1 : 0;
    if (places->background_holding > background_room)
        return first_to_go(review->sched, review->gpu, false);
    if (places->front_holding > review->gpu->places)
        return first_to_go(review->sched, review->gpu, true);
    return NULL;
}

/* Whether `candidate` ends the turn of `holder` now. */
static bool ends_turn(struct review *review, const struct places *places, const struct sched_vm *holder,
                      const struct candidate *candidate)
{
    int rank = holder_rank(holder);
    bool joins = places->preemptible && candidate->vm->preemptible;
    if (candidate->rank < rank)
        return false;
    if (joins && (candidate->rank > places->top || (candidate->rank == places->top && rank < places->top)))
        return false; /* its place is at the front, and this holder does not keep it from there */
    if (!joins && rank < places->top && candidate->rank <= places->top)
        return false; /* it cannot run in the background anyway */

    bool aged = candidate->rank % 2;
    uint64_t quantum_end_us = time_add(holder->turn_us, quantum_us(review->sched));
    if (candidate->rank > rank)
        return is_due(review, aged ? quantum_end_us
                                   : time_add(holder->granted_us, review->sched->config.min_hold_us));
    /* Equals: until this one is ahead. */
    uint64_t ahead_us = 0;
    if (candidate->vm->virtual_us > holder->virtual_us && !aged)
        ahead_us = fair_to_use(holder, candidate->vm->virtual_us - holder->virtual_us);
    return is_due(review,
                  time_later(quantum_end_us, time_add(holder->granted_us + holder->charged_us, ahead_us)));
}

/* Equals that drain behind a holder wait for its place as others do. */
static bool late_one_ends_turn(struct review *review, const struct places *places,
                               const struct sched_vm *holder)
{
    for (struct sched_vm *vm = review->gpu->holders; vm; vm = vm->next_holder) {
        const struct candidate candidate = {vm, class_rank(vm->class, false)};
        if (vm->late && candidate.rank == holder_rank(holder) &&
            ends_turn(review, places, holder, &candidate))
            return true;
    }
    return false;
}

static struct sched_vm *turn_is_over(struct review *review, const struct places *places)
{
    struct candidate list[CANDIDATES_MAX];
    unsigned count = candidates_now(review, list);
    for (int front = 0; front <= 1; front++) {
        struct sched_vm *holder = first_to_go(review->sched, review->gpu, front);
        unsigned leaving = front ? places->front - places->front_holding
                                 : places->background - places->background_holding - places->late;
        if (holder && leaving == 0 && late_one_ends_turn(review, places, holder))
            return holder;
        for (unsigned i = 0; holder && i < count; i++) {
            /* Equals wait for a place; one that is becoming free is enough. */
            if (list[i].rank == holder_rank(holder) && leaving > 0)
                continue;
            if (ends_turn(review, places, holder, &list[i]))
                return holder;
        }
    }
    return NULL;
}

bool somebody_is_revoked(struct review *review)
{
    struct places places = places_now(review->gpu);
    struct sched_vm *vm = one_too_many(review, &places);
    if (!vm)
        vm = turn_is_over(review, &places);
    if (vm)
        holder_revoke(review->sched, vm);
    return vm != NULL;
}

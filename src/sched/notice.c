#include "sched/notice.h"

#include "sched/ageing.h"
#include "sched/places.h"
#include "sched/queue.h"

#include <stddef.h>

static enum sched_slice slice_now(const struct sched_gpu *gpu, const struct places *places,
                                  const struct sched_vm *vm)
{
    if (!places->preemptible)
        return SCHED_SLICE_EQUAL;
    if (holder_rank(vm) < places->top && vm != places->next) /* two short ones would get nowhere */
        return SCHED_SLICE_PAUSED;
    if (holder_rank(vm) < places->top)
        return vm->several ? SCHED_SLICE_BRIEF : SCHED_SLICE_SHORT;
    if (places->front > 1 || vm->several)
        return SCHED_SLICE_EQUAL;
    /* Alone, one that a higher class may join is as that will need it: setting a slice takes its time. */
    return places->background || vm->class == SCHED_HIGH ? SCHED_SLICE_LONG : SCHED_SLICE_SHORT;
}

/* Whether somebody waits who would have a place, or go on, if this holder had gone. */
static bool contended_now(struct review *review, const struct places *places, const struct sched_vm *holder)
{
    if (holder->aged) /* its turn, which it has waited for, does not end with its first pause */
        return false;
    if (holder == places->next && places->background > 1)
        return true; /* what stands still because of it goes on as soon as it has nothing to run */
    int lowest_holder = holder_rank(holder);
    for (const struct sched_vm *vm = review->gpu->holders; vm; vm = vm->next_holder) {
        if (holder_rank(vm) < lowest_holder)
            lowest_holder = holder_rank(vm);
    }
    for (int class = SCHED_LOW; class <= SCHED_HIGH; class ++) {
        const struct sched_vm *vm = queue_first(&review->gpu->queues[class]);
        int rank = class_rank((enum sched_class) class, false);
        if (!vm)
            continue;
        if (!places->preemptible || !vm->preemptible)
            return true;
        if (holder_rank(holder) < places->top) {
            if (rank < places->top)
                return true;
        } else if (rank >= places->top || rank < lowest_holder) {
            return true;
        }
    }
    /* One in the background that may soon come to the front gives back if it has nothing to run. */
    return holder_rank(holder) < places->top && is_due(review, rising_time(review, holder, places->top));
}

void holders_are_told(struct review *review)
{
    struct sched *sched = review->sched;
    struct places places = places_now(review->gpu);
    for (int grants = 0; grants <= 1; grants++) {
        for (struct sched_vm *vm = review->gpu->holders; vm; vm = vm->next_holder) {
            if (vm->told == grants)
                continue; /* those that hold make room before others come */
            bool holding = vm->state == SCHED_VM_HOLDING;
            bool contended = holding ? contended_now(review, &places, vm) : vm->contended;
            enum sched_slice slice = slice_now(review->gpu, &places, vm);
            bool changed = !vm->told || vm->contended != contended || vm->slice != slice;
            vm->contended = contended;
            vm->slice = slice;
            if (vm->told && changed)
                sched->actions->tell(sched->context, vm);
            else if (!vm->told)
                sched->actions->grant(sched->context, vm);
        }
    }
    for (struct sched_vm *vm = review->gpu->holders; vm; vm = vm->next_holder)
        vm->told = true;
}

void next_one_prepares(struct review *review)
{
    struct candidate list[CANDIDATES_MAX];
    struct sched_gpu *gpu = review->gpu;
    bool draining = false;
    for (const struct sched_vm *vm = gpu->holders; vm; vm = vm->next_holder)
        draining = draining || vm->state == SCHED_VM_REVOKING;
    struct sched_vm *next = draining && candidates_now(review, list) ? list[0].vm : NULL;
    if (next && next != gpu->prepared && review->sched->actions->prepare)
        review->sched->actions->prepare(review->sched->context, next);
    gpu->prepared = next;
}

#include "sched/ageing.h"

#include "sched/fair.h"
#include "sched/places.h"

#include <stddef.h>

/* ---- Which classes have work ---- */

bool class_is_present(const struct sched_gpu *gpu, int class)
{
    const struct sched_vm *vm = gpu->holders;
    while (vm && (int)vm->class != class)
        vm = vm->next_holder;
    return vm != NULL || heap_first(&gpu->queues[class].fair) != NULL;
}

uint64_t class_idle_time(const struct sched *sched, const struct sched_gpu *gpu, int class)
{
    uint64_t left_us = gpu->queues[class].left_us;
    return left_us == SCHED_NEVER ? 0 : time_add(left_us, quantum_us(sched) + 1);
}

bool class_is_active(const struct sched *sched, const struct sched_gpu *gpu, int class)
{
    return class_is_present(gpu, class) || sched->now_us < class_idle_time(sched, gpu, class);
}

/* ---- Rising ---- */

static enum sched_class class_raised(enum sched_class class, uint64_t steps)
{
    uint64_t room = (uint64_t)(SCHED_HIGH - class);
    return steps < room ? (enum sched_class)(class + steps) : SCHED_HIGH;
}

enum sched_class waiting_class(const struct sched *sched, const struct sched_vm *vm, uint64_t now_us)
{
    if (!vm->gpu->ageing_us || now_us < vm->since_us || now_us < vm->gpu->aged_next_us)
        return vm->class;
    enum sched_class risen = class_raised(vm->class, (now_us - vm->since_us) / vm->gpu->ageing_us);
    while (risen > vm->class && !class_is_active(sched, vm->gpu, (int)risen))
        risen--;
    return risen;
}

uint64_t time_of_steps(const struct review *review, const struct sched_vm *vm, uint64_t steps)
{
    uint64_t ageing_us = review->gpu->ageing_us;
    if (!ageing_us || ageing_us > SCHED_NEVER / steps)
        return SCHED_NEVER;
    return time_later(time_add(vm->since_us, steps * ageing_us), review->gpu->aged_next_us);
}

uint64_t rising_time(const struct review *review, const struct sched_vm *vm, int top)
{
    uint64_t steps = 1;
    while ((int)vm->class + (int)steps <= SCHED_HIGH &&
           class_rank((enum sched_class)(vm->class + steps), true) <= top)
        steps++;
    if ((int)vm->class + (int)steps > SCHED_HIGH)
        return SCHED_NEVER;
    return time_of_steps(review, vm, steps);
}

/* The highest class with work that the VM has risen to, or the lowest in which it comes before rank `top`. */
static enum sched_class class_risen_above(const struct review *review, const struct sched_vm *vm, int top)
{
    uint64_t waited_us = review->sched->now_us - vm->since_us;
    enum sched_class risen = class_raised(vm->class, waited_us / review->gpu->ageing_us);
    while (risen > vm->class && class_rank(risen - 1, true) > top &&
           !class_is_active(review->sched, review->gpu, (int)risen))
        risen--;
    return risen;
}

bool background_rises(struct review *review)
{
    struct places places = places_now(review->gpu);
    for (struct sched_vm *vm = review->gpu->holders; vm; vm = vm->next_holder) {
        if (holder_rank(vm) == places.top || vm->aged)
            continue;
        uint64_t rising_us = time_add(rising_time(review, vm, places.top), quantum_us(review->sched));
        if (!is_due(review, time_later(rising_us, time_add(places.front_us, quantum_us(review->sched)))))
            continue;
        uint64_t since_us = vm->since_us;
        fair_settle(review->sched, review->gpu);
        if (vm->since_us == since_us) { /* else it got enough in the gaps */
            vm->held_class = class_risen_above(review, vm, places.top);
            vm->aged = true;
            vm->late = false;
            vm->turn_us = review->sched->now_us;
        }
        return true;
    }
    return false;
}

/* ---- Aged turns ---- */

/* An aged turn that took so long has the next one wait until it is the percentage that it may be. */
static void aged_turns_pace(const struct sched *sched, struct sched_gpu *gpu, uint64_t turn_us)
{
    uint64_t percent = sched->config.aged_percent;
    if (percent > 0 && percent < 100)
        gpu->aged_next_us =
            time_later(gpu->aged_next_us, time_add(sched->now_us, turn_us * (100 - percent) / percent));
}

/* It has been served for its wait; but not if that was in the background, where it may have had nothing. */
static void aged_turn_end(const struct sched *sched, struct sched_vm *vm)
{
    bool was_front = holder_rank(vm) == gpu_top_rank(vm->gpu);
    vm->aged = false;
    vm->held_class = vm->class;
    if (was_front) {
        vm->since_us = sched->now_us;
        vm->served_us = 0;
    }
    aged_turns_pace(sched, vm->gpu, sched->now_us - vm->turn_us);
}

bool aged_turns_lapse(struct review *review)
{
    for (struct sched_vm *vm = review->gpu->holders; vm; vm = vm->next_holder) {
        if (!vm->aged || !is_due(review, time_add(vm->turn_us, quantum_us(review->sched))))
            continue;
        fair_settle(review->sched, review->gpu);
        aged_turn_end(review->sched, vm);
        vm->lapsed = true;
        return true;
    }
    return false;
}

void aged_turn_leave(const struct sched *sched, struct sched_vm *vm)
{
    if (vm->aged && vm->state == SCHED_VM_HOLDING) /* else a higher class has cut it short */
        aged_turn_end(sched, vm);
    else if (vm->lapsed && !vm->preemptible && vm->state == SCHED_VM_REVOKING)
        /* It kept the GPU from the others while it drained. */
        aged_turns_pace(sched, vm->gpu, quantum_us(sched) + (sched->now_us - vm->revoked_us));
}

#include "sched/places.h"

#include "sched/deadline.h"

#include <stddef.h>

int gpu_top_rank(const struct sched_gpu *gpu)
{
    int top = RANK_NONE;
    for (const struct sched_vm *vm = gpu->holders; vm; vm = vm->next_holder) {
        if (holder_rank(vm) > top)
            top = holder_rank(vm);
    }
    return top;
}

/* In the background: the higher rank, among equals who drains, and then who was there first. */
static bool goes_before(const struct sched_vm *vm, const struct sched_vm *other)
{
    if (holder_rank(vm) != holder_rank(other))
        return holder_rank(vm) > holder_rank(other);
    if (vm->state != other->state)
        return vm->state == SCHED_VM_REVOKING;
    return vm->state == SCHED_VM_REVOKING ? vm->revoked_us < other->revoked_us
                                          : vm->granted_us < other->granted_us;
}

struct places places_now(const struct sched_gpu *gpu)
{
    struct places places = {.top = gpu_top_rank(gpu), .background_top = RANK_NONE, .preemptible = true};
    for (const struct sched_vm *vm = gpu->holders; vm; vm = vm->next_holder) {
        bool holding = vm->state == SCHED_VM_HOLDING;
        places.preemptible = places.preemptible && vm->preemptible;
        if (holder_rank(vm) < places.top) {
            places.background++;
            places.late += vm->late;
            places.background_holding += holding;
            if (holder_rank(vm) > places.background_top)
                places.background_top = holder_rank(vm);
            if (!places.next || goes_before(vm, places.next))
                places.next = vm;
        } else {
            places.front++;
            places.front_holding += holding;
            if (holding)
                places.front_us = time_later(places.front_us, vm->turn_us);
        }
    }
    return places;
}

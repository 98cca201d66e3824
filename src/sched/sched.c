#include "sched/sched.h"

#include "sched/ageing.h"
#include "sched/deadline.h"
#include "sched/fair.h"
#include "sched/places.h"
#include "sched/queue.h"
#include "sched/review.h"
#include "sched/turn.h"

#include <assert.h>
#include <stddef.h>

static void time_set(struct sched *sched, uint64_t now_us)
{
    if (now_us > sched->now_us)
        sched->now_us = now_us;
}

void sched_init(struct sched *sched, const struct sched_config *config, const struct sched_actions *actions,
                void *context)
{
    *sched = (struct sched){.config = *config, .actions = actions, .context = context};
}

/* ---- GPUs ---- */

void sched_gpu_add(struct sched *sched, struct sched_gpu *gpu)
{
    *gpu = (struct sched_gpu){.places = 1, .ageing_us = sched->config.ageing_us};
    for (int class = SCHED_LOW; class <= SCHED_HIGH; class ++)
        gpu->queues[class].left_us = SCHED_NEVER;
}

void sched_gpu_remove(struct sched *sched, struct sched_gpu *gpu)
{
    assert(gpu->vm_count == 0);
    deadline_set(sched, gpu, SCHED_NEVER);
}

void sched_gpu_set_places(struct sched *sched, struct sched_gpu *gpu, uint32_t places, uint64_t now_us)
{
    time_set(sched, now_us);
    gpu->places = places < 1 ? 1 : places > SCHED_PLACES_MAX ? SCHED_PLACES_MAX : places;
    gpu_review(sched, gpu);
}

void sched_gpu_set_ageing(struct sched *sched, struct sched_gpu *gpu, uint64_t ageing_us, uint64_t now_us)
{
    time_set(sched, now_us);
    gpu->ageing_us = ageing_us;
    gpu_review(sched, gpu);
}

/* ---- VMs ---- */

/* It asks: as one that goes on, if it was away for no longer than a program pauses. */
static void vm_ask(struct sched *sched, struct sched_vm *vm)
{
    vm->wants_again = vm->paused;
    if (vm->paused)
        return;
    if (!was_away_shortly(sched, vm)) {
        vm->since_us = sched->now_us;
        vm->served_us = 0;
    }
    vm->asked_us = sched->now_us;
    vm->fair.order = vm->starving.order = sched->next_order++;
    fair_join(sched, vm);
    queue_enter(vm);
}

static void vm_leave_queue(struct sched *sched, struct sched_vm *vm)
{
    queue_leave(vm);
    fair_leave(sched, vm);
}

static void vm_leave_gpu(struct sched *sched, struct sched_vm *vm)
{
    fair_settle(sched, vm->gpu);
    holder_leave(sched, vm);
    fair_leave(sched, vm);
}

void sched_vm_add(struct sched *sched, struct sched_gpu *gpu, struct sched_vm *vm, enum sched_class class)
{
    *vm = (struct sched_vm){.gpu = gpu, .class = class, .weight = 1, .left_us = SCHED_NEVER};
    gpu->vm_count++;
}

void sched_vm_remove(struct sched *sched, struct sched_vm *vm, uint64_t now_us)
{
    struct sched_gpu *gpu = vm->gpu;
    time_set(sched, now_us);
    if (vm->state == SCHED_VM_WAITING)
        vm_leave_queue(sched, vm);
    if (sched_vm_holds(vm))
        vm_leave_gpu(sched, vm);
    gpu->vm_count--;
    *vm = (struct sched_vm){0};
    gpu_review(sched, gpu);
}

void sched_vm_set_class(struct sched *sched, struct sched_vm *vm, enum sched_class class, uint64_t now_us)
{
    time_set(sched, now_us);
    fair_settle(sched, vm->gpu);
    if (class != vm->class && vm->state == SCHED_VM_WAITING) {
        queue_leave(vm);
        fair_change_class(sched, vm, class);
        queue_enter(vm);
    } else if (class != vm->class) {
        fair_change_class(sched, vm, class);
        if (!vm->aged || vm->held_class < class)
            vm->held_class = class;
    }
    gpu_review(sched, vm->gpu);
}

void sched_vm_set_weight(struct sched *sched, struct sched_vm *vm, uint32_t weight, uint64_t now_us)
{
    time_set(sched, now_us);
    fair_settle(sched, vm->gpu); /* what it has used so far counts by the old one */
    vm->weight = weight < 1 ? 1 : weight > SCHED_WEIGHT_MAX ? SCHED_WEIGHT_MAX : weight;
    gpu_review(sched, vm->gpu);
}

void sched_vm_set_preemptible(struct sched *sched, struct sched_vm *vm, bool preemptible, uint64_t now_us)
{
    time_set(sched, now_us);
    vm->preemptible = preemptible;
    gpu_review(sched, vm->gpu);
}

void sched_vm_set_several(struct sched *sched, struct sched_vm *vm, bool several, uint64_t now_us)
{
    time_set(sched, now_us);
    vm->several = several;
    gpu_review(sched, vm->gpu);
}

void sched_vm_set_paused(struct sched *sched, struct sched_vm *vm, bool paused, uint64_t now_us)
{
    time_set(sched, now_us);
    vm->paused = paused;
    if (paused && vm->state == SCHED_VM_WAITING) {
        vm_leave_queue(sched, vm);
        vm->wants_again = true;
    }
    if (paused && vm->state == SCHED_VM_HOLDING)
        holder_revoke(sched, vm);
    if (!paused && vm->state == SCHED_VM_IDLE && vm->wants_again)
        vm_ask(sched, vm);
    gpu_review(sched, vm->gpu);
}

void sched_vm_want(struct sched *sched, struct sched_vm *vm, uint64_t now_us)
{
    time_set(sched, now_us);
    if (vm->state == SCHED_VM_REVOKING)
        vm->wants_again = true;
    if (vm->state == SCHED_VM_IDLE)
        vm_ask(sched, vm);
    gpu_review(sched, vm->gpu);
}

void sched_vm_withdraw(struct sched *sched, struct sched_vm *vm, uint64_t now_us)
{
    time_set(sched, now_us);
    vm->wants_again = false;
    if (vm->state == SCHED_VM_WAITING)
        vm_leave_queue(sched, vm);
    gpu_review(sched, vm->gpu);
}

void sched_vm_released(struct sched *sched, struct sched_vm *vm, uint64_t now_us)
{
    assert(sched_vm_holds(vm));
    time_set(sched, now_us);
    vm_leave_gpu(sched, vm);
    if (vm->wants_again)
        vm_ask(sched, vm);
    gpu_review(sched, vm->gpu);
}

/* ---- Time ---- */

static struct sched_gpu *gpu_of_deadline(struct heap_node *deadline)
{
    return (struct sched_gpu *)((char *)deadline - offsetof(struct sched_gpu, deadline));
}

void sched_advance(struct sched *sched, uint64_t now_us)
{
    time_set(sched, now_us);
    struct heap_node *first;
    while ((first = heap_first(&sched->deadlines)) && first->key <= sched->now_us)
        gpu_review(sched, gpu_of_deadline(first));
}

uint64_t sched_next_deadline_us(const struct sched *sched)
{
    const struct heap_node *first = heap_first(&sched->deadlines);
    return first ? first->key : SCHED_NEVER;
}

/* ---- What others may ask ---- */

enum sched_class sched_vm_effective_class(const struct sched *sched, const struct sched_vm *vm,
                                          uint64_t now_us)
{
    switch (vm->state) {
    case SCHED_VM_WAITING:
        return waiting_class(sched, vm, now_us);
    case SCHED_VM_HOLDING:
    case SCHED_VM_REVOKING:
        return vm->held_class;
    case SCHED_VM_IDLE:
        break;
    }
    return vm->class;
}

bool sched_vm_comes_first(const struct sched *sched, const struct sched_vm *a, const struct sched_vm *b,
                          uint64_t now_us)
{
    enum sched_class class_a = waiting_class(sched, a, now_us);
    enum sched_class class_b = waiting_class(sched, b, now_us);
    bool aged_a = class_a > a->class;
    bool aged_b = class_b > b->class;
    if (class_rank(class_a, aged_a) != class_rank(class_b, aged_b))
        return class_rank(class_a, aged_a) > class_rank(class_b, aged_b);
    uint64_t key_a = aged_a ? a->since_us : a->virtual_us;
    uint64_t key_b = aged_b ? b->since_us : b->virtual_us;
    return key_a != key_b ? key_a < key_b : a->fair.order < b->fair.order;
}

uint64_t sched_vm_drain_us(const struct sched *sched, const struct sched_vm *vm, uint64_t now_us)
{
    if (vm->state != SCHED_VM_REVOKING)
        return 0;
    uint64_t from_us = vm->revoked_us > vm->gpu->settled_us ? vm->revoked_us : vm->gpu->settled_us;
    bool drains = !sched_vm_is_background(vm) && now_us > from_us;
    return vm->drain_us + (drains ? now_us - from_us : 0);
}

bool sched_vm_is_background(const struct sched_vm *vm)
{
    return sched_vm_holds(vm) && holder_rank(vm) < gpu_top_rank(vm->gpu);
}

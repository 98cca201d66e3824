#include "sched/fair.h"

#include "sched/places.h"

/* Of virtual time in a microsecond of use, at weight 1: fine enough for the greatest weight. */
#define SCALE SCHED_WEIGHT_MAX

static uint64_t greater(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t lesser(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t fair_of_use(const struct sched_vm *vm, uint64_t use_us)
{
    return use_us * SCALE / vm->weight;
}

uint64_t fair_to_use(const struct sched_vm *vm, uint64_t virtual_us)
{
    return virtual_us / SCALE * vm->weight + (virtual_us % SCALE * vm->weight + SCALE - 1) / SCALE;
}

uint64_t fair_estimate(const struct sched *sched, const struct sched_vm *vm)
{
    return vm->virtual_us + fair_of_use(vm, sched->now_us - vm->granted_us - vm->charged_us);
}

static struct sched_queue *queue_of(const struct sched_vm *vm)
{
    return &vm->gpu->queues[vm->class];
}

/* Where a class stands: with whoever of it is furthest behind, of those that wait or hold; `without`, when
 * there are none. */
static uint64_t class_stands(const struct sched_gpu *gpu, enum sched_class class, uint64_t without_us)
{
    const struct sched_queue *queue = &gpu->queues[class];
    const struct heap_node *first = heap_first(&queue->fair);
    uint64_t least = first ? first->key : SCHED_NEVER;
    for (const struct sched_vm *holder = gpu->holders; holder; holder = holder->next_holder) {
        if (holder->class == class)
            least = lesser(least, holder->virtual_us);
    }
    return greater(queue->virtual_us, least == SCHED_NEVER ? without_us : least);
}

void fair_join(const struct sched *sched, struct sched_vm *vm)
{
    struct sched_queue *queue = queue_of(vm);
    fair_settle(sched, vm->gpu);
    uint64_t stands_us = class_stands(vm->gpu, vm->class, 0);
    queue->virtual_us = stands_us;
    bool shortly = was_away_shortly(sched, vm);
    if (shortly && vm->interrupted)
        return; /* it has been at work all the time */
    uint64_t credit_us = shortly ? greater(fair_of_use(vm, quantum_us(sched)), queue->turn_virtual_us) : 0;
    vm->virtual_us = greater(vm->virtual_us, stands_us - lesser(stands_us, credit_us));
}

void fair_change_class(const struct sched *sched, struct sched_vm *vm, enum sched_class class)
{
    uint64_t stands_us = class_stands(vm->gpu, vm->class, vm->virtual_us);
    uint64_t ahead_us = vm->virtual_us - lesser(vm->virtual_us, stands_us);
    vm->class = class;
    vm->virtual_us = 0;
    if (vm->state == SCHED_VM_IDLE)
        return; /* it begins where its class stands when it asks */
    fair_join(sched, vm);
    vm->virtual_us += ahead_us;
}

void fair_leave(const struct sched *sched, struct sched_vm *vm)
{
    struct sched_queue *queue = queue_of(vm);
    vm->left_us = queue->left_us = sched->now_us;
    queue->virtual_us = class_stands(vm->gpu, vm->class, vm->virtual_us);
}

void fair_begin(const struct sched *sched, struct sched_vm *vm)
{
    vm->metered_us = sched->actions->gpu_time ? sched->actions->gpu_time(sched->context, vm) : 0;
    vm->charged_us = 0;
}

/* What the holder's meter has gone on by since it was last charged. */
static uint64_t holder_charge(const struct sched *sched, struct sched_vm *vm)
{
    uint64_t used_us = sched->now_us - vm->granted_us;
    if (sched->actions->gpu_time) {
        uint64_t meter_us = sched->actions->gpu_time(sched->context, vm);
        used_us = meter_us > vm->metered_us ? lesser(used_us, meter_us - vm->metered_us) : 0;
    }
    uint64_t charge_us = used_us > vm->charged_us ? used_us - vm->charged_us : 0;
    vm->charged_us += charge_us;
    return charge_us;
}

/* It has had so much of the GPU to itself: after a quantum it goes without no longer. */
static void holder_serve(const struct sched *sched, struct sched_vm *vm, uint64_t served_us)
{
    vm->virtual_us += fair_of_use(vm, served_us);
    vm->served_us += served_us;
    if (vm->served_us >= quantum_us(sched)) {
        vm->served_us = 0;
        vm->since_us = sched->now_us;
    }
}

void fair_settle(const struct sched *sched, struct sched_gpu *gpu)
{
    uint64_t settled_us = gpu->settled_us;
    uint64_t left_us = sched->now_us - settled_us; /* by the front, to the background */
    int top = gpu_top_rank(gpu);
    gpu->settled_us = sched->now_us;
    for (struct sched_vm *vm = gpu->holders; vm; vm = vm->next_holder) {
        if (holder_rank(vm) != top)
            continue;
        uint64_t charge_us = holder_charge(sched, vm);
        if (vm->state == SCHED_VM_REVOKING) { /* it uses what it has, whatever its meter says meanwhile */
            uint64_t drain_us = sched->now_us - greater(settled_us, vm->revoked_us);
            vm->drain_us += drain_us;
            vm->charged_us += drain_us - lesser(drain_us, charge_us);
            charge_us = greater(charge_us, drain_us);
        }
        left_us -= lesser(left_us, charge_us);
        holder_serve(sched, vm, charge_us);
    }
    /* A meter in the background runs while the work there is put off, too. */
    for (struct sched_vm *vm = gpu->holders; vm; vm = vm->next_holder) {
        if (holder_rank(vm) != top)
            holder_serve(sched, vm, lesser(left_us, holder_charge(sched, vm)));
    }
}

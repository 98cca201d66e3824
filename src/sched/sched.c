#include "sched/sched.h"

#include <assert.h>
#include <stddef.h>

static struct sched_vm *vm_of_place(struct heap_node *place)
{
    return (struct sched_vm *)((char *)place - offsetof(struct sched_vm, place));
}

static struct sched_gpu *gpu_of_deadline(struct heap_node *deadline)
{
    return (struct sched_gpu *)((char *)deadline - offsetof(struct sched_gpu, deadline));
}

static uint64_t time_add(uint64_t time_us, uint64_t more_us)
{
    return more_us < SCHED_NEVER - time_us ? time_us + more_us : SCHED_NEVER;
}

static uint64_t time_later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t time_earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static enum sched_class class_raised(enum sched_class class, uint64_t steps)
{
    uint64_t room = (uint64_t)(SCHED_HIGH - class);
    return steps < room ? (enum sched_class)(class + steps) : SCHED_HIGH;
}

/* The rule of ageing: one class higher for each ageing_us waited. */
static enum sched_class waiting_class(const struct sched *sched, const struct sched_vm *vm, uint64_t now_us)
{
    if (!sched->config.ageing_us || now_us < vm->asked_us)
        return vm->class;
    return class_raised(vm->class, (now_us - vm->asked_us) / sched->config.ageing_us);
}

/* A holder keeps the class that it was granted with, else the one that it was preferred to would take the
 * GPU from it at once. */
static enum sched_class holding_class(const struct sched_vm *vm)
{
    return class_raised(vm->class, vm->classes_aged);
}

/* When a waiting VM counts as one of `class`; in the past if it does already. */
static uint64_t time_of_class(const struct sched *sched, const struct sched_vm *vm, enum sched_class class)
{
    if (vm->class >= class)
        return vm->asked_us;
    if (!sched->config.ageing_us)
        return SCHED_NEVER;
    uint64_t steps = (uint64_t)(class - vm->class);
    if (sched->config.ageing_us > SCHED_NEVER / steps)
        return SCHED_NEVER;
    return time_add(vm->asked_us, steps * sched->config.ageing_us);
}

/* The rule of order: the higher effective class, then the longer wait. Within a class of its own the first
 * of the heap is the best, so three candidates suffice. */
static struct sched_vm *best_waiting(const struct sched *sched, const struct sched_gpu *gpu)
{
    struct sched_vm *best = NULL;
    enum sched_class best_class = SCHED_LOW;
    for (int class = SCHED_HIGH; class >= SCHED_LOW; class --) {
        struct heap_node *first = heap_first(&gpu->waiting[class]);
        if (!first)
            continue;
        struct sched_vm *vm = vm_of_place(first);
        enum sched_class effective = waiting_class(sched, vm, sched->now_us);
        if (!best || effective > best_class ||
            (effective == best_class &&
             (vm->asked_us < best->asked_us ||
              (vm->asked_us == best->asked_us && vm->place.order < best->place.order)))) {
            best = vm;
            best_class = effective;
        }
    }
    return best;
}

/* The rule of classes: a VM of a higher class takes the GPU, after the minimum hold. Ageing does not count
 * here: it gives a VM its turn, not the right to cut another's short. */
static uint64_t preemption_time(const struct sched *sched, const struct sched_gpu *gpu)
{
    for (int class = SCHED_HIGH; class > (int)holding_class(gpu->holder); class --) {
        if (heap_first(&gpu->waiting[class]))
            return time_add(gpu->holder->granted_us, sched->config.min_hold_us);
    }
    return SCHED_NEVER;
}

/* The rule of the quantum: a turn is over when it has lasted a quantum and somebody waits whose effective
 * class is not lower. */
static uint64_t quantum_time(const struct sched *sched, const struct sched_gpu *gpu)
{
    const struct sched_vm *holder = gpu->holder;
    uint64_t quantum_us = sched->config.quantum_us;
    uint64_t left_us = holder->turn_used_us < quantum_us ? quantum_us - holder->turn_used_us : 0;
    uint64_t rival = SCHED_NEVER;
    for (int class = SCHED_LOW; class <= SCHED_HIGH; class ++) {
        struct heap_node *first = heap_first(&gpu->waiting[class]);
        if (first)
            rival = time_earlier(rival, time_of_class(sched, vm_of_place(first), holding_class(holder)));
    }
    return time_later(rival, time_add(holder->granted_us, left_us));
}

static void deadline_set(struct sched *sched, struct sched_gpu *gpu, uint64_t time_us)
{
    if (gpu->deadline.queued && gpu->deadline.key == time_us)
        return;
    if (gpu->deadline.queued)
        heap_remove(&sched->deadlines, &gpu->deadline);
    if (time_us == SCHED_NEVER)
        return;
    gpu->deadline.key = time_us;
    gpu->deadline.order = sched->next_order++;
    heap_add(&sched->deadlines, &gpu->deadline);
}

static void queue_enter(struct sched *sched, struct sched_vm *vm)
{
    vm->place.key = vm->asked_us;
    heap_add(&vm->gpu->waiting[vm->class], &vm->place);
    vm->gpu->waiting_count++;
    vm->state = SCHED_VM_WAITING;
}

static void queue_leave(struct sched_vm *vm)
{
    heap_remove(&vm->gpu->waiting[vm->class], &vm->place);
    vm->gpu->waiting_count--;
    vm->state = SCHED_VM_IDLE;
}

/* It asks: at the tail of its class, or, in an interrupted turn, with the wait that it has behind it. */
static void vm_ask(struct sched *sched, struct sched_vm *vm)
{
    vm->wants_again = vm->paused;
    if (vm->paused)
        return;
    vm->asked_us = sched->now_us - vm->turn_waited_us;
    vm->place.order = sched->next_order++;
    queue_enter(sched, vm);
}

static void vm_grant(struct sched *sched, struct sched_vm *vm)
{
    enum sched_class effective = waiting_class(sched, vm, sched->now_us);
    queue_leave(vm);
    vm->state = SCHED_VM_HOLDING;
    vm->granted_us = sched->now_us;
    vm->classes_aged = (uint32_t)(effective - vm->class);
    vm->contended = vm->gpu->waiting_count > 0;
    vm->gpu->holder = vm;
    sched->actions->grant(sched->context, vm, vm->contended);
}

/* A turn stays open only when a higher class cut it short and some of its quantum is left. */
static void turn_close(const struct sched *sched, struct sched_vm *vm)
{
    uint64_t used_us = vm->turn_used_us + (sched->now_us - vm->granted_us);
    bool interrupted = vm->state == SCHED_VM_REVOKING && used_us < sched->config.quantum_us;
    vm->turn_waited_us = interrupted ? vm->granted_us - vm->asked_us : 0;
    vm->turn_used_us = interrupted ? used_us : 0;
}

static void vm_revoke(struct sched *sched, struct sched_vm *vm)
{
    vm->state = SCHED_VM_REVOKING;
    sched->actions->revoke(sched->context, vm);
}

static void holder_told(struct sched *sched, struct sched_vm *holder)
{
    bool contended = holder->gpu->waiting_count > 0;
    if (holder->contended == contended)
        return;
    holder->contended = contended;
    sched->actions->contend(sched->context, holder, contended);
}

/* Decides whatever is to be decided on this GPU now. Every event ends here. */
static void gpu_review(struct sched *sched, struct sched_gpu *gpu)
{
    if (!gpu->holder) {
        struct sched_vm *best = best_waiting(sched, gpu);
        if (best)
            vm_grant(sched, best);
    }
    uint64_t deadline_us = SCHED_NEVER;
    if (gpu->holder && gpu->holder->state == SCHED_VM_HOLDING) {
        deadline_us = time_earlier(quantum_time(sched, gpu), preemption_time(sched, gpu));
        if (deadline_us > sched->now_us) {
            holder_told(sched, gpu->holder);
        } else {
            vm_revoke(sched, gpu->holder);
            deadline_us = SCHED_NEVER;
        }
    }
    deadline_set(sched, gpu, deadline_us);
}

static void time_set(struct sched *sched, uint64_t now_us)
{
    sched->now_us = time_later(sched->now_us, now_us);
}

void sched_init(struct sched *sched, const struct sched_config *config, const struct sched_actions *actions,
                void *context)
{
    *sched = (struct sched){.config = *config, .actions = actions, .context = context};
}

void sched_gpu_add(struct sched *sched, struct sched_gpu *gpu)
{
    *gpu = (struct sched_gpu){0};
}

void sched_gpu_remove(struct sched *sched, struct sched_gpu *gpu)
{
    assert(gpu->vm_count == 0);
    deadline_set(sched, gpu, SCHED_NEVER);
}

void sched_vm_add(struct sched *sched, struct sched_gpu *gpu, struct sched_vm *vm, enum sched_class class)
{
    *vm = (struct sched_vm){.gpu = gpu, .class = class};
    gpu->vm_count++;
}

void sched_vm_remove(struct sched *sched, struct sched_vm *vm, uint64_t now_us)
{
    struct sched_gpu *gpu = vm->gpu;
    time_set(sched, now_us);
    if (vm->state == SCHED_VM_WAITING)
        queue_leave(vm);
    if (gpu->holder == vm)
        gpu->holder = NULL;
    gpu->vm_count--;
    *vm = (struct sched_vm){0};
    gpu_review(sched, gpu);
}

void sched_vm_set_class(struct sched *sched, struct sched_vm *vm, enum sched_class class, uint64_t now_us)
{
    time_set(sched, now_us);
    if (vm->state == SCHED_VM_WAITING) {
        queue_leave(vm);
        vm->class = class;
        queue_enter(sched, vm);
    } else {
        vm->class = class;
    }
    gpu_review(sched, vm->gpu);
}

void sched_vm_set_paused(struct sched *sched, struct sched_vm *vm, bool paused, uint64_t now_us)
{
    time_set(sched, now_us);
    vm->paused = paused;
    if (paused && vm->state == SCHED_VM_WAITING) {
        queue_leave(vm);
        vm->wants_again = true;
    }
    if (paused && vm->state == SCHED_VM_HOLDING)
        vm_revoke(sched, vm);
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
        queue_leave(vm);
    gpu_review(sched, vm->gpu);
}

void sched_vm_released(struct sched *sched, struct sched_vm *vm, uint64_t now_us)
{
    assert(vm->gpu->holder == vm);
    time_set(sched, now_us);
    turn_close(sched, vm);
    vm->gpu->holder = NULL;
    vm->state = SCHED_VM_IDLE;
    vm->contended = false;
    if (vm->wants_again)
        vm_ask(sched, vm);
    gpu_review(sched, vm->gpu);
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

enum sched_class sched_vm_effective_class(const struct sched *sched, const struct sched_vm *vm,
                                          uint64_t now_us)
{
    switch (vm->state) {
    case SCHED_VM_WAITING:
        return waiting_class(sched, vm, now_us);
    case SCHED_VM_HOLDING:
    case SCHED_VM_REVOKING:
        return holding_class(vm);
    case SCHED_VM_IDLE:
        break;
    }
    return vm->class;
}

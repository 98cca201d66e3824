#include "sched/queue.h"

#include "sched/ageing.h"
#include "sched/places.h"

#include <stddef.h>

static struct sched_vm *vm_of_fair(const struct heap_node *node)
{
    return node ? (struct sched_vm *)((char *)node - offsetof(struct sched_vm, fair)) : NULL;
}

static struct sched_vm *vm_of_starving(const struct heap_node *node)
{
    return node ? (struct sched_vm *)((char *)node - offsetof(struct sched_vm, starving)) : NULL;
}

void queue_enter(struct sched_vm *vm)
{
    struct sched_queue *queue = &vm->gpu->queues[vm->class];
    vm->fair.key = vm->virtual_us;
    vm->starving.key = vm->since_us;
    heap_add(&queue->fair, &vm->fair);
    heap_add(&queue->starving, &vm->starving);
    vm->gpu->waiting_count++;
    vm->state = SCHED_VM_WAITING;
}

void queue_leave(struct sched_vm *vm)
{
    struct sched_queue *queue = &vm->gpu->queues[vm->class];
    heap_remove(&queue->fair, &vm->fair);
    heap_remove(&queue->starving, &vm->starving);
    vm->gpu->waiting_count--;
    vm->state = SCHED_VM_IDLE;
}

struct sched_vm *queue_first(const struct sched_queue *queue)
{
    return vm_of_fair(heap_first(&queue->fair));
}

/* One a rank: of those risen to the same class, who has gone without for longest. */
static void candidate_insert(struct candidate *list, unsigned *count, struct sched_vm *vm, int rank)
{
    unsigned place = *count;
    while (place > 0 && list[place - 1].rank < rank)
        place--;
    if (place > 0 && list[place - 1].rank == rank) {
        struct sched_vm *other = list[place - 1].vm;
        if (vm->since_us < other->since_us ||
            (vm->since_us == other->since_us && vm->starving.order < other->starving.order))
            list[place - 1].vm = vm;
        return;
    }
    for (unsigned i = *count; i > place; i--)
        list[i] = list[i - 1];
    list[place] = (struct candidate){vm, rank};
    ++*count;
}

unsigned candidates_now(struct review *review, struct candidate list[CANDIDATES_MAX])
{
    unsigned count = 0;
    for (int class = SCHED_HIGH; class >= SCHED_LOW; class --) {
        struct sched_queue *queue = &review->gpu->queues[class];
        struct sched_vm *behind = queue_first(queue);
        struct sched_vm *starving = vm_of_starving(heap_first(&queue->starving));
        if (!behind)
            continue;
        candidate_insert(list, &count, behind, class_rank((enum sched_class) class, false));
        for (int above = class + 1; above <= SCHED_HIGH; above++) {
            if (!class_is_active(review->sched, review->gpu, above))
                continue;
            if (!class_is_present(review->gpu, above)) /* what has risen to it will fall back */
                is_due(review, class_idle_time(review->sched, review->gpu, above));
            if (!is_due(review, time_of_steps(review, starving, (uint64_t)(above - class))))
                break;
            candidate_insert(list, &count, starving, class_rank((enum sched_class)above, true));
        }
    }
    return count;
}

#include "sched/review.h"

#include "sched/fair.h"

#include <assert.h>
#include <stddef.h>

/* A review of one GPU: what is due is done, and the earliest of what is not is its next deadline. */
struct review {
    struct sched *sched;
    struct sched_gpu *gpu;
    uint64_t due_us;
};

static bool is_due(struct review *review, uint64_t time_us)
{
    if (time_us <= review->sched->now_us)
        return true;
    if (time_us < review->due_us)
        review->due_us = time_us;
    return false;
}

static uint64_t time_add(uint64_t time_us, uint64_t more_us)
{
    return more_us < SCHED_NEVER - time_us ? time_us + more_us : SCHED_NEVER;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static struct sched_vm *vm_of_fair(const struct heap_node *node)
{
    return node ? (struct sched_vm *)((char *)node - offsetof(struct sched_vm, fair)) : NULL;
}

static struct sched_vm *vm_of_starving(const struct heap_node *node)
{
    return node ? (struct sched_vm *)((char *)node - offsetof(struct sched_vm, starving)) : NULL;
}

/* ---- The holders ---- */

int gpu_top_rank(const struct sched_gpu *gpu)
{
    int top = RANK_NONE;
    for (const struct sched_vm *vm = gpu->holders; vm; vm = vm->next_holder) {
        if (holder_rank(vm) > top)
            top = holder_rank(vm);
    }
    return top;
}

/* Who is where. */
struct places {
    int top;                       /* the rank of the front */
    unsigned front, front_holding; /* holders there; those that are not revoked */
    unsigned background, background_holding, late;
    int background_top;          /* the highest rank there; RANK_NONE: it is empty */
    const struct sched_vm *last; /* the one there that all others go before */
    bool preemptible;            /* all of them */
    uint64_t front_us;           /* since when the latest turn at the front lasts; 0: all there are revoked */
};

/* In the background: the lower rank, and among equals who stays behind who drains. */
static bool goes_behind(const struct sched_vm *vm, const struct sched_vm *other)
{
    if (holder_rank(vm) != holder_rank(other))
        return holder_rank(vm) < holder_rank(other);
    return vm->state == SCHED_VM_HOLDING && other->state == SCHED_VM_REVOKING;
}

static struct places places_now(const struct sched_gpu *gpu)
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
            if (!places.last || goes_behind(vm, places.last))
                places.last = vm;
        } else {
            places.front++;
            places.front_holding += holding;
            if (holding)
                places.front_us = later(places.front_us, vm->turn_us);
        }
    }
    return places;
}

void holder_revoke(struct sched *sched, struct sched_vm *vm)
{
    assert(vm->told); /* nobody takes a place to lose it in the same review */
    vm->state = SCHED_VM_REVOKING;
    vm->revoked_us = sched->now_us;
    vm->drain_us = 0;
    sched->actions->revoke(sched->context, vm);
}

/* ---- Ageing ---- */

static enum sched_class class_raised(enum sched_class class, uint64_t steps)
{
    uint64_t room = (uint64_t)(SCHED_HIGH - class);
    return steps < room ? (enum sched_class)(class + steps) : SCHED_HIGH;
}

/* Whether VMs of this class wait or hold. */
static bool class_is_present(const struct sched_gpu *gpu, int class)
{
    const struct sched_vm *vm = gpu->holders;
    while (vm && (int)vm->class != class)
        vm = vm->next_holder;
    return vm != NULL || heap_first(&gpu->queues[class].fair) != NULL;
}

/* When a class counts as idle, of which nobody is present: not between two pieces of work. */
static uint64_t class_idle_time(const struct sched *sched, const struct sched_gpu *gpu, int class)
{
    uint64_t left_us = gpu->queues[class].left_us;
    return left_us == SCHED_NEVER ? 0 : time_add(left_us, quantum_us(sched) + 1);
}

/* Whether VMs of this class have work. */
static bool class_is_active(const struct sched *sched, const struct sched_gpu *gpu, int class)
{
    return class_is_present(gpu, class) || sched->now_us < class_idle_time(sched, gpu, class);
}

/* A VM rises to those who keep it from the GPU: to a class that has work. */
enum sched_class waiting_class(const struct sched *sched, const struct sched_vm *vm, uint64_t now_us)
{
    if (!vm->gpu->ageing_us || now_us < vm->since_us || now_us < vm->gpu->aged_next_us)
        return vm->class;
    enum sched_class risen = class_raised(vm->class, (now_us - vm->since_us) / vm->gpu->ageing_us);
    while (risen > vm->class && !class_is_active(sched, vm->gpu, (int)risen))
        risen--;
    return risen;
}

/* When a VM will have risen by so many classes. */
static uint64_t time_of_steps(const struct review *review, const struct sched_vm *vm, uint64_t steps)
{
    uint64_t ageing_us = review->gpu->ageing_us;
    if (!ageing_us || ageing_us > SCHED_NEVER / steps)
        return SCHED_NEVER;
    return later(time_add(vm->since_us, steps * ageing_us), review->gpu->aged_next_us);
}

/* An aged turn that took so long has the next one wait until it is the percentage that it may be. */
static void aged_turns_pace(const struct sched *sched, struct sched_gpu *gpu, uint64_t turn_us)
{
    uint64_t percent = sched->config.aged_percent;
    if (percent > 0 && percent < 100)
        gpu->aged_next_us =
            later(gpu->aged_next_us, time_add(sched->now_us, turn_us * (100 - percent) / percent));
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

/* An aged turn lasts a quantum; then the VM is one of its own class again. */
static bool aged_turns_lapse(struct review *review)
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

void holder_leave(struct sched *sched, struct sched_vm *vm)
{
    if (vm->aged && vm->state == SCHED_VM_HOLDING) /* else a higher class has cut it short */
        aged_turn_end(sched, vm);
    else if (vm->lapsed && !vm->preemptible && vm->state == SCHED_VM_REVOKING)
        /* It kept the GPU from the others while it drained. */
        aged_turns_pace(sched, vm->gpu, quantum_us(sched) + (sched->now_us - vm->revoked_us));
    struct sched_vm **link = &vm->gpu->holders;
    while (*link != vm)
        link = &(*link)->next_holder;
    *link = vm->next_holder;
    vm->next_holder = NULL;
    vm->gpu->holder_count--;
    struct sched_queue *queue = &vm->gpu->queues[vm->class];
    queue->turn_virtual_us = later(fair_of_use(vm, sched->now_us - vm->granted_us),
                                   queue->turn_virtual_us - queue->turn_virtual_us / 64);
    vm->interrupted = vm->state == SCHED_VM_REVOKING;
    vm->state = SCHED_VM_IDLE;
    vm->contended = vm->late = false;
}

/* When one in the background, which gets nothing there, is to come to the front: it has been told a quantum
 * before that others wait, so that one which has nothing to run has left. */
static uint64_t rising_time(const struct review *review, const struct sched_vm *vm, int top)
{
    uint64_t steps = 1;
    while ((int)vm->class + (int)steps <= SCHED_HIGH &&
           class_rank((enum sched_class)(vm->class + steps), true) <= top)
        steps++;
    if ((int)vm->class + (int)steps > SCHED_HIGH)
        return SCHED_NEVER;
    return time_of_steps(review, vm, steps);
}

static bool background_rises(struct review *review)
{
    struct places places = places_now(review->gpu);
    for (struct sched_vm *vm = review->gpu->holders; vm; vm = vm->next_holder) {
        if (holder_rank(vm) == places.top || vm->aged || vm->late)
            continue;
        uint64_t rising_us = time_add(rising_time(review, vm, places.top), quantum_us(review->sched));
        if (!is_due(review, later(rising_us, time_add(places.front_us, quantum_us(review->sched)))))
            continue;
        uint64_t since_us = vm->since_us;
        fair_settle(review->sched, review->gpu);
        if (vm->since_us == since_us) { /* else it got enough in the gaps */
            vm->held_class =
                class_raised(vm->class, (review->sched->now_us - since_us) / review->gpu->ageing_us);
            vm->aged = true;
            vm->turn_us = review->sched->now_us;
        }
        return true;
    }
    return false;
}

/* ---- Who waits ---- */

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

/* The best that wait, in the order in which they are served: of each class the one furthest behind, and the
 * one that has gone without for longest, in each class to which that has raised it. */
struct candidate {
    struct sched_vm *vm;
    int rank;
};
#define CANDIDATES_MAX (2 * SCHED_CLASS_COUNT)

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

static unsigned candidates_now(struct review *review, struct candidate list[CANDIDATES_MAX])
{
    unsigned count = 0;
    for (int class = SCHED_HIGH; class >= SCHED_LOW; class --) {
        struct sched_queue *queue = &review->gpu->queues[class];
        struct sched_vm *behind = vm_of_fair(heap_first(&queue->fair));
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

/* ---- Granting ---- */

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

static bool somebody_is_granted(struct review *review)
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

/* ---- Revoking ---- */

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
    return is_due(review, later(quantum_end_us, time_add(holder->granted_us + holder->charged_us, ahead_us)));
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

static bool somebody_is_revoked(struct review *review)
{
    struct places places = places_now(review->gpu);
    struct sched_vm *vm = one_too_many(review, &places);
    if (!vm)
        vm = turn_is_over(review, &places);
    if (vm)
        holder_revoke(review->sched, vm);
    return vm != NULL;
}

/* ---- Draining ---- */

/* An equal does not wait for ever: who has not drained within a quantum goes on behind it, where slices can
 * be set, and has its share of the front like one that waits. */
static bool drain_takes_too_long(struct review *review)
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

/* A place is free that one that drains may have again: it does, if it is not ahead of those that wait. */
static bool late_one_returns(struct review *review)
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

/* ---- Telling ---- */

static enum sched_slice slice_now(const struct sched_gpu *gpu, const struct places *places,
                                  const struct sched_vm *vm)
{
    if (!places->preemptible)
        return SCHED_SLICE_EQUAL;
    if (holder_rank(vm) < places->top) /* short is for one alone: two would get nowhere */
        return vm == places->last && !vm->several ? SCHED_SLICE_SHORT : SCHED_SLICE_BRIEF;
    if (places->front > 1 || vm->several)
        return SCHED_SLICE_EQUAL;
    /* Alone, one that a higher class may join is as that will need it: setting a slice takes its time. */
    return places->background || vm->class == SCHED_HIGH ? SCHED_SLICE_LONG : SCHED_SLICE_SHORT;
}

/* Whether somebody waits who would have a place if this holder had gone. */
static bool contended_now(struct review *review, const struct places *places, const struct sched_vm *holder)
{
    if (holder->aged) /* its turn, which it has waited for, does not end with its first pause */
        return false;
    int lowest_holder = holder_rank(holder);
    for (const struct sched_vm *vm = review->gpu->holders; vm; vm = vm->next_holder) {
        if (holder_rank(vm) < lowest_holder)
            lowest_holder = holder_rank(vm);
    }
    for (int class = SCHED_LOW; class <= SCHED_HIGH; class ++) {
        const struct sched_vm *vm = vm_of_fair(heap_first(&review->gpu->queues[class].fair));
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

static void holders_are_told(struct review *review)
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

/* Whoever comes next hears of it while the place is made free, so that it loses no time then. */
static void next_one_prepares(struct review *review)
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

void deadline_set(struct sched *sched, struct sched_gpu *gpu, uint64_t time_us)
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

void gpu_review(struct sched *sched, struct sched_gpu *gpu)
{
    struct review review = {.sched = sched, .gpu = gpu};
    do {
        review.due_us = SCHED_NEVER;
    } while (aged_turns_lapse(&review) || background_rises(&review) || late_one_returns(&review) ||
             somebody_is_granted(&review) || somebody_is_revoked(&review) || drain_takes_too_long(&review));
    holders_are_told(&review);
    next_one_prepares(&review);
    deadline_set(sched, gpu, review.due_us);
}

/* Random events against a restatement of the rules of docs/scheduling.md that is as plain as possible: no
 * queues and no deadlines, just every VM looked through anew after each event. What a VM has used and since
 * when it goes without is taken from the scheduler (test_shares.c and test_ageing.c have those rules); who
 * follows from that, and when, is stated here a second time.
 *
 * A failure prints the seed; `test-sched-random SEED` runs that sequence alone. */
#include "sched/sched.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#define SEQUENCES 2000
#define EVENTS    400
#define GPUS      3
#define VMS       12

struct model_vm {
    struct sched_vm vm;
    bool present, revoked, told;
    bool contended;
    enum sched_slice slice;
    uint64_t revoked_us;
    uint64_t meter_us, duty_percent;
    uint64_t wants_since; /* without a pause; UINT64_MAX: it has nothing to run */
};

struct world {
    unsigned seed, random;
    struct sched sched;
    struct sched_gpu gpus[GPUS];
    struct model_vm vms[VMS];
    struct sched_config config;
    uint64_t now, drain_limit;
    bool steady; /* no administrator: only then the bound is promised */
    unsigned event;
};

static _Noreturn void fail(const struct world *w, const char *what, const struct model_vm *vm)
{
    fprintf(stderr, "seed %u, event %u, time %llu: %s", w->seed, w->event, (unsigned long long)w->now, what);
    if (vm)
        fprintf(stderr, " (VM %td, class %d, GPU %td)", vm - w->vms, vm->vm.class, vm->vm.gpu - w->gpus);
    fputc('\n', stderr);
    exit(1);
}

static unsigned pick(struct world *w, unsigned limit)
{
    return (unsigned)rand_r(&w->random) % limit;
}

static uint64_t quantum(const struct world *w)
{
    return w->config.quantum_us ? w->config.quantum_us : 1;
}

static struct model_vm *model_of(const struct sched_vm *vm)
{
    return (struct model_vm *)((char *)(uintptr_t)vm - offsetof(struct model_vm, vm));
}

/* ---- The rules, over all VMs of a GPU ---- */

#define EACH(w, gpu_index, name, condition)                                                                  \
    for (struct model_vm *name = (w)->vms; name < (w)->vms + VMS; name++)                                    \
        if (name->present && name->vm.gpu == &(w)->gpus[gpu_index] && (condition))

#define WAITS(m) ((m)->vm.state == SCHED_VM_WAITING)
#define HOLDS(m) ((m)->vm.state == SCHED_VM_HOLDING || (m)->vm.state == SCHED_VM_REVOKING)

static bool active(struct world *w, unsigned gpu, int class)
{
    uint64_t left = w->gpus[gpu].queues[class].left_us;
    EACH(w, gpu, vm, (int)vm->vm.class == class && (WAITS(vm) || HOLDS(vm)))
    return true;
    return left != SCHED_NEVER && w->now - left <= quantum(w);
}

#define LATE   (-1)
#define NOBODY (-2)

/* Twice the class it counts as, and one more if it has risen to it. */
static int rank_at(struct world *w, unsigned gpu, const struct model_vm *vm, uint64_t time)
{
    if (HOLDS(vm))
        return vm->vm.late ? LATE : 2 * (int)vm->vm.held_class + vm->vm.aged;
    if (w->gpus[gpu].ageing_us && time >= w->gpus[gpu].aged_next_us) {
        for (int class = SCHED_HIGH; class > (int)vm->vm.class; class --) {
            uint64_t steps = (uint64_t)(class - (int)vm->vm.class);
            if (time >= vm->vm.since_us + steps * w->gpus[gpu].ageing_us && active(w, gpu, class))
                return 2 * class + 1;
        }
    }
    return 2 * (int)vm->vm.class;
}

/* Whether one that waits counts among those of this rank: as one of its own class, and as one that has risen
 * to each class on the way. */
static bool counts_as(struct world *w, unsigned gpu, const struct model_vm *vm, int rank, uint64_t time)
{
    int class = rank / 2;
    if (rank % 2 == 0)
        return (int)vm->vm.class == class;
    return (int)vm->vm.class < class && rank_at(w, gpu, vm, time) >= rank && active(w, gpu, class);
}

struct scene {
    int top;
    unsigned front, front_holding, background, background_holding, late, waiting;
    bool preemptible;
    uint64_t front_turn;
};

static struct scene look(struct world *w, unsigned gpu)
{
    struct scene s = {.top = NOBODY, .preemptible = true};
    EACH(w, gpu, vm, HOLDS(vm))
    {
        int rank = rank_at(w, gpu, vm, w->now);
        s.top = rank > s.top ? rank : s.top;
        s.preemptible = s.preemptible && vm->vm.preemptible;
    }
    EACH(w, gpu, vm, HOLDS(vm))
    {
        bool front = rank_at(w, gpu, vm, w->now) == s.top;
        bool holding = vm->vm.state == SCHED_VM_HOLDING;
        s.front += front;
        s.background += !front;
        s.late += !front && rank_at(w, gpu, vm, w->now) == LATE;
        s.front_holding += front && holding;
        s.background_holding += !front && holding;
        if (front && holding && vm->vm.turn_us > s.front_turn)
            s.front_turn = vm->vm.turn_us;
    }
    EACH(w, gpu, vm, WAITS(vm))
    s.waiting++;
    return s;
}

/* Whether there is a place for one that waits. */
static bool fits(struct world *w, unsigned gpu, const struct scene *s, const struct model_vm *vm, int rank,
                 uint64_t time)
{
    bool beside = s->preemptible && vm->vm.preemptible;
    if (s->top == NOBODY)
        return true;
    if (rank == s->top)
        return s->front < w->gpus[gpu].places && (beside || s->background == 0);
    if (rank < s->top) {
        EACH(w, gpu, other, HOLDS(other) && rank_at(w, gpu, other, w->now) < s->top)
        {
            if (!other->revoked || rank_at(w, gpu, other, w->now) >= rank)
                return false;
        }
        return beside;
    }
    return beside && (rank % 2 == 0 || time >= s->front_turn + quantum(w));
}

/* Whether of two that wait, both of this rank, a goes first. */
static bool goes_first(const struct model_vm *a, const struct model_vm *b, int rank)
{
    uint64_t key_a = rank % 2 ? a->vm.since_us : a->vm.virtual_us;
    uint64_t key_b = rank % 2 ? b->vm.since_us : b->vm.virtual_us;
    return key_a != key_b ? key_a < key_b : a->vm.fair.order < b->vm.fair.order;
}

/* Who is to be granted at this time; NULL: nobody. */
static struct model_vm *next_one(struct world *w, unsigned gpu, const struct scene *s, uint64_t time)
{
    for (int rank = 5; rank >= 0; rank--) {
        struct model_vm *first = NULL;
        EACH(w, gpu, vm, WAITS(vm) && counts_as(w, gpu, vm, rank, time))
        {
            if (!first || goes_first(vm, first, rank))
                first = vm;
        }
        if (first && fits(w, gpu, s, first, rank, time))
            return first;
        if (first && rank > s->top)
            return NULL;
    }
    return NULL;
}

/* Whether one that waits ends the turn of a holder. */
static bool outlasts(struct world *w, unsigned gpu, const struct scene *s, const struct model_vm *holder,
                     const struct model_vm *vm, int rank, uint64_t time)
{
    int held = rank_at(w, gpu, holder, time);
    bool front = held == s->top;
    bool beside = s->preemptible && vm->vm.preemptible;
    bool turn_over = time >= holder->vm.turn_us + quantum(w);
    if (rank < held || (beside && rank > s->top))
        return false;
    if (!front && (beside ? rank == s->top : rank <= s->top))
        return false;
    if (rank > held)
        return rank % 2 ? turn_over : time >= holder->vm.granted_us + w->config.min_hold_us;
    if ((front ? s->front - s->front_holding : s->background - s->background_holding - s->late) > 0)
        return false; /* a place is becoming free */
    __uint128_t used = (__uint128_t)(time - holder->vm.granted_us - holder->vm.charged_us) * SCHED_WEIGHT_MAX;
    return turn_over && (rank % 2 || (__uint128_t)holder->vm.virtual_us * holder->vm.weight + used >=
                                         (__uint128_t)vm->vm.virtual_us * holder->vm.weight);
}

static bool too_many(struct world *w, unsigned gpu, const struct scene *s, const struct model_vm *holder)
{
    if (rank_at(w, gpu, holder, w->now) == s->top)
        return s->front_holding > w->gpus[gpu].places;
    return s->background_holding > (s->preemptible ? 1u : 0u);
}

/* Whether this holder's turn is over at this time. Of several equals only the one furthest ahead is looked
 * at; `first` restricts to it. */
static bool must_go(struct world *w, unsigned gpu, const struct model_vm *holder, uint64_t time)
{
    struct scene s = look(w, gpu);
    if (too_many(w, gpu, &s, holder))
        return true;
    /* Who drains behind it wants its place as well. */
    EACH(w, gpu, late, HOLDS(late) && late->vm.late)
    {
        int rank = 2 * (int)late->vm.class;
        if (rank == rank_at(w, gpu, holder, time) && outlasts(w, gpu, &s, holder, late, rank, time))
            return true;
    }
    for (int rank = 5; rank >= 0; rank--) {
        struct model_vm *first = NULL;
        EACH(w, gpu, vm, WAITS(vm) && counts_as(w, gpu, vm, rank, time))
        {
            if (!first || goes_first(vm, first, rank))
                first = vm;
        }
        if (first && outlasts(w, gpu, &s, holder, first, rank, time))
            return true;
    }
    return false;
}

/* One of them goes on, the others stand still. */
#define EITHER_SLICE (SCHED_SLICE_PAUSED + 1)

static enum sched_slice slice_of(struct world *w, unsigned gpu, const struct scene *s,
                                 const struct model_vm *holder)
{
    if (!s->preemptible)
        return SCHED_SLICE_EQUAL;
    if (rank_at(w, gpu, holder, w->now) < s->top) {
        bool one_of_several = false;
        EACH(w, gpu, other, HOLDS(other) && other != holder)
        {
            int rank = rank_at(w, gpu, holder, w->now), other_rank = rank_at(w, gpu, other, w->now);
            if (other_rank < s->top &&
                (other_rank > rank || (other_rank == rank && other->revoked && !holder->revoked)))
                return SCHED_SLICE_PAUSED;
            one_of_several = one_of_several || (other_rank == rank && other->revoked == holder->revoked);
        }
        if (one_of_several)
            return EITHER_SLICE;
        return holder->vm.several ? SCHED_SLICE_BRIEF : SCHED_SLICE_SHORT;
    }
    if (s->front > 1 || holder->vm.several)
        return SCHED_SLICE_EQUAL;
    return s->background || holder->vm.class == SCHED_HIGH ? SCHED_SLICE_LONG : SCHED_SLICE_SHORT;
}

/* (2 - class) steps of ageing, then everybody before it once, each such turn followed by its pause. */
static void check_bound(struct world *w, unsigned gpu, struct model_vm *vm)
{
    bool kept = false; /* by a class above it */
    for (int class = (int)vm->vm.class + 1; class <= SCHED_HIGH; class ++)
        kept = kept || active(w, gpu, class);
    if (vm->wants_since != SCHED_NEVER && (!kept || (HOLDS(vm) && !sched_vm_is_background(&vm->vm))))
        vm->wants_since = w->now; /* for what it goes without from now on */
    if (!w->steady || !w->config.ageing_us || vm->vm.class == SCHED_HIGH || vm->wants_since == SCHED_NEVER)
        return;
    uint64_t since = vm->wants_since > vm->vm.since_us ? vm->wants_since : vm->vm.since_us;
    uint64_t percent = w->config.aged_percent ? w->config.aged_percent : 100;
    uint64_t bound = (2 - (uint64_t)vm->vm.class) * w->config.ageing_us + 3 * quantum(w) +
                     2 * VMS * (quantum(w) + w->drain_limit) * 100 / percent;
    if (w->now > since + bound)
        fail(w, "goes without for longer than the bound", vm);
}

/* ---- Decisions ---- */

static void on_grant(void *context, struct sched_vm *granted)
{
    struct world *w = context;
    struct model_vm *vm = model_of(granted);
    if (vm->told)
        fail(w, "granted twice", vm);
    vm->told = true;
    vm->revoked = false;
    vm->contended = granted->contended;
    vm->slice = granted->slice;
}

static void on_tell(void *context, struct sched_vm *told)
{
    struct world *w = context;
    struct model_vm *vm = model_of(told);
    if (!vm->told || (vm->contended == told->contended && vm->slice == told->slice))
        fail(w, "told nothing new", vm);
    if (vm->revoked && vm->contended != told->contended)
        fail(w, "told of others although it is revoked", vm);
    vm->contended = told->contended;
    vm->slice = told->slice;
}

static void on_revoke(void *context, struct sched_vm *revoked)
{
    struct world *w = context;
    struct model_vm *vm = model_of(revoked);
    unsigned gpu = (unsigned)(revoked->gpu - w->gpus);
    if (!vm->told || vm->revoked)
        fail(w, "revoked what was not held", vm);
    revoked->state = SCHED_VM_HOLDING; /* as it was when that was decided */
    if (!revoked->paused && !must_go(w, gpu, vm, w->now))
        fail(w, "revoked too early", vm);
    revoked->state = SCHED_VM_REVOKING;
    vm->revoked = true;
    vm->revoked_us = w->now;
}

static uint64_t on_gpu_time(void *context, const struct sched_vm *vm)
{
    return model_of(vm)->meter_us;
}

static const struct sched_actions actions = {
    .grant = on_grant, .tell = on_tell, .revoke = on_revoke, .gpu_time = on_gpu_time};

/* ---- What must be true after every event ---- */

static void check_holder(struct world *w, unsigned gpu, const struct scene *s, const struct model_vm *holder)
{
    if (!holder->told || holder->revoked != (holder->vm.state == SCHED_VM_REVOKING))
        fail(w, "the holder has not been told that it is one", holder);
    int slice = (int)slice_of(w, gpu, s, holder);
    if ((int)holder->slice != slice && slice != EITHER_SLICE)
        fail(w, "the wrong slice", holder);
    unsigned going_on = 0;
    EACH(w, gpu, vm, HOLDS(vm) && rank_at(w, gpu, vm, w->now) < s->top)
    going_on += vm->slice != SCHED_SLICE_PAUSED;
    if (s->preemptible && going_on != (s->background > 0))
        fail(w, "not one in the background goes on", holder);
    if (too_many(w, gpu, s, holder) && !holder->revoked)
        fail(w, "more holders than places", holder);
    const struct model_vm *equal = NULL;
    EACH(w, gpu, vm, WAITS(vm) && 2 * (int)vm->vm.class == s->top)
    {
        if (!equal || goes_first(vm, equal, s->top))
            equal = vm;
    }
    if (equal && equal->vm.preemptible && s->preemptible && holder->revoked &&
        rank_at(w, gpu, holder, w->now) == s->top && w->now >= holder->vm.revoked_us + quantum(w))
        fail(w, "has equals wait for its drain", holder);
    if (holder->vm.aged && w->now >= holder->vm.turn_us + quantum(w))
        fail(w, "an aged turn that does not end", holder);
    if (!s->waiting && holder->contended && !holder->revoked && !sched_vm_is_background(&holder->vm))
        fail(w, "contended by nobody", holder);
    if (s->waiting && !s->preemptible && !holder->contended && !holder->revoked && !holder->vm.aged)
        fail(w, "has not been told who waits", holder);
}

static void check(struct world *w)
{
    uint64_t deadline = sched_next_deadline_us(&w->sched);
    uint64_t quiet_until = deadline == SCHED_NEVER ? w->now + 1000000000 : deadline - 1;
    if (deadline <= w->now)
        fail(w, "a deadline that has passed", NULL);
    for (unsigned gpu = 0; gpu < GPUS; gpu++) {
        struct scene s = look(w, gpu);
        const struct model_vm *next = next_one(w, gpu, &s, w->now);
        if (next)
            fail(w, "waits although there is a place", next);
        next = next_one(w, gpu, &s, quiet_until);
        if (next)
            fail(w, "the next deadline is too late for a grant", next);
        EACH(w, gpu, vm, HOLDS(vm))
        check_holder(w, gpu, &s, vm);
        bool front_goes = false, background_goes = false, front_late = false, background_late = false;
        bool front_stays = true, background_stays = true;
        EACH(w, gpu, vm, vm->vm.state == SCHED_VM_HOLDING)
        {
            bool front = rank_at(w, gpu, vm, w->now) == s.top;
            *(front ? &front_goes : &background_goes) = true;
            /* Of several, one that must not go yet may be the one in question. */
            *(front ? &front_stays : &background_stays) &= must_go(w, gpu, vm, w->now);
            *(front ? &front_late : &background_late) |= !must_go(w, gpu, vm, quiet_until);
        }
        if ((front_goes && front_stays) || (background_goes && background_stays))
            fail(w, "nobody is revoked although it is time", NULL);
        if ((front_goes && !front_late) || (background_goes && !background_late))
            fail(w, "the next deadline is too late for a revoke", NULL);
        EACH(w, gpu, vm, true)
        check_bound(w, gpu, vm);
    }
}

/* ---- Events ---- */

static void ask(struct world *w, struct model_vm *vm)
{
    if (vm->wants_since == SCHED_NEVER)
        vm->wants_since = w->now;
    sched_vm_want(&w->sched, &vm->vm, w->now);
}

static void give_back(struct world *w, struct model_vm *vm)
{
    bool again = vm->vm.wants_again || vm->vm.paused || pick(w, 2);
    vm->told = vm->revoked = false;
    if (!again)
        vm->wants_since = SCHED_NEVER;
    sched_vm_released(&w->sched, &vm->vm, w->now);
    if (again)
        ask(w, vm);
}

static void administrate(struct world *w, struct model_vm *vm)
{
    switch (pick(w, 9)) {
    case 0: /* removed, or crashed */
        vm->present = vm->told = vm->revoked = false;
        sched_vm_remove(&w->sched, &vm->vm, w->now);
        break;
    case 1:
        sched_vm_set_class(&w->sched, &vm->vm, (enum sched_class)pick(w, 3), w->now);
        break;
    case 2:
        sched_vm_set_weight(&w->sched, &vm->vm, pick(w, 5), w->now);
        break;
    case 3:
        sched_vm_set_preemptible(&w->sched, &vm->vm, !vm->vm.preemptible, w->now);
        break;
    case 4:
        sched_vm_set_paused(&w->sched, &vm->vm, !vm->vm.paused, w->now);
        break;
    case 5:
        sched_gpu_set_places(&w->sched, vm->vm.gpu, pick(w, 4), w->now);
        break;
    case 6:
        sched_vm_set_several(&w->sched, &vm->vm, !vm->vm.several, w->now);
        break;
    case 7:
        sched_gpu_set_ageing(&w->sched, vm->vm.gpu, pick(w, 3) ? 1 + pick(w, 3000) : 0, w->now);
        break;
    default:
        vm->wants_since = SCHED_NEVER;
        sched_vm_withdraw(&w->sched, &vm->vm, w->now);
        break;
    }
}

static void vm_event(struct world *w, struct model_vm *vm)
{
    unsigned what = pick(w, 100);
    if (!vm->present) {
        *vm = (struct model_vm){.present = true, .duty_percent = pick(w, 101), .wants_since = SCHED_NEVER};
        sched_vm_add(&w->sched, &w->gpus[pick(w, GPUS)], &vm->vm, (enum sched_class)pick(w, 3));
        sched_vm_set_preemptible(&w->sched, &vm->vm, w->seed % 3 != 0 && (w->seed % 3 == 1 || pick(w, 4)),
                                 w->now);
    } else if (HOLDS(vm) && what < 30) {
        give_back(w, vm);
    } else if (!w->steady && what < 45) {
        administrate(w, vm);
    } else {
        ask(w, vm);
    }
}

/* The meters run: the front uses its part, the background some of what is left. */
static void use(struct world *w, uint64_t time_us)
{
    for (unsigned gpu = 0; gpu < GPUS; gpu++) {
        EACH(w, gpu, vm, HOLDS(vm))
        vm->meter_us += time_us * vm->duty_percent / 100;
    }
}

/* Time goes on to a random moment, stopping at every deadline and whenever a drain must be over. */
static void pass_time(struct world *w)
{
    uint64_t until = w->now + pick(w, pick(w, 4) ? 50 : 3000);
    while (w->now < until) {
        uint64_t next = sched_next_deadline_us(&w->sched);
        struct model_vm *drained = NULL;
        for (size_t i = 0; i < VMS; i++) {
            struct model_vm *vm = &w->vms[i];
            uint64_t end = vm->revoked_us + w->drain_limit;
            if (vm->present && vm->revoked && end <= next && end <= until) {
                drained = vm;
                next = end;
            }
        }
        uint64_t stop = next < until ? next : until;
        use(w, stop - w->now);
        w->now = stop;
        sched_advance(&w->sched, w->now);
        if (drained && drained->revoked)
            give_back(w, drained);
        check(w);
    }
}

static void run(unsigned seed)
{
    struct world w = {.seed = seed, .random = seed};
    w.steady = pick(&w, 2);
    w.drain_limit = 1 + pick(&w, 100);
    w.config.quantum_us = pick(&w, 4) ? 1 + pick(&w, 500) : 0;
    w.config.ageing_us = pick(&w, 5) ? 1 + pick(&w, 3000) : 0;
    w.config.min_hold_us = pick(&w, 2) ? pick(&w, 200) : 0;
    w.config.aged_percent = pick(&w, 2) ? pick(&w, 100) : 0;
    sched_init(&w.sched, &w.config, &actions, &w);
    for (unsigned gpu = 0; gpu < GPUS; gpu++) {
        sched_gpu_add(&w.sched, &w.gpus[gpu]);
        if (pick(&w, 3) == 0)
            sched_gpu_set_places(&w.sched, &w.gpus[gpu], pick(&w, 4), w.now);
    }
    for (w.event = 0; w.event < EVENTS; w.event++) {
        vm_event(&w, &w.vms[pick(&w, VMS)]);
        check(&w);
        if (pick(&w, 2))
            pass_time(&w);
    }
    for (size_t i = 0; i < VMS; i++) {
        if (w.vms[i].present) {
            w.vms[i].present = false;
            sched_vm_remove(&w.sched, &w.vms[i].vm, w.now);
        }
    }
    for (unsigned gpu = 0; gpu < GPUS; gpu++)
        sched_gpu_remove(&w.sched, &w.gpus[gpu]);
    if (sched_next_deadline_us(&w.sched) != SCHED_NEVER)
        fail(&w, "a deadline without any VM", NULL);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        run((unsigned)strtoul(argv[1], NULL, 10));
        return 0;
    }
    for (unsigned seed = 1; seed <= SEQUENCES; seed++)
        run(seed);
    printf("%d sequences of %d events\n", SEQUENCES, EVENTS);
    return 0;
}

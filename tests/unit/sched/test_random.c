/* Random events against a restatement of the rules of docs/scheduling.md that is as plain as possible: no
 * queues, no deadlines, just what every VM asked for and got, looked through anew after each event.
 *
 * A failure prints the seed; `test-sched-random SEED` runs that sequence alone. */
#include "sched/sched.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#define SEQUENCES 3000
#define EVENTS    400
#define GPUS      3
#define VMS       12

/* What the model knows of a VM. */
struct model_vm {
    struct sched_vm vm;
    bool present, wants, holds, revoked, contended, over, open;
    unsigned gpu, class, aged;
    uint64_t asked, order, granted; /* asked: less the waits of an interrupted turn */
    uint64_t waited, used;          /* of an interrupted turn */
    uint64_t really_asked;          /* for the bound; really */
};

struct world {
    unsigned seed, random;
    struct sched sched;
    struct sched_gpu gpus[GPUS];
    struct model_vm vms[VMS];
    struct sched_config config;
    uint64_t now, order, longest_drain, drain_limit;
    uint64_t revoked_at[VMS];
    bool steady; /* no administrator: only then the bound is promised */
    unsigned event;
};

static _Noreturn void fail(const struct world *w, const char *what, const struct model_vm *vm)
{
    fprintf(stderr, "seed %u, event %u, time %llu: %s", w->seed, w->event, (unsigned long long)w->now, what);
    if (vm)
        fprintf(stderr, " (VM %td, class %u, GPU %u)", vm - w->vms, vm->class, vm->gpu);
    fputc('\n', stderr);
    exit(1);
}

static unsigned pick(struct world *w, unsigned limit)
{
    return (unsigned)rand_r(&w->random) % limit;
}

static unsigned limited(uint64_t class)
{
    return class > 2 ? 2 : (unsigned)class;
}

/* The class with which a VM that wants counts at a time. */
static unsigned aged_class(const struct world *w, const struct model_vm *vm, uint64_t now)
{
    return w->config.ageing_us ? limited(vm->class + (now - vm->asked) / w->config.ageing_us) : vm->class;
}

static bool waits(const struct model_vm *vm)
{
    return vm->present && vm->wants && !vm->holds;
}

static unsigned waiting_on(const struct world *w, unsigned gpu)
{
    unsigned count = 0;
    for (size_t i = 0; i < VMS; i++)
        count += waits(&w->vms[i]) && w->vms[i].gpu == gpu;
    return count;
}

static struct model_vm *holder_of(struct world *w, unsigned gpu)
{
    for (size_t i = 0; i < VMS; i++) {
        if (w->vms[i].present && w->vms[i].holds && w->vms[i].gpu == gpu)
            return &w->vms[i];
    }
    return NULL;
}

static struct model_vm *first_in_line(struct world *w, unsigned gpu)
{
    struct model_vm *first = NULL;
    for (size_t i = 0; i < VMS; i++) {
        struct model_vm *vm = &w->vms[i];
        if (!waits(vm) || vm->gpu != gpu)
            continue;
        unsigned class = aged_class(w, vm, w->now);
        unsigned first_class = first ? aged_class(w, first, w->now) : 0;
        if (!first || class > first_class ||
            (class == first_class &&
             (vm->asked < first->asked || (vm->asked == first->asked && vm->order < first->order))))
            first = vm;
    }
    return first;
}

/* Whether the rules take the GPU from its holder at this time; over: because its quantum is used up. */
static bool must_revoke(const struct world *w, const struct model_vm *holder, uint64_t now, bool *over)
{
    unsigned held_class = limited(holder->class + holder->aged);
    uint64_t used = holder->used + (now - holder->granted);
    bool by_class = false;
    *over = false;
    for (size_t i = 0; i < VMS; i++) {
        const struct model_vm *vm = &w->vms[i];
        if (!waits(vm) || vm->gpu != holder->gpu)
            continue;
        if (vm->class > held_class && now - holder->granted >= w->config.min_hold_us)
            by_class = true;
        if (aged_class(w, vm, now) >= held_class && used >= w->config.quantum_us)
            *over = true;
    }
    return by_class || *over;
}

/* (2 - class) * ageing + n * (quantum + drain), n: VMs on the GPU. */
static void check_bound(const struct world *w, const struct model_vm *vm)
{
    if (!w->steady || !w->config.ageing_us)
        return;
    uint64_t bound = (2 - vm->class) * w->config.ageing_us + VMS * (w->config.quantum_us + w->longest_drain);
    if (w->now - vm->really_asked > bound)
        fail(w, "waited longer than the bound", vm);
}

static struct model_vm *model_of(struct sched_vm *vm)
{
    return (struct model_vm *)((char *)vm - offsetof(struct model_vm, vm));
}

static void on_grant(void *context, struct sched_vm *granted, bool contended)
{
    struct world *w = context;
    struct model_vm *vm = model_of(granted);
    if (holder_of(w, vm->gpu))
        fail(w, "granted a GPU that is held", vm);
    if (first_in_line(w, vm->gpu) != vm)
        fail(w, "granted to one who is not first in line", vm);
    check_bound(w, vm);
    vm->aged = aged_class(w, vm, w->now) - vm->class;
    vm->holds = true;
    vm->wants = false;
    vm->revoked = false;
    vm->granted = w->now;
    vm->contended = contended;
    if (contended != (waiting_on(w, vm->gpu) > 0))
        fail(w, "granted with the wrong word on others waiting", vm);
}

static void on_contend(void *context, struct sched_vm *told, bool contended)
{
    struct world *w = context;
    struct model_vm *vm = model_of(told);
    if (!vm->holds || vm->revoked || vm->contended == contended)
        fail(w, "told about others waiting for no reason", vm);
    vm->contended = contended;
}

static void on_revoke(void *context, struct sched_vm *revoked)
{
    struct world *w = context;
    struct model_vm *vm = model_of(revoked);
    if (!vm->holds || vm->revoked)
        fail(w, "revoked what was not held", vm);
    if (!must_revoke(w, vm, w->now, &vm->over))
        fail(w, "revoked too early", vm);
    vm->revoked = true;
    w->revoked_at[vm - w->vms] = w->now;
}
static const struct sched_actions actions = {on_grant, on_contend, on_revoke};

/* What must be true after every event. */
static void check(struct world *w)
{
    uint64_t deadline = sched_next_deadline_us(&w->sched);
    uint64_t quiet_until = deadline == SCHED_NEVER ? w->now + 1000000000 : deadline - 1;
    if (deadline <= w->now)
        fail(w, "a deadline that has passed", NULL);
    for (unsigned gpu = 0; gpu < GPUS; gpu++) {
        struct model_vm *holder = holder_of(w, gpu);
        bool over;
        if (!holder && waiting_on(w, gpu))
            fail(w, "somebody waits for a free GPU", first_in_line(w, gpu));
        if (!holder || holder->revoked)
            continue;
        if (holder->contended != (waiting_on(w, gpu) > 0))
            fail(w, "the holder has not been told who waits", holder);
        if (must_revoke(w, holder, w->now, &over))
            fail(w, "not revoked in time", holder);
        if (must_revoke(w, holder, quiet_until, &over))
            fail(w, "the next deadline is too late", holder);
    }
}

static void ask(struct world *w, struct model_vm *vm)
{
    if (!vm->wants && !(vm->holds && !vm->revoked)) {
        vm->wants = true;
        if (!vm->holds) {
            vm->asked = w->now - vm->waited;
            vm->order = w->order++;
            vm->really_asked = w->now;
        }
    }
    sched_vm_want(&w->sched, &vm->vm, w->now);
}

static void give_back(struct world *w, struct model_vm *vm)
{
    uint64_t used = vm->used + (w->now - vm->granted);
    bool open = vm->revoked && !vm->over && used < w->config.quantum_us;
    vm->waited = open ? vm->granted - vm->asked : 0;
    vm->used = open ? used : 0;
    vm->holds = false;
    if (vm->wants) {
        vm->asked = w->now - vm->waited;
        vm->order = w->order++;
        vm->really_asked = w->now;
    }
    sched_vm_released(&w->sched, &vm->vm, w->now);
}

static void administrate(struct world *w, struct model_vm *vm)
{
    switch (pick(w, 3)) {
    case 0: /* removed, or crashed */
        vm->present = vm->wants = vm->holds = false;
        sched_vm_remove(&w->sched, &vm->vm, w->now);
        break;
    case 1:
        vm->class = pick(w, 3);
        sched_vm_set_class(&w->sched, &vm->vm, (enum sched_class)vm->class, w->now);
        break;
    default:
        vm->wants = false;
        sched_vm_withdraw(&w->sched, &vm->vm, w->now);
        break;
    }
}

static void vm_event(struct world *w, struct model_vm *vm)
{
    unsigned what = pick(w, 100);
    if (!vm->present) {
        *vm = (struct model_vm){.present = true, .gpu = pick(w, GPUS), .class = pick(w, 3)};
        sched_vm_add(&w->sched, &w->gpus[vm->gpu], &vm->vm, (enum sched_class)vm->class);
    } else if (vm->holds && what < 30) {
        give_back(w, vm);
    } else if (!w->steady && what < 40) {
        administrate(w, vm);
    } else {
        ask(w, vm);
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
            uint64_t end = w->revoked_at[i] + w->drain_limit;
            if (w->vms[i].present && w->vms[i].holds && w->vms[i].revoked && end <= next && end <= until) {
                drained = &w->vms[i];
                next = end;
            }
        }
        w->now = next < until ? next : until;
        sched_advance(&w->sched, w->now);
        if (drained && drained->holds && drained->revoked)
            give_back(w, drained);
        check(w);
    }
}

static void run(unsigned seed)
{
    struct world w = {.seed = seed, .random = seed};
    w.steady = pick(&w, 2);
    w.drain_limit = 1 + pick(&w, 100);
    w.longest_drain = w.drain_limit;
    w.config.quantum_us = pick(&w, 4) ? 1 + pick(&w, 500) : 0;
    w.config.ageing_us = pick(&w, 5) ? 1 + pick(&w, 3000) : 0;
    w.config.min_hold_us = pick(&w, 2) ? pick(&w, 200) : 0;
    sched_init(&w.sched, &w.config, &actions, &w);
    for (unsigned gpu = 0; gpu < GPUS; gpu++)
        sched_gpu_add(&w.sched, &w.gpus[gpu]);
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

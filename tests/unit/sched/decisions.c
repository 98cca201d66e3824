#include "decisions.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static bool *contended_of(struct fixture *f, const struct sched_vm *vm)
{
    static bool of_others;
    return vm >= &f->low && vm <= &f->elsewhere ? &f->told_contended[vm - &f->low] : &of_others;
}

static void record(struct fixture *f, enum decision what, const struct sched_vm *vm)
{
    assert_true(f->made < DECISIONS_MAX);
    f->decisions[f->made].what = what;
    f->decisions[f->made++].vm = vm;
    *contended_of(f, vm) = vm->contended;
}

static void on_grant(void *context, struct sched_vm *vm)
{
    record(context, vm->contended ? GRANT_CONTENDED : GRANT, vm);
}

static void on_tell(void *context, struct sched_vm *vm)
{
    bool known = *contended_of(context, vm) == vm->contended;
    record(context, known ? SLICE : vm->contended ? CONTEND : UNCONTEND, vm);
}

static void on_revoke(void *context, struct sched_vm *vm)
{
    record(context, REVOKE, vm);
}

static const struct sched_actions actions = {.grant = on_grant, .tell = on_tell, .revoke = on_revoke};

void start_with(struct fixture *f, struct sched_config config)
{
    *f = (struct fixture){0};
    sched_init(&f->sched, &config, &actions, f);
    sched_gpu_add(&f->sched, &f->gpu);
    sched_gpu_add(&f->sched, &f->other_gpu);
    sched_vm_add(&f->sched, &f->gpu, &f->low, SCHED_LOW);
    sched_vm_add(&f->sched, &f->gpu, &f->low2, SCHED_LOW);
    sched_vm_add(&f->sched, &f->gpu, &f->medium, SCHED_MEDIUM);
    sched_vm_add(&f->sched, &f->gpu, &f->medium2, SCHED_MEDIUM);
    sched_vm_add(&f->sched, &f->gpu, &f->high, SCHED_HIGH);
    sched_vm_add(&f->sched, &f->other_gpu, &f->elsewhere, SCHED_LOW);
}

void start(struct fixture *f)
{
    start_with(f, (struct sched_config){.quantum_us = QUANTUM, .ageing_us = AGEING});
}

void expect(struct fixture *f, enum decision what, const struct sched_vm *vm)
{
    assert_true(f->seen < f->made);
    assert_int_equal(f->decisions[f->seen].what, what);
    assert_ptr_equal(f->decisions[f->seen].vm, vm);
    f->seen++;
}

void expect_no_more(const struct fixture *f)
{
    assert_int_equal(f->made, f->seen);
}

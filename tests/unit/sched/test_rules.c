/* The rules of docs/scheduling.md, one test each. */
#include "sched/sched.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define QUANTUM 1000u
#define AGEING  10000u

enum decision { NOTHING, GRANT, GRANT_CONTENDED, CONTEND, UNCONTEND, SLICE, REVOKE };

/* One scheduler, two GPUs, some VMs, and the decisions since they were last looked at. Nothing here has a
 * time slice unless a test says so: the meters run while a VM holds. */
struct fixture {
    struct sched sched;
    struct sched_gpu gpu, other_gpu;
    struct sched_vm low, low2, medium, medium2, high, elsewhere;
    struct {
        enum decision what;
        const struct sched_vm *vm;
        enum sched_slice slice;
    } decisions[2000];
    size_t made, seen;
    bool told_contended[6]; /* as the VMs have heard it last */
};

static bool *contended_of(struct fixture *f, const struct sched_vm *vm)
{
    static bool of_others;
    return vm >= &f->low && vm <= &f->elsewhere ? &f->told_contended[vm - &f->low] : &of_others;
}

static void record(struct fixture *f, enum decision what, const struct sched_vm *vm)
{
    assert_true(f->made < 2000);
    f->decisions[f->made].what = what;
    f->decisions[f->made].slice = vm->slice;
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

static void start_with(struct fixture *f, struct sched_config config)
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

static void start(struct fixture *f)
{
    start_with(f, (struct sched_config){.quantum_us = QUANTUM, .ageing_us = AGEING});
}

/* The next decision made is this one. */
static void expect(struct fixture *f, enum decision what, const struct sched_vm *vm)
{
    assert_true(f->seen < f->made);
    assert_int_equal(f->decisions[f->seen].what, what);
    assert_ptr_equal(f->decisions[f->seen].vm, vm);
    f->seen++;
}

static void expect_no_more(const struct fixture *f)
{
    assert_int_equal(f->made, f->seen);
}

static void a_lone_vm_is_granted_at_once_and_left_alone(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.low, 5);
    expect(&f, GRANT, &f.low);
    assert_true(sched_next_deadline_us(&f.sched) == SCHED_NEVER);
    sched_advance(&f.sched, 1000000000);
    expect_no_more(&f);
}

static void one_grant_per_gpu_at_a_time(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.medium, 0);
    expect(&f, GRANT, &f.medium);
    sched_vm_want(&f.sched, &f.medium2, 1);
    expect(&f, CONTEND, &f.medium);
    sched_advance(&f.sched, QUANTUM);
    expect(&f, REVOKE, &f.medium);
    sched_advance(&f.sched, 100 * QUANTUM);
    expect_no_more(&f); /* not before the holder has drained */
    sched_vm_released(&f.sched, &f.medium, 101 * QUANTUM);
    expect(&f, GRANT, &f.medium2);
    expect_no_more(&f);
}

static void gpus_are_independent(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.low, 0);
    expect(&f, GRANT, &f.low);
    sched_vm_want(&f.sched, &f.elsewhere, 0);
    expect(&f, GRANT, &f.elsewhere);
    expect_no_more(&f);
}

static void first_come_first_served_within_a_class(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.high, 0);
    expect(&f, GRANT, &f.high);
    sched_vm_want(&f.sched, &f.low2, 1);
    sched_vm_want(&f.sched, &f.low, 1);
    expect(&f, CONTEND, &f.high);
    sched_vm_released(&f.sched, &f.high, 2);
    expect(&f, GRANT_CONTENDED, &f.low2);
    sched_vm_released(&f.sched, &f.low2, 3);
    expect(&f, GRANT, &f.low);
    expect_no_more(&f);
}

static void who_gave_back_queues_at_the_tail(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.low, 0);
    expect(&f, GRANT, &f.low);
    sched_vm_want(&f.sched, &f.low2, 1);
    expect(&f, CONTEND, &f.low);
    sched_vm_released(&f.sched, &f.low, 2);
    expect(&f, GRANT, &f.low2);
    sched_vm_want(&f.sched, &f.low, 2);
    expect(&f, CONTEND, &f.low2);
    sched_vm_released(&f.sched, &f.low2, 3);
    expect(&f, GRANT, &f.low);
    expect_no_more(&f);
}

static void the_higher_class_goes_first(void **state)
{
    struct fixture f;
    start_with(&f, (struct sched_config){.quantum_us = QUANTUM, .ageing_us = AGEING, .min_hold_us = 500});
    sched_vm_want(&f.sched, &f.medium, 0);
    expect(&f, GRANT, &f.medium);
    sched_vm_want(&f.sched, &f.low, 1);
    expect(&f, CONTEND, &f.medium);
    sched_vm_want(&f.sched, &f.medium2, 2);
    sched_vm_want(&f.sched, &f.high, 3);
    sched_vm_released(&f.sched, &f.medium, 4);
    expect(&f, GRANT_CONTENDED, &f.high);
    sched_vm_released(&f.sched, &f.high, 5);
    expect(&f, GRANT_CONTENDED, &f.medium2);
    sched_vm_released(&f.sched, &f.medium2, 6);
    expect(&f, GRANT, &f.low);
    expect_no_more(&f);
}

static void a_higher_class_takes_the_gpu_at_once(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.medium, 0);
    expect(&f, GRANT, &f.medium);
    sched_vm_want(&f.sched, &f.high, 1);
    expect(&f, REVOKE, &f.medium);
    sched_vm_released(&f.sched, &f.medium, 2);
    expect(&f, GRANT, &f.high);
    expect_no_more(&f);
}

static void a_lower_class_does_not(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.high, 0);
    expect(&f, GRANT, &f.high);
    sched_vm_want(&f.sched, &f.low, 1);
    expect(&f, CONTEND, &f.high);
    sched_advance(&f.sched, 10 * QUANTUM); /* the quantum is for equals */
    expect_no_more(&f);
}

static void the_minimum_hold_delays_a_higher_class(void **state)
{
    struct fixture f;
    start_with(&f, (struct sched_config){.quantum_us = QUANTUM, .ageing_us = AGEING, .min_hold_us = 300});
    sched_vm_want(&f.sched, &f.low, 0);
    expect(&f, GRANT, &f.low);
    sched_vm_want(&f.sched, &f.high, 100);
    expect(&f, CONTEND, &f.low);
    expect_no_more(&f);
    assert_int_equal(sched_next_deadline_us(&f.sched), 300);
    sched_advance(&f.sched, 299);
    expect_no_more(&f);
    sched_advance(&f.sched, 300);
    expect(&f, REVOKE, &f.low);
    expect_no_more(&f);
}

static void the_quantum_counts_from_the_grant(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.low, 0);
    expect(&f, GRANT, &f.low);
    sched_vm_want(&f.sched, &f.low2, 400);
    expect(&f, CONTEND, &f.low);
    assert_int_equal(sched_next_deadline_us(&f.sched), QUANTUM);
    sched_advance(&f.sched, QUANTUM - 1);
    expect_no_more(&f);
    sched_advance(&f.sched, QUANTUM);
    expect(&f, REVOKE, &f.low);
    sched_vm_released(&f.sched, &f.low, QUANTUM + 10);
    expect(&f, GRANT, &f.low2);

    /* Who held longer than that, alone, makes room at once. */
    sched_vm_want(&f.sched, &f.low, 5 * QUANTUM);
    expect(&f, REVOKE, &f.low2);
    expect_no_more(&f);
}

static void a_holder_hears_that_the_others_left(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.low, 0);
    expect(&f, GRANT, &f.low);
    sched_vm_want(&f.sched, &f.low2, 1);
    expect(&f, CONTEND, &f.low);
    sched_vm_withdraw(&f.sched, &f.low2, 2);
    expect(&f, UNCONTEND, &f.low);
    assert_true(sched_next_deadline_us(&f.sched) == SCHED_NEVER);
    sched_advance(&f.sched, 10 * QUANTUM);
    expect_no_more(&f);
}

static void an_early_release_passes_the_gpu_on(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.low, 0);
    expect(&f, GRANT, &f.low);
    sched_vm_want(&f.sched, &f.low2, 1);
    expect(&f, CONTEND, &f.low);
    sched_vm_released(&f.sched, &f.low, 2);
    expect(&f, GRANT, &f.low2);
    sched_advance(&f.sched, QUANTUM); /* of the old grant */
    expect_no_more(&f);
}

static void a_crashed_holder_frees_its_gpu(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.low, 0);
    expect(&f, GRANT, &f.low);
    sched_vm_want(&f.sched, &f.low2, 1);
    expect(&f, CONTEND, &f.low);
    sched_vm_remove(&f.sched, &f.low, 2);
    expect(&f, GRANT, &f.low2);
    expect_no_more(&f);

    /* Also when it had been told to drain. */
    sched_vm_want(&f.sched, &f.high, 3);
    expect(&f, REVOKE, &f.low2);
    sched_vm_remove(&f.sched, &f.low2, 4);
    expect(&f, GRANT, &f.high);
    expect_no_more(&f);
}

static void a_waiting_vm_can_be_removed(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.low, 0);
    sched_vm_want(&f.sched, &f.low2, 1);
    sched_vm_want(&f.sched, &f.medium, 2);
    f.seen = f.made;
    sched_vm_remove(&f.sched, &f.medium, 3);
    sched_vm_released(&f.sched, &f.low, 4);
    expect(&f, GRANT, &f.low2);
    sched_vm_remove(&f.sched, &f.low, 5);
    expect_no_more(&f);
}

static void asking_while_draining_is_not_lost(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.low, 0);
    sched_vm_want(&f.sched, &f.low2, 1);
    sched_advance(&f.sched, QUANTUM);
    f.seen = f.made;
    sched_vm_want(&f.sched, &f.low, QUANTUM + 1);
    expect_no_more(&f);
    sched_vm_released(&f.sched, &f.low, QUANTUM + 2);
    expect(&f, GRANT_CONTENDED, &f.low2);
    sched_vm_released(&f.sched, &f.low2, QUANTUM + 3);
    expect(&f, GRANT, &f.low);
    expect_no_more(&f);
}

static void asking_while_draining_can_be_withdrawn(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.low, 0);
    sched_vm_want(&f.sched, &f.high, 1);
    sched_vm_want(&f.sched, &f.low, 2);
    sched_vm_withdraw(&f.sched, &f.low, 3);
    f.seen = f.made;
    sched_vm_released(&f.sched, &f.low, 4);
    expect(&f, GRANT, &f.high);
    sched_vm_released(&f.sched, &f.high, 5);
    expect_no_more(&f);
}

static void asking_twice_is_asking_once(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.high, 0);
    sched_vm_want(&f.sched, &f.low, 1);
    sched_vm_want(&f.sched, &f.low2, 2);
    sched_vm_want(&f.sched, &f.low, 3);
    sched_vm_want(&f.sched, &f.high, 3);
    f.seen = f.made;
    sched_vm_released(&f.sched, &f.high, 4);
    expect(&f, GRANT_CONTENDED, &f.low);
    sched_vm_released(&f.sched, &f.low, 5);
    expect(&f, GRANT, &f.low2);
    sched_vm_released(&f.sched, &f.low2, 6);
    expect_no_more(&f);
}

static void ageing_lifts_low_over_a_stream_of_high(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.high, 0);
    sched_vm_want(&f.sched, &f.low, 1);
    f.seen = f.made;
    /* high gives back and asks again at once, and is preferred ... */
    for (uint64_t now = 100; now < 2 * AGEING; now += 100) {
        sched_vm_released(&f.sched, &f.high, now);
        expect(&f, GRANT, &f.low);
        sched_vm_want(&f.sched, &f.high, now);
        expect(&f, REVOKE, &f.low);
        sched_vm_want(&f.sched, &f.low, now);
        sched_vm_released(&f.sched, &f.low, now);
        expect(&f, GRANT_CONTENDED, &f.high);
        expect_no_more(&f);
    }
    /* ... until low has waited for two steps: then it gets a turn that high does not cut short. */
    sched_vm_released(&f.sched, &f.high, 2 * AGEING + 1);
    expect(&f, GRANT, &f.low);
    sched_vm_want(&f.sched, &f.high, 2 * AGEING + 1);
    sched_advance(&f.sched, 2 * AGEING + QUANTUM);
    expect_no_more(&f);
    sched_advance(&f.sched, 2 * AGEING + 1 + QUANTUM);
    expect(&f, REVOKE, &f.low);
    sched_vm_released(&f.sched, &f.low, 2 * AGEING + 2 + QUANTUM);
    expect(&f, GRANT, &f.high);
    expect_no_more(&f);
}

static void an_aged_vm_ends_the_turn_of_a_busy_high_one(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.high, 0);
    expect(&f, GRANT, &f.high);
    sched_vm_want(&f.sched, &f.low, 10);
    expect(&f, CONTEND, &f.high);
    assert_int_equal(sched_next_deadline_us(&f.sched), 10 + 2 * AGEING);
    sched_advance(&f.sched, 9 + 2 * AGEING);
    expect_no_more(&f);
    assert_int_equal(sched_vm_effective_class(&f.sched, &f.low, 9 + 2 * AGEING), SCHED_LOW);
    sched_advance(&f.sched, 10 + 2 * AGEING);
    assert_int_equal(sched_vm_effective_class(&f.sched, &f.low, 10 + 2 * AGEING), SCHED_HIGH);
    expect(&f, REVOKE, &f.high);
    sched_vm_want(&f.sched, &f.high, 11 + 2 * AGEING);
    sched_vm_released(&f.sched, &f.high, 12 + 2 * AGEING);
    expect(&f, GRANT, &f.low); /* it is not told that high waits: its first pause does not end its turn */
    sched_advance(&f.sched, 11 + QUANTUM + 2 * AGEING);
    expect_no_more(&f);
    sched_advance(&f.sched, 12 + QUANTUM + 2 * AGEING);
    expect(&f, REVOKE, &f.low);
    expect_no_more(&f);
}

static void a_vm_rises_to_classes_that_have_work(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.high, 0);
    sched_vm_want(&f.sched, &f.low, 0);
    sched_vm_want(&f.sched, &f.medium, AGEING / 2);
    assert_int_equal(sched_vm_effective_class(&f.sched, &f.low, AGEING - 1), SCHED_LOW);
    assert_int_equal(sched_vm_effective_class(&f.sched, &f.low, AGEING), SCHED_MEDIUM);
    assert_true(sched_vm_comes_first(&f.sched, &f.medium, &f.low, AGEING - 1));
    assert_true(sched_vm_comes_first(&f.sched, &f.low, &f.medium, AGEING));
    sched_vm_withdraw(&f.sched, &f.medium, AGEING);
    sched_advance(&f.sched, AGEING + QUANTUM + 1); /* medium is idle for real */
    assert_int_equal(sched_vm_effective_class(&f.sched, &f.low, AGEING + QUANTUM + 1), SCHED_LOW);
    f.seen = f.made;
    sched_vm_released(&f.sched, &f.high, AGEING + QUANTUM + 2);
    expect(&f, GRANT, &f.low);
    expect_no_more(&f);
}

static void without_ageing_classes_are_strict(void **state)
{
    struct fixture f;
    start_with(&f, (struct sched_config){.quantum_us = QUANTUM});
    sched_vm_want(&f.sched, &f.high, 0);
    sched_vm_want(&f.sched, &f.low, 1);
    assert_true(sched_next_deadline_us(&f.sched) == SCHED_NEVER);
    f.seen = f.made;
    sched_advance(&f.sched, 1000 * AGEING);
    expect_no_more(&f);
}

static void an_interrupted_turn_neither_starves_nor_gains(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.low, 0);
    sched_vm_want(&f.sched, &f.low2, 1);
    sched_vm_want(&f.sched, &f.high, 600); /* low has used 600 of its 1,000 */
    sched_vm_want(&f.sched, &f.low, 600);
    sched_vm_released(&f.sched, &f.low, 600);
    f.seen = f.made;
    sched_vm_released(&f.sched, &f.high, 650);
    expect(&f, GRANT_CONTENDED, &f.low2); /* which has had nothing */
    sched_vm_want(&f.sched, &f.high, 700);
    expect(&f, REVOKE, &f.low2);
    sched_vm_released(&f.sched, &f.low2, 700);
    expect(&f, GRANT_CONTENDED, &f.high);
    sched_vm_want(&f.sched, &f.low2, 800); /* shortly after */
    sched_vm_released(&f.sched, &f.high, 900);
    expect(&f, GRANT_CONTENDED, &f.low2); /* 50 used, low 600 */
    assert_int_equal(sched_next_deadline_us(&f.sched), 900 + QUANTUM);
    sched_vm_released(&f.sched, &f.low2, 950);
    expect(&f, GRANT, &f.low);
    expect_no_more(&f);
}

/* These VMs alone want the GPU, always, until `time_us`. Each turn of the one overshoots by overshoot_us[i].
 */
static void saturate(struct fixture *f, struct sched_vm *const *vms, size_t count,
                     const uint64_t *overshoot_us, uint64_t time_us, uint64_t *used_us)
{
    uint64_t now = 1;
    for (size_t i = 0; i < count; i++) {
        sched_vm_want(&f->sched, vms[i], now);
        used_us[i] = 0;
    }
    while (now < time_us) {
        struct sched_vm *holder = f->gpu.holders;
        size_t i = 0;
        while (i + 1 < count && vms[i] != holder)
            i++;
        assert_ptr_equal(vms[i], holder);
        if (holder->state == SCHED_VM_HOLDING) {
            assert_true(sched_next_deadline_us(&f->sched) != SCHED_NEVER);
            sched_advance(&f->sched, sched_next_deadline_us(&f->sched));
        }
        if (holder->state == SCHED_VM_HOLDING)
            continue; /* another time to look */
        now = f->sched.now_us + overshoot_us[i];
        used_us[i] += now - holder->granted_us;
        sched_vm_released(&f->sched, holder, now);
        sched_vm_want(&f->sched, holder, now + 3); /* it notices that it may not go on, and asks */
        f->made = f->seen = 0;
    }
}

static void assert_share(uint64_t used_us, uint64_t fair_us)
{
    assert_in_range(used_us, fair_us - fair_us / 20, fair_us + fair_us / 20);
}

static void equal_vms_get_equal_shares_whatever_their_kernels_last(void **state)
{
    struct fixture f;
    start(&f);
    struct sched_vm *const vms[] = {&f.low, &f.low2, &f.medium};
    const uint64_t overshoot_us[] = {0, 70 * QUANTUM, 3};
    uint64_t used_us[3];
    sched_vm_set_class(&f.sched, &f.medium, SCHED_LOW, 0);
    saturate(&f, vms, 3, overshoot_us, 9000 * QUANTUM, used_us);
    for (int i = 0; i < 3; i++)
        assert_share(used_us[i], 3000 * QUANTUM);
}

static void twenty_equal_vms_get_equal_shares(void **state)
{
    struct fixture f;
    struct sched_vm twenty[20];
    struct sched_vm *vms[20];
    uint64_t overshoot_us[20], used_us[20];
    start(&f);
    for (size_t i = 0; i < 20; i++) {
        vms[i] = &twenty[i];
        overshoot_us[i] = i * 37 % 400;
        sched_vm_add(&f.sched, &f.gpu, vms[i], SCHED_LOW);
    }
    saturate(&f, vms, 20, overshoot_us, 4000 * QUANTUM, used_us);
    for (int i = 0; i < 20; i++)
        assert_share(used_us[i], 200 * QUANTUM);
}

static void shares_go_by_weight(void **state)
{
    struct fixture f;
    start(&f);
    struct sched_vm *const vms[] = {&f.low, &f.low2, &f.medium};
    const uint64_t overshoot_us[] = {30, 0, 200};
    uint64_t used_us[3];
    sched_vm_set_class(&f.sched, &f.medium, SCHED_LOW, 0);
    sched_vm_set_weight(&f.sched, &f.low2, 2, 0);
    sched_vm_set_weight(&f.sched, &f.medium, 4, 0);
    saturate(&f, vms, 3, overshoot_us, 7000 * QUANTUM, used_us);
    assert_share(used_us[0], 1000 * QUANTUM);
    assert_share(used_us[1], 2000 * QUANTUM);
    assert_share(used_us[2], 4000 * QUANTUM);
}

static void who_was_idle_has_no_credit(void **state)
{
    struct fixture f;
    start(&f);
    struct sched_vm *const vms[] = {&f.low, &f.low2};
    const uint64_t overshoot_us[] = {0, 0};
    uint64_t used_us[2];
    sched_vm_want(&f.sched, &f.low, 0);
    sched_vm_want(&f.sched, &f.medium, 0); /* both have been there */
    sched_vm_released(&f.sched, &f.low, 10);
    sched_vm_want(&f.sched, &f.low2, 10);
    sched_vm_released(&f.sched, &f.medium, 20);
    sched_advance(&f.sched, 5000 * QUANTUM); /* low2 alone, for long */
    sched_vm_want(&f.sched, &f.low, 5000 * QUANTUM);
    f.made = f.seen = 0;
    saturate(&f, vms, 2, overshoot_us, 5100 * QUANTUM, used_us);
    assert_in_range(used_us[0], 48 * QUANTUM, 52 * QUANTUM);
}

static void a_waiting_vm_that_is_raised_keeps_its_wait(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.high, 0);
    sched_vm_want(&f.sched, &f.low, 1);
    sched_vm_want(&f.sched, &f.medium, 2);
    f.seen = f.made;
    sched_vm_set_class(&f.sched, &f.low, SCHED_MEDIUM, 3);
    sched_vm_released(&f.sched, &f.high, 4);
    expect(&f, GRANT_CONTENDED, &f.low);
    expect_no_more(&f);
}

static void a_vm_raised_above_the_holder_takes_the_gpu(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.low, 0);
    sched_vm_want(&f.sched, &f.low2, 1);
    f.seen = f.made;
    sched_vm_set_class(&f.sched, &f.low2, SCHED_HIGH, 2);
    expect(&f, REVOKE, &f.low);
    expect_no_more(&f);
}

static void a_holder_lowered_below_the_waiting_loses_the_gpu(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.high, 0);
    sched_vm_want(&f.sched, &f.medium, 1);
    f.seen = f.made;
    sched_vm_set_class(&f.sched, &f.high, SCHED_LOW, 2);
    expect(&f, REVOKE, &f.high);
    expect_no_more(&f);
}

static void a_gpu_can_go_once_its_vms_have(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.elsewhere, 0);
    sched_vm_want(&f.sched, &f.low, 0);
    sched_vm_want(&f.sched, &f.low2, 0);
    f.seen = f.made;
    sched_vm_remove(&f.sched, &f.elsewhere, 1);
    sched_gpu_remove(&f.sched, &f.other_gpu);
    assert_int_equal(sched_next_deadline_us(&f.sched), QUANTUM);
    expect_no_more(&f);
}

static void a_paused_holder_is_revoked_and_asks_in_vain(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.high, 0);
    expect(&f, GRANT, &f.high);
    sched_vm_set_paused(&f.sched, &f.high, true, 1);
    expect(&f, REVOKE, &f.high);
    sched_vm_want(&f.sched, &f.high, 2);
    sched_vm_released(&f.sched, &f.high, 3);
    expect_no_more(&f);
    sched_vm_want(&f.sched, &f.low, 4);
    expect(&f, GRANT, &f.low);
    sched_vm_want(&f.sched, &f.high, 5);
    expect_no_more(&f); /* not even `contended`: nobody is in the queue */
    sched_vm_set_paused(&f.sched, &f.high, false, 6);
    expect(&f, REVOKE, &f.low);
    sched_vm_released(&f.sched, &f.low, 7);
    expect(&f, GRANT, &f.high);
    expect_no_more(&f);
}

static void a_paused_vm_leaves_the_queue_and_comes_back_at_its_tail(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.high, 0);
    expect(&f, GRANT, &f.high);
    sched_vm_want(&f.sched, &f.low, 1);
    expect(&f, CONTEND, &f.high);
    sched_vm_set_paused(&f.sched, &f.low, true, 2);
    expect(&f, UNCONTEND, &f.high);
    sched_vm_want(&f.sched, &f.low2, 3);
    expect(&f, CONTEND, &f.high);
    sched_vm_set_paused(&f.sched, &f.low, false, 4);
    sched_vm_released(&f.sched, &f.high, 5);
    expect(&f, GRANT_CONTENDED, &f.low2);
    sched_vm_released(&f.sched, &f.low2, 6);
    expect(&f, GRANT, &f.low);
    expect_no_more(&f);
}

static void a_paused_vm_that_wants_nothing_gets_nothing_when_it_goes_on(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_set_paused(&f.sched, &f.low, true, 0);
    sched_vm_want(&f.sched, &f.low, 1);
    sched_vm_withdraw(&f.sched, &f.low, 2);
    sched_vm_set_paused(&f.sched, &f.low, false, 3);
    expect_no_more(&f);
    sched_vm_want(&f.sched, &f.low, 4);
    expect(&f, GRANT, &f.low);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lone_vm_is_granted_at_once_and_left_alone),
        cmocka_unit_test(one_grant_per_gpu_at_a_time),
        cmocka_unit_test(gpus_are_independent),
        cmocka_unit_test(first_come_first_served_within_a_class),
        cmocka_unit_test(who_gave_back_queues_at_the_tail),
        cmocka_unit_test(the_higher_class_goes_first),
        cmocka_unit_test(a_higher_class_takes_the_gpu_at_once),
        cmocka_unit_test(a_lower_class_does_not),
        cmocka_unit_test(the_minimum_hold_delays_a_higher_class),
        cmocka_unit_test(the_quantum_counts_from_the_grant),
        cmocka_unit_test(a_holder_hears_that_the_others_left),
        cmocka_unit_test(an_early_release_passes_the_gpu_on),
        cmocka_unit_test(a_crashed_holder_frees_its_gpu),
        cmocka_unit_test(a_waiting_vm_can_be_removed),
        cmocka_unit_test(asking_while_draining_is_not_lost),
        cmocka_unit_test(asking_while_draining_can_be_withdrawn),
        cmocka_unit_test(asking_twice_is_asking_once),
        cmocka_unit_test(ageing_lifts_low_over_a_stream_of_high),
        cmocka_unit_test(an_aged_vm_ends_the_turn_of_a_busy_high_one),
        cmocka_unit_test(without_ageing_classes_are_strict),
        cmocka_unit_test(a_vm_rises_to_classes_that_have_work),
        cmocka_unit_test(an_interrupted_turn_neither_starves_nor_gains),
        cmocka_unit_test(equal_vms_get_equal_shares_whatever_their_kernels_last),
        cmocka_unit_test(twenty_equal_vms_get_equal_shares),
        cmocka_unit_test(shares_go_by_weight),
        cmocka_unit_test(who_was_idle_has_no_credit),
        cmocka_unit_test(a_waiting_vm_that_is_raised_keeps_its_wait),
        cmocka_unit_test(a_vm_raised_above_the_holder_takes_the_gpu),
        cmocka_unit_test(a_holder_lowered_below_the_waiting_loses_the_gpu),
        cmocka_unit_test(a_gpu_can_go_once_its_vms_have),
        cmocka_unit_test(a_paused_holder_is_revoked_and_asks_in_vain),
        cmocka_unit_test(a_paused_vm_leaves_the_queue_and_comes_back_at_its_tail),
        cmocka_unit_test(a_paused_vm_that_wants_nothing_gets_nothing_when_it_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

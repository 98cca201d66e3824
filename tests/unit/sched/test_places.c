/* The rules of docs/scheduling.md on places: the front, the background, shared GPUs. One test each. */
#include "sched/sched.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define QUANTUM 1000u
#define AGEING  10000u

/* One GPU whose VMs all follow their slices, and meters that the tests turn. */
struct fixture {
    struct sched sched;
    struct sched_gpu gpu;
    struct sched_vm low, low2, medium, high, high2;
    uint64_t meters[5];
    unsigned grants, tells, revokes;
    const struct sched_vm *prepared;
};

static void on_grant(void *context, struct sched_vm *vm)
{
    ((struct fixture *)context)->grants++;
}
static void on_tell(void *context, struct sched_vm *vm)
{
    ((struct fixture *)context)->tells++;
}
static void on_revoke(void *context, struct sched_vm *vm)
{
    ((struct fixture *)context)->revokes++;
}
static void on_prepare(void *context, struct sched_vm *vm)
{
    ((struct fixture *)context)->prepared = vm;
}
static uint64_t on_gpu_time(void *context, const struct sched_vm *vm)
{
    const struct fixture *f = context;
    return vm >= &f->low && vm <= &f->high2 ? f->meters[vm - &f->low] : f->sched.now_us;
}
static const struct sched_actions actions = {
    .grant = on_grant, .tell = on_tell, .revoke = on_revoke, .prepare = on_prepare, .gpu_time = on_gpu_time};

static void start_with(struct fixture *f, struct sched_config config)
{
    *f = (struct fixture){0};
    sched_init(&f->sched, &config, &actions, f);
    sched_gpu_add(&f->sched, &f->gpu);
    sched_vm_add(&f->sched, &f->gpu, &f->low, SCHED_LOW);
    sched_vm_add(&f->sched, &f->gpu, &f->low2, SCHED_LOW);
    sched_vm_add(&f->sched, &f->gpu, &f->medium, SCHED_MEDIUM);
    sched_vm_add(&f->sched, &f->gpu, &f->high, SCHED_HIGH);
    sched_vm_add(&f->sched, &f->gpu, &f->high2, SCHED_HIGH);
    for (struct sched_vm *vm = &f->low; vm <= &f->high2; vm++)
        sched_vm_set_preemptible(&f->sched, vm, true, 0);
}

static void start(struct fixture *f)
{
    start_with(f, (struct sched_config){.quantum_us = QUANTUM, .ageing_us = AGEING, .aged_percent = 10});
}

static void used(struct fixture *f, const struct sched_vm *vm, uint64_t us)
{
    f->meters[vm - &f->low] += us;
}

enum place { IDLE, WAITS, FRONT, BACKGROUND };

static void expect_place(const struct sched_vm *vm, enum place place)
{
    assert_int_equal(vm->state == SCHED_VM_HOLDING, place == FRONT || place == BACKGROUND);
    assert_int_equal(vm->state == SCHED_VM_WAITING, place == WAITS);
    if (place == FRONT || place == BACKGROUND)
        assert_int_equal(sched_vm_is_background(vm), place == BACKGROUND);
}

static void expect_told(const struct sched_vm *vm, bool contended, enum sched_slice slice)
{
    assert_int_equal(vm->contended, contended);
    assert_int_equal(vm->slice, slice);
}

static void a_higher_class_is_granted_beside_a_lower_one(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.low, 0);
    expect_told(&f.low, false, SCHED_SLICE_SHORT); /* already: nothing is to be set when high comes */
    sched_vm_want(&f.sched, &f.high, 10);
    expect_place(&f.high, FRONT);
    expect_place(&f.low, BACKGROUND);
    expect_told(&f.high, false, SCHED_SLICE_LONG);
    expect_told(&f.low, false, SCHED_SLICE_SHORT);
    assert_int_equal(f.grants, 2);
    assert_int_equal(f.tells + f.revokes, 0);
    sched_vm_released(&f.sched, &f.high, 20);
    expect_place(&f.low, FRONT);
    expect_told(&f.low, false, SCHED_SLICE_SHORT);
}

static void processes_of_one_vm_share_a_slice_that_lets_each_get_somewhere(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_set_several(&f.sched, &f.low, true, 0);
    sched_vm_set_several(&f.sched, &f.high, true, 0);
    sched_vm_want(&f.sched, &f.low, 1);
    expect_told(&f.low, false, SCHED_SLICE_EQUAL);
    sched_vm_want(&f.sched, &f.high, 10);
    expect_told(&f.high, false, SCHED_SLICE_EQUAL);
    expect_told(&f.low, false, SCHED_SLICE_BRIEF);
    sched_vm_set_several(&f.sched, &f.low, false, 20); /* all but one of its processes have ended */
    expect_told(&f.low, false, SCHED_SLICE_SHORT);
    sched_vm_set_several(&f.sched, &f.high, false, 30);
    expect_told(&f.high, false, SCHED_SLICE_LONG);
}

static void a_lower_class_runs_in_the_gaps_of_a_higher_one(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.high, 0);
    expect_told(&f.high, false, SCHED_SLICE_LONG);
    sched_vm_want(&f.sched, &f.low, 10);
    expect_place(&f.low, BACKGROUND);
    expect_told(&f.low, false, SCHED_SLICE_SHORT);
    expect_told(&f.high, false, SCHED_SLICE_LONG); /* it need not give back for low's sake */
    assert_int_equal(f.tells + f.revokes, 0);
}

static void a_medium_front_is_long_only_while_somebody_is_behind_it(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.medium, 0);
    expect_told(&f.medium, false, SCHED_SLICE_SHORT);
    sched_vm_want(&f.sched, &f.low, 1);
    expect_told(&f.medium, false, SCHED_SLICE_LONG);
    sched_vm_released(&f.sched, &f.low, 2);
    expect_told(&f.medium, false, SCHED_SLICE_SHORT);
}

static void at_most_one_is_in_the_background(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.high, 0);
    sched_vm_want(&f.sched, &f.low, 1);
    sched_vm_want(&f.sched, &f.low2, 2);
    expect_place(&f.low2, WAITS);
    expect_told(&f.low, true, SCHED_SLICE_SHORT);
    expect_told(&f.high, false, SCHED_SLICE_LONG); /* low2 would not come in for it */
    sched_advance(&f.sched, QUANTUM + 1);          /* the background has turns as the front has */
    assert_int_equal(f.low.state, SCHED_VM_REVOKING);
    used(&f, &f.low, 10);
    sched_vm_released(&f.sched, &f.low, QUANTUM + 2);
    expect_place(&f.low2, BACKGROUND);
    expect_place(&f.high, FRONT);
}

static void a_third_class_takes_the_background_at_once(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.high, 0);
    sched_vm_want(&f.sched, &f.low, 1);
    sched_vm_want(&f.sched, &f.medium, 2);
    assert_int_equal(f.low.state, SCHED_VM_REVOKING); /* it drains behind medium */
    expect_place(&f.medium, BACKGROUND);
    expect_told(&f.medium, true, SCHED_SLICE_SHORT);   /* it gives back when it is idle, and low goes on */
    assert_int_equal(f.low.slice, SCHED_SLICE_PAUSED); /* two short ones would get nowhere */
    sched_vm_released(&f.sched, &f.low, 3);
    expect_told(&f.medium, false, SCHED_SLICE_SHORT);
    /* Low would come in if high gave back when it is idle: medium would be at the front. */
    sched_vm_want(&f.sched, &f.low, 4);
    expect_told(&f.high, true, SCHED_SLICE_LONG);
    sched_vm_released(&f.sched, &f.high, 5);
    expect_place(&f.medium, FRONT);
    expect_place(&f.low, BACKGROUND);
    expect_told(&f.medium, false, SCHED_SLICE_LONG);
}

static void equals_in_the_background_wait_for_the_drain(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.high, 0);
    sched_vm_want(&f.sched, &f.low, 1);
    sched_vm_want(&f.sched, &f.low2, 2);
    sched_vm_set_paused(&f.sched, &f.low, true, 3);
    expect_place(&f.low2, WAITS);
    sched_vm_released(&f.sched, &f.low, 4);
    expect_place(&f.low2, BACKGROUND);
}

static void a_higher_class_does_not_wait_for_two_below_it(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.medium, 0);
    sched_vm_want(&f.sched, &f.low, 1);
    sched_vm_want(&f.sched, &f.high, 2);
    expect_place(&f.high, FRONT);
    expect_place(&f.medium, BACKGROUND);
    assert_int_equal(f.low.state, SCHED_VM_REVOKING);
    expect_told(&f.medium, true, SCHED_SLICE_SHORT);
    assert_int_equal(f.low.slice, SCHED_SLICE_PAUSED);
    sched_vm_released(&f.sched, &f.medium, 3);
    assert_int_equal(f.low.slice, SCHED_SLICE_SHORT);
}

static void equals_at_the_front_take_turns(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.high, 0);
    sched_vm_want(&f.sched, &f.low, 0);
    sched_vm_want(&f.sched, &f.high2, 1);
    expect_place(&f.high2, WAITS);
    expect_told(&f.high, true, SCHED_SLICE_LONG);
    expect_place(&f.low, BACKGROUND);
    sched_advance(&f.sched, QUANTUM);
    assert_int_equal(f.high.state, SCHED_VM_REVOKING);
    sched_vm_released(&f.sched, &f.high, QUANTUM + 1);
    expect_place(&f.high2, FRONT);
    expect_place(&f.low, BACKGROUND); /* all the time */
}

/* At 2 * QUANTUM low has not drained for a quantum: it is behind low2, which has the front. */
static void start_with_one_that_does_not_drain(struct fixture *f)
{
    start(f);
    sched_vm_want(&f->sched, &f->low, 0);
    sched_vm_want(&f->sched, &f->low2, 1);
    sched_advance(&f->sched, QUANTUM);
    assert_int_equal(f->low.state, SCHED_VM_REVOKING);
    expect_place(&f->low2, WAITS);
    used(f, &f->low, 2 * QUANTUM);
    sched_advance(&f->sched, 2 * QUANTUM);
    expect_place(&f->low2, FRONT);
    expect_told(&f->low2, false, SCHED_SLICE_LONG);
    assert_int_equal(f->low.slice, SCHED_SLICE_SHORT);
}

/* Neither low nor low2 drains. Of those behind the front one goes on, and the others stand still. */
static void one_of_those_that_do_not_drain_goes_on_behind_the_front(void **state)
{
    struct fixture f;
    start_with_one_that_does_not_drain(&f);
    sched_vm_want(&f.sched, &f.high, 2 * QUANTUM + 1);
    expect_place(&f.high, FRONT);
    expect_place(&f.low2, BACKGROUND);
    assert_int_equal(f.low2.slice, SCHED_SLICE_SHORT);
    assert_int_equal(f.low.slice, SCHED_SLICE_PAUSED);

    used(&f, &f.low2, 2 * QUANTUM);
    sched_advance(&f.sched, 4 * QUANTUM);
    assert_int_equal(f.low2.state, SCHED_VM_REVOKING); /* they are even */
    assert_int_equal(f.low2.slice, SCHED_SLICE_SHORT);
    used(&f, &f.low2, 5 * QUANTUM);
    sched_advance(&f.sched, 9 * QUANTUM - 1);
    assert_int_equal(f.low.slice, SCHED_SLICE_PAUSED);
    sched_advance(&f.sched, 9 * QUANTUM);
    assert_int_equal(f.low2.slice, SCHED_SLICE_PAUSED);
    assert_int_equal(f.low.slice, SCHED_SLICE_SHORT);
    used(&f, &f.low, 10 * QUANTUM);
    sched_advance(&f.sched, 14 * QUANTUM);
    assert_int_equal(f.low2.slice, SCHED_SLICE_SHORT);
    assert_int_equal(f.low.slice, SCHED_SLICE_PAUSED);
    assert_int_equal(f.high.slice, SCHED_SLICE_LONG);

    sched_vm_released(&f.sched, &f.low2, 15 * QUANTUM);
    assert_int_equal(f.low.slice, SCHED_SLICE_SHORT);
}

static void who_stands_still_comes_to_the_front_after_its_wait(void **state)
{
    struct fixture f;
    start_with_one_that_does_not_drain(&f);
    sched_vm_want(&f.sched, &f.high, 2 * QUANTUM);
    sched_vm_want(&f.sched, &f.medium, 2 * QUANTUM);
    sched_vm_released(&f.sched, &f.low2, 2 * QUANTUM);
    expect_place(&f.high, FRONT);
    expect_place(&f.medium, BACKGROUND);
    assert_int_equal(f.low.slice, SCHED_SLICE_PAUSED);
    uint64_t stood_still_us = 0;
    while (sched_vm_is_background(&f.low) && f.sched.now_us < 4 * AGEING) {
        uint64_t now = f.sched.now_us;
        sched_advance(&f.sched, now + QUANTUM);
        used(&f, &f.high, f.sched.now_us - now);
        stood_still_us += QUANTUM;
    }
    assert_false(sched_vm_is_background(&f.low));
    assert_int_equal(f.low.slice, SCHED_SLICE_LONG);
    assert_in_range(stood_still_us, AGEING, 3 * AGEING);
}

/* Low never drains: it takes turns with low2 nevertheless, half the time each. */
static void equals_take_turns_with_who_does_not_drain(void **state)
{
    struct fixture f;
    start_with_one_that_does_not_drain(&f);
    assert_int_equal(sched_vm_drain_us(&f.sched, &f.low, 2 * QUANTUM), QUANTUM);

    uint64_t time_us[2] = {2 * QUANTUM, 0};
    while (f.sched.now_us < 100 * QUANTUM) {
        uint64_t now = f.sched.now_us;
        struct sched_vm *front = sched_vm_is_background(&f.low) ? &f.low2 : &f.low;
        sched_advance(&f.sched, sched_next_deadline_us(&f.sched));
        used(&f, front, f.sched.now_us - now);
        time_us[front == &f.low2] += f.sched.now_us - now;
        if (f.low2.state == SCHED_VM_REVOKING) {
            sched_vm_released(&f.sched, &f.low2, f.sched.now_us);
            sched_vm_want(&f.sched, &f.low2, f.sched.now_us);
        }
    }
    assert_in_range(time_us[0], 47 * QUANTUM, 53 * QUANTUM);
    assert_in_range(time_us[1], 47 * QUANTUM, 53 * QUANTUM);
    /* In the background it does not drain by right: only what it had of the front counts against it. */
    assert_in_range(sched_vm_drain_us(&f.sched, &f.low, f.sched.now_us), 45 * QUANTUM, 53 * QUANTUM);
    sched_vm_released(&f.sched, &f.low, f.sched.now_us);
    expect_place(&f.low2, FRONT);
    expect_told(&f.low2, false, SCHED_SLICE_SHORT);
}

static void who_comes_next_hears_of_it_while_the_place_is_made_free(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.high, 0);
    sched_vm_want(&f.sched, &f.high2, 1);
    assert_null(f.prepared);
    sched_advance(&f.sched, QUANTUM);
    assert_ptr_equal(f.prepared, &f.high2);
}

static void who_cannot_be_preempted_runs_alone(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_set_preemptible(&f.sched, &f.low, false, 0);
    sched_vm_want(&f.sched, &f.low, 0);
    expect_told(&f.low, false, SCHED_SLICE_EQUAL);
    sched_vm_want(&f.sched, &f.high, 1);
    expect_place(&f.high, WAITS);
    assert_int_equal(f.low.state, SCHED_VM_REVOKING);
    sched_vm_released(&f.sched, &f.low, 2);
    expect_place(&f.high, FRONT);
    sched_vm_want(&f.sched, &f.low, 3);
    expect_place(&f.low, WAITS);
    expect_told(&f.high, true, SCHED_SLICE_LONG);
}

static void who_turns_out_not_to_follow_leaves_the_background(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.high, 0);
    sched_vm_want(&f.sched, &f.low, 1);
    expect_place(&f.low, BACKGROUND);
    sched_vm_set_preemptible(&f.sched, &f.low, false, 2);
    assert_int_equal(f.low.state, SCHED_VM_REVOKING);
    expect_place(&f.high, FRONT);
}

/* Low in the background of a high one that leaves no gaps. */
static void an_aged_vm_comes_to_the_front_for_a_quantum(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.high, 0);
    sched_vm_want(&f.sched, &f.low, 0);
    expect_place(&f.low, BACKGROUND);
    used(&f, &f.high, 2 * AGEING);
    sched_advance(&f.sched, 2 * AGEING); /* if it has nothing to run, it gives back now */
    expect_told(&f.low, true, SCHED_SLICE_SHORT);
    used(&f, &f.high, QUANTUM);
    sched_advance(&f.sched, 2 * AGEING + QUANTUM);
    expect_place(&f.low, FRONT);
    expect_place(&f.high, BACKGROUND);
    expect_told(&f.low, false, SCHED_SLICE_LONG);
    expect_told(&f.high, false, SCHED_SLICE_SHORT);
    sched_advance(&f.sched, 2 * AGEING + 2 * QUANTUM);
    expect_place(&f.low, BACKGROUND);
    expect_place(&f.high, FRONT);
    expect_told(&f.low, false, SCHED_SLICE_SHORT);
    expect_told(&f.high, false, SCHED_SLICE_LONG);
    assert_int_equal(f.revokes, 0);
}

static void an_aged_vm_rises_no_further_than_to_a_class_with_work(void **state)
{
    struct fixture f;
    start(&f);
    sched_gpu_set_ageing(&f.sched, &f.gpu, 0, 0);
    sched_vm_want(&f.sched, &f.medium, 0);
    sched_vm_want(&f.sched, &f.low, 0);
    used(&f, &f.medium, 5 * AGEING);
    sched_gpu_set_ageing(&f.sched, &f.gpu, AGEING, 5 * AGEING); /* it has waited for five steps */
    expect_place(&f.low, FRONT);
    sched_vm_want(&f.sched, &f.high, 5 * AGEING + 1);
    expect_place(&f.high, FRONT);
}

static void who_held_alone_takes_no_debt_into_another_class(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.low, 0);
    used(&f, &f.low, 5000 * QUANTUM);
    sched_vm_want(&f.sched, &f.medium, 5000 * QUANTUM);
    expect_place(&f.medium, FRONT);
    sched_vm_set_class(&f.sched, &f.low, SCHED_MEDIUM, 5000 * QUANTUM + 1);
    used(&f, &f.medium, 2 * QUANTUM);
    sched_advance(&f.sched, 5002 * QUANTUM); /* medium has had its turn */
    assert_int_equal(f.medium.state, SCHED_VM_REVOKING);
}

static void who_gets_enough_in_the_gaps_stays_there(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.high, 0);
    sched_vm_want(&f.sched, &f.low, 0);
    used(&f, &f.high, 2 * AGEING - QUANTUM);
    used(&f, &f.low, 2 * AGEING);
    sched_advance(&f.sched, 2 * AGEING);
    sched_advance(&f.sched, 2 * AGEING + QUANTUM);
    expect_place(&f.high, FRONT);
    expect_told(&f.low, false, SCHED_SLICE_SHORT);
    assert_int_equal(sched_next_deadline_us(&f.sched), 2 * AGEING + QUANTUM + 2 * AGEING);
}

static void an_aged_vm_that_waits_comes_to_the_front(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.high, 0);
    sched_vm_want(&f.sched, &f.medium, 0);
    sched_vm_want(&f.sched, &f.low, 1);
    expect_place(&f.low, WAITS);
    used(&f, &f.high, 4 * AGEING); /* no gaps */
    while (f.low.slice != SCHED_SLICE_LONG && f.sched.now_us < 10 * AGEING) {
        struct sched_vm *const behind[] = {&f.low, &f.medium};
        for (int i = 0; i < 2; i++) {
            if (behind[i]->state == SCHED_VM_REVOKING) {
                sched_vm_want(&f.sched, behind[i], f.sched.now_us);
                sched_vm_released(&f.sched, behind[i], f.sched.now_us);
            }
        }
        sched_advance(&f.sched, sched_next_deadline_us(&f.sched));
    }
    expect_place(&f.low, FRONT);
    expect_place(&f.high, BACKGROUND);
    assert_true(f.sched.now_us < 2 * AGEING + 25 * QUANTUM); /* medium has had its turn before, and a pause */
}

/* High's promise: aged turns take no more than the percentage, however many low VMs there are. */
static void aged_turns_take_no_more_than_their_share(void **state)
{
    struct fixture f;
    struct sched_vm crowd[50];
    start(&f);
    for (int i = 0; i < 50; i++) {
        sched_vm_add(&f.sched, &f.gpu, &crowd[i], SCHED_LOW);
        sched_vm_want(&f.sched, &crowd[i], 0);
    }
    sched_vm_want(&f.sched, &f.high, 0);
    uint64_t front_us = 0;
    while (f.sched.now_us < 40 * AGEING) {
        uint64_t now = f.sched.now_us;
        uint64_t next = sched_next_deadline_us(&f.sched);
        bool front = f.high.state == SCHED_VM_HOLDING;
        for (struct sched_vm *vm = f.gpu.holders; vm; vm = vm->next_holder) {
            if (vm->state == SCHED_VM_REVOKING) {
                sched_vm_want(&f.sched, vm, now);
                sched_vm_released(&f.sched, vm, now + 5);
                next = 0;
                break;
            }
        }
        if (next)
            sched_advance(&f.sched, next);
        if (front)
            front_us += f.sched.now_us - now;
    }
    assert_true(front_us > 36 * AGEING - 2 * QUANTUM);
    assert_true(front_us < 38 * AGEING); /* and the low ones have their turns */
}

static void a_shared_gpu_runs_several_of_a_class(void **state)
{
    struct fixture f;
    start(&f);
    sched_gpu_set_places(&f.sched, &f.gpu, 2, 0);
    sched_vm_want(&f.sched, &f.high, 0);
    sched_vm_want(&f.sched, &f.high2, 1);
    expect_place(&f.high, FRONT);
    expect_place(&f.high2, FRONT);
    expect_told(&f.high, false, SCHED_SLICE_EQUAL);
    expect_told(&f.high2, false, SCHED_SLICE_EQUAL);
    sched_vm_want(&f.sched, &f.low, 2); /* still one in the background */
    sched_vm_want(&f.sched, &f.low2, 3);
    expect_place(&f.low, BACKGROUND);
    expect_place(&f.low2, WAITS);
    expect_told(&f.low, true, SCHED_SLICE_SHORT);
}

static void a_shared_gpu_takes_turns_when_there_are_more(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_set_class(&f.sched, &f.medium, SCHED_LOW, 0);
    sched_gpu_set_places(&f.sched, &f.gpu, 2, 0);
    sched_vm_want(&f.sched, &f.low, 0);
    sched_vm_want(&f.sched, &f.low2, 1);
    sched_vm_want(&f.sched, &f.medium, 2);
    expect_place(&f.medium, WAITS);
    sched_advance(&f.sched, QUANTUM + 1);
    assert_int_equal(f.revokes, 1); /* one goes, the other stays */
    struct sched_vm *gone = f.low.state == SCHED_VM_REVOKING ? &f.low : &f.low2;
    sched_vm_released(&f.sched, gone, QUANTUM + 5);
    expect_place(&f.medium, FRONT);
    assert_int_equal(f.gpu.holder_count, 2);
}

static void sharing_needs_no_slices(void **state)
{
    struct fixture f;
    start(&f);
    sched_gpu_set_places(&f.sched, &f.gpu, 2, 0);
    sched_vm_set_preemptible(&f.sched, &f.low2, false, 0);
    sched_vm_want(&f.sched, &f.low, 0);
    sched_vm_want(&f.sched, &f.low2, 1);
    expect_place(&f.low, FRONT);
    expect_place(&f.low2, FRONT);
    sched_vm_want(&f.sched, &f.high, 2); /* which cannot run beside low2 */
    assert_int_equal(f.revokes, 2);
    sched_vm_released(&f.sched, &f.low2, 3);
    expect_place(&f.high, FRONT); /* low can be preempted: it drains in the gaps */
    assert_int_equal(f.low.state, SCHED_VM_REVOKING);
}

static void fewer_places_end_turns(void **state)
{
    struct fixture f;
    start(&f);
    sched_gpu_set_places(&f.sched, &f.gpu, 2, 0);
    sched_vm_want(&f.sched, &f.high, 0);
    sched_vm_want(&f.sched, &f.high2, 1);
    sched_gpu_set_places(&f.sched, &f.gpu, 1, 2);
    assert_int_equal(f.revokes, 1);
}

static void a_shared_gpu_goes_to_a_higher_class_at_once(void **state)
{
    struct fixture f;
    start(&f);
    sched_gpu_set_places(&f.sched, &f.gpu, 2, 0);
    sched_vm_want(&f.sched, &f.low, 0);
    sched_vm_want(&f.sched, &f.low2, 1);
    sched_vm_want(&f.sched, &f.high, 2);
    expect_place(&f.high, FRONT);
    expect_told(&f.high, false, SCHED_SLICE_LONG);
    assert_int_equal(f.revokes, 1); /* one of the two may stay behind it */
}

static void a_paused_vm_leaves_the_background(void **state)
{
    struct fixture f;
    start(&f);
    sched_vm_want(&f.sched, &f.high, 0);
    sched_vm_want(&f.sched, &f.low, 1);
    sched_vm_set_paused(&f.sched, &f.low, true, 2);
    assert_int_equal(f.low.state, SCHED_VM_REVOKING);
    sched_vm_want(&f.sched, &f.low2, 3);
    expect_place(&f.low2, WAITS);
    sched_vm_remove(&f.sched, &f.low, 4); /* or it crashes */
    expect_place(&f.low2, BACKGROUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_higher_class_is_granted_beside_a_lower_one),
        cmocka_unit_test(processes_of_one_vm_share_a_slice_that_lets_each_get_somewhere),
        cmocka_unit_test(a_lower_class_runs_in_the_gaps_of_a_higher_one),
        cmocka_unit_test(a_medium_front_is_long_only_while_somebody_is_behind_it),
        cmocka_unit_test(at_most_one_is_in_the_background),
        cmocka_unit_test(a_third_class_takes_the_background_at_once),
        cmocka_unit_test(equals_in_the_background_wait_for_the_drain),
        cmocka_unit_test(a_higher_class_does_not_wait_for_two_below_it),
        cmocka_unit_test(equals_at_the_front_take_turns),
        cmocka_unit_test(one_of_those_that_do_not_drain_goes_on_behind_the_front),
        cmocka_unit_test(who_stands_still_comes_to_the_front_after_its_wait),
        cmocka_unit_test(equals_take_turns_with_who_does_not_drain),
        cmocka_unit_test(who_comes_next_hears_of_it_while_the_place_is_made_free),
        cmocka_unit_test(who_cannot_be_preempted_runs_alone),
        cmocka_unit_test(who_turns_out_not_to_follow_leaves_the_background),
        cmocka_unit_test(an_aged_vm_comes_to_the_front_for_a_quantum),
        cmocka_unit_test(an_aged_vm_rises_no_further_than_to_a_class_with_work),
        cmocka_unit_test(who_held_alone_takes_no_debt_into_another_class),
        cmocka_unit_test(who_gets_enough_in_the_gaps_stays_there),
        cmocka_unit_test(an_aged_vm_that_waits_comes_to_the_front),
        cmocka_unit_test(aged_turns_take_no_more_than_their_share),
        cmocka_unit_test(a_shared_gpu_runs_several_of_a_class),
        cmocka_unit_test(a_shared_gpu_takes_turns_when_there_are_more),
        cmocka_unit_test(sharing_needs_no_slices),
        cmocka_unit_test(fewer_places_end_turns),
        cmocka_unit_test(a_shared_gpu_goes_to_a_higher_class_at_once),
        cmocka_unit_test(a_paused_vm_leaves_the_background),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The rules of docs/scheduling.md on fair shares of one place. One test each. */
#include "decisions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_vms_get_equal_shares_whatever_their_kernels_last),
        cmocka_unit_test(twenty_equal_vms_get_equal_shares),
        cmocka_unit_test(shares_go_by_weight),
        cmocka_unit_test(who_was_idle_has_no_credit),
        cmocka_unit_test(an_interrupted_turn_neither_starves_nor_gains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The VM page: limits as workers see them, the memory that its processes share, and the token buckets. */
#include "daemon/vm_page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#define SECOND UINT64_C(1000000000)

static struct vm_page *open_page(int *memfd)
{
    struct vm_page *page;
    struct vgpu_error err;
    assert_int_equal(vm_page_create(&page, memfd, &err), VGPU_OK);
    return page;
}

static void a_new_page_limits_nothing(void **state)
{
    int memfd;
    struct vm_page *page = open_page(&memfd);
    assert_true(vm_page_reserve_memory(page, UINT64_C(1) << 50));
    assert_int_equal(vm_bucket_take(&page->calls_bucket, 1000000, 0, 0, SECOND), 0);
    vm_page_destroy(page);
    close(memfd);
}

static void limits_set_here_are_seen_through_the_descriptor(void **state)
{
    int memfd;
    struct vm_page *page = open_page(&memfd);
    struct vm_page *theirs = mmap(NULL, VM_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
    assert_ptr_not_equal(theirs, MAP_FAILED);
    vm_page_set_limits(page, &(struct vm_limits){1, 2, 3, 4, 5, 6, 7});
    assert_int_equal(vm_page_read(&theirs->memory_quota_bytes), 1);
    assert_int_equal(vm_page_read(&theirs->time_limit_us), 2);
    assert_int_equal(vm_page_read(&theirs->calls_per_second), 3);
    assert_int_equal(vm_page_read(&theirs->calls_burst), 4);
    assert_int_equal(vm_page_read(&theirs->bytes_per_second), 5);
    assert_int_equal(vm_page_read(&theirs->bytes_burst), 6);
    assert_int_equal(vm_page_read(&theirs->queue_depth), 7);
    assert_int_equal(ftruncate(memfd, 0), -1); /* nobody pulls it away from under the others */
    munmap(theirs, VM_PAGE_BYTES);
    vm_page_destroy(page);
    close(memfd);
}

static void memory_ends_at_the_quota(void **state)
{
    int memfd;
    struct vm_page *page = open_page(&memfd);
    vm_page_set_limits(page, &(struct vm_limits){.memory_quota_bytes = 100});
    assert_true(vm_page_reserve_memory(page, 60));
    assert_false(vm_page_reserve_memory(page, 41));
    assert_false(vm_page_reserve_memory(page, UINT64_MAX));
    assert_true(vm_page_reserve_memory(page, 40));
    vm_page_release_memory(page, 50);
    assert_true(vm_page_reserve_memory(page, 50));
    vm_page_release_memory(page, 1000);
    assert_int_equal(vm_page_read(&page->memory_used_bytes), 0);
    vm_page_destroy(page);
    close(memfd);
}

static void a_lowered_quota_takes_nothing_away(void **state)
{
    int memfd;
    struct vm_page *page = open_page(&memfd);
    assert_true(vm_page_reserve_memory(page, 80));
    vm_page_set_limits(page, &(struct vm_limits){.memory_quota_bytes = 50});
    assert_false(vm_page_reserve_memory(page, 1));
    vm_page_release_memory(page, 40);
    assert_true(vm_page_reserve_memory(page, 10));
    vm_page_destroy(page);
    close(memfd);
}

static void *reserve_by_ones(void *argument)
{
    uintptr_t got = 0;
    for (int i = 0; i < 20000; i++)
        got += vm_page_reserve_memory(argument, 1);
    return (void *)got;
}

static void processes_together_stay_within_the_quota(void **state)
{
    int memfd;
    struct vm_page *page = open_page(&memfd);
    vm_page_set_limits(page, &(struct vm_limits){.memory_quota_bytes = 30001});
    pthread_t threads[3];
    uintptr_t got = 0;
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, reserve_by_ones, page), 0);
    for (int i = 0; i < 3; i++) {
        void *result;
        pthread_join(threads[i], &result);
        got += (uintptr_t)result;
    }
    assert_int_equal(got, 30001);
    vm_page_destroy(page);
    close(memfd);
}

/* Takes one token at a time, waiting as told: how many in the time given. */
static uint64_t taken_within(struct vm_bucket *bucket, uint64_t per_second, uint64_t burst, uint64_t from_ns,
                             uint64_t until_ns)
{
    uint64_t now_ns = from_ns, taken = 0;
    for (;;) {
        uint64_t wait_until_ns = vm_bucket_take(bucket, 1, per_second, burst, now_ns);
        now_ns = wait_until_ns > now_ns ? wait_until_ns : now_ns;
        if (now_ns > until_ns)
            return taken;
        taken++;
    }
}

static void a_full_bucket_gives_its_burst_at_once_and_then_its_rate(void **state)
{
    struct vm_bucket bucket = {0};
    assert_in_range(taken_within(&bucket, 1000, 50, 10 * SECOND, 10 * SECOND), 50, 51);
    struct vm_bucket other = {0};
    assert_in_range(taken_within(&other, 1000, 50, 10 * SECOND, 12 * SECOND), 2050, 2051);
    /* Without a burst of its own it is a tenth of a second's. */
    struct vm_bucket plain = {0};
    assert_in_range(taken_within(&plain, 1000, 0, 10 * SECOND, 10 * SECOND), 100, 101);
}

static void idle_time_fills_no_more_than_the_burst(void **state)
{
    struct vm_bucket bucket = {0};
    taken_within(&bucket, 1000, 50, 10 * SECOND, 11 * SECOND);
    assert_in_range(taken_within(&bucket, 1000, 50, 1000 * SECOND, 1000 * SECOND), 50, 51);
}

static void more_than_a_burst_waits_for_its_share_of_time(void **state)
{
    struct vm_bucket bucket = {0};
    /* 3000 of 1000 a second, 1000 there already: two seconds. */
    assert_in_range(vm_bucket_take(&bucket, 3000, 1000, 1000, 10 * SECOND), 12 * SECOND - 10,
                    12 * SECOND + 10);
    assert_true(vm_bucket_take(&bucket, UINT64_MAX, 1, 1, 10 * SECOND) > 100 * SECOND);
    assert_true(vm_bucket_take(&bucket, UINT64_MAX, 1, 1, 10 * SECOND) > 100 * SECOND);
}

static void a_changed_rate_begins_with_a_full_bucket(void **state)
{
    int memfd;
    struct vm_page *page = open_page(&memfd);
    vm_page_set_limits(page, &(struct vm_limits){.calls_per_second = 1});
    assert_true(vm_bucket_take(&page->calls_bucket, 1000, 1, 0, 10 * SECOND) > 1000 * SECOND);
    vm_page_set_limits(page, &(struct vm_limits){.calls_per_second = 10});
    assert_true(vm_bucket_take(&page->calls_bucket, 1, 10, 10, 10 * SECOND) <= 10 * SECOND);
    vm_page_destroy(page);
    close(memfd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_page_limits_nothing),
        cmocka_unit_test(limits_set_here_are_seen_through_the_descriptor),
        cmocka_unit_test(memory_ends_at_the_quota),
        cmocka_unit_test(a_lowered_quota_takes_nothing_away),
        cmocka_unit_test(processes_together_stay_within_the_quota),
        cmocka_unit_test(a_full_bucket_gives_its_burst_at_once_and_then_its_rate),
        cmocka_unit_test(idle_time_fills_no_more_than_the_burst),
        cmocka_unit_test(more_than_a_burst_waits_for_its_share_of_time),
        cmocka_unit_test(a_changed_rate_begins_with_a_full_bucket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

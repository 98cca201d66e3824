/* What counts against a VM's quota. The driver is made up here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "driver_api.h"
#include "wire/grant.h"
#include "worker/gate.h"
#include "worker/handle_map.h"
#include "worker/held_memory.h"
#include "worker/mapped_memory.h"
#include "worker/vm.h"

#define QUOTA 1000u

static char context_object, pool_object;
static uint64_t pool_reserves; /* what the pool says it has of the device */
static unsigned trims, releases, maps, unmaps;
static CUmemGenericAllocationHandle retained;

static CUresult fake_current(CUcontext *context)
{
    *context = (CUcontext)&context_object;
    return CUDA_SUCCESS;
}

static CUresult fake_pool_attribute(CUmemoryPool pool, CUmemPool_attribute attribute, void *value)
{
    memcpy(value, &pool_reserves, sizeof pool_reserves);
    return CUDA_SUCCESS;
}

static CUresult fake_trim(CUmemoryPool pool, size_t bytes)
{
    trims++;
    pool_reserves = bytes;
    return CUDA_SUCCESS;
}

static CUresult fake_release(CUmemGenericAllocationHandle handle)
{
    releases++;
    return CUDA_SUCCESS;
}

static CUresult fake_map(CUdeviceptr address, size_t bytes, size_t offset,
                         CUmemGenericAllocationHandle handle, unsigned long long flags)
{
    maps++;
    return CUDA_SUCCESS;
}

static CUresult fake_unmap(CUdeviceptr address, size_t bytes)
{
    unmaps++;
    return CUDA_SUCCESS;
}

static CUresult fake_retain(CUmemGenericAllocationHandle *handle, void *address)
{
    *handle = retained;
    return CUDA_SUCCESS;
}

static int set_up(void **state)
{
    int pair[2], grant = memfd_create("grant", MFD_CLOEXEC);
    if (grant < 0 || ftruncate(grant, GRANT_PAGE_BYTES) != 0 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) != 0 || !gate_open(grant, pair[0]))
        return -1;
    driver.cuCtxGetCurrent = fake_current;
    driver.cuMemPoolGetAttribute = fake_pool_attribute;
    driver.cuMemPoolTrimTo = fake_trim;
    driver.cuMemRelease = fake_release;
    driver.cuMemMap = fake_map;
    driver.cuMemUnmap = fake_unmap;
    driver.cuMemRetainAllocationHandle = fake_retain;
    return 0;
}

static int start(void **state)
{
    vm_page->memory_quota_bytes = QUOTA;
    vm_page->memory_used_bytes = 0;
    pool_reserves = 0;
    trims = releases = 0;
    return 0;
}

static uint64_t used(void)
{
    return vm_page_read(&vm_page->memory_used_bytes);
}

static void allocate(enum held_kind kind, uint64_t object, uint64_t bytes)
{
    assert_int_equal(held_memory_claim(bytes), CUDA_SUCCESS);
    held_memory_settle(bytes, kind, object, bytes);
}

static void end(enum held_kind kind, uint64_t object, bool gone)
{
    struct held_memory held;
    assert_true(held_memory_withdraw(kind, object, &held));
    held_memory_end(&held, gone);
}

static void over_the_quota_is_out_of_memory(void **state)
{
    allocate(HELD_LINEAR, 0x1000, 600);
    allocate(HELD_ARRAY, 0x1000, 400);
    assert_int_equal(held_memory_claim(1), CUDA_ERROR_OUT_OF_MEMORY);
    end(HELD_LINEAR, 0x1000, false); /* the driver did not free it */
    assert_int_equal(held_memory_claim(1), CUDA_ERROR_OUT_OF_MEMORY);
    end(HELD_LINEAR, 0x1000, true);
    assert_int_equal(used(), 400);
    end(HELD_ARRAY, 0x1000, true);
    assert_int_equal(used(), 0);
}

static void what_the_driver_refuses_is_not_held(void **state)
{
    assert_int_equal(held_memory_claim(700), CUDA_SUCCESS);
    assert_int_equal(used(), 700);
    held_memory_settle(700, HELD_LINEAR, 0, 0);
    assert_int_equal(used(), 0);
}

/* Memory that goes back to a pool is the VM's until the pool gives it up, which it is told to when others
 * need it. */
static void a_pool_counts_with_what_it_keeps(void **state)
{
    CUmemoryPool pool = (CUmemoryPool)&pool_object;
    assert_int_equal(held_memory_claim_pooled(pool, 300), CUDA_SUCCESS);
    pool_reserves = 800;
    assert_int_equal(held_memory_settle_pooled(pool, 300, 0x5000, 300), CUDA_SUCCESS);
    assert_int_equal(used(), 800);
    assert_int_equal(held_memory_claim_pooled(pool, 400), CUDA_SUCCESS); /* out of what it keeps */
    assert_int_equal(used(), 800);
    assert_int_equal(held_memory_settle_pooled(pool, 400, 0x6000, 400), CUDA_SUCCESS);
    end(HELD_POOLED, 0x5000, true);
    end(HELD_POOLED, 0x6000, true);
    assert_int_equal(used(), 800);
    assert_int_equal(trims, 0);
    allocate(HELD_LINEAR, 0x1000, 900);
    assert_int_equal(trims, 1);
    assert_int_equal(used(), 900);
    end(HELD_LINEAR, 0x1000, true);
    held_memory_pool_gone(pool);
    assert_int_equal(used(), 0);
}

static CUresult fake_trim_in_vain(CUmemoryPool pool, size_t bytes)
{
    trims++;
    return CUDA_SUCCESS;
}

static void a_pool_that_outgrows_the_quota_is_noticed(void **state)
{
    CUmemoryPool pool = (CUmemoryPool)&pool_object;
    driver.cuMemPoolTrimTo = fake_trim_in_vain;
    assert_int_equal(held_memory_claim_pooled(pool, 300), CUDA_SUCCESS);
    pool_reserves = 5000;
    assert_int_equal(held_memory_settle_pooled(pool, 300, 0x5000, 300), CUDA_ERROR_OUT_OF_MEMORY);
    assert_int_equal(trims, 1);
    driver.cuMemPoolTrimTo = fake_trim;
    pool_reserves = 0;
    end(HELD_POOLED, 0x5000, true); /* as its caller does */
    held_memory_pool_gone(pool);
    assert_int_equal(used(), 0);
}

static void without_a_quota_pools_are_not_asked(void **state)
{
    CUmemoryPool pool = (CUmemoryPool)&pool_object;
    vm_page->memory_quota_bytes = 0;
    pool_reserves = 5000;
    assert_int_equal(held_memory_claim_pooled(pool, 300), CUDA_SUCCESS);
    assert_int_equal(held_memory_settle_pooled(pool, 300, 0x5000, 300), CUDA_SUCCESS);
    assert_int_equal(used(), 300);
    end(HELD_POOLED, 0x5000, true);
    assert_int_equal(used(), 0);
    held_memory_pool_gone(pool);
}

/* The driver gives back what a pool has kept when the program waits: then others of the VM can have it. */
static void a_wait_may_make_a_pool_smaller(void **state)
{
    CUmemoryPool pool = (CUmemoryPool)&pool_object;
    assert_int_equal(held_memory_claim_pooled(pool, 300), CUDA_SUCCESS);
    pool_reserves = 500;
    assert_int_equal(held_memory_settle_pooled(pool, 300, 0x5000, 300), CUDA_SUCCESS);
    end(HELD_POOLED, 0x5000, true);
    held_memory_waited();
    assert_int_equal(used(), 500);
    pool_reserves = 0;
    held_memory_waited();
    assert_int_equal(used(), 0);
    held_memory_pool_gone(pool);
}

static uint64_t graphs_reserve;

static CUresult fake_graph_attribute(CUdevice device, CUgraphMem_attribute attribute, void *value)
{
    memcpy(value, &graphs_reserve, sizeof graphs_reserve);
    return CUDA_SUCCESS;
}

static CUresult fake_graph_trim(CUdevice device)
{
    trims++;
    graphs_reserve = trims > 1 ? 0 : graphs_reserve; /* the first time the graph still runs */
    return CUDA_SUCCESS;
}

static void no_graph_runs_over_the_quota(void **state)
{
    driver.cuDeviceGetGraphMemAttribute = fake_graph_attribute;
    driver.cuDeviceGraphMemTrim = fake_graph_trim;
    assert_int_equal(held_memory_before_graph(), CUDA_SUCCESS);
    graphs_reserve = 1500;
    held_memory_after_graph();
    assert_int_equal(used(), 1500);
    assert_int_equal(held_memory_before_graph(), CUDA_ERROR_OUT_OF_MEMORY);
    assert_int_equal(trims, 1);
    assert_int_equal(held_memory_claim(1000),
                     CUDA_SUCCESS); /* now what graphs keep has been given up for it */
    assert_int_equal(trims, 2);
    held_memory_settle(1000, HELD_LINEAR, 0, 0);
    assert_int_equal(held_memory_before_graph(), CUDA_SUCCESS);
    assert_int_equal(used(), 0);
    driver.cuDeviceGetGraphMemAttribute = NULL;
    driver.cuDeviceGraphMemTrim = NULL;
}

static void the_end_of_a_context_frees(void **state)
{
    uint64_t name = handle_value(HANDLE_CONTEXT, 1, 1);
    assert_int_equal(handle_name(HANDLE_CONTEXT, name, &context_object, (struct handle_owners){0}), name);
    allocate(HELD_LINEAR, 0x1000, 500);
    held_memory_contexts_ended();
    assert_int_equal(used(), 500);
    void *object;
    assert_true(handle_withdraw(HANDLE_CONTEXT, name, &object));
    handle_withdrawn_end(name, HANDLE_GONE);
    held_memory_contexts_ended();
    assert_int_equal(used(), 0);
}

/* Memory without an address counts while it is mapped or has a handle, however often that is got and given
 * back. */
static void mapped_memory_counts_to_the_last(void **state)
{
    bool last;
    assert_true(reserved_add(0x100000, 0x10000));
    assert_int_equal(held_memory_claim(800), CUDA_SUCCESS);
    assert_true(allocation_add(77, 800));
    assert_int_equal(mapping_make(0x200000, 0x1000, 0, 77, 0), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(mapping_make(0x100000, 0x1000, 0, 77, 0), CUDA_SUCCESS);
    assert_int_equal(allocation_release(77, false, &last), CUDA_SUCCESS);
    assert_true(last);
    assert_int_equal(used(), 800);
    retained = 78; /* the driver has another number for it now */
    CUmemGenericAllocationHandle handle;
    assert_int_equal(mapping_retain(0x100800, &handle), CUDA_SUCCESS);
    assert_int_equal(handle, 78);
    assert_int_equal(mapping_remove(0x100000, 0x1000), CUDA_SUCCESS);
    assert_int_equal(used(), 800);
    assert_int_equal(allocation_release(78, false, &last), CUDA_SUCCESS);
    assert_int_equal(used(), 0);
    assert_int_equal(allocation_release(78, false, &last), CUDA_ERROR_INVALID_VALUE);
    assert_true(reserved_remove(0x100000, 0x10000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(over_the_quota_is_out_of_memory, start),
        cmocka_unit_test_setup(what_the_driver_refuses_is_not_held, start),
        cmocka_unit_test_setup(a_pool_counts_with_what_it_keeps, start),
        cmocka_unit_test_setup(a_pool_that_outgrows_the_quota_is_noticed, start),
        cmocka_unit_test_setup(without_a_quota_pools_are_not_asked, start),
        cmocka_unit_test_setup(a_wait_may_make_a_pool_smaller, start),
        cmocka_unit_test_setup(no_graph_runs_over_the_quota, start),
        cmocka_unit_test_setup(the_end_of_a_context_frees, start),
        cmocka_unit_test_setup(mapped_memory_counts_to_the_last, start),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}

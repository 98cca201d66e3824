/* Addresses from the guest: what may reach the driver. The driver is made up here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "driver_api.h"
#include "wire/own_calls.h"
#include "worker/call.h"
#include "worker/device_memory.h"
#include "worker/graph.h"
#include "worker/lane.h"
#include "worker/segment.h"
#include "worker/shared_memory.h"

#define DEVICE_START 0x7000000000ull
#define DEVICE_BYTES 4096ull
#define ARENA_BASE   0x300000000000ull

static unsigned asked, registered, reached;
static bool device_gone;

static CUresult fake_attributes(unsigned count, CUpointer_attribute *attributes, void **data,
                                CUdeviceptr pointer)
{
    bool known = pointer - DEVICE_START < DEVICE_BYTES && !device_gone;
    asked++;
    for (unsigned i = 0; i < count; i++) {
        if (attributes[i] == CU_POINTER_ATTRIBUTE_MEMORY_TYPE)
            *(unsigned *)data[i] = known ? CU_MEMORYTYPE_DEVICE : 0;
        else if (attributes[i] == CU_POINTER_ATTRIBUTE_IS_MANAGED)
            *(int *)data[i] = 0;
        else
            *(uint64_t *)data[i] = !known                                             ? 0
                                   : attributes[i] == CU_POINTER_ATTRIBUTE_RANGE_SIZE ? DEVICE_BYTES
                                                                                      : DEVICE_START;
    }
    return CUDA_SUCCESS;
}

static CUresult fake_register(void *memory, size_t bytes, unsigned flags)
{
    registered++;
    memset(memory, 1, 1); /* it is there */
    return CUDA_SUCCESS;
}

static CUresult fake_unregister(void *memory)
{
    return CUDA_SUCCESS;
}

static CUresult fake_current(CUcontext *context)
{
    static char any;
    *context = (CUcontext)&any;
    return CUDA_SUCCESS;
}

static CUresult fake_event_create(CUevent *event, unsigned flags)
{
    static char any;
    *event = (CUevent)&any;
    return CUDA_SUCCESS;
}

static CUresult fake_event_record(CUevent event, CUstream stream)
{
    return CUDA_SUCCESS;
}

static CUresult fake_event(CUevent event)
{
    return CUDA_SUCCESS;
}

/* Stands for every function of the driver that works on the GPU. */
static CUresult fake_work(void)
{
    reached++;
    return CUDA_SUCCESS;
}

static int set_up(void **state)
{
    for (void (**entry)(void) = (void (**)(void)) & driver; entry != (void (**)(void))(&driver + 1); entry++)
        *entry = (void (*)(void))fake_work;
    driver.cuPointerGetAttributes = fake_attributes;
    driver.cuCtxGetCurrent = fake_current;
    driver.cuEventCreate = fake_event_create;
    driver.cuEventRecord = fake_event_record;
    driver.cuEventSynchronize = driver.cuEventQuery = driver.cuEventDestroy_v2 = fake_event;
    driver.cuMemHostRegister_v2 = fake_register;
    driver.cuMemHostUnregister = fake_unregister;
    return arena_claim(ARENA_BASE, 1ull << 30) ? 0 : -1;
}

static void device_memory_may_pass(void **state)
{
    device_memory_changed();
    asked = 0;
    assert_int_equal(device_memory_check(DEVICE_START), CUDA_SUCCESS);
    assert_int_equal(device_memory_check(DEVICE_START + DEVICE_BYTES - 1), CUDA_SUCCESS);
    assert_int_equal(asked, 1);                             /* the driver's answer is kept */
    assert_int_equal(device_memory_check(0), CUDA_SUCCESS); /* nobody's: the driver has its own answer */
}

static void the_workers_memory_may_not(void **state)
{
    static char data[8];
    char local;
    assert_int_equal(device_memory_check((uintptr_t)data), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(device_memory_check((uintptr_t)&local), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(device_memory_check((uintptr_t)fake_work), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(device_memory_check(DEVICE_START + DEVICE_BYTES), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(device_memory_check(UINT64_MAX), CUDA_ERROR_INVALID_VALUE);
}

static void freed_memory_may_not(void **state)
{
    assert_int_equal(device_memory_check(DEVICE_START), CUDA_SUCCESS);
    device_gone = true;
    device_memory_changed();
    assert_int_equal(device_memory_check(DEVICE_START), CUDA_ERROR_INVALID_VALUE);
    device_gone = false;
    device_memory_changed();
    assert_int_equal(device_memory_check(DEVICE_START), CUDA_SUCCESS);
}

static uint64_t make(uint64_t address, uint64_t bytes, CUresult expected)
{
    struct shared_memory memory;
    assert_int_equal(segment_make(&address, bytes, 0, &memory), expected);
    if (expected == CUDA_SUCCESS)
        shared_memory_passed(&memory);
    return expected == CUDA_SUCCESS ? address : 0;
}

static void a_segment_is_held_to_its_last_byte(void **state)
{
    uint64_t at = make(0, 5000, CUDA_SUCCESS);
    assert_true(segment_holds(at, 8192)); /* whole pages */
    assert_true(segment_holds(at + 8191, 1));
    assert_false(segment_holds(at, 8193));
    assert_false(segment_holds(at + 8192, 0));
    assert_false(segment_holds(at + 1, UINT64_MAX));
    assert_false(segment_holds(at - 1, 1));
    assert_int_equal(device_memory_check(at + 100), CUDA_SUCCESS);
    assert_int_equal(segment_drop(at + 4096), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(segment_drop(at), CUDA_SUCCESS);
    assert_false(segment_holds(at, 1));
    assert_int_equal(device_memory_check(at + 100), CUDA_ERROR_INVALID_VALUE);
}

static void bad_places_are_refused(void **state)
{
    static char data[8192];
    make(0, 0, CUDA_ERROR_INVALID_VALUE);
    make(0, UINT64_MAX, CUDA_ERROR_INVALID_VALUE);
    make(4096, 4096, CUDA_ERROR_INVALID_VALUE);
    make(ARENA_BASE + 4096, 4096, CUDA_ERROR_INVALID_VALUE);
    make(UINT64_MAX & ~4095ull, 4096, CUDA_ERROR_INVALID_VALUE);
    make(12345, 4096, CUDA_ERROR_INVALID_VALUE);
    make((uintptr_t)data & ~4095ull, 4096, CUDA_ERROR_ALREADY_MAPPED);
}

/* A place of the guest's choosing can be used again, also in part, and nothing else ever comes to lie there.
 */
static void a_place_stays_the_guests(void **state)
{
    uint64_t place = 0x310000000000;
    assert_int_equal(make(place, 65536, CUDA_SUCCESS), place);
    make(place + 4096, 4096, CUDA_ERROR_ALREADY_MAPPED);
    assert_int_equal(segment_drop(place), CUDA_SUCCESS);
    void *mine = mmap((void *)(uintptr_t)place, 4096, PROT_READ,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    assert_ptr_equal(mine, MAP_FAILED);
    assert_int_equal(make(place + 32768, 65536, CUDA_SUCCESS), place + 32768);
    assert_int_equal(segment_drop(place + 32768), CUDA_SUCCESS);
}

/* Where the calls that put work on the GPU take addresses of its memory. */
#define AT(call, field)                                                                                      \
    {                                                                                                        \
        CALL_##call, offsetof(struct request_##call, field)                                                  \
    }
#define NONE SIZE_MAX
static const struct {
    unsigned call;
    size_t offset;
} addresses[] = {
    AT(copy_to_device, device),
    AT(copy_from_device, device),
    AT(copy_staged_to_device, device),
    AT(copy_staged_from_device, device),
    AT(copy_shared, source),
    AT(copy_box, copy.srcDevice),
    AT(copy_box, copy.dstDevice),
    AT(cuMemFreeAsync, dptr),
    AT(cuMemcpyDtoDAsync_v2, dstDevice),
    AT(cuMemcpyDtoDAsync_v2, srcDevice),
    AT(cuMemcpyPeerAsync, dstDevice),
    AT(cuMemcpyPeerAsync, srcDevice),
    AT(cuMemsetD8Async, dstDevice),
    AT(cuMemsetD16Async, dstDevice),
    AT(cuMemsetD32Async, dstDevice),
    AT(cuMemsetD2D8Async, dstDevice),
    AT(cuMemsetD2D16Async, dstDevice),
    AT(cuMemsetD2D32Async, dstDevice),
    AT(cuStreamWaitValue32_v2, addr),
    AT(cuStreamWaitValue64_v2, addr),
    AT(cuStreamWriteValue32_v2, addr),
    AT(cuStreamWriteValue64_v2, addr),
    AT(pointer_set_attribute, pointer),
    AT(export_object, object),
    AT(cuMemGetAccess, ptr),
    AT(memory_set_access, object),
    AT(cuMemUnmap, ptr),
    AT(cuMemAddressFree, ptr),
    AT(cuIpcCloseMemHandle, dptr),
    {CALL_launch, NONE},
    {CALL_stream_batch, NONE}, /* nodes_and_batches_take_none_either */
    {CALL_host_function, NONE},
    {CALL_cuGraphUpload, NONE},
    {CALL_cuGraphLaunch, NONE},
    {CALL_cuCtxRecordEvent, NONE},
    {CALL_cuMemAllocAsync, NONE},
    {CALL_cuMemAllocFromPoolAsync, NONE},
    {CALL_cuEventRecord, NONE},
    {CALL_cuEventRecordWithFlags, NONE},
    {CALL_cuGreenCtxRecordEvent, NONE},
    {CALL_cuGreenCtxWaitEvent, NONE},
    {CALL_cuCtxRecordEvent, NONE},
    {CALL_cuCtxWaitEvent, NONE},
};
#define ADDRESS_COUNT (sizeof addresses / sizeof addresses[0])

/* What a request needs besides the address to be looked at. */
static void fill_in(unsigned call, void *request)
{
    struct request_pointer_set_attribute *attribute = request;
    struct request_export_object *exported = request;
    struct request_cuMemGetAccess *access = request;
    uint64_t *words = request;
    if (call == CALL_pointer_set_attribute)
        attribute->attribute = CU_POINTER_ATTRIBUTE_SYNC_MEMOPS;
    else if (call == CALL_export_object)
        exported->kind = EXPORT_MEMORY;
    else if (call == CALL_cuMemGetAccess)
        access->location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    else if (call == CALL_memory_set_access || call == CALL_cuMemUnmap || call == CALL_cuMemAddressFree)
        words[1] = 4096; /* bytes */
}

static void no_call_takes_an_address_of_the_workers(void **state)
{
    static uint64_t target[64], request[512], reply[512];
    static struct lane_shared shared;
    struct lane lane = {.shared = &shared, .staging = (uint8_t *)target};
    for (size_t i = 0; i < ADDRESS_COUNT; i++) {
        const struct call_entry *entry = &call_table[addresses[i].call];
        struct call call = {.lane = &lane,
                            .request = request,
                            .tail = (uint8_t *)(request + 256),
                            .tail_bytes = 1024,
                            .reply = reply,
                            .reply_room = sizeof reply};
        if (addresses[i].offset == NONE)
            continue;
        memset(request, 0, sizeof request);
        struct request_copy_box *box = (struct request_copy_box *)request;
        if (addresses[i].call == CALL_copy_box) {
            box->form = BOX_3D;
            box->copy = (CUDA_MEMCPY3D){.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                                        .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                                        .WidthInBytes = 8,
                                        .Height = 1,
                                        .Depth = 1};
        } else if (addresses[i].call == CALL_copy_staged_to_device) {
            ((struct request_copy_staged_to_device *)request)->slot = lane.staging_queued;
        } else {
            fill_in(addresses[i].call, request);
        }
        memcpy((uint8_t *)request + addresses[i].offset, &(uint64_t){(uintptr_t)target}, 8);
        reached = 0;
        CUresult result = entry->serve(&call);
        if (result != CUDA_ERROR_INVALID_VALUE || reached != 0)
            fail_msg("%s returned %d, and called the driver %u times", entry->name, (int)result, reached);
    }
}

static void refused(struct graph_node_params *wire)
{
    static struct node_params params;
    graph_lock();
    assert_int_equal(node_params_read(&params, wire, NULL, 0), CUDA_ERROR_INVALID_VALUE);
    node_params_end(&params);
    graph_unlock();
}

static void nodes_and_batches_take_none_either(void **state)
{
    static uint64_t target[64];
    uint64_t address = (uintptr_t)target;
    CUstreamBatchMemOpParams operation = {.operation = CU_STREAM_MEM_OP_WRITE_VALUE_32};
    operation.writeValue.address = address;
    assert_int_equal(batch_check(&operation, 1), CUDA_ERROR_INVALID_VALUE);
    operation = (CUstreamBatchMemOpParams){.operation = CU_STREAM_MEM_OP_WAIT_VALUE_64};
    operation.waitValue.address = address;
    assert_int_equal(batch_check(&operation, 1), CUDA_ERROR_INVALID_VALUE);
    struct graph_node_params wire = {.type = CU_GRAPH_NODE_TYPE_MEMSET};
    wire.memset = (CUDA_MEMSET_NODE_PARAMS){.dst = address, .elementSize = 4, .width = 1, .height = 1};
    refused(&wire);
    wire = (struct graph_node_params){.type = CU_GRAPH_NODE_TYPE_MEM_FREE};
    wire.free_address = address;
    refused(&wire);
    wire = (struct graph_node_params){.type = CU_GRAPH_NODE_TYPE_MEMCPY};
    wire.copy = (CUDA_MEMCPY3D){.srcMemoryType = CU_MEMORYTYPE_HOST,
                                .srcHost = target,
                                .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                                .dstDevice = DEVICE_START,
                                .WidthInBytes = 8,
                                .Height = 1,
                                .Depth = 1};
    refused(&wire);
    wire.copy.srcMemoryType = CU_MEMORYTYPE_UNIFIED;
    wire.copy.srcDevice = address;
    refused(&wire);
    wire = (struct graph_node_params){.type = CU_GRAPH_NODE_TYPE_CONDITIONAL};
    wire.conditional.handle = address;
    wire.conditional.count = 1;
    refused(&wire);
}

/* Whoever adds a call that works on memory of the GPU says here which of its fields are addresses. */
static void every_call_with_work_is_looked_at(void **state)
{
    for (unsigned number = CALL_INVALID + 1; number < CALL_COUNT; number++) {
        bool listed = !(call_table[number].flags & CALL_WORK);
        for (size_t i = 0; i < ADDRESS_COUNT && !listed; i++)
            listed = addresses[i].call == number;
        if (!listed)
            fail_msg("%s is not in this test's list", call_table[number].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(device_memory_may_pass),
        cmocka_unit_test(the_workers_memory_may_not),
        cmocka_unit_test(freed_memory_may_not),
        cmocka_unit_test(a_segment_is_held_to_its_last_byte),
        cmocka_unit_test(bad_places_are_refused),
        cmocka_unit_test(a_place_stays_the_guests),
        cmocka_unit_test(no_call_takes_an_address_of_the_workers),
        cmocka_unit_test(nodes_and_batches_take_none_either),
        cmocka_unit_test(every_call_with_work_is_looked_at),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}

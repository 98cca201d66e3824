#include "worker/device_memory.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "driver_api.h"
#include "worker/graph_memory.h"
#include "worker/segment.h"

/* Below it the kernel lets nobody map anything: such an address is nobody's memory, and the driver has its
 * own answers to it. */
#define FIRST_ADDRESS 4096u

#define REMEMBERED 16u

/* Counted up when memory may have gone. Writers: lanes; release, so that who sees the count has the driver's
 * new answers too. */
static _Atomic uint32_t changes;

static __thread struct {
    uint32_t changes; /* the answers below are of this count */
    uint32_t next;    /* to be replaced */
    uint32_t latest;  /* that an address was in */
    struct {
        uint64_t start, bytes;
    } ranges[REMEMBERED];
} remembered;

void device_memory_changed(void)
{
    atomic_fetch_add_explicit(&changes, 1, memory_order_release);
}

static void remember(uint64_t start, uint64_t bytes)
{
    remembered.ranges[remembered.next].start = start;
    remembered.ranges[remembered.next].bytes = bytes;
    remembered.latest = remembered.next;
    remembered.next = (remembered.next + 1) % REMEMBERED;
}

static CUresult ask_driver(uint64_t address)
{
    unsigned type = 0;
    int managed = 0;
    uint64_t start = 0, bytes = 0;
    CUpointer_attribute attributes[] = {CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CU_POINTER_ATTRIBUTE_IS_MANAGED,
                                        CU_POINTER_ATTRIBUTE_RANGE_START_ADDR,
                                        CU_POINTER_ATTRIBUTE_RANGE_SIZE};
    void *values[] = {&type, &managed, &start, &bytes};
    CUresult result = driver.cuPointerGetAttributes(4, attributes, values, address);
    if (result != CUDA_SUCCESS)
        return result;
    if (type != CU_MEMORYTYPE_DEVICE && !managed)
        return segment_holds(address, 1) || graph_memory_holds(address) ? CUDA_SUCCESS
                                                                        : CUDA_ERROR_INVALID_VALUE;
    if (address - start < bytes)
        remember(start, bytes);
    return CUDA_SUCCESS;
}

static bool is_in(uint32_t range, uint64_t address)
{
    return address - remembered.ranges[range].start < remembered.ranges[range].bytes;
}

CUresult device_memory_check(uint64_t address)
{
    if (address < FIRST_ADDRESS)
        return CUDA_SUCCESS;
    uint32_t now = atomic_load_explicit(&changes, memory_order_acquire);
    if (remembered.changes != now) {
        memset(&remembered, 0, sizeof remembered);
        remembered.changes = now;
        return ask_driver(address);
    }
    if (is_in(remembered.latest, address))
        return CUDA_SUCCESS;
    for (uint32_t i = 0; i < REMEMBERED; i++) {
        if (is_in(i, address)) {
            remembered.latest = i;
            return CUDA_SUCCESS;
        }
    }
    return ask_driver(address);
}

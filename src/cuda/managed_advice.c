#include "cuda/managed_advice.h"

#include <stdlib.h>
#include <string.h>

#define PAGE_BYTES 4096ull

/* Devices with access, by bit; the processor is the last one. */
#define PROCESSOR_BIT 31

struct state {
    uint32_t read_mostly;
    uint32_t accessed_by;
    CUmemLocation preferred;
    CUmemLocation prefetched;
};

struct managed_span {
    uint64_t start, end;
    struct state state;
};

/* Index of the first span that ends beyond address. */
static size_t span_at(const struct managed_advice *advice, uint64_t address)
{
    size_t low = 0, high = advice->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (advice->spans[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool insert(struct managed_advice *advice, size_t at, struct managed_span span)
{
    if (advice->count == advice->room) {
        size_t room = advice->room ? advice->room * 2 : 16;
        struct managed_span *grown = realloc(advice->spans, room * sizeof *grown);
        if (grown == NULL)
            return false;
        advice->spans = grown;
        advice->room = room;
    }
    memmove(&advice->spans[at + 1], &advice->spans[at], (advice->count - at) * sizeof span);
    advice->spans[at] = span;
    advice->count++;
    return true;
}

bool managed_advice_add(struct managed_advice *advice, uint64_t address, uint64_t bytes)
{
    struct managed_span span = {.start = address,
                                .end = (address + bytes + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1)};
    return insert(advice, span_at(advice, address), span);
}

void managed_advice_remove(struct managed_advice *advice, uint64_t address, uint64_t bytes)
{
    size_t first = span_at(advice, address), last = first;
    while (last < advice->count && advice->spans[last].start < address + bytes)
        last++;
    memmove(&advice->spans[first], &advice->spans[last], (advice->count - last) * sizeof *advice->spans);
    advice->count -= last - first;
    if (advice->count == 0) {
        free(advice->spans);
        *advice = (struct managed_advice){0};
    }
}

bool managed_advice_covers(const struct managed_advice *advice, uint64_t address, uint64_t bytes)
{
    uint64_t end = address + bytes;
    if (bytes == 0 || end < address)
        return false;
    for (size_t i = span_at(advice, address); i < advice->count && advice->spans[i].start <= address; i++) {
        address = advice->spans[i].end;
        if (address >= end)
            return true;
    }
    return false;
}

/* A span begins at the page of this address. False: out of memory. */
static bool split_at(struct managed_advice *advice, uint64_t address)
{
    size_t at = span_at(advice, address);
    if (at == advice->count || advice->spans[at].start >= address)
        return true;
    struct managed_span behind = advice->spans[at];
    behind.start = address;
    if (!insert(advice, at + 1, behind))
        return false;
    advice->spans[at].end = address;
    return true;
}

/* Spans [*first, *last) are the pages of the range. */
static CUresult cut_out(struct managed_advice *advice, uint64_t address, uint64_t bytes, size_t *first,
                        size_t *last)
{
    if (!managed_advice_covers(advice, address, bytes))
        return CUDA_ERROR_INVALID_VALUE;
    uint64_t start = address & ~(PAGE_BYTES - 1);
    uint64_t end = (address + bytes + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    if (!split_at(advice, start) || !split_at(advice, end))
        return CUDA_ERROR_OUT_OF_MEMORY;
    *first = *last = span_at(advice, start);
    while (*last < advice->count && advice->spans[*last].start < end)
        ++*last;
    return CUDA_SUCCESS;
}

static uint32_t bit_of(CUmemLocation location)
{
    return 1u << (location.type == CU_MEM_LOCATION_TYPE_DEVICE ? location.id % PROCESSOR_BIT : PROCESSOR_BIT);
}

static void apply(struct state *state, CUmem_advise what, CUmemLocation location)
{
    switch (what) {
    case CU_MEM_ADVISE_SET_READ_MOSTLY:
    case CU_MEM_ADVISE_UNSET_READ_MOSTLY:
        state->read_mostly = what == CU_MEM_ADVISE_SET_READ_MOSTLY;
        break;
    case CU_MEM_ADVISE_SET_PREFERRED_LOCATION:
        state->preferred = location;
        break;
    case CU_MEM_ADVISE_UNSET_PREFERRED_LOCATION:
        state->preferred = (CUmemLocation){CU_MEM_LOCATION_TYPE_INVALID, 0};
        break;
    case CU_MEM_ADVISE_SET_ACCESSED_BY:
        state->accessed_by |= bit_of(location);
        break;
    case CU_MEM_ADVISE_UNSET_ACCESSED_BY:
        state->accessed_by &= ~bit_of(location);
        break;
    }
}

CUresult managed_advice_set(struct managed_advice *advice, uint64_t address, uint64_t bytes,
                            CUmem_advise what, CUmemLocation location)
{
    size_t first = 0, last = 0;
    if (what < CU_MEM_ADVISE_SET_READ_MOSTLY || what > CU_MEM_ADVISE_UNSET_ACCESSED_BY)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = cut_out(advice, address, bytes, &first, &last);
    for (size_t i = first; result == CUDA_SUCCESS && i < last; i++)
        apply(&advice->spans[i].state, what, location);
    return result;
}

CUresult managed_advice_prefetched(struct managed_advice *advice, uint64_t address, uint64_t bytes,
                                   CUmemLocation location)
{
    size_t first = 0, last = 0;
    CUresult result = cut_out(advice, address, bytes, &first, &last);
    for (size_t i = first; result == CUDA_SUCCESS && i < last; i++)
        advice->spans[i].state.prefetched = location;
    return result;
}

/* What all pages of the range have in common. */
static struct state common_state(const struct managed_advice *advice, uint64_t address, uint64_t bytes)
{
    size_t i = span_at(advice, address);
    struct state common = advice->spans[i].state;
    for (; i < advice->count && advice->spans[i].start < address + bytes; i++) {
        const struct state *state = &advice->spans[i].state;
        common.read_mostly &= state->read_mostly;
        common.accessed_by &= state->accessed_by;
        if (memcmp(&common.preferred, &state->preferred, sizeof common.preferred) != 0)
            common.preferred = (CUmemLocation){CU_MEM_LOCATION_TYPE_INVALID, 0};
        if (memcmp(&common.prefetched, &state->prefetched, sizeof common.prefetched) != 0)
            common.prefetched = (CUmemLocation){CU_MEM_LOCATION_TYPE_INVALID, 0};
    }
    return common;
}

static int device_of(CUmemLocation location)
{
    if (location.type == CU_MEM_LOCATION_TYPE_DEVICE)
        return location.id;
    return location.type == CU_MEM_LOCATION_TYPE_INVALID ? CU_DEVICE_INVALID : CU_DEVICE_CPU;
}

static CUresult get_accessors(uint32_t accessed_by, int *devices, size_t room)
{
    size_t count = 0;
    for (int i = 0; i <= PROCESSOR_BIT; i++)
        if (accessed_by >> i & 1 && count < room)
            devices[count++] = i == PROCESSOR_BIT ? CU_DEVICE_CPU : i;
    while (count < room)
        devices[count++] = CU_DEVICE_INVALID;
    return CUDA_SUCCESS;
}

CUresult managed_advice_get(const struct managed_advice *advice, void *data, size_t data_bytes,
                            CUmem_range_attribute attribute, uint64_t address, uint64_t bytes)
{
    if (data == NULL || !managed_advice_covers(advice, address, bytes) || data_bytes == 0 ||
        data_bytes % sizeof(int) != 0 ||
        (attribute != CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY && data_bytes != sizeof(int)))
        return CUDA_ERROR_INVALID_VALUE;
    struct state common = common_state(advice, address, bytes);
    int value;
    switch (attribute) {
    case CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY:
        value = (int)common.read_mostly;
        break;
    case CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION:
        value = device_of(common.preferred);
        break;
    case CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION:
        value = device_of(common.prefetched);
        break;
    case CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION_TYPE:
        value = (int)common.preferred.type;
        break;
    case CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION_ID:
        value = common.preferred.id;
        break;
    case CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION_TYPE:
        value = (int)common.prefetched.type;
        break;
    case CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION_ID:
        value = common.prefetched.id;
        break;
    case CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY:
        return get_accessors(common.accessed_by, data, data_bytes / sizeof(int));
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
    memcpy(data, &value, sizeof value);
    return CUDA_SUCCESS;
}

/* A table by which cuBLAS and cuFFT tell contexts and streams apart, for what they keep for each. */
#include "guest/export_table.h"

#include <stddef.h>

#include "cuda_api.h"

/* No context has 0. */
static CUresult context_id(CUcontext context, unsigned long long *id)
{
    *id = 0;
    return context != NULL ? cuCtxGetId(context, id) : CUDA_SUCCESS;
}

/* The stream that a handle stands for; NULL is one of the two default streams. */
static CUresult stream_of(CUcontext context, CUstream handle, CUstream *stream, int per_thread_default)
{
    (void)context;
    if (handle == NULL)
        handle = per_thread_default ? CU_STREAM_PER_THREAD : CU_STREAM_LEGACY;
    *stream = handle;
    return CUDA_SUCCESS;
}

static CUresult stream_id(CUcontext context, CUstream stream, unsigned long long *id)
{
    (void)context;
    return cuStreamGetId(stream, id);
}

/* Slots by tens: APPLY is DEFINE or ENTRY. */
#define DEFINE(slot) EXPORT_UNKNOWN_SLOT(internals, slot)
#define ENTRY(slot)  EXPORT_FUNCTION(internals_slot_##slot),
#define TEN(APPLY, tens)                                                                                     \
    APPLY(tens##0)                                                                                           \
    APPLY(tens##1)                                                                                           \
    APPLY(tens##2)                                                                                           \
    APPLY(tens##3)                                                                                           \
    APPLY(tens##4)                                                                                           \
    APPLY(tens##5)                                                                                           \
    APPLY(tens##6)                                                                                           \
    APPLY(tens##7)                                                                                           \
    APPLY(tens##8)                                                                                           \
    APPLY(tens##9)
#define SLOTS_1_TO_3(APPLY) APPLY(1) APPLY(2) APPLY(3)
#define SLOTS_5_TO_38(APPLY)                                                                                 \
    APPLY(5)                                                                                                 \
    APPLY(6)                                                                                                 \
    APPLY(7) APPLY(8) APPLY(9) TEN(APPLY, 1) TEN(APPLY, 2) APPLY(30) APPLY(31) APPLY(32) APPLY(33) APPLY(34) \
        APPLY(35) APPLY(36) APPLY(37) APPLY(38)
#define SLOTS_40_TO_50(APPLY) TEN(APPLY, 4) APPLY(50)
#define SLOTS_52_TO_92(APPLY)                                                                                \
    APPLY(52)                                                                                                \
    APPLY(53)                                                                                                \
    APPLY(54) APPLY(55) APPLY(56) APPLY(57) APPLY(58) APPLY(59) TEN(APPLY, 6) TEN(APPLY, 7) TEN(APPLY, 8)    \
        APPLY(90) APPLY(91) APPLY(92)

SLOTS_1_TO_3(DEFINE)
SLOTS_5_TO_38(DEFINE)
SLOTS_40_TO_50(DEFINE)
SLOTS_52_TO_92(DEFINE)

static const export_slot slots[] = {EXPORT_TABLE_SIZE(93), SLOTS_1_TO_3(ENTRY) EXPORT_FUNCTION(context_id),
                                    SLOTS_5_TO_38(ENTRY) EXPORT_FUNCTION(stream_id),
                                    SLOTS_40_TO_50(ENTRY) EXPORT_FUNCTION(stream_of), SLOTS_52_TO_92(ENTRY)};
_Static_assert(sizeof slots == 93 * sizeof slots[0], "no slot left out");

const struct export_table export_table_internals = {
    .id = {"\x21\x31\x8c\x60\x97\x14\x32\x48\x8c\xa6\x41\xff\x73\x24\xc8\xf2"},
    .slots = slots,
};

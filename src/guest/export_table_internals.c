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

EXPORT_UNKNOWN_FUNCTIONS(internals, 93);

static const struct export_function internals_functions[] = {
    EXPORT_FUNCTION(4, context_id),
    EXPORT_FUNCTION(39, stream_id),
    EXPORT_FUNCTION(51, stream_of),
};
static const void *internals_slots[93];

struct export_table export_table_internals = {
    .id = {"\x21\x31\x8c\x60\x97\x14\x32\x48\x8c\xa6\x41\xff\x73\x24\xc8\xf2"},
    .slots = internals_slots,
    .count = 93,
    .functions = internals_functions,
    .function_count = sizeof internals_functions / sizeof internals_functions[0],
    .unknown = export_unknown_internals,
};

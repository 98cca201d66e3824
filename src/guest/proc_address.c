/* cuGetProcAddress: the newest form of a function that the asked version knows. */
#include "cuda_api.h"
#include "guest/export.h"
#include "guest/proc_table.h"

#include <string.h>

/* First entry of this name, or proc_table_count. */
static size_t find_name(const char *name)
{
    size_t low = 0, high = proc_table_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(proc_table[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < proc_table_count && strcmp(proc_table[low].name, name) == 0 ? low : proc_table_count;
}

VGPU_EXPORT CUresult cuGetProcAddress_v2(const char *symbol, void **pfn, int cudaVersion, cuuint64_t flags,
                                         CUdriverProcAddressQueryResult *symbolStatus)
{
    const cuuint64_t known =
        CU_GET_PROC_ADDRESS_LEGACY_STREAM | CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM;
    if (symbol == NULL || pfn == NULL || (flags & ~known) != 0 || flags == known)
        return CUDA_ERROR_INVALID_VALUE;
    const void *plain = NULL, *per_thread_form = NULL;
    size_t first = find_name(symbol);
    for (size_t i = first; i < proc_table_count && strcmp(proc_table[i].name, symbol) == 0; i++) {
        if (proc_table[i].since > cudaVersion)
            continue;
        if (proc_table[i].per_thread)
            per_thread_form = proc_table[i].address;
        else
            plain = proc_table[i].address;
    }
    if ((flags & CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM) && per_thread_form != NULL)
        plain = per_thread_form;
    CUdriverProcAddressQueryResult status = CU_GET_PROC_ADDRESS_SUCCESS;
    if (first == proc_table_count)
        status = CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    else if (plain == NULL)
        status = CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT;
    *pfn = (void *)(uintptr_t)plain;
    if (symbolStatus != NULL)
        *symbolStatus = status;
    /* The second form reports what is wrong in the status; without a place for it, as the first form. */
    return plain != NULL || symbolStatus != NULL ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

VGPU_EXPORT CUresult cuGetProcAddress(const char *symbol, void **pfn, int cudaVersion, cuuint64_t flags)
{
    return cuGetProcAddress_v2(symbol, pfn, cudaVersion, flags, NULL);
}

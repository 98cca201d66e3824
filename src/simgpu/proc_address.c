#include "simgpu/proc_address.h"

#include <string.h>

#include "cuda_api.h"
#include "simgpu/context.h"

static size_t first_of_name(const char *name)
{
    size_t low = 0, high = proc_entry_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(proc_entries[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The newest form that the version knows: the per-thread form when it is asked for and there is one, in any
 * version. */
static const struct proc_entry *newest_form(size_t first, int version, bool wants_own_stream)
{
    const char *name = proc_entries[first].name;
    const struct proc_entry *plain = NULL, *own_stream = NULL;
    bool has_own_stream = false;
    for (size_t i = first; i < proc_entry_count && strcmp(proc_entries[i].name, name) == 0; i++) {
        has_own_stream |= proc_entries[i].is_per_thread;
        if (proc_entries[i].since > version)
            continue;
        if (proc_entries[i].is_per_thread)
            own_stream = &proc_entries[i];
        else
            plain = &proc_entries[i];
    }
    return wants_own_stream && has_own_stream ? own_stream : plain;
}

static CUresult find(const char *symbol, int version, cuuint64_t flags, const struct proc_entry **found,
                     CUdriverProcAddressQueryResult *status)
{
    if (!symbol || (flags & ~3ull) || version > CUDA_VERSION)
        return CUDA_ERROR_INVALID_VALUE;
    size_t first = first_of_name(symbol);
    bool is_known = first < proc_entry_count && strcmp(proc_entries[first].name, symbol) == 0;
    *found = is_known ? newest_form(first, version < 0 ? CUDA_VERSION : version,
                                    flags & CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM)
                      : NULL;
    *status = *found     ? CU_GET_PROC_ADDRESS_SUCCESS
              : is_known ? CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT
                         : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    return CUDA_SUCCESS;
}

CUresult cuGetProcAddress_v2(const char *symbol, void **pfn, int cudaVersion, cuuint64_t flags,
                             CUdriverProcAddressQueryResult *symbolStatus)
{
    const struct proc_entry *found;
    CUdriverProcAddressQueryResult status;
    CUresult result = pfn ? find(symbol, cudaVersion, flags, &found, &status) : CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    *pfn = found ? found->address : NULL;
    if (symbolStatus)
        *symbolStatus = status;
    return found || symbolStatus ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

CUresult cuGetProcAddress(const char *symbol, void **pfn, int cudaVersion, cuuint64_t flags)
{
    const struct proc_entry *found;
    CUdriverProcAddressQueryResult status;
    CUresult result = pfn ? find(symbol, cudaVersion, flags, &found, &status) : CUDA_ERROR_INVALID_VALUE;
    if (!result && !found)
        result = CUDA_ERROR_NOT_FOUND;
    if (!result)
        *pfn = found->address;
    return result;
}

/* The driver's private tables, which only NVIDIA's own runtime knows. */
CUresult cuGetExportTable(const void **ppExportTable, const CUuuid *pExportTableId)
{
    if (!ppExportTable || !pExportTableId)
        return CUDA_ERROR_INVALID_VALUE;
    *ppExportTable = NULL;
    return CUDA_ERROR_NOT_FOUND;
}

/* There is nothing to profile. */
CUresult cuProfilerStart(void)
{
    struct CUctx_st *context;
    return context_current(&context);
}

CUresult cuProfilerStop(void)
{
    struct CUctx_st *context;
    return context_current(&context);
}

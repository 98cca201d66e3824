#include "simgpu/proc_address.h"

#include <string.h>

#include "cuda_api.h"
#include "simgpu/api.h"
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

/* The newest form that the version knows. Per-thread forms come before plain ones when they are asked for. */
CUresult cuGetProcAddress_v2(const char *symbol, void **pfn, int cudaVersion, cuuint64_t flags,
                             CUdriverProcAddressQueryResult *symbolStatus)
{
    bool wants_own_stream = flags & CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM;
    const struct proc_entry *plain = NULL, *own_stream = NULL;
    bool is_known = false;
    if (!symbol || !pfn || (flags & ~3ull) || flags == 3)
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = first_of_name(symbol); i < proc_entry_count && strcmp(proc_entries[i].name, symbol) == 0;
         i++) {
        is_known = true;
        if (proc_entries[i].since > cudaVersion)
            continue;
        if (proc_entries[i].is_per_thread)
            own_stream = &proc_entries[i];
        else
            plain = &proc_entries[i];
    }
    const struct proc_entry *found = wants_own_stream && own_stream ? own_stream : plain;
    *pfn = found ? found->address : NULL;
    if (symbolStatus)
        *symbolStatus = found      ? CU_GET_PROC_ADDRESS_SUCCESS
                        : is_known ? CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT
                                   : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    return found || symbolStatus ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

CUresult cuGetProcAddress(const char *symbol, void **pfn, int cudaVersion, cuuint64_t flags)
{
    return cuGetProcAddress_v2(symbol, pfn, cudaVersion, flags, NULL);
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

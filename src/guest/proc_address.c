/* cuGetProcAddress: the newest form of a function that the asked version knows. */
#include "cuda_api.h"
#include "guest/export.h"
#include "guest/init.h"
#include "guest/proc_table.h"

#include <stdbool.h>
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

/* The newest version that may be asked for; a negative one, which the real driver takes too, is that. */
static int newest_version(void)
{
    const struct reply_device_info *facts = device_facts();
    return facts != NULL ? facts->driver_version : CUDA_VERSION;
}

/* The newest form of the function from proc_table[first] on that `version` knows: the per-thread form where
 * that is wanted and there is one, in any version. NULL when there is none yet. */
static const void *newest_form(size_t first, int version, bool per_thread)
{
    const char *name = proc_table[first].name;
    const void *plain = NULL, *per_thread_form = NULL;
    bool has_per_thread_form = false;
    for (size_t i = first; i < proc_table_count && strcmp(proc_table[i].name, name) == 0; i++) {
        has_per_thread_form |= proc_table[i].per_thread;
        if (proc_table[i].since > version)
            continue;
        if (proc_table[i].per_thread)
            per_thread_form = proc_table[i].address;
        else
            plain = proc_table[i].address;
    }
    return per_thread && has_per_thread_form ? per_thread_form : plain;
}

/* NULL for *address with the reason in the status. */
static CUresult find(const char *symbol, int version, cuuint64_t flags, const void **address,
                     CUdriverProcAddressQueryResult *status)
{
    const cuuint64_t known =
        CU_GET_PROC_ADDRESS_LEGACY_STREAM | CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM;
    if (symbol == NULL || (flags & ~known) != 0 || version > newest_version())
        return CUDA_ERROR_INVALID_VALUE;
    size_t first = find_name(symbol);
    *address = NULL;
    *status = CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    if (first == proc_table_count)
        return CUDA_SUCCESS;
    *address = newest_form(first, version < 0 ? newest_version() : version,
                           (flags & CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM) != 0);
    *status = *address != NULL ? CU_GET_PROC_ADDRESS_SUCCESS : CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT;
    return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuGetProcAddress_v2(const char *symbol, void **pfn, int cudaVersion, cuuint64_t flags,
                                         CUdriverProcAddressQueryResult *symbolStatus)
{
    const void *address;
    CUdriverProcAddressQueryResult status;
    if (pfn == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = find(symbol, cudaVersion, flags, &address, &status);
    if (result != CUDA_SUCCESS)
        return result;
    *pfn = (void *)(uintptr_t)address;
    if (symbolStatus != NULL)
        *symbolStatus = status;
    /* This form reports what is wrong in the status; without a place for it, as the first form. */
    return address != NULL || symbolStatus != NULL ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

/* Leaves *pfn alone when there is nothing to give. */
VGPU_EXPORT CUresult cuGetProcAddress(const char *symbol, void **pfn, int cudaVersion, cuuint64_t flags)
{
    const void *address;
    CUdriverProcAddressQueryResult status;
    if (pfn == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = find(symbol, cudaVersion, flags, &address, &status);
    if (result == CUDA_SUCCESS && address == NULL)
        result = CUDA_ERROR_NOT_FOUND;
    if (result == CUDA_SUCCESS)
        *pfn = (void *)(uintptr_t)address;
    return result;
}

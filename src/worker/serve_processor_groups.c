/* How multiprocessors hang together, which no public call tells and cuBLAS wants to know. The real driver has
 * it in a private table, of which one function is used here; a driver whose table has another size may mean
 * something else by it and is not asked. */
#include "worker/serve.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "driver_api.h"
#include "wire/own_calls.h"

/* As cuBLAS 13 asks a driver of version 580 for it. */
static const CUuuid table_id = {"\x17\x34\xdc\x26\x80\x0d\x47\x45\x87\x26\xc0\xf1\xe7\xdd\x8b\xca"};
#define TABLE_BYTES 0x88u
#define TABLE_SLOT  4

/* Two arrays, made by malloc for the caller. */
typedef CUresult (*groups_function)(uint8_t **groups, uint8_t **numbers);

static groups_function find_function(void)
{
    const void *table = NULL;
    if (driver.cuGetExportTable == NULL || driver.cuGetExportTable(&table, &table_id) != CUDA_SUCCESS ||
        table == NULL)
        return NULL;
    uintptr_t words[TABLE_SLOT + 1];
    memcpy(words, table, sizeof words[0]);
    if (words[0] != TABLE_BYTES)
        return NULL;
    memcpy(words, table, sizeof words);
    return (groups_function)words[TABLE_SLOT];
}

/* Asked once; what the driver has given is kept. */
static CUresult ask(const uint8_t **groups, const uint8_t **numbers)
{
    static _Atomic(uint8_t *) kept_groups, kept_numbers;
    *groups = atomic_load(&kept_groups);
    *numbers = atomic_load(&kept_numbers);
    if (*groups != NULL && *numbers != NULL)
        return CUDA_SUCCESS;
    groups_function function = find_function();
    uint8_t *new_groups = NULL, *new_numbers = NULL;
    CUresult result = function != NULL ? function(&new_groups, &new_numbers) : CUDA_ERROR_NOT_SUPPORTED;
    if (result != CUDA_SUCCESS || new_groups == NULL || new_numbers == NULL)
        return CUDA_ERROR_NOT_SUPPORTED;
    atomic_store(&kept_numbers, new_numbers);
    atomic_store(&kept_groups, new_groups);
    *groups = new_groups;
    *numbers = new_numbers;
    return CUDA_SUCCESS;
}

CUresult serve_processor_groups(struct call *call)
{
    int processors = 0;
    const uint8_t *groups, *numbers;
    CUcontext context = NULL;
    CUresult result = driver.cuCtxGetCurrent(&context);
    if (result == CUDA_SUCCESS && context == NULL)
        result = CUDA_ERROR_INVALID_CONTEXT; /* cuBLAS asks with one */
    if (result == CUDA_SUCCESS)
        result = driver.cuDeviceGetAttribute(&processors, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 0);
    if (result == CUDA_SUCCESS && (processors < 2 || processors > 2 * (int)PROCESSOR_PAIRS_MAX))
        result = CUDA_ERROR_NOT_SUPPORTED;
    if (result == CUDA_SUCCESS)
        result = ask(&groups, &numbers);
    if (result != CUDA_SUCCESS)
        return result;
    struct reply_processor_groups reply = {.pairs = (uint32_t)processors / 2};
    call_reply_append(call, &reply, sizeof reply);
    call_reply_append(call, groups, reply.pairs);
    call_reply_append(call, numbers, reply.pairs);
    return CUDA_SUCCESS;
}

/* How the GPU's multiprocessors hang together, by which cuBLAS spreads its work. */
#include "guest/export_table.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_api.h"
#include "guest/call.h"
#include "wire/own_calls.h"

/* Where the host cannot tell: groups of equal size, as many as large GPUs have. */
#define GROUPS 8u

static CUresult assume(uint8_t *groups, uint8_t *numbers)
{
    int processors = 0;
    CUresult result = cuDeviceGetAttribute(&processors, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 0);
    for (unsigned i = 0; i < (unsigned)processors / 2 && i < PROCESSOR_PAIRS_MAX; i++) {
        groups[i] = (uint8_t)(i % GROUPS);
        numbers[i] = (uint8_t)(i / GROUPS);
    }
    return result;
}

static CUresult ask(uint8_t *groups, uint8_t *numbers)
{
    struct message message;
    struct request_processor_groups request = {0};
    CUresult result = message_begin(&message, CALL_processor_groups, sizeof request);
    if (result != CUDA_SUCCESS)
        return result;
    memcpy(message.body, &request, sizeof request);
    struct reply_processor_groups reply;
    result = message_wait(&message, &reply, sizeof reply);
    if (result == CUDA_ERROR_NOT_SUPPORTED)
        return assume(groups, numbers);
    if (result != CUDA_SUCCESS)
        return result;
    size_t bytes;
    const uint8_t *body = message_reply(&message, &bytes);
    if (reply.pairs > PROCESSOR_PAIRS_MAX || bytes < sizeof reply + 2 * (size_t)reply.pairs)
        return CUDA_ERROR_UNKNOWN;
    memcpy(groups, body + sizeof reply, reply.pairs);
    memcpy(numbers, body + sizeof reply + reply.pairs, reply.pairs);
    return CUDA_SUCCESS;
}

/* One byte for each pair of multiprocessors in either array; release() frees both. */
static CUresult groups_of_pairs(uint8_t **groups, uint8_t **numbers)
{
    *groups = calloc(1, PROCESSOR_PAIRS_MAX);
    *numbers = calloc(1, PROCESSOR_PAIRS_MAX);
    CUresult result = CUDA_ERROR_OUT_OF_MEMORY;
    if (*groups != NULL && *numbers != NULL)
        result = ask(*groups, *numbers);
    if (result != CUDA_SUCCESS) {
        free(*groups);
        free(*numbers);
        *groups = *numbers = NULL;
    }
    return result;
}

static CUresult release(uint8_t *groups, uint8_t *numbers)
{
    free(groups);
    free(numbers);
    return CUDA_SUCCESS;
}

EXPORT_UNKNOWN_FUNCTIONS(processors, 17);

static const struct export_function processors_functions[] = {
    EXPORT_FUNCTION(4, groups_of_pairs),
    EXPORT_FUNCTION(13, release),
};
static const void *processors_slots[17];

struct export_table export_table_processors = {
    .id = {"\x17\x34\xdc\x26\x80\x0d\x47\x45\x87\x26\xc0\xf1\xe7\xdd\x8b\xca"},
    .slots = processors_slots,
    .count = 17,
    .functions = processors_functions,
    .function_count = sizeof processors_functions / sizeof processors_functions[0],
    .unknown = export_unknown_processors,
};

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

EXPORT_UNKNOWN_SLOT(processors, 1)
EXPORT_UNKNOWN_SLOT(processors, 2)
EXPORT_UNKNOWN_SLOT(processors, 3)
EXPORT_UNKNOWN_SLOT(processors, 5)
EXPORT_UNKNOWN_SLOT(processors, 6)
EXPORT_UNKNOWN_SLOT(processors, 7)
EXPORT_UNKNOWN_SLOT(processors, 8)
EXPORT_UNKNOWN_SLOT(processors, 9)
EXPORT_UNKNOWN_SLOT(processors, 10)
EXPORT_UNKNOWN_SLOT(processors, 11)
EXPORT_UNKNOWN_SLOT(processors, 12)
EXPORT_UNKNOWN_SLOT(processors, 14)
EXPORT_UNKNOWN_SLOT(processors, 15)
EXPORT_UNKNOWN_SLOT(processors, 16)

static const export_slot slots[] = {
    EXPORT_TABLE_SIZE(17),
    EXPORT_FUNCTION(processors_slot_1),
    EXPORT_FUNCTION(processors_slot_2),
    EXPORT_FUNCTION(processors_slot_3),
    EXPORT_FUNCTION(groups_of_pairs),
    EXPORT_FUNCTION(processors_slot_5),
    EXPORT_FUNCTION(processors_slot_6),
    EXPORT_FUNCTION(processors_slot_7),
    EXPORT_FUNCTION(processors_slot_8),
    EXPORT_FUNCTION(processors_slot_9),
    EXPORT_FUNCTION(processors_slot_10),
    EXPORT_FUNCTION(processors_slot_11),
    EXPORT_FUNCTION(processors_slot_12),
    EXPORT_FUNCTION(release),
    EXPORT_FUNCTION(processors_slot_14),
    EXPORT_FUNCTION(processors_slot_15),
    EXPORT_FUNCTION(processors_slot_16),
};

const struct export_table export_table_processors = {
    .id = {"\x17\x34\xdc\x26\x80\x0d\x47\x45\x87\x26\xc0\xf1\xe7\xdd\x8b\xca"},
    .slots = slots,
};

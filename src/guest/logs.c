/* The log of errors that the worker's driver keeps. */
#include "cuda_api.h"
#include "guest/call.h"
#include "guest/export.h"
#include "guest/init.h"
#include "wire/own_calls.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Fetches at most `room` bytes of text and puts a NUL behind them; *bytes counts it. */
static CUresult fetch(CUlogIterator *iterator, char *text, uint32_t room, unsigned int flags, size_t *bytes)
{
    struct request_logs_dump request = {.iterator = iterator != NULL ? *iterator : 0,
                                        .has_iterator = iterator != NULL,
                                        .flags = flags,
                                        .room = room};
    struct message message;
    struct reply_logs_dump reply;
    CUresult result = message_begin(&message, CALL_logs_dump, sizeof request);
    if (result != CUDA_SUCCESS)
        return result;
    memcpy(message.body, &request, sizeof request);
    result = message_wait(&message, &reply, sizeof reply);
    if (result != CUDA_SUCCESS)
        return result;
    size_t had;
    const uint8_t *body = message_reply(&message, &had);
    if (reply.text_bytes > room || had < sizeof reply + reply.text_bytes)
        return CUDA_ERROR_UNKNOWN;
    memcpy(text, body + sizeof reply, reply.text_bytes);
    *bytes = reply.text_bytes;
    if (iterator != NULL)
        *iterator = reply.iterator;
    return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuLogsDumpToMemory(CUlogIterator *iterator, char *buffer, size_t *size,
                                        unsigned int flags)
{
    CUresult result = library_state();
    if (result != CUDA_SUCCESS)
        return result;
    if (buffer == NULL || size == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    uint32_t room = *size < LOGS_MAX_BYTES ? (uint32_t)*size : LOGS_MAX_BYTES;
    return fetch(iterator, buffer, room, flags, size);
}

VGPU_EXPORT CUresult cuLogsDumpToFile(CUlogIterator *iterator, const char *pathToFile, unsigned int flags)
{
    char text[LOGS_MAX_BYTES];
    size_t bytes = 0;
    CUresult result = library_state();
    if (result == CUDA_SUCCESS && pathToFile == NULL)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        result = fetch(iterator, text, sizeof text, flags, &bytes);
    if (result != CUDA_SUCCESS)
        return result;
    FILE *file = fopen(pathToFile, "w");
    if (file == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    bytes = strnlen(text, bytes);
    bool written = fwrite(text, 1, bytes, file) == bytes;
    return fclose(file) == 0 && written ? CUDA_SUCCESS : CUDA_ERROR_OPERATING_SYSTEM;
}

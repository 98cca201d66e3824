/* Linking code at run time. The state lives in the worker; the program's log buffers and the finished image
 * live here, with the handle. */
#include "cuda_api.h"
#include "guest/call.h"
#include "guest/context.h"
#include "guest/export.h"
#include "guest/handle_table.h"
#include "guest/image.h"
#include "guest/jit_options.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct link_state {
    struct jit_options jit; /* of cuLinkCreate: its buffers get the logs of every later step */
    uint8_t *image;         /* after cuLinkComplete */
};

static struct link_state *state_of(CUlinkState state)
{
    return handle_alive(HANDLE_LINK, (uintptr_t)state) ? handle_data((uintptr_t)state) : NULL;
}

/* Takes the logs out of the answer to a step; returns the rest, part_bytes of the image. */
static const uint8_t *take_step(const struct message *message, const struct link_state *state,
                                struct reply_link *reply)
{
    size_t bytes;
    const uint8_t *body = message_reply(message, &bytes);
    memset(reply, 0, sizeof *reply);
    if (bytes < sizeof *reply)
        return body;
    memcpy(reply, body, sizeof *reply);
    const char *logs = (const char *)body + sizeof *reply;
    if (sizeof *reply + (uint64_t)reply->info_log_bytes + reply->error_log_bytes + reply->part_bytes >
        bytes) {
        memset(reply, 0, sizeof *reply);
        return body;
    }
    jit_options_logs(&state->jit, logs, reply->info_log_bytes, logs + reply->info_log_bytes,
                     reply->error_log_bytes);
    return (const uint8_t *)logs + reply->info_log_bytes + reply->error_log_bytes;
}

VGPU_EXPORT CUresult cuLinkCreate_v2(unsigned int numOptions, CUjit_option *options, void **optionValues,
                                     CUlinkState *stateOut)
{
    CUresult result = context_required();
    if (result != CUDA_SUCCESS)
        return result;
    if (stateOut == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    struct link_state *state = calloc(1, sizeof *state);
    struct request_link_create request = {.handle = handle_reserve(HANDLE_LINK)};
    if (state == NULL || request.handle == 0) {
        free(state);
        handle_release(request.handle);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    handle_attach(request.handle, state);
    result = jit_options_read(&state->jit, numOptions, options, optionValues);
    if (result == CUDA_SUCCESS) {
        request.option_count = state->jit.count;
        request.info_log_bytes = state->jit.info_log_bytes;
        request.error_log_bytes = state->jit.error_log_bytes;
        result = call_wait(CALL_link_create, &request, sizeof request, state->jit.values,
                           state->jit.count * sizeof state->jit.values[0], NULL, 0);
    }
    if (result == CUDA_SUCCESS)
        *stateOut = (CUlinkState)(uintptr_t)request.handle;
    else
        handle_release(request.handle);
    return result;
}

VGPU_EXPORT CUresult cuLinkAddData_v2(CUlinkState state, CUjitInputType type, void *data, size_t size,
                                      const char *name, unsigned int numOptions, CUjit_option *options,
                                      void **optionValues)
{
    struct link_state *own = state_of(state);
    if (own == NULL)
        return CUDA_ERROR_INVALID_HANDLE;
    struct jit_options jit;
    if (data == NULL || size == 0)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = jit_options_read(&jit, numOptions, options, optionValues);
    if (result != CUDA_SUCCESS)
        return result;
    bool upload = size > RECORD_INLINE_BYTES;
    if (upload && (result = call_upload(data, size)) != CUDA_SUCCESS)
        return result;
    struct request_link_add request = {.link = (uintptr_t)state,
                                       .data_bytes = size,
                                       .data_uploaded = upload,
                                       .type = type,
                                       .option_count = jit.count};
    if (name != NULL)
        strncpy(request.name, name, sizeof request.name - 1);
    size_t option_bytes = jit.count * sizeof jit.values[0];
    struct message message;
    result = message_begin(&message, CALL_link_add, sizeof request + option_bytes + (upload ? 0 : size));
    if (result != CUDA_SUCCESS)
        return result;
    uint8_t *at = message.body;
    memcpy(at, &request, sizeof request);
    memcpy(at + sizeof request, jit.values, option_bytes);
    if (!upload)
        memcpy(at + sizeof request + option_bytes, data, size);
    result = message_wait(&message, NULL, 0);
    struct reply_link reply;
    take_step(&message, own, &reply);
    return result;
}

VGPU_EXPORT CUresult cuLinkAddFile_v2(CUlinkState state, CUjitInputType type, const char *path,
                                      unsigned int numOptions, CUjit_option *options, void **optionValues)
{
    if (path == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    uint64_t bytes;
    void *data = image_read_file(path, &bytes);
    if (data == NULL)
        return CUDA_ERROR_FILE_NOT_FOUND;
    CUresult result = cuLinkAddData_v2(state, type, data, type == CU_JIT_INPUT_PTX ? bytes + 1 : bytes, path,
                                       numOptions, options, optionValues);
    free(data);
    return result;
}

VGPU_EXPORT CUresult cuLinkComplete(CUlinkState state, void **cubinOut, size_t *sizeOut)
{
    struct link_state *own = state_of(state);
    if (own == NULL)
        return CUDA_ERROR_INVALID_HANDLE;
    if (cubinOut == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    struct request_link_complete request = {.link = (uintptr_t)state};
    struct reply_link reply = {0};
    do {
        struct message message;
        CUresult result = message_begin(&message, CALL_link_complete, sizeof request);
        if (result != CUDA_SUCCESS)
            return result;
        memcpy(message.body, &request, sizeof request);
        result = message_wait(&message, NULL, 0);
        const uint8_t *part = take_step(&message, own, &reply);
        if (result != CUDA_SUCCESS)
            return result;
        if (request.offset == 0) {
            free(own->image);
            own->image = malloc(reply.image_bytes);
        }
        if (own->image == NULL || reply.part_bytes == 0 ||
            request.offset + reply.part_bytes > reply.image_bytes)
            return CUDA_ERROR_OUT_OF_MEMORY;
        memcpy(own->image + request.offset, part, reply.part_bytes);
        request.offset += reply.part_bytes;
    } while (request.offset < reply.image_bytes);
    *cubinOut = own->image;
    if (sizeOut != NULL)
        *sizeOut = reply.image_bytes;
    return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuLinkDestroy(CUlinkState state)
{
    struct link_state *own = state_of(state);
    if (own == NULL)
        return CUDA_ERROR_INVALID_HANDLE;
    struct request_link_destroy request = {.link = (uintptr_t)state};
    CUresult result = call_wait(CALL_link_destroy, &request, sizeof request, NULL, 0, NULL, 0);
    free(own->image);
    handle_release((uintptr_t)state);
    return result;
}

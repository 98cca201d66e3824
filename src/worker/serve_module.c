#include "worker/serve.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "driver_api.h"
#include "wire/own_calls.h"
#include "worker/handle_map.h"
#include "worker/host_memory.h"
#include "worker/image_store.h"
#include "worker/jit.h"
#include "worker/lane.h"
#include "worker/payload.h"

/* Of all lanes together. */
static _Atomic uint64_t uploads_bytes;

void payload_drop(struct lane *lane)
{
    free(lane->upload);
    atomic_fetch_sub(&uploads_bytes, lane->upload_room);
    lane->upload = NULL;
    lane->upload_bytes = lane->upload_room = 0;
}

static void make_upload_room(struct lane *lane, uint64_t bytes)
{
    payload_drop(lane);
    uint64_t others = atomic_fetch_add(&uploads_bytes, bytes);
    if (others <= UPLOAD_MAX_BYTES - bytes && host_memory_spares(bytes))
        lane->upload = malloc(bytes);
    if (lane->upload != NULL)
        lane->upload_room = bytes;
    else
        atomic_fetch_sub(&uploads_bytes, bytes);
}

CUresult serve_upload(struct call *call)
{
    const struct request_upload *request = call->request;
    struct lane *lane = call->lane;
    if (request->total_bytes == 0 || request->total_bytes > UPLOAD_MAX_BYTES ||
        request->offset != (request->offset == 0 ? 0 : lane->upload_bytes) ||
        request->offset + call->tail_bytes > request->total_bytes)
        return CUDA_ERROR_INVALID_VALUE;
    if (request->offset == 0)
        make_upload_room(lane, request->total_bytes);
    if (lane->upload == NULL || request->offset + call->tail_bytes > lane->upload_room)
        return CUDA_ERROR_OUT_OF_MEMORY;
    memcpy(lane->upload + request->offset, call->tail, call->tail_bytes);
    lane->upload_bytes = request->offset + call->tail_bytes;
    return CUDA_SUCCESS;
}

CUresult serve_image_find(struct call *call)
{
    const struct request_image_find *request = call->request;
    struct lane *lane = call->lane;
    if (request->image_bytes == 0 || request->image_bytes > UPLOAD_MAX_BYTES)
        return CUDA_ERROR_INVALID_VALUE;
    if (!image_store_has(request->digest, request->image_bytes))
        return CUDA_ERROR_NOT_FOUND;
    make_upload_room(lane, request->image_bytes);
    if (lane->upload == NULL)
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (!image_store_read(request->digest, lane->upload, request->image_bytes)) {
        payload_drop(lane);
        return CUDA_ERROR_NOT_FOUND;
    }
    lane->upload_bytes = request->image_bytes;
    return CUDA_SUCCESS;
}

const uint8_t *payload_find(const struct call *call, uint64_t before_bytes, uint64_t bytes, bool uploaded)
{
    if (uploaded)
        return bytes > 0 && bytes == call->lane->upload_bytes ? call->lane->upload : NULL;
    return bytes > 0 && before_bytes <= call->tail_bytes && bytes == call->tail_bytes - before_bytes
               ? call->tail + before_bytes
               : NULL;
}

void payload_done(struct call *call, bool uploaded)
{
    if (uploaded)
        payload_drop(call->lane);
}

/* Library options that are plain numbers. False for any other. */
static bool read_library_options(const uint8_t *from, uint32_t count, CUlibraryOption *keys, void **values)
{
    for (uint32_t i = 0; i < count; i++) {
        struct option_value option;
        memcpy(&option, from + i * sizeof option, sizeof option);
        if (option.key != CU_LIBRARY_BINARY_IS_PRESERVED)
            return false;
        keys[i] = (CUlibraryOption)option.key;
        values[i] = (void *)(uintptr_t)option.value;
    }
    return true;
}

static CUresult load_library(const void *image, struct jit *jit, const uint8_t *options,
                             uint32_t option_count, void **object)
{
    CUlibraryOption keys[OPTIONS_MAX];
    void *values[OPTIONS_MAX];
    if (driver.cuLibraryLoadData == NULL)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (!read_library_options(options, option_count, keys, values))
        return CUDA_ERROR_INVALID_VALUE;
    return driver.cuLibraryLoadData((CUlibrary *)object, image, jit->keys, jit->values, jit->count, keys,
                                    values, option_count);
}

static CUresult load_image(const uint8_t *image, bool library, struct jit *jit, const uint8_t *options,
                           uint32_t option_count, void **object)
{
    struct image_wrapper wrapper;
    const void *wrapped = image_wrap(&wrapper, image);
    CUresult result = CUDA_ERROR_OUT_OF_MEMORY;
    if (wrapped != NULL)
        result = library ? load_library(wrapped, jit, options, option_count, object)
                         : driver.cuModuleLoadDataEx((CUmodule *)object, wrapped, jit->count, jit->keys,
                                                     jit->values);
    image_unwrap(&wrapper);
    return result;
}

static void reply_load(struct call *call, uint64_t handle, const struct jit *jit)
{
    struct reply_module_load reply = {.handle = handle,
                                      .option_count = jit->given,
                                      .info_log_bytes = jit_info_bytes(jit),
                                      .error_log_bytes = jit_error_bytes(jit)};
    call_reply_append(call, &reply, sizeof reply);
    for (uint32_t i = 0; i < jit->given; i++) {
        uint64_t value = (uintptr_t)jit->values[i];
        call_reply_append(call, &value, sizeof value);
    }
    call_reply_append(call, jit->info, reply.info_log_bytes);
    call_reply_append(call, jit->error, reply.error_log_bytes);
}

static CUresult load(struct call *call, bool library)
{
    const struct request_module_load *request = call->request;
    if (request->option_count > OPTIONS_MAX || request->library_option_count > OPTIONS_MAX ||
        request->image_bytes > UPLOAD_MAX_BYTES)
        return CUDA_ERROR_INVALID_VALUE;
    uint64_t jit_bytes = request->option_count * sizeof(struct option_value);
    uint64_t library_bytes = request->library_option_count * sizeof(struct option_value);
    if (jit_bytes + library_bytes > call->tail_bytes)
        return CUDA_ERROR_INVALID_VALUE;
    const uint8_t *image =
        payload_find(call, jit_bytes + library_bytes, request->image_bytes, request->image_uploaded);
    if (image == NULL)
        return CUDA_ERROR_INVALID_IMAGE;
    enum handle_kind kind = library ? HANDLE_LIBRARY : HANDLE_MODULE;
    struct jit jit;
    CUresult result = CUDA_ERROR_INVALID_VALUE;
    uint64_t handle = 0;
    if (jit_init(&jit, call->tail, request->option_count, request->info_log_bytes,
                 request->error_log_bytes)) {
        void *object = NULL;
        result = handle_check_name(kind, request->handle);
        if (result == CUDA_SUCCESS && !image_is_whole(image, request->image_bytes))
            result = CUDA_ERROR_INVALID_IMAGE;
        if (result == CUDA_SUCCESS)
            result = load_image(image, library, &jit, call->tail + jit_bytes, request->library_option_count,
                                &object);
        if (result == CUDA_SUCCESS && request->keep_image)
            image_store_add(image, request->image_bytes);
        if (result == CUDA_SUCCESS)
            handle = call_name(kind, request->handle, object, 0);
        reply_load(call, handle, &jit);
    }
    jit_fini(&jit);
    payload_done(call, request->image_uploaded);
    return result;
}

CUresult serve_module_load(struct call *call)
{
    return load(call, false);
}

CUresult serve_library_load(struct call *call)
{
    return load(call, true);
}

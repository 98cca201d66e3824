#include "worker/serve.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "driver_api.h"
#include "wire/own_calls.h"
#include "worker/handle_map.h"
#include "worker/jit.h"
#include "worker/payload.h"

/* The driver keeps pointers to a link's options and logs until it is destroyed. */
struct link {
    pthread_mutex_t lock; /* the driver's links are for one thread at a time */
    CUlinkState state;
    struct jit jit;
    void *image; /* the driver's, after completion */
    size_t image_bytes;
};

static struct link *find_link(uint64_t handle)
{
    void *link;
    return handle_find(HANDLE_LINK, handle, &link) ? link : NULL;
}

static void reply_step(struct call *call, const struct link *link, const void *part, uint64_t part_bytes)
{
    struct reply_link reply = {.image_bytes = link->image_bytes,
                               .info_log_bytes = jit_info_bytes(&link->jit),
                               .error_log_bytes = jit_error_bytes(&link->jit),
                               .part_bytes = (uint32_t)part_bytes};
    call_reply_append(call, &reply, sizeof reply);
    call_reply_append(call, link->jit.info, reply.info_log_bytes);
    call_reply_append(call, link->jit.error, reply.error_log_bytes);
    call_reply_append(call, part, part_bytes);
}

static void link_free(struct link *link)
{
    pthread_mutex_destroy(&link->lock);
    jit_fini(&link->jit);
    free(link);
}

CUresult serve_link_create(struct call *call)
{
    const struct request_link_create *request = call->request;
    if (request->option_count > OPTIONS_MAX ||
        request->option_count * sizeof(struct option_value) > call->tail_bytes)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = handle_check_name(HANDLE_LINK, request->handle);
    if (result != CUDA_SUCCESS)
        return result;
    struct link *link = calloc(1, sizeof *link);
    if (link == NULL)
        return CUDA_ERROR_OUT_OF_MEMORY;
    pthread_mutex_init(&link->lock, NULL);
    result = CUDA_ERROR_INVALID_VALUE;
    if (jit_init(&link->jit, call->tail, request->option_count, request->info_log_bytes,
                 request->error_log_bytes))
        result = driver.cuLinkCreate_v2(link->jit.count, link->jit.keys, link->jit.values, &link->state);
    if (result == CUDA_SUCCESS) {
        call_name(HANDLE_LINK, request->handle, link, 0);
        return result;
    }
    link_free(link);
    return result;
}

CUresult serve_link_add(struct call *call)
{
    const struct request_link_add *request = call->request;
    struct link *link = find_link(request->link);
    uint64_t option_bytes = (uint64_t)request->option_count * sizeof(struct option_value);
    if (link == NULL)
        return CUDA_ERROR_INVALID_HANDLE;
    if (request->option_count > OPTIONS_MAX || option_bytes > call->tail_bytes)
        return CUDA_ERROR_INVALID_VALUE;
    const uint8_t *data = payload_find(call, option_bytes, request->data_bytes, request->data_uploaded);
    struct jit jit;
    CUresult result = CUDA_ERROR_INVALID_VALUE;
    char name[sizeof request->name];
    memcpy(name, request->name, sizeof name);
    name[sizeof name - 1] = '\0';
    pthread_mutex_lock(&link->lock);
    if (data != NULL && jit_init(&jit, call->tail, request->option_count, 0, 0)) {
        bool text_without_end = request->type == CU_JIT_INPUT_PTX && data[request->data_bytes - 1] != '\0';
        if (!text_without_end)
            result = driver.cuLinkAddData_v2(link->state, (CUjitInputType)request->type,
                                             (void *)(uintptr_t)data, request->data_bytes,
                                             name[0] != '\0' ? name : NULL, jit.count, jit.keys, jit.values);
        jit_fini(&jit);
    }
    reply_step(call, link, NULL, 0);
    pthread_mutex_unlock(&link->lock);
    payload_done(call, request->data_uploaded);
    return result;
}

CUresult serve_link_complete(struct call *call)
{
    const struct request_link_complete *request = call->request;
    struct link *link = find_link(request->link);
    if (link == NULL)
        return CUDA_ERROR_INVALID_HANDLE;
    pthread_mutex_lock(&link->lock);
    CUresult result = CUDA_SUCCESS;
    if (request->offset == 0)
        result = driver.cuLinkComplete(link->state, &link->image, &link->image_bytes);
    if (result != CUDA_SUCCESS) {
        link->image = NULL;
        link->image_bytes = 0;
    }
    uint64_t part = 0;
    if (result == CUDA_SUCCESS && link->image != NULL && request->offset < link->image_bytes) {
        part = link->image_bytes - request->offset;
        uint64_t most = call->reply_room - sizeof(struct reply_link) - 2 * (uint64_t)LOG_MAX_BYTES;
        if (part > most)
            part = most;
    }
    reply_step(call, link, part > 0 ? (const uint8_t *)link->image + request->offset : NULL, part);
    pthread_mutex_unlock(&link->lock);
    return result;
}

CUresult serve_link_destroy(struct call *call)
{
    const struct request_link_destroy *request = call->request;
    void *object;
    if (!handle_withdraw(HANDLE_LINK, request->link, &object) || object == NULL)
        return CUDA_ERROR_INVALID_HANDLE;
    struct link *link = object;
    CUresult result = driver.cuLinkDestroy(link->state);
    handle_withdrawn_end(request->link, HANDLE_GONE);
    link_free(link);
    return result;
}

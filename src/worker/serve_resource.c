/* Parts of a device, from which green contexts are made. A CUdevResource has the driver's own words in it,
 * and could have addresses: the guest is given the number of one that the worker keeps. */
#include "worker/serve.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "driver_api.h"
#include "wire/own_calls.h"
#include "worker/handle_map.h"

/* Different ones, in the life of a worker: there are only so many ways to cut a GPU. */
#define KEPT_MAX 4096u

static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER;
static CUdevResource *kept;
static uint32_t kept_count, kept_room;

/* Under the lock. */
static bool make_room(void)
{
    if (kept_count < kept_room)
        return true;
    uint32_t room = kept_room > 0 ? kept_room * 2 : 16;
    CUdevResource *grown = kept_count < KEPT_MAX ? realloc(kept, room * sizeof *kept) : NULL;
    if (grown == NULL)
        return false;
    kept = grown;
    kept_room = room;
    return true;
}

/* Turns the driver's resource into what the guest is given. False: too many. */
static bool hide(CUdevResource *resource)
{
    pthread_mutex_lock(&kept_lock);
    uint32_t number = 0;
    // NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): the driver's bytes, whatever they mean
    while (number < kept_count && memcmp(&kept[number], resource, sizeof *resource) != 0)
        number++;
    bool there = number < kept_count || make_room();
    if (there && number == kept_count)
        kept[kept_count++] = *resource;
    pthread_mutex_unlock(&kept_lock);
    CUdevResource shown;
    memset(&shown, 0, sizeof shown);
    shown.type = resource->type;
    shown.sm = resource->sm;
    number++;
    memcpy(shown._internal_padding, &number, sizeof number);
    *resource = shown;
    return there;
}

/* The driver's resource for what the guest was given. */
static CUresult find(const CUdevResource *shown, CUdevResource *resource)
{
    uint32_t number;
    memcpy(&number, shown->_internal_padding, sizeof number);
    pthread_mutex_lock(&kept_lock);
    bool known = number > 0 && number <= kept_count && kept[number - 1].type == shown->type;
    if (known)
        *resource = kept[number - 1];
    pthread_mutex_unlock(&kept_lock);
    return known ? CUDA_SUCCESS : CUDA_ERROR_INVALID_RESOURCE_TYPE;
}

static CUresult ask(CUdevResource *resource, const struct request_resource_get *request)
{
    CUdevResourceType type = (CUdevResourceType)request->type;
    void *object;
    switch (request->owner) {
    case RESOURCE_OF_DEVICE:
        return driver.cuDeviceGetDevResource != NULL ? driver.cuDeviceGetDevResource(0, resource, type)
                                                     : CUDA_ERROR_NOT_SUPPORTED;
    case RESOURCE_OF_CONTEXT:
        if (!handle_find(HANDLE_CONTEXT, request->object, &object))
            return CUDA_ERROR_INVALID_CONTEXT;
        return driver.cuCtxGetDevResource != NULL ? driver.cuCtxGetDevResource(object, resource, type)
                                                  : CUDA_ERROR_NOT_SUPPORTED;
    case RESOURCE_OF_GREEN_CONTEXT:
        if (!handle_find(HANDLE_GREEN_CONTEXT, request->object, &object) || object == NULL)
            return CUDA_ERROR_INVALID_CONTEXT;
        return driver.cuGreenCtxGetDevResource != NULL
                   ? driver.cuGreenCtxGetDevResource(object, resource, type)
                   : CUDA_ERROR_NOT_SUPPORTED;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

CUresult serve_resource_get(struct call *call)
{
    CUdevResource resource;
    memset(&resource, 0, sizeof resource);
    CUresult result = ask(&resource, call->request);
    if (result != CUDA_SUCCESS)
        return result;
    if (!hide(&resource))
        return CUDA_ERROR_OUT_OF_MEMORY;
    call_reply_append(call, &resource, sizeof resource);
    return CUDA_SUCCESS;
}

CUresult serve_resource_split(struct call *call)
{
    const struct request_resource_split *request = call->request;
    struct reply_resource_split reply;
    CUdevResource input;
    unsigned groups = request->groups;
    if (driver.cuDevSmResourceSplitByCount == NULL)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (groups > RESOURCE_GROUPS_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = find(&request->input, &input);
    if (result != CUDA_SUCCESS)
        return result;
    CUdevResource *parts = calloc(groups + 1, sizeof *parts);
    if (parts == NULL)
        return CUDA_ERROR_OUT_OF_MEMORY;
    memset(&reply, 0, sizeof reply);
    result = driver.cuDevSmResourceSplitByCount(request->wants_groups ? parts : NULL, &groups, &input,
                                                request->wants_remaining ? &reply.remaining : NULL,
                                                request->flags, request->least);
    if (result == CUDA_SUCCESS && request->wants_groups && groups > request->groups)
        result = CUDA_ERROR_UNKNOWN;
    if (result == CUDA_SUCCESS && request->wants_remaining && !hide(&reply.remaining))
        result = CUDA_ERROR_OUT_OF_MEMORY;
    for (unsigned i = 0; i < groups && request->wants_groups && result == CUDA_SUCCESS; i++)
        if (!hide(&parts[i]))
            result = CUDA_ERROR_OUT_OF_MEMORY;
    if (result == CUDA_SUCCESS) {
        reply.groups = groups;
        call_reply_append(call, &reply, sizeof reply);
        if (request->wants_groups)
            call_reply_append(call, parts, groups * sizeof *parts);
    }
    free(parts);
    return result;
}

CUresult serve_resource_describe(struct call *call)
{
    const struct request_resource_describe *request = call->request;
    CUdevResourceDesc description = NULL;
    if (driver.cuDevResourceGenerateDesc == NULL)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (request->count == 0 || request->count > RESOURCE_GROUPS_MAX ||
        request->count * sizeof(CUdevResource) > call->tail_bytes)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = handle_check_name(HANDLE_RESOURCE_DESCRIPTION, request->handle);
    CUdevResource *resources = calloc(request->count, sizeof *resources);
    if (resources == NULL)
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < request->count && result == CUDA_SUCCESS; i++) {
        CUdevResource shown;
        memcpy(&shown, call->tail + i * sizeof shown, sizeof shown);
        result = find(&shown, &resources[i]);
    }
    if (result == CUDA_SUCCESS)
        result = driver.cuDevResourceGenerateDesc(&description, resources, request->count);
    free(resources);
    if (result != CUDA_SUCCESS)
        return result;
    uint64_t name = call_name(HANDLE_RESOURCE_DESCRIPTION, request->handle, description, 0);
    call_reply_append(call, &name, sizeof name);
    return CUDA_SUCCESS;
}

/* Parts of a device, from which green contexts are made. */
#include "cuda_api.h"
#include "guest/call.h"
#include "guest/export.h"
#include "guest/handle_table.h"
#include "guest/init.h"
#include "wire/own_calls.h"

#include <stddef.h>
#include <string.h>

static CUresult get(CUdevResource *resource, CUdevResourceType type, enum resource_owner owner,
                    uint64_t object)
{
    CUresult result = library_state();
    if (result == CUDA_SUCCESS && resource == NULL)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result != CUDA_SUCCESS)
        return result;
    struct request_resource_get request = {.object = object, .owner = owner, .type = type};
    CUdevResource told;
    result = call_wait(CALL_resource_get, &request, sizeof request, NULL, 0, &told, sizeof told);
    if (result == CUDA_SUCCESS)
        *resource = told;
    return result;
}

VGPU_EXPORT CUresult cuDeviceGetDevResource(CUdevice device, CUdevResource *resource, CUdevResourceType type)
{
    if (library_state() == CUDA_SUCCESS && device != 0)
        return CUDA_ERROR_INVALID_DEVICE;
    return get(resource, type, RESOURCE_OF_DEVICE, 0);
}

VGPU_EXPORT CUresult cuCtxGetDevResource(CUcontext hCtx, CUdevResource *resource, CUdevResourceType type)
{
    return get(resource, type, RESOURCE_OF_CONTEXT, (uintptr_t)hCtx);
}

VGPU_EXPORT CUresult cuGreenCtxGetDevResource(CUgreenCtx hCtx, CUdevResource *resource,
                                              CUdevResourceType type)
{
    return get(resource, type, RESOURCE_OF_GREEN_CONTEXT, (uintptr_t)hCtx);
}

VGPU_EXPORT CUresult cuDevSmResourceSplitByCount(CUdevResource *result, unsigned int *nbGroups,
                                                 const CUdevResource *input, CUdevResource *remaining,
                                                 unsigned int useFlags, unsigned int minCount)
{
    CUresult state = library_state();
    if (state != CUDA_SUCCESS)
        return state;
    if (nbGroups == NULL || input == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    struct request_resource_split request = {.input = *input,
                                             .groups = *nbGroups < RESOURCE_GROUPS_MAX ? *nbGroups
                                                                                       : RESOURCE_GROUPS_MAX,
                                             .flags = useFlags,
                                             .least = minCount,
                                             .wants_groups = result != NULL,
                                             .wants_remaining = remaining != NULL};
    struct message message;
    struct reply_resource_split reply;
    state = message_begin(&message, CALL_resource_split, sizeof request);
    if (state != CUDA_SUCCESS)
        return state;
    memcpy(message.body, &request, sizeof request);
    state = message_wait(&message, &reply, sizeof reply);
    if (state != CUDA_SUCCESS)
        return state;
    size_t bytes;
    const uint8_t *groups = message_reply(&message, &bytes);
    if (result != NULL) {
        if (reply.groups > request.groups || bytes < sizeof reply + reply.groups * sizeof *result)
            return CUDA_ERROR_UNKNOWN;
        memcpy(result, groups + sizeof reply, reply.groups * sizeof *result);
    }
    if (remaining != NULL)
        *remaining = reply.remaining;
    *nbGroups = reply.groups;
    return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuDevResourceGenerateDesc(CUdevResourceDesc *phDesc, CUdevResource *resources,
                                               unsigned int nbResources)
{
    CUresult result = library_state();
    if (result != CUDA_SUCCESS)
        return result;
    if (phDesc == NULL || resources == NULL || nbResources == 0 || nbResources > RESOURCE_GROUPS_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    struct request_resource_describe request = {.handle = handle_reserve(HANDLE_RESOURCE_DESCRIPTION),
                                                .count = nbResources};
    uint64_t made = 0;
    if (request.handle == 0)
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = call_wait(CALL_resource_describe, &request, sizeof request, resources,
                       nbResources * sizeof *resources, &made, sizeof made);
    handle_settle(request.handle, result == CUDA_SUCCESS ? made : 0);
    if (result == CUDA_SUCCESS)
        *phDesc = (CUdevResourceDesc)(uintptr_t)made;
    return result;
}

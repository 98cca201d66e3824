/* Launches, and what a launch would be like. */
#include "worker/serve.h"

#include <string.h>

#include "driver_api.h"
#include "wire/own_calls.h"
#include "worker/device_memory.h"
#include "worker/handle_map.h"

static CUresult translate_event(CUevent *event)
{
    void *object;
    if (!handle_find(HANDLE_EVENT, (uintptr_t)*event, &object))
        return CUDA_ERROR_INVALID_HANDLE;
    *event = object;
    return CUDA_SUCCESS;
}

/* Attributes with a handle in them get the driver's. One that is not known to be plain numbers is refused:
 * its value could be an address, and would be one of the worker's. */
static CUresult translate_attribute(CUlaunchAttribute *item)
{
    switch (item->id) {
    case CU_LAUNCH_ATTRIBUTE_IGNORE:
    case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
    case CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY:
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
    case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION:
    case CU_LAUNCH_ATTRIBUTE_PRIORITY:
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP:
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN:
    case CU_LAUNCH_ATTRIBUTE_PREFERRED_CLUSTER_DIMENSION:
    case CU_LAUNCH_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
    case CU_LAUNCH_ATTRIBUTE_NVLINK_UTIL_CENTRIC_SCHEDULING:
        return CUDA_SUCCESS;
    case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
        return item->value.accessPolicyWindow.num_bytes == 0
                   ? CUDA_SUCCESS
                   : device_memory_check((uintptr_t)item->value.accessPolicyWindow.base_ptr);
    case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT:
        return translate_event(&item->value.programmaticEvent.event);
    case CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT:
        return translate_event(&item->value.launchCompletionEvent.event);
    case CU_LAUNCH_ATTRIBUTE_DEVICE_UPDATABLE_KERNEL_NODE:
        return CUDA_ERROR_NOT_SUPPORTED;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

/* Copies `count` attributes, which lie at `from`, and makes them the driver's. */
static CUresult take_attributes(CUlaunchAttribute *attributes, const uint8_t *from, uint32_t count)
{
    if (count > 0)
        memcpy(attributes, from, count * sizeof *attributes);
    for (uint32_t i = 0; i < count; i++) {
        CUresult result = translate_attribute(&attributes[i]);
        if (result != CUDA_SUCCESS)
            return result;
    }
    return CUDA_SUCCESS;
}

CUresult serve_launch(struct call *call)
{
    const struct request_launch *request = call->request;
    void *function, *stream;
    if (!handle_find(HANDLE_FUNCTION, request->function, &function) ||
        !handle_find(HANDLE_STREAM, request->stream, &stream))
        return CUDA_ERROR_INVALID_HANDLE;
    uint64_t padded = ((uint64_t)request->parameter_bytes + 7) & ~7ull;
    if (request->parameter_bytes > PARAMETER_BYTES_MAX || request->attribute_count > LAUNCH_ATTRIBUTES_MAX ||
        padded + request->attribute_count * sizeof(CUlaunchAttribute) > call->tail_bytes)
        return CUDA_ERROR_INVALID_VALUE;
    size_t bytes = request->parameter_bytes;
    void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, (void *)(uintptr_t)call->tail,
                     CU_LAUNCH_PARAM_BUFFER_SIZE, &bytes, CU_LAUNCH_PARAM_END};
    if (request->attribute_count == 0 && !request->cooperative)
        return driver.cuLaunchKernel(function, request->grid[0], request->grid[1], request->grid[2],
                                     request->block[0], request->block[1], request->block[2],
                                     request->shared_bytes, stream, NULL, bytes > 0 ? extra : NULL);
    if (driver.cuLaunchKernelEx == NULL)
        return CUDA_ERROR_NOT_SUPPORTED;
    CUlaunchAttribute attributes[LAUNCH_ATTRIBUTES_MAX + 1];
    unsigned count = request->attribute_count;
    CUresult result = take_attributes(attributes, call->tail + padded, count);
    if (result != CUDA_SUCCESS)
        return result;
    if (request->cooperative)
        attributes[count++] =
            (CUlaunchAttribute){.id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE, .value = {.cooperative = 1}};
    CUlaunchConfig config = {.gridDimX = request->grid[0],
                             .gridDimY = request->grid[1],
                             .gridDimZ = request->grid[2],
                             .blockDimX = request->block[0],
                             .blockDimY = request->block[1],
                             .blockDimZ = request->block[2],
                             .sharedMemBytes = request->shared_bytes,
                             .hStream = stream,
                             .attrs = attributes,
                             .numAttrs = count};
    return driver.cuLaunchKernelEx(&config, function, NULL, bytes > 0 ? extra : NULL);
}

CUresult serve_cluster_occupancy(struct call *call)
{
    const struct request_cluster_occupancy *request = call->request;
    CUresult (*ask)(int *, CUfunction, const CUlaunchConfig *) =
        request->largest_cluster ? driver.cuOccupancyMaxPotentialClusterSize
                                 : driver.cuOccupancyMaxActiveClusters;
    void *function, *stream;
    if (ask == NULL)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (!handle_find(HANDLE_FUNCTION, request->function, &function) ||
        !handle_find(HANDLE_STREAM, request->stream, &stream))
        return CUDA_ERROR_INVALID_HANDLE;
    CUlaunchAttribute attributes[LAUNCH_ATTRIBUTES_MAX];
    if (request->attribute_count > LAUNCH_ATTRIBUTES_MAX ||
        request->attribute_count * sizeof attributes[0] > call->tail_bytes)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = take_attributes(attributes, call->tail, request->attribute_count);
    if (result != CUDA_SUCCESS)
        return result;
    CUlaunchConfig config = {.gridDimX = request->grid[0],
                             .gridDimY = request->grid[1],
                             .gridDimZ = request->grid[2],
                             .blockDimX = request->block[0],
                             .blockDimY = request->block[1],
                             .blockDimZ = request->block[2],
                             .sharedMemBytes = request->shared_bytes,
                             .hStream = stream,
                             .attrs = request->attribute_count > 0 ? attributes : NULL,
                             .numAttrs = request->attribute_count};
    int answer = 0;
    result = ask(&answer, function, &config);
    if (result == CUDA_SUCCESS)
        call_reply_append(call, &answer, sizeof answer);
    return result;
}

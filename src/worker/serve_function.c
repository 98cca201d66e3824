#include "worker/serve.h"

#include <stdlib.h>
#include <string.h>

#include "driver_api.h"
#include "wire/own_calls.h"
#include "worker/handle_map.h"

/* Functions of a module or kernels of a library. */
static CUresult list_children(uint64_t parent, enum handle_kind *kind, void **children, uint32_t count)
{
    void *object;
    bool library = handle_value_kind(parent) == HANDLE_LIBRARY;
    *kind = library ? HANDLE_KERNEL : HANDLE_FUNCTION;
    if (parent == 0 || !handle_find(library ? HANDLE_LIBRARY : HANDLE_MODULE, parent, &object))
        return CUDA_ERROR_INVALID_HANDLE;
    if (library)
        return driver.cuLibraryEnumerateKernels != NULL
                   ? driver.cuLibraryEnumerateKernels((CUkernel *)children, count, object)
                   : CUDA_ERROR_NOT_SUPPORTED;
    return driver.cuModuleEnumerateFunctions != NULL
               ? driver.cuModuleEnumerateFunctions((CUfunction *)children, count, object)
               : CUDA_ERROR_NOT_SUPPORTED;
}

CUresult serve_enumerate(struct call *call)
{
    const struct request_enumerate *request = call->request;
    if (request->count == 0 || request->count > ENUMERATE_MAX ||
        request->count * sizeof(uint64_t) > call->tail_bytes)
        return CUDA_ERROR_INVALID_VALUE;
    void **children = calloc(request->count, sizeof *children);
    if (children == NULL)
        return CUDA_ERROR_OUT_OF_MEMORY;
    enum handle_kind kind;
    CUresult result = list_children(request->parent, &kind, children, request->count);
    for (uint32_t i = 0; i < request->count && result == CUDA_SUCCESS; i++) {
        uint64_t wanted;
        memcpy(&wanted, call->tail + i * sizeof wanted, sizeof wanted);
        uint64_t name = call_name(kind, wanted, children[i], request->parent);
        call_reply_append(call, &name, sizeof name);
    }
    free(children);
    return result;
}

CUresult serve_name_of(struct call *call)
{
    const struct request_name_of *request = call->request;
    void *object;
    const char *name = NULL;
    CUresult result;
    if (request->handle == 0 || !handle_find(HANDLE_FUNCTION, request->handle, &object))
        return CUDA_ERROR_INVALID_HANDLE;
    if (handle_value_kind(request->handle) == HANDLE_KERNEL)
        result =
            driver.cuKernelGetName != NULL ? driver.cuKernelGetName(&name, object) : CUDA_ERROR_NOT_SUPPORTED;
    else
        result =
            driver.cuFuncGetName != NULL ? driver.cuFuncGetName(&name, object) : CUDA_ERROR_NOT_SUPPORTED;
    if (result == CUDA_SUCCESS && name != NULL)
        call_reply_text(call, name);
    return result;
}

static uint32_t attribute(uint64_t handle, void *object, CUfunction_attribute which)
{
    int value = 0;
    CUdevice device = 0;
    if (handle_value_kind(handle) == HANDLE_KERNEL)
        driver.cuKernelGetAttribute(&value, which, object, device);
    else
        driver.cuFuncGetAttribute(&value, which, object);
    return value > 0 ? (uint32_t)value : 0;
}

static CUresult parameter(uint64_t handle, void *object, size_t index, struct parameter_place *place)
{
    size_t offset = 0, bytes = 0;
    CUresult result;
    if (handle_value_kind(handle) == HANDLE_KERNEL)
        result = driver.cuKernelGetParamInfo != NULL
                     ? driver.cuKernelGetParamInfo(object, index, &offset, &bytes)
                     : CUDA_ERROR_NOT_SUPPORTED;
    else
        result = driver.cuFuncGetParamInfo != NULL ? driver.cuFuncGetParamInfo(object, index, &offset, &bytes)
                                                   : CUDA_ERROR_NOT_SUPPORTED;
    if (result == CUDA_SUCCESS && (offset > PARAMETER_BYTES_MAX || bytes > PARAMETER_BYTES_MAX))
        return CUDA_ERROR_INVALID_VALUE;
    *place = (struct parameter_place){(uint32_t)offset, (uint32_t)bytes};
    return result;
}

CUresult serve_function_info(struct call *call)
{
    const struct request_function_info *request = call->request;
    void *object;
    if (request->function == 0 || !handle_find(HANDLE_FUNCTION, request->function, &object))
        return CUDA_ERROR_INVALID_HANDLE;
    struct reply_function_info info = {
        .max_threads_per_block =
            attribute(request->function, object, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK),
        .static_shared_bytes = attribute(request->function, object, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES),
        .max_dynamic_shared_bytes =
            attribute(request->function, object, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES)};
    struct parameter_place *places = calloc(PARAMETERS_MAX, sizeof *places);
    if (places == NULL)
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult result = CUDA_SUCCESS;
    while (info.parameter_count < PARAMETERS_MAX && result == CUDA_SUCCESS) {
        struct parameter_place place;
        result = parameter(request->function, object, info.parameter_count, &place);
        if (result != CUDA_SUCCESS)
            break;
        places[info.parameter_count++] = place;
        if (place.offset + place.bytes > info.parameter_bytes)
            info.parameter_bytes = place.offset + place.bytes;
    }
    /* The list ends with CUDA_ERROR_INVALID_VALUE. A driver that has no list says so; any other error is the
     * context's, and the guest's to hear. */
    info.parameters_known = result == CUDA_ERROR_INVALID_VALUE || info.parameter_count == PARAMETERS_MAX;
    if (info.parameters_known || result == CUDA_ERROR_NOT_SUPPORTED) {
        call_reply_append(call, &info, sizeof info);
        call_reply_append(call, places, info.parameter_count * sizeof *places);
        result = CUDA_SUCCESS;
    }
    free(places);
    return result;
}

/* Attributes with a handle in them get the driver's. One that is not known to be plain numbers is refused:
 * its value could be an address, and would be one of the worker's. */
static bool translate_attribute(CUlaunchAttribute *item)
{
    void *event;
    switch (item->id) {
    case CU_LAUNCH_ATTRIBUTE_IGNORE:
    case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
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
        return true;
    case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT:
        if (!handle_find(HANDLE_EVENT, (uintptr_t)item->value.programmaticEvent.event, &event))
            return false;
        item->value.programmaticEvent.event = event;
        return true;
    case CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT:
        if (!handle_find(HANDLE_EVENT, (uintptr_t)item->value.launchCompletionEvent.event, &event))
            return false;
        item->value.launchCompletionEvent.event = event;
        return true;
    default:
        return false;
    }
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
    memcpy(attributes, call->tail + padded, request->attribute_count * sizeof attributes[0]);
    unsigned count = request->attribute_count;
    for (unsigned i = 0; i < count; i++)
        if (!translate_attribute(&attributes[i]))
            return CUDA_ERROR_NOT_SUPPORTED;
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

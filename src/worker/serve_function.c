#include "worker/serve.h"

#include <stdlib.h>
#include <string.h>

#include "driver_api.h"
#include "wire/own_calls.h"
#include "worker/function.h"
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

static struct function_attribute attribute(uint64_t handle, void *object, CUfunction_attribute which)
{
    int value = 0;
    CUdevice device = 0;
    CUresult result = handle_value_kind(handle) == HANDLE_KERNEL
                          ? driver.cuKernelGetAttribute(&value, which, object, device)
                          : driver.cuFuncGetAttribute(&value, which, object);
    return (struct function_attribute){(int32_t)result, value};
}

static uint32_t number(const struct reply_function_info *info, CUfunction_attribute which)
{
    int32_t value = info->attributes[which].value;
    return value > 0 ? (uint32_t)value : 0;
}

static void fill_attributes(struct reply_function_info *info, uint64_t handle, void *object)
{
    for (int i = 0; i < CU_FUNC_ATTRIBUTE_MAX; i++)
        info->attributes[i] = attribute(handle, object, (CUfunction_attribute)i);
    info->max_threads_per_block = number(info, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
    info->static_shared_bytes = number(info, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES);
    info->max_dynamic_shared_bytes = number(info, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
}

CUresult function_parameter(uint64_t handle, void *object, size_t index, struct parameter_place *place)
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
    struct reply_function_info info = {0};
    fill_attributes(&info, request->function, object);
    struct parameter_place *places = calloc(PARAMETERS_MAX, sizeof *places);
    if (places == NULL)
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult result = CUDA_SUCCESS;
    while (info.parameter_count < PARAMETERS_MAX && result == CUDA_SUCCESS) {
        struct parameter_place place;
        result = function_parameter(request->function, object, info.parameter_count, &place);
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

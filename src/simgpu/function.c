#include "simgpu/function.h"

#include <stdlib.h>

#include "cuda_api.h"
#include "simgpu/handle.h"
#include "simgpu/library.h"
#include "simgpu/module.h"

#define SHARED_DEFAULT_BYTES 49152 /* of a block, without opting in to more */

static pthread_mutex_t settings_lock = PTHREAD_MUTEX_INITIALIZER;

/* The compiler cannot do with fewer: what a limit below this gives. */
#define REGISTERS_LEAST 16

struct function_settings function_default_settings(unsigned int max_registers)
{
    if (max_registers && max_registers < REGISTERS_LEAST)
        max_registers = REGISTERS_LEAST;
    return (struct function_settings){
        .max_registers = max_registers, .dynamic_shared_bytes = -1, .carveout = -1};
}

CUresult function_resolve(struct CUctx_st *context, CUfunction handle, struct CUfunc_st **function)
{
    if (handle_is(handle, HANDLE_KERNEL))
        return library_instance_function(context, (struct CUkern_st *)(void *)handle, function);
    if (!handle_is(handle, HANDLE_FUNCTION) || handle->module->context != context)
        return CUDA_ERROR_INVALID_HANDLE;
    *function = handle;
    return CUDA_SUCCESS;
}

CUresult function_next_launch(struct CUfunc_st *function)
{
    function->next.parameters = calloc(1, function->kernel->params_bytes + 1);
    if (!function->next.parameters)
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (int i = 0; i < 3; i++)
        function->next.block[i] = 1;
    return CUDA_SUCCESS;
}

/* --- attributes --- */

static struct function_settings *settings_of(struct CUfunc_st *function)
{
    return function->origin ? library_kernel_settings(function->origin, function->module->context->device)
                            : &function->settings;
}

static int dynamic_limit(const struct ptx_kernel *kernel, const struct function_settings *settings)
{
    int left = SHARED_DEFAULT_BYTES - (int)kernel->shared_bytes;
    return settings->dynamic_shared_bytes >= 0 ? settings->dynamic_shared_bytes : left > 0 ? left : 0;
}

static unsigned int registers(const struct ptx_kernel *kernel, const struct function_settings *settings)
{
    return settings->max_registers && settings->max_registers < kernel->registers ? settings->max_registers
                                                                                  : kernel->registers;
}

unsigned int function_registers(struct CUfunc_st *function)
{
    return registers(function->kernel, settings_of(function));
}

uint32_t function_dynamic_shared_limit(struct CUfunc_st *function)
{
    pthread_mutex_lock(&settings_lock);
    int limit = dynamic_limit(function->kernel, settings_of(function));
    pthread_mutex_unlock(&settings_lock);
    return (uint32_t)limit;
}

static CUresult get_attribute(const struct ptx_kernel *kernel, const struct sim_device *device,
                              const struct function_settings *settings, CUfunction_attribute attribute,
                              int *value)
{
    switch (attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
        *value = (int)kernel->max_threads;
        break;
    case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES:
        *value = (int)kernel->shared_bytes;
        break;
    case CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES:
        *value = (int)kernel->const_bytes;
        break;
    case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES:
        *value = (int)kernel->local_bytes;
        break;
    case CU_FUNC_ATTRIBUTE_NUM_REGS:
        *value = (int)registers(kernel, settings);
        break;
    case CU_FUNC_ATTRIBUTE_PTX_VERSION:
        *value = (int)kernel->target;
        break;
    case CU_FUNC_ATTRIBUTE_BINARY_VERSION:
        *value = (int)module_capability(device);
        break;
    case CU_FUNC_ATTRIBUTE_CACHE_MODE_CA:
    case CU_FUNC_ATTRIBUTE_CLUSTER_SIZE_MUST_BE_SET:
        *value = 0;
        break;
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
        *value = dynamic_limit(kernel, settings);
        break;
    case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
        *value = settings->carveout;
        break;
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH:
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_HEIGHT:
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_DEPTH:
        *value = settings->cluster[attribute - CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH];
        break;
    case CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED:
        *value = settings->non_portable_cluster;
        break;
    case CU_FUNC_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
        *value = settings->cluster_policy;
        break;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
    return CUDA_SUCCESS;
}

CUresult function_get_attribute(const struct ptx_kernel *kernel, const struct sim_device *device,
                                const struct function_settings *settings, CUfunction_attribute attribute,
                                int *value)
{
    pthread_mutex_lock(&settings_lock);
    CUresult result = get_attribute(kernel, device, settings, attribute, value);
    pthread_mutex_unlock(&settings_lock);
    return result;
}

static CUresult set_attribute(const struct ptx_kernel *kernel, const struct sim_device *device,
                              struct function_settings *settings, CUfunction_attribute attribute, int value)
{
    int optin = device->limits.shared_optin_per_block_bytes - (int)kernel->shared_bytes;
    switch (attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
        if (value < 0 || value > optin)
            return CUDA_ERROR_INVALID_VALUE;
        settings->dynamic_shared_bytes = value;
        break;
    case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
        if (value < -1 || value > 100)
            return CUDA_ERROR_INVALID_VALUE;
        settings->carveout = value;
        break;
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH:
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_HEIGHT:
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_DEPTH:
        if (value < 0 || value > 8)
            return CUDA_ERROR_INVALID_VALUE;
        settings->cluster[attribute - CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH] = value;
        break;
    case CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED:
        settings->non_portable_cluster = value != 0;
        break;
    case CU_FUNC_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
        if (value < 0 || value > 2)
            return CUDA_ERROR_INVALID_VALUE;
        settings->cluster_policy = value;
        break;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
    return CUDA_SUCCESS;
}

CUresult function_set_attribute(const struct ptx_kernel *kernel, const struct sim_device *device,
                                struct function_settings *settings, CUfunction_attribute attribute, int value)
{
    pthread_mutex_lock(&settings_lock);
    CUresult result = set_attribute(kernel, device, settings, attribute, value);
    pthread_mutex_unlock(&settings_lock);
    return result;
}

CUresult function_param_info(const struct ptx_kernel *kernel, size_t index, size_t *offset, size_t *bytes)
{
    if (index >= kernel->param_count)
        return CUDA_ERROR_INVALID_VALUE;
    *offset = kernel->params[index].offset;
    if (bytes)
        *bytes = kernel->params[index].bytes;
    return CUDA_SUCCESS;
}

/* --- cuFunc* --- */

/* The function, also when it is of another context than the current one: such questions work across. */
static CUresult find(CUfunction handle, struct CUfunc_st **function)
{
    struct CUctx_st *context;
    CUresult result = context_current(&context);
    if (result)
        return result;
    return handle_is(handle, HANDLE_FUNCTION) ? (*function = handle, CUDA_SUCCESS)
                                              : function_resolve(context, handle, function);
}

CUresult cuFuncGetAttribute(int *pi, CUfunction_attribute attrib, CUfunction hfunc)
{
    struct CUfunc_st *function;
    CUresult result = find(hfunc, &function);
    if (!result && !pi)
        result = CUDA_ERROR_INVALID_VALUE;
    return result ? result
                  : function_get_attribute(function->kernel, function->module->context->device,
                                           settings_of(function), attrib, pi);
}

CUresult cuFuncSetAttribute(CUfunction hfunc, CUfunction_attribute attrib, int value)
{
    struct CUfunc_st *function;
    CUresult result = find(hfunc, &function);
    return result ? result
                  : function_set_attribute(function->kernel, function->module->context->device,
                                           settings_of(function), attrib, value);
}

CUresult cuFuncSetCacheConfig(CUfunction hfunc, CUfunc_cache config)
{
    struct CUfunc_st *function;
    CUresult result = find(hfunc, &function);
    return !result && (unsigned int)config > CU_FUNC_CACHE_PREFER_EQUAL ? CUDA_ERROR_INVALID_VALUE : result;
}

CUresult cuFuncSetSharedMemConfig(CUfunction hfunc, CUsharedconfig config)
{
    struct CUfunc_st *function;
    CUresult result = find(hfunc, &function);
    return !result && (unsigned int)config > CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE
               ? CUDA_ERROR_INVALID_VALUE
               : result;
}

CUresult cuFuncGetModule(CUmodule *hmod, CUfunction hfunc)
{
    struct CUfunc_st *function;
    CUresult result = find(hfunc, &function);
    if (!result && !hmod)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *hmod = function->module;
    return result;
}

CUresult cuFuncGetName(const char **name, CUfunction hfunc)
{
    struct CUfunc_st *function;
    CUresult result = find(hfunc, &function);
    if (!result && !name)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *name = function->kernel->name;
    return result;
}

CUresult cuFuncGetParamInfo(CUfunction func, size_t paramIndex, size_t *paramOffset, size_t *paramSize)
{
    struct CUfunc_st *function;
    CUresult result = find(func, &function);
    if (!result && !paramOffset)
        result = CUDA_ERROR_INVALID_VALUE;
    return result ? result : function_param_info(function->kernel, paramIndex, paramOffset, paramSize);
}

CUresult cuFuncIsLoaded(CUfunctionLoadingState *state, CUfunction function)
{
    struct CUfunc_st *found;
    CUresult result = find(function, &found);
    if (!result && !state)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *state = CU_FUNCTION_LOADING_STATE_LOADED;
    return result;
}

CUresult cuFuncLoad(CUfunction function)
{
    struct CUfunc_st *found;
    return find(function, &found);
}

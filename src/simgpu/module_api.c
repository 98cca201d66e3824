/* cuModule*. */
#include <stdlib.h>
#include <string.h>

#include "cuda_api.h"
#include "simgpu/handle.h"
#include "simgpu/jit_options.h"
#include "simgpu/module.h"

static CUresult load(const void *data, size_t limit, const struct jit_options *options, CUmodule *module)
{
    struct CUctx_st *context;
    CUresult result = context_current(&context);
    if (result)
        return result;
    if (!module || !data)
        return CUDA_ERROR_INVALID_VALUE;
    struct image image;
    struct ptx_log log = {0};
    char *message;
    result = image_open(data, limit, module_capability(context->device), &image, &message);
    if (result) {
        jit_options_answer(options, NULL, message);
        free(message);
        return result;
    }
    struct ptx_module *code;
    result = module_compile(context->device, &image, &code, &log);
    jit_options_answer(options, log.info, log.error);
    if (!result)
        result = module_create(context, code, options->max_registers, module);
    ptx_log_fini(&log);
    image_fini(&image);
    return result;
}

CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned int numOptions,
                            CUjit_option *options, void **optionValues)
{
    struct jit_options read;
    CUresult result = jit_options_read(&read, numOptions, options, optionValues);
    return result ? result : load(image, SIZE_MAX, &read, module);
}

CUresult cuModuleLoadData(CUmodule *module, const void *image)
{
    return cuModuleLoadDataEx(module, image, 0, NULL, NULL);
}

CUresult cuModuleLoadFatBinary(CUmodule *module, const void *fatCubin)
{
    return cuModuleLoadDataEx(module, fatCubin, 0, NULL, NULL);
}

CUresult cuModuleLoad(CUmodule *module, const char *fname)
{
    struct CUctx_st *context;
    struct jit_options none = {0};
    void *data;
    size_t bytes;
    CUresult result = context_current(&context);
    if (!result && (!module || !fname))
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        result = image_read_file(fname, &data, &bytes);
    if (result)
        return result;
    result = load(data, bytes, &none, module);
    free(data);
    return result;
}

static CUresult check_module(CUmodule module)
{
    struct CUctx_st *context;
    CUresult result = context_current(&context);
    return !result && !handle_is(module, HANDLE_MODULE) ? CUDA_ERROR_INVALID_HANDLE : result;
}

CUresult cuModuleUnload(CUmodule hmod)
{
    CUresult result = check_module(hmod);
    if (!result && hmod->library)
        result = CUDA_ERROR_NOT_PERMITTED; /* goes with its library */
    if (!result)
        module_unload(hmod);
    return result;
}

CUresult cuModuleGetLoadingMode(CUmoduleLoadingMode *mode)
{
    CUresult result = driver_check();
    if (!result && !mode)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    const char *wanted = getenv("CUDA_MODULE_LOADING");
    *mode = wanted && strcmp(wanted, "EAGER") == 0 ? CU_MODULE_EAGER_LOADING : CU_MODULE_LAZY_LOADING;
    return CUDA_SUCCESS;
}

CUresult cuModuleGetFunction(CUfunction *hfunc, CUmodule hmod, const char *name)
{
    CUresult result = check_module(hmod);
    if (!result && (!hfunc || !name))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    struct CUfunc_st *function = module_find_function(hmod, name);
    if (!function)
        return CUDA_ERROR_NOT_FOUND;
    *hfunc = function;
    return CUDA_SUCCESS;
}

CUresult cuModuleGetFunctionCount(unsigned int *count, CUmodule mod)
{
    CUresult result = check_module(mod);
    if (!result && !count)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *count = (unsigned int)ptx_module_kernel_count(mod->code);
    return result;
}

CUresult cuModuleEnumerateFunctions(CUfunction *functions, unsigned int numFunctions, CUmodule mod)
{
    CUresult result = check_module(mod);
    if (!result && numFunctions && !functions)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    size_t count = ptx_module_kernel_count(mod->code);
    for (size_t i = 0; i < numFunctions; i++)
        functions[i] = i < count ? &mod->functions[i] : NULL;
    return CUDA_SUCCESS;
}

CUresult cuModuleGetGlobal_v2(CUdeviceptr *dptr, size_t *bytes, CUmodule hmod, const char *name)
{
    CUresult result = check_module(hmod);
    if (!result && (!name || (!dptr && !bytes)))
        result = CUDA_ERROR_INVALID_VALUE;
    return result ? result : module_find_variable(hmod, name, false, dptr, bytes);
}

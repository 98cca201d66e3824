#include "simgpu/library.h"

#include <stdlib.h>

#include "cuda_api.h"
#include "simgpu/handle.h"
#include "simgpu/jit_options.h"

struct CUkern_st {
    struct CUlib_st *library;
    const struct ptx_kernel *kernel; /* of the library's listing */
    struct function_settings settings[MACHINE_GPUS_MAX];
};

struct CUlib_st {
    struct image image;
    CUresult error; /* the code does not compile: known from the load on, but told only when something is
                       asked for */
    struct ptx_module
        *listing; /* compiled to know what is in it; never placed or launched. NULL after an error */
    struct CUkern_st *kernels; /* as many as listing has */
    pthread_mutex_t lock;      /* for what follows */
    struct CUmod_st **instances;
    size_t instance_count;
};

/* --- loading and unloading --- */

static void free_library(struct CUlib_st *library)
{
    size_t count = library->kernels ? ptx_module_kernel_count(library->listing) : 0;
    handle_remove(library);
    for (size_t i = 0; i < count; i++)
        handle_remove(&library->kernels[i]);
    ptx_module_destroy(library->listing);
    image_fini(&library->image);
    pthread_mutex_destroy(&library->lock);
    free(library->kernels);
    free(library->instances);
    free(library);
}

static bool make_kernels(struct CUlib_st *library, unsigned int max_registers)
{
    size_t count = ptx_module_kernel_count(library->listing);
    library->kernels = calloc(count + 1, sizeof *library->kernels);
    if (!library->kernels)
        return false;
    for (size_t i = 0; i < count; i++) {
        struct CUkern_st *kernel = &library->kernels[i];
        kernel->library = library;
        kernel->kernel = ptx_module_kernel(library->listing, i);
        for (int device = 0; device < MACHINE_GPUS_MAX; device++)
            kernel->settings[device] = function_default_settings(max_registers);
        if (!handle_add(kernel, HANDLE_KERNEL))
            return false;
    }
    return true;
}

/* The device to compile for: the current context's, or the first. */
static struct sim_device *listing_device(void)
{
    struct CUctx_st *context;
    return context_of(NULL, &context) ? driver_device(0) : context->device;
}

static CUresult load(const void *data, size_t limit, const struct jit_options *options, CUlibrary *library)
{
    struct sim_device *device = listing_device();
    struct CUlib_st *created = calloc(1, sizeof *created);
    struct ptx_log log = {0};
    char *message;
    if (!created)
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult result = image_open(data, limit, module_capability(device), &created->image, &message);
    if (result) {
        jit_options_answer(options, NULL, message);
        free(message);
        free(created);
        return result;
    }
    pthread_mutex_init(&created->lock, NULL);
    created->error = module_compile(device, &created->image, &created->listing, &log);
    jit_options_answer(options, log.info, log.error);
    ptx_log_fini(&log);
    if ((!created->error && !make_kernels(created, options->max_registers)) ||
        !handle_add(created, HANDLE_LIBRARY)) {
        free_library(created);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *library = created;
    return CUDA_SUCCESS;
}

CUresult cuLibraryLoadData(CUlibrary *library, const void *code, CUjit_option *jitOptions,
                           void **jitOptionsValues, unsigned int numJitOptions,
                           CUlibraryOption *libraryOptions, void **libraryOptionValues,
                           unsigned int numLibraryOptions)
{
    struct jit_options options;
    CUresult result = driver_check();
    if (!result && (!library || !code || (numLibraryOptions && !libraryOptions)))
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        result = jit_options_read(&options, numJitOptions, jitOptions, jitOptionsValues);
    return result ? result : load(code, SIZE_MAX, &options, library);
}

CUresult cuLibraryLoadFromFile(CUlibrary *library, const char *fileName, CUjit_option *jitOptions,
                               void **jitOptionsValues, unsigned int numJitOptions,
                               CUlibraryOption *libraryOptions, void **libraryOptionValues,
                               unsigned int numLibraryOptions)
{
    struct jit_options options;
    void *data;
    size_t bytes;
    CUresult result = driver_check();
    if (!result && (!library || !fileName || (numLibraryOptions && !libraryOptions)))
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        result = jit_options_read(&options, numJitOptions, jitOptions, jitOptionsValues);
    if (!result)
        result = image_read_file(fileName, &data, &bytes);
    if (result)
        return result;
    result = load(data, bytes, &options, library);
    free(data);
    return result;
}

static CUresult check_library_handle(CUlibrary library)
{
    CUresult result = driver_check();
    return !result && !handle_is(library, HANDLE_LIBRARY) ? CUDA_ERROR_INVALID_HANDLE : result;
}

/* Something of the library is asked for. */
static CUresult check_library(CUlibrary library)
{
    CUresult result = check_library_handle(library);
    return result ? result : library->error;
}

CUresult cuLibraryUnload(CUlibrary library)
{
    CUresult result = check_library_handle(library);
    if (result)
        return result;
    for (size_t i = 0; i < library->instance_count; i++)
        module_unload(library->instances[i]);
    free_library(library);
    return CUDA_SUCCESS;
}

/* --- instances --- */

/* Under the library's lock. */
static CUresult add_instance(struct CUlib_st *library, struct CUctx_st *context, struct CUmod_st **module)
{
    struct CUmod_st **grown =
        realloc(library->instances, (library->instance_count + 1) * sizeof(struct CUmod_st *));
    struct ptx_module *code;
    struct ptx_log log = {0};
    if (!grown)
        return CUDA_ERROR_OUT_OF_MEMORY;
    library->instances = grown;
    CUresult result = module_compile(context->device, &library->image, &code, &log);
    ptx_log_fini(&log);
    if (!result)
        result = module_create(context, code, 0, module);
    if (result)
        return result;
    (*module)->library = library;
    for (size_t i = 0; i < ptx_module_kernel_count((*module)->code); i++)
        (*module)->functions[i].origin = &library->kernels[i];
    library->instances[library->instance_count++] = *module;
    return CUDA_SUCCESS;
}

static CUresult instance(struct CUlib_st *library, struct CUctx_st *context, struct CUmod_st **module)
{
    CUresult result = CUDA_SUCCESS;
    pthread_mutex_lock(&library->lock);
    *module = NULL;
    for (size_t i = 0; i < library->instance_count && !*module; i++)
        if (library->instances[i]->context == context)
            *module = library->instances[i];
    if (!*module)
        result = add_instance(library, context, module);
    pthread_mutex_unlock(&library->lock);
    return result;
}

void library_forget_instance(struct CUlib_st *library, struct CUmod_st *module)
{
    pthread_mutex_lock(&library->lock);
    for (size_t i = 0; i < library->instance_count; i++)
        if (library->instances[i] == module) {
            library->instances[i] = library->instances[--library->instance_count];
            break;
        }
    pthread_mutex_unlock(&library->lock);
}

CUresult library_instance_function(struct CUctx_st *context, struct CUkern_st *kernel,
                                   struct CUfunc_st **function)
{
    struct CUmod_st *module;
    CUresult result = instance(kernel->library, context, &module);
    if (!result)
        *function = &module->functions[kernel->kernel->index];
    return result;
}

struct function_settings *library_kernel_settings(struct CUkern_st *kernel, const struct sim_device *device)
{
    return &kernel->settings[device->ordinal];
}

/* --- cuLibrary* --- */

CUresult cuLibraryGetKernel(CUkernel *pKernel, CUlibrary library, const char *name)
{
    CUresult result = check_library(library);
    if (!result && (!pKernel || !name))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    const struct ptx_kernel *kernel = ptx_module_find_kernel(library->listing, name);
    if (!kernel)
        return CUDA_ERROR_NOT_FOUND;
    *pKernel = &library->kernels[kernel->index];
    return CUDA_SUCCESS;
}

CUresult cuLibraryGetKernelCount(unsigned int *count, CUlibrary lib)
{
    CUresult result = check_library(lib);
    if (!result && !count)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *count = (unsigned int)ptx_module_kernel_count(lib->listing);
    return result;
}

CUresult cuLibraryEnumerateKernels(CUkernel *kernels, unsigned int numKernels, CUlibrary lib)
{
    CUresult result = check_library(lib);
    if (!result && numKernels && !kernels)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    size_t count = ptx_module_kernel_count(lib->listing);
    for (size_t i = 0; i < numKernels; i++)
        kernels[i] = i < count ? &lib->kernels[i] : NULL;
    return CUDA_SUCCESS;
}

/* The library's module in the current context. */
static CUresult current_instance(CUlibrary library, struct CUmod_st **module)
{
    struct CUctx_st *context;
    CUresult result = check_library(library);
    if (!result)
        result = context_current(&context);
    return result ? result : instance(library, context, module);
}

CUresult cuLibraryGetModule(CUmodule *pMod, CUlibrary library)
{
    return pMod ? current_instance(library, pMod) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuLibraryGetGlobal(CUdeviceptr *dptr, size_t *bytes, CUlibrary library, const char *name)
{
    struct CUmod_st *module;
    CUresult result = current_instance(library, &module);
    if (!result && (!name || (!dptr && !bytes)))
        result = CUDA_ERROR_INVALID_VALUE;
    return result ? result : module_find_variable(module, name, false, dptr, bytes);
}

CUresult cuLibraryGetManaged(CUdeviceptr *dptr, size_t *bytes, CUlibrary library, const char *name)
{
    struct CUmod_st *module;
    CUresult result = current_instance(library, &module);
    if (!result && (!name || (!dptr && !bytes)))
        result = CUDA_ERROR_INVALID_VALUE;
    return result ? result : module_find_variable(module, name, true, dptr, bytes);
}

/* --- cuKernel* --- */

static CUresult check_kernel(CUkernel kernel)
{
    CUresult result = driver_check();
    return !result && !handle_is(kernel, HANDLE_KERNEL) ? CUDA_ERROR_INVALID_HANDLE : result;
}

CUresult cuKernelGetFunction(CUfunction *pFunc, CUkernel kernel)
{
    struct CUctx_st *context;
    CUresult result = check_kernel(kernel);
    if (!result && !pFunc)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        result = context_current(&context);
    return result ? result : library_instance_function(context, kernel, pFunc);
}

CUresult cuKernelGetLibrary(CUlibrary *pLib, CUkernel kernel)
{
    CUresult result = check_kernel(kernel);
    if (!result && !pLib)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *pLib = kernel->library;
    return result;
}

CUresult cuKernelGetName(const char **name, CUkernel hfunc)
{
    CUresult result = check_kernel(hfunc);
    if (!result && !name)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *name = hfunc->kernel->name;
    return result;
}

CUresult cuKernelGetParamInfo(CUkernel kernel, size_t paramIndex, size_t *paramOffset, size_t *paramSize)
{
    CUresult result = check_kernel(kernel);
    if (!result && !paramOffset)
        result = CUDA_ERROR_INVALID_VALUE;
    return result ? result : function_param_info(kernel->kernel, paramIndex, paramOffset, paramSize);
}

static CUresult kernel_on_device(CUkernel kernel, CUdevice dev, struct sim_device **device)
{
    CUresult result = check_kernel(kernel);
    if (result)
        return result;
    *device = driver_device(dev);
    return *device ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

CUresult cuKernelGetAttribute(int *pi, CUfunction_attribute attrib, CUkernel kernel, CUdevice dev)
{
    struct sim_device *device;
    CUresult result = kernel_on_device(kernel, dev, &device);
    if (!result && !pi)
        result = CUDA_ERROR_INVALID_VALUE;
    return result ? result
                  : function_get_attribute(kernel->kernel, device, &kernel->settings[dev], attrib, pi);
}

CUresult cuKernelSetAttribute(CUfunction_attribute attrib, int val, CUkernel kernel, CUdevice dev)
{
    struct sim_device *device;
    CUresult result = kernel_on_device(kernel, dev, &device);
    return result ? result
                  : function_set_attribute(kernel->kernel, device, &kernel->settings[dev], attrib, val);
}

CUresult cuKernelSetCacheConfig(CUkernel kernel, CUfunc_cache config, CUdevice dev)
{
    struct sim_device *device;
    CUresult result = kernel_on_device(kernel, dev, &device);
    return !result && (unsigned int)config > CU_FUNC_CACHE_PREFER_EQUAL ? CUDA_ERROR_INVALID_VALUE : result;
}

#include "simgpu/module.h"

#include <stdlib.h>
#include <string.h>

#include "simgpu/arena.h"
#include "simgpu/handle.h"
#include "simgpu/library.h"
#include "simgpu/stream.h"

unsigned int module_capability(const struct sim_device *device)
{
    return (unsigned int)(device->gpu->model->compute_major * 10 + device->gpu->model->compute_minor);
}

/* --- compiling --- */

CUresult module_compile(const struct sim_device *device, const struct image *image, struct ptx_module **code,
                        struct ptx_log *log)
{
    struct ptx_options options = {.capability = module_capability(device)};
    switch (ptx_module_create(image->texts, image->count, &options, code, log)) {
    case PTX_OK:
        return CUDA_SUCCESS;
    case PTX_INVALID:
        return CUDA_ERROR_INVALID_PTX;
    case PTX_NO_BINARY_FOR_GPU:
        return CUDA_ERROR_NO_BINARY_FOR_GPU;
    case PTX_UNSUPPORTED_VERSION:
        return CUDA_ERROR_UNSUPPORTED_PTX_VERSION;
    case PTX_UNRESOLVED:
        return CUDA_ERROR_INVALID_IMAGE;
    case PTX_NO_MEMORY:
        break;
    }
    return CUDA_ERROR_OUT_OF_MEMORY;
}

/* --- loading --- */

static CUresult place_variables(struct CUctx_st *context, struct ptx_module *code)
{
    size_t count = ptx_module_variable_count(code);
    for (size_t i = 0; i < count; i++) {
        const struct ptx_variable *variable = ptx_module_variable(code, i);
        struct region region = {.bytes = variable->bytes ? variable->bytes : 1,
                                .kind = variable->managed ? REGION_MANAGED : REGION_DEVICE,
                                .flags = variable->managed ? CU_MEM_ATTACH_GLOBAL : 0,
                                .device = context->device,
                                .context = context,
                                .is_module = true};
        CUresult result = arena_allocate(&region);
        if (result)
            return result;
        ptx_module_place_variable(code, i, region.base);
    }
    for (size_t i = 0; i < count; i++) {
        const struct ptx_variable *variable = ptx_module_variable(code, i);
        if (variable->has_initial)
            ptx_variable_initial(code, i, (void *)(uintptr_t)variable->address);
    }
    return CUDA_SUCCESS;
}

static void free_variables(struct ptx_module *code)
{
    struct region removed;
    for (size_t i = 0; i < ptx_module_variable_count(code); i++)
        if (ptx_module_variable(code, i)->address)
            arena_remove(ptx_module_variable(code, i)->address, &removed);
}

static void free_module(struct CUmod_st *module)
{
    size_t count = module->functions ? ptx_module_kernel_count(module->code) : 0;
    handle_remove(module);
    for (size_t i = 0; i < count; i++) {
        handle_remove(&module->functions[i]);
        free(module->functions[i].next.parameters);
    }
    free_variables(module->code);
    ptx_module_destroy(module->code);
    free(module->functions);
    free(module);
}

static bool make_functions(struct CUmod_st *module, unsigned int max_registers)
{
    size_t count = ptx_module_kernel_count(module->code);
    module->functions = calloc(count + 1, sizeof *module->functions);
    if (!module->functions)
        return false;
    for (size_t i = 0; i < count; i++) {
        struct CUfunc_st *function = &module->functions[i];
        function->module = module;
        function->kernel = ptx_module_kernel(module->code, i);
        function->settings = function_default_settings(max_registers);
        if (!handle_add(function, HANDLE_FUNCTION))
            return false;
    }
    return true;
}

CUresult module_create(struct CUctx_st *context, struct ptx_module *code, unsigned int max_registers,
                       struct CUmod_st **module)
{
    struct CUmod_st *created = calloc(1, sizeof *created);
    if (!created) {
        ptx_module_destroy(code);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    created->context = context;
    created->code = code;
    CUresult result = place_variables(context, code);
    if (!result && (!make_functions(created, max_registers) || !handle_add(created, HANDLE_MODULE)))
        result = CUDA_ERROR_OUT_OF_MEMORY;
    if (result) {
        free_module(created);
        return result;
    }
    pthread_mutex_lock(&context->lock);
    created->next_in_context = context->modules;
    context->modules = created;
    pthread_mutex_unlock(&context->lock);
    *module = created;
    return CUDA_SUCCESS;
}

/* --- unloading --- */

void module_unload(struct CUmod_st *module)
{
    struct CUctx_st *context = module->context;
    stream_wait_all(context);
    pthread_mutex_lock(&context->lock);
    struct CUmod_st **link = &context->modules;
    while (*link != module)
        link = &(*link)->next_in_context;
    *link = module->next_in_context;
    pthread_mutex_unlock(&context->lock);
    free_module(module);
}

void module_unload_all(struct CUctx_st *context)
{
    while (context->modules) {
        struct CUmod_st *module = context->modules;
        context->modules = module->next_in_context;
        if (module->library)
            library_forget_instance(module->library, module);
        free_module(module);
    }
}

/* --- finding --- */

/* One that is not .visible is found too: nvcc makes variables of a single source file so. Of several with the
 * name, the visible one. */
static const struct ptx_variable *find_variable(const struct CUmod_st *module, const char *name)
{
    const struct ptx_variable *found = NULL;
    for (size_t i = 0; i < ptx_module_variable_count(module->code); i++) {
        const struct ptx_variable *variable = ptx_module_variable(module->code, i);
        if (strcmp(variable->name, name) == 0 && (!found || variable->visible))
            found = variable;
    }
    return found;
}

CUresult module_find_variable(const struct CUmod_st *module, const char *name, bool managed,
                              CUdeviceptr *address, size_t *bytes)
{
    const struct ptx_variable *variable = find_variable(module, name);
    if (!variable || (managed && !variable->managed))
        return CUDA_ERROR_NOT_FOUND;
    if (address)
        *address = variable->address;
    if (bytes)
        *bytes = variable->bytes;
    return CUDA_SUCCESS;
}

struct CUfunc_st *module_find_function(const struct CUmod_st *module, const char *name)
{
    const struct ptx_kernel *kernel = ptx_module_find_kernel(module->code, name);
    return kernel ? &module->functions[kernel->index] : NULL;
}

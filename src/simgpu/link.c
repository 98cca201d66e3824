/* cuLink*: several texts become one image. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_api.h"
#include "simgpu/handle.h"
#include "simgpu/jit_options.h"
#include "simgpu/linked.h"
#include "simgpu/module.h"

struct CUlinkState_st {
    struct sim_device *device;
    struct jit_options options; /* the program keeps their values alive until it destroys the state */
    struct image image;
    void *linked; /* what cuLinkComplete has given out; NULL: not complete */
};

CUresult cuLinkCreate_v2(unsigned int numOptions, CUjit_option *options, void **optionValues,
                         CUlinkState *stateOut)
{
    struct CUctx_st *context;
    struct jit_options read;
    CUresult result = context_current(&context);
    if (!result && !stateOut)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        result = jit_options_read(&read, numOptions, options, optionValues);
    if (result)
        return result;
    struct CUlinkState_st *state = calloc(1, sizeof *state);
    if (!state)
        return CUDA_ERROR_OUT_OF_MEMORY;
    state->device = context->device;
    state->options = read;
    if (!handle_add(state, HANDLE_LINK)) {
        free(state);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *stateOut = state;
    return CUDA_SUCCESS;
}

static CUresult check_state(CUlinkState state)
{
    struct CUctx_st *context;
    CUresult result = context_current(&context);
    return !result && !handle_is(state, HANDLE_LINK) ? CUDA_ERROR_INVALID_HANDLE : result;
}

CUresult cuLinkAddData_v2(CUlinkState state, CUjitInputType type, void *data, size_t size, const char *name,
                          unsigned int numOptions, CUjit_option *options, void **optionValues)
{
    struct jit_options read;
    char *message;
    CUresult result = check_state(state);
    if (!result && (!data || !size || state->linked))
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        result = jit_options_read(&read, numOptions, options, optionValues);
    if (result)
        return result;
    unsigned int capability = module_capability(state->device);
    size_t before = state->image.count;
    result = image_append(&state->image, type, data, size, name, capability, &message);
    if (result) {
        jit_options_answer(&state->options, NULL, message);
        free(message);
        return result;
    }
    /* A text with an error in it is refused here, one that lacks what another will bring is not. */
    struct image added = {state->image.texts + before, state->image.count - before};
    struct ptx_module *code = NULL;
    struct ptx_log log = {0};
    result = module_compile(state->device, &added, &code, &log);
    if (result == CUDA_ERROR_INVALID_IMAGE)
        result = CUDA_SUCCESS;
    else if (result)
        jit_options_answer(&state->options, log.info, log.error);
    ptx_module_destroy(code);
    ptx_log_fini(&log);
    return result;
}

CUresult cuLinkAddFile_v2(CUlinkState state, CUjitInputType type, const char *path, unsigned int numOptions,
                          CUjit_option *options, void **optionValues)
{
    void *data;
    size_t bytes;
    CUresult result = check_state(state);
    if (!result && !path)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        result = image_read_file(path, &data, &bytes);
    if (result)
        return result;
    result = cuLinkAddData_v2(state, type, data, bytes, path, numOptions, options, optionValues);
    free(data);
    return result;
}

CUresult cuLinkComplete(CUlinkState state, void **cubinOut, size_t *sizeOut)
{
    CUresult result = check_state(state);
    if (!result && (!cubinOut || !state->image.count || state->linked))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    struct ptx_module *code = NULL;
    struct ptx_log log = {0};
    size_t bytes;
    result = module_compile(state->device, &state->image, &code, &log);
    jit_options_answer(&state->options, log.info, log.error);
    ptx_module_destroy(code);
    ptx_log_fini(&log);
    if (!result)
        result = linked_create(&state->image, &state->linked, &bytes);
    if (result)
        return result;
    *cubinOut = state->linked;
    if (sizeOut)
        *sizeOut = bytes;
    return CUDA_SUCCESS;
}

CUresult cuLinkDestroy(CUlinkState state)
{
    CUresult result = check_state(state);
    if (result)
        return result;
    handle_remove(state);
    image_fini(&state->image);
    free(state->linked);
    free(state);
    return CUDA_SUCCESS;
}

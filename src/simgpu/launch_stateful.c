/* Launches as before CUDA 4.0: the function carries its block, its shared memory and its parameters. */
#include <string.h>

#include "cuda_api.h"
#include "simgpu/function.h"

/* The function of the current context that the handle means, with room for its parameters. */
static CUresult find(CUfunction handle, struct CUfunc_st **function)
{
    struct CUctx_st *context;
    CUresult result = context_current(&context);
    if (!result)
        result = function_resolve(context, handle, function);
    if (!result && !(*function)->next.parameters)
        result = function_next_launch(*function);
    return result;
}

CUresult cuFuncSetBlockShape(CUfunction hfunc, int x, int y, int z)
{
    struct CUfunc_st *function;
    CUresult result = find(hfunc, &function);
    if (!result && (x <= 0 || y <= 0 || z <= 0))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    function->next.block[0] = (uint32_t)x;
    function->next.block[1] = (uint32_t)y;
    function->next.block[2] = (uint32_t)z;
    return CUDA_SUCCESS;
}

CUresult cuFuncSetSharedSize(CUfunction hfunc, unsigned int bytes)
{
    struct CUfunc_st *function;
    CUresult result = find(hfunc, &function);
    if (!result)
        function->next.shared_bytes = bytes;
    return result;
}

CUresult cuParamSetSize(CUfunction hfunc, unsigned int numbytes)
{
    struct CUfunc_st *function;
    CUresult result = find(hfunc, &function);
    if (!result && numbytes > function->kernel->params_bytes)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        function->next.parameter_bytes = numbytes;
    return result;
}

CUresult cuParamSetv(CUfunction hfunc, int offset, void *ptr, unsigned int numbytes)
{
    struct CUfunc_st *function;
    CUresult result = find(hfunc, &function);
    if (result)
        return result;
    if (!ptr || offset < 0 || numbytes > function->kernel->params_bytes ||
        (unsigned int)offset > function->kernel->params_bytes - numbytes)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(function->next.parameters + offset, ptr, numbytes);
    return CUDA_SUCCESS;
}

CUresult cuParamSeti(CUfunction hfunc, int offset, unsigned int value)
{
    return cuParamSetv(hfunc, offset, &value, sizeof value);
}

CUresult cuParamSetf(CUfunction hfunc, int offset, float value)
{
    return cuParamSetv(hfunc, offset, &value, sizeof value);
}

CUresult cuLaunchGridAsync(CUfunction f, int grid_width, int grid_height, CUstream hStream)
{
    struct CUfunc_st *function;
    CUresult result = find(f, &function);
    if (!result && (grid_width <= 0 || grid_height <= 0))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    size_t bytes = function->next.parameter_bytes;
    void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, function->next.parameters, CU_LAUNCH_PARAM_BUFFER_SIZE,
                     &bytes, CU_LAUNCH_PARAM_END};
    const uint32_t *block = function->next.block;
    return cuLaunchKernel(f, (unsigned int)grid_width, (unsigned int)grid_height, 1, block[0], block[1],
                          block[2], function->next.shared_bytes, hStream, NULL, bytes > 0 ? extra : NULL);
}

CUresult cuLaunchGrid(CUfunction f, int grid_width, int grid_height)
{
    return cuLaunchGridAsync(f, grid_width, grid_height, NULL);
}

CUresult cuLaunch(CUfunction f)
{
    return cuLaunchGridAsync(f, 1, 1, NULL);
}

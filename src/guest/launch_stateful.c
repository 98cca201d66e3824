/* Launches as before CUDA 4.0: block, shared memory and parameters are said of the function, one by one, and
 * stay until said anew. Not for two threads at once on one function, as ever. */
#include "cuda_api.h"
#include "guest/export.h"
#include "guest/function.h"
#include "guest/handle_table.h"
#include "guest/init.h"

#include <stddef.h>
#include <string.h>

VGPU_EXPORT CUresult cuFuncSetBlockShape(CUfunction hfunc, int x, int y, int z)
{
    CUresult result;
    struct function_facts *facts = function_facts_of(hfunc, &result);
    if (facts == NULL)
        return result;
    if (x <= 0 || y <= 0 || z <= 0)
        return CUDA_ERROR_INVALID_VALUE;
    facts->block[0] = (uint32_t)x;
    facts->block[1] = (uint32_t)y;
    facts->block[2] = (uint32_t)z;
    return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuFuncSetSharedSize(CUfunction hfunc, unsigned int bytes)
{
    CUresult result;
    struct function_facts *facts = function_facts_of(hfunc, &result);
    if (facts != NULL)
        facts->shared_bytes = bytes;
    return result;
}

VGPU_EXPORT CUresult cuParamSetSize(CUfunction hfunc, unsigned int numbytes)
{
    CUresult result;
    struct function_facts *facts = function_facts_of(hfunc, &result);
    if (facts == NULL)
        return result;
    if (numbytes > facts->info.parameter_bytes)
        return CUDA_ERROR_INVALID_VALUE;
    facts->parameter_bytes = numbytes;
    return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuParamSetv(CUfunction hfunc, int offset, void *ptr, unsigned int numbytes)
{
    CUresult result;
    struct function_facts *facts = function_facts_of(hfunc, &result);
    if (facts == NULL)
        return result;
    if (ptr == NULL || offset < 0 || numbytes > facts->info.parameter_bytes ||
        (unsigned)offset > facts->info.parameter_bytes - numbytes)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(facts->parameters + offset, ptr, numbytes);
    return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuParamSeti(CUfunction hfunc, int offset, unsigned int value)
{
    return cuParamSetv(hfunc, offset, &value, sizeof value);
}

VGPU_EXPORT CUresult cuParamSetf(CUfunction hfunc, int offset, float value)
{
    return cuParamSetv(hfunc, offset, &value, sizeof value);
}

/* A module knows its texture references itself. */
VGPU_EXPORT CUresult cuParamSetTexRef(CUfunction hfunc, int texunit, CUtexref hTexRef)
{
    const int default_unit = -1;
    CUresult result;
    if (function_facts_of(hfunc, &result) == NULL)
        return result;
    return texunit == default_unit && handle_alive(HANDLE_TEXTURE_REFERENCE, (uintptr_t)hTexRef)
               ? CUDA_SUCCESS
               : CUDA_ERROR_INVALID_VALUE;
}

VGPU_EXPORT CUresult cuLaunchGridAsync(CUfunction f, int grid_width, int grid_height, CUstream hStream)
{
    CUresult result;
    struct function_facts *facts = function_facts_of(f, &result);
    if (facts == NULL)
        return result;
    if (grid_width <= 0 || grid_height <= 0)
        return CUDA_ERROR_INVALID_VALUE;
    size_t bytes = facts->parameter_bytes;
    void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, facts->parameters, CU_LAUNCH_PARAM_BUFFER_SIZE, &bytes,
                     CU_LAUNCH_PARAM_END};
    return cuLaunchKernel(f, (unsigned)grid_width, (unsigned)grid_height, 1, facts->block[0], facts->block[1],
                          facts->block[2], facts->shared_bytes, hStream, NULL, bytes > 0 ? extra : NULL);
}

VGPU_EXPORT CUresult cuLaunchGrid(CUfunction f, int grid_width, int grid_height)
{
    return cuLaunchGridAsync(f, grid_width, grid_height, NULL);
}

VGPU_EXPORT CUresult cuLaunch(CUfunction f)
{
    return cuLaunchGridAsync(f, 1, 1, NULL);
}

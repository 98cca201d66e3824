/* Texture and surface objects: numbers of the driver's own, since kernels take them as parameters. */
#include "cuda_api.h"
#include "guest/call.h"
#include "guest/context.h"
#include "guest/export.h"
#include "guest/init.h"
#include "wire/own_calls.h"

#include <string.h>

static CUresult create(unsigned long long *object, struct request_texture_create *request)
{
    uint64_t made = 0;
    CUresult result = call_wait(CALL_texture_create, request, sizeof *request, NULL, 0, &made, sizeof made);
    if (result == CUDA_SUCCESS)
        *object = made;
    return result;
}

VGPU_EXPORT CUresult cuTexObjectCreate(CUtexObject *pTexObject, const CUDA_RESOURCE_DESC *pResDesc,
                                       const CUDA_TEXTURE_DESC *pTexDesc,
                                       const CUDA_RESOURCE_VIEW_DESC *pResViewDesc)
{
    CUresult result = context_required();
    if (result != CUDA_SUCCESS)
        return result;
    if (pTexObject == NULL || pResDesc == NULL || pTexDesc == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    struct request_texture_create request;
    memset(&request, 0, sizeof request);
    request.resource = *pResDesc;
    request.texture = *pTexDesc;
    request.has_view = pResViewDesc != NULL;
    if (pResViewDesc != NULL)
        request.view = *pResViewDesc;
    return create(pTexObject, &request);
}

VGPU_EXPORT CUresult cuSurfObjectCreate(CUsurfObject *pSurfObject, const CUDA_RESOURCE_DESC *pResDesc)
{
    CUresult result = context_required();
    if (result != CUDA_SUCCESS)
        return result;
    if (pSurfObject == NULL || pResDesc == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    struct request_texture_create request;
    memset(&request, 0, sizeof request);
    request.resource = *pResDesc;
    request.is_surface = 1;
    return create(pSurfObject, &request);
}

static CUresult resource_of(CUDA_RESOURCE_DESC *resource, unsigned long long object, bool is_surface)
{
    CUresult result = context_required();
    if (result != CUDA_SUCCESS)
        return result;
    if (resource == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    struct request_texture_resource request = {.object = object, .is_surface = is_surface};
    CUDA_RESOURCE_DESC told;
    result = call_wait(CALL_texture_resource, &request, sizeof request, NULL, 0, &told, sizeof told);
    if (result == CUDA_SUCCESS)
        *resource = told;
    return result;
}

VGPU_EXPORT CUresult cuTexObjectGetResourceDesc(CUDA_RESOURCE_DESC *pResDesc, CUtexObject texObject)
{
    return resource_of(pResDesc, texObject, false);
}

VGPU_EXPORT CUresult cuSurfObjectGetResourceDesc(CUDA_RESOURCE_DESC *pResDesc, CUsurfObject surfObject)
{
    return resource_of(pResDesc, surfObject, true);
}

static CUresult border(struct request_texture_border *request, float *colour)
{
    float told[4];
    CUresult result = library_state();
    if (result == CUDA_SUCCESS && colour == NULL)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result != CUDA_SUCCESS)
        return result;
    if (request->set)
        memcpy(request->colour, colour, sizeof request->colour);
    result = call_wait(CALL_texture_border, request, sizeof *request, NULL, 0, told, sizeof told);
    if (result == CUDA_SUCCESS && !request->set)
        memcpy(colour, told, sizeof told);
    return result;
}

VGPU_EXPORT CUresult cuTexRefSetBorderColor(CUtexref hTexRef, float *pBorderColor)
{
    struct request_texture_border request = {.reference = (uintptr_t)hTexRef, .set = 1};
    return border(&request, pBorderColor);
}

VGPU_EXPORT CUresult cuTexRefGetBorderColor(float *pBorderColor, CUtexref hTexRef)
{
    struct request_texture_border request = {.reference = (uintptr_t)hTexRef};
    return border(&request, pBorderColor);
}

/* Texture and surface objects, and what of texture references the table cannot say. */
#include "worker/serve.h"

#include "driver_api.h"
#include "wire/own_calls.h"
#include "worker/device_memory.h"
#include "worker/handle_map.h"
#include "worker/texture_objects.h"

/* Makes a description the driver's: arrays by its handles, and memory that is the guest's. */
static CUresult translate(CUDA_RESOURCE_DESC *resource)
{
    void *array;
    switch (resource->resType) {
    case CU_RESOURCE_TYPE_ARRAY:
        if (resource->res.array.hArray == NULL)
            return CUDA_ERROR_INVALID_VALUE;
        if (!handle_find(HANDLE_ARRAY, (uintptr_t)resource->res.array.hArray, &array) || array == NULL)
            return CUDA_ERROR_INVALID_HANDLE;
        resource->res.array.hArray = array;
        return CUDA_SUCCESS;
    case CU_RESOURCE_TYPE_MIPMAPPED_ARRAY:
        if (resource->res.mipmap.hMipmappedArray == NULL)
            return CUDA_ERROR_INVALID_VALUE;
        if (!handle_find(HANDLE_MIPMAPPED_ARRAY, (uintptr_t)resource->res.mipmap.hMipmappedArray, &array) ||
            array == NULL)
            return CUDA_ERROR_INVALID_HANDLE;
        resource->res.mipmap.hMipmappedArray = array;
        return CUDA_SUCCESS;
    case CU_RESOURCE_TYPE_LINEAR:
        return device_memory_check(resource->res.linear.devPtr);
    case CU_RESOURCE_TYPE_PITCH2D:
        return device_memory_check(resource->res.pitch2D.devPtr);
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

CUresult serve_texture_create(struct call *call)
{
    const struct request_texture_create *request = call->request;
    CUDA_RESOURCE_DESC resource = request->resource;
    unsigned long long object = 0;
    CUresult result = translate(&resource);
    if (result != CUDA_SUCCESS)
        return result;
    if (request->is_surface)
        result = driver.cuSurfObjectCreate(&object, &resource);
    else
        result = driver.cuTexObjectCreate(&object, &resource, &request->texture,
                                          request->has_view ? &request->view : NULL);
    if (result != CUDA_SUCCESS)
        return result;
    if (!texture_objects_add(request->is_surface ? SURFACE_OBJECT : TEXTURE_OBJECT, object)) {
        if (request->is_surface)
            driver.cuSurfObjectDestroy(object);
        else
            driver.cuTexObjectDestroy(object);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    call_reply_append(call, &object, sizeof object);
    return CUDA_SUCCESS;
}

CUresult serve_cuTexObjectDestroy(struct call *call)
{
    const struct request_cuTexObjectDestroy *request = call->request;
    CUresult result = texture_object_check(request->texObject);
    if (result == CUDA_SUCCESS)
        result = driver.cuTexObjectDestroy(request->texObject);
    if (result == CUDA_SUCCESS)
        texture_objects_remove(TEXTURE_OBJECT, request->texObject);
    return result;
}

CUresult serve_cuSurfObjectDestroy(struct call *call)
{
    const struct request_cuSurfObjectDestroy *request = call->request;
    CUresult result = surface_object_check(request->surfObject);
    if (result == CUDA_SUCCESS)
        result = driver.cuSurfObjectDestroy(request->surfObject);
    if (result == CUDA_SUCCESS)
        texture_objects_remove(SURFACE_OBJECT, request->surfObject);
    return result;
}

CUresult serve_texture_resource(struct call *call)
{
    const struct request_texture_resource *request = call->request;
    CUDA_RESOURCE_DESC resource = {0};
    CUresult result =
        request->is_surface ? surface_object_check(request->object) : texture_object_check(request->object);
    if (result == CUDA_SUCCESS)
        result = request->is_surface ? driver.cuSurfObjectGetResourceDesc(&resource, request->object)
                                     : driver.cuTexObjectGetResourceDesc(&resource, request->object);
    if (result != CUDA_SUCCESS)
        return result;
    if (resource.resType == CU_RESOURCE_TYPE_ARRAY)
        resource.res.array.hArray = (CUarray)(uintptr_t)handle_known(HANDLE_ARRAY, resource.res.array.hArray);
    else if (resource.resType == CU_RESOURCE_TYPE_MIPMAPPED_ARRAY)
        resource.res.mipmap.hMipmappedArray = (CUmipmappedArray)(uintptr_t)handle_known(
            HANDLE_MIPMAPPED_ARRAY, resource.res.mipmap.hMipmappedArray);
    call_reply_append(call, &resource, sizeof resource);
    return CUDA_SUCCESS;
}

CUresult serve_texture_border(struct call *call)
{
    const struct request_texture_border *request = call->request;
    float colour[4] = {request->colour[0], request->colour[1], request->colour[2], request->colour[3]};
    void *reference;
    if (driver.cuTexRefSetBorderColor == NULL || driver.cuTexRefGetBorderColor == NULL)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (request->reference == 0 || !handle_find(HANDLE_TEXTURE_REFERENCE, request->reference, &reference))
        return CUDA_ERROR_INVALID_HANDLE;
    CUresult result = request->set ? driver.cuTexRefSetBorderColor(reference, colour)
                                   : driver.cuTexRefGetBorderColor(colour, reference);
    if (result == CUDA_SUCCESS)
        call_reply_append(call, colour, sizeof colour);
    return result;
}

#include "simgpu/texture.h"

#include <stdlib.h>
#include <string.h>

#include "cuda_api.h"
#include "simgpu/arena.h"
#include "simgpu/array.h"

#define TEXTURE_ALIGNMENT 512u /* CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT */
#define PITCH_ALIGNMENT   32u  /* CU_DEVICE_ATTRIBUTE_TEXTURE_PITCH_ALIGNMENT */
#define FLAGS_KNOWN                                                                                          \
    (CU_TRSF_READ_AS_INTEGER | CU_TRSF_NORMALIZED_COORDINATES | CU_TRSF_SRGB |                               \
     CU_TRSF_DISABLE_TRILINEAR_OPTIMIZATION | CU_TRSF_SEAMLESS_CUBEMAP)

/* A number is a place in the table and how often that has been used, so that an old one is never another. */
struct slot {
    bool is_used;
    uint32_t uses;
    struct texture texture;
};

static pthread_rwlock_t table_lock = PTHREAD_RWLOCK_INITIALIZER;
static struct slot *slots;
static uint32_t slot_count;

static uint64_t number_of(uint32_t index)
{
    return (uint64_t)slots[index].uses << 24 | (index + 1);
}

/* Under the lock. */
static struct slot *slot_of(uint64_t object)
{
    uint32_t index = (uint32_t)(object & 0xffffff) - 1;
    return index < slot_count && slots[index].is_used && number_of(index) == object ? &slots[index] : NULL;
}

static CUresult add(const struct texture *texture, uint64_t *object)
{
    pthread_rwlock_wrlock(&table_lock);
    uint32_t index = 0;
    while (index < slot_count && slots[index].is_used)
        index++;
    if (index == slot_count) {
        struct slot *grown = realloc(slots, (slot_count + 64) * sizeof *grown);
        if (!grown) {
            pthread_rwlock_unlock(&table_lock);
            return CUDA_ERROR_OUT_OF_MEMORY;
        }
        slots = grown;
        memset(&slots[slot_count], 0, 64 * sizeof *slots);
        slot_count += 64;
    }
    slots[index].is_used = true;
    slots[index].uses++;
    slots[index].texture = *texture;
    *object = number_of(index);
    pthread_rwlock_unlock(&table_lock);
    return CUDA_SUCCESS;
}

bool texture_find(struct CUctx_st *context, uint64_t object, bool is_surface, struct texture *found)
{
    pthread_rwlock_rdlock(&table_lock);
    const struct slot *slot = slot_of(object);
    bool is_there = slot && slot->texture.context == context && slot->texture.is_surface == is_surface;
    if (is_there)
        *found = slot->texture;
    pthread_rwlock_unlock(&table_lock);
    return is_there;
}

static CUresult destroy(unsigned long long object, bool is_surface)
{
    struct CUctx_st *context;
    struct texture found;
    CUresult result = context_current(&context);
    if (result)
        return result;
    if (!texture_find(context, object, is_surface, &found))
        return CUDA_ERROR_INVALID_VALUE;
    pthread_rwlock_wrlock(&table_lock);
    struct slot *slot = slot_of(object);
    if (slot)
        slot->is_used = false;
    pthread_rwlock_unlock(&table_lock);
    return CUDA_SUCCESS;
}

/* --- texels --- */

static void texels_of_array(const struct CUarray_st *array, struct texels *texels)
{
    *texels = (struct texels){array->base,
                              array->width,
                              array->height,
                              array->depth,
                              array->row_bytes,
                              array->slice_bytes,
                              array->descriptor.Format,
                              array->descriptor.NumChannels};
}

/* A view may read 1, 2 or 4 channels of 8, 16 or 32 bits as others of the same size. */
static void view_as(CUresourceViewFormat format, struct texels *texels)
{
    static const struct {
        CUresourceViewFormat first;
        CUarray_format format;
    } families[] = {
        {CU_RES_VIEW_FORMAT_UINT_1X8, CU_AD_FORMAT_UNSIGNED_INT8},
        {CU_RES_VIEW_FORMAT_SINT_1X8, CU_AD_FORMAT_SIGNED_INT8},
        {CU_RES_VIEW_FORMAT_UINT_1X16, CU_AD_FORMAT_UNSIGNED_INT16},
        {CU_RES_VIEW_FORMAT_SINT_1X16, CU_AD_FORMAT_SIGNED_INT16},
        {CU_RES_VIEW_FORMAT_UINT_1X32, CU_AD_FORMAT_UNSIGNED_INT32},
        {CU_RES_VIEW_FORMAT_SINT_1X32, CU_AD_FORMAT_SIGNED_INT32},
        {CU_RES_VIEW_FORMAT_FLOAT_1X16, CU_AD_FORMAT_HALF},
        {CU_RES_VIEW_FORMAT_FLOAT_1X32, CU_AD_FORMAT_FLOAT},
    };
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        if (format >= families[i].first && format < families[i].first + 3) {
            texels->format = families[i].format;
            texels->channels = 1u << (format - families[i].first);
        }
    }
}

unsigned int texture_levels(const struct texture *texture)
{
    if (texture->resource.resType != CU_RESOURCE_TYPE_MIPMAPPED_ARRAY)
        return 1;
    const struct CUmipmappedArray_st *mipmap =
        mipmapped_array_find(texture->resource.res.mipmap.hMipmappedArray);
    return mipmap ? mipmap->level_count : 0;
}

bool texture_texels(const struct texture *texture, unsigned int level, struct texels *texels)
{
    const CUDA_RESOURCE_DESC *resource = &texture->resource;
    const struct CUarray_st *array;
    const struct CUmipmappedArray_st *mipmap;
    switch (resource->resType) {
    case CU_RESOURCE_TYPE_ARRAY:
        array = array_find(resource->res.array.hArray);
        if (!array)
            return false;
        texels_of_array(array, texels);
        break;
    case CU_RESOURCE_TYPE_MIPMAPPED_ARRAY:
        mipmap = mipmapped_array_find(resource->res.mipmap.hMipmappedArray);
        if (!mipmap || level >= mipmap->level_count)
            return false;
        texels_of_array(&mipmap->levels[level], texels);
        break;
    case CU_RESOURCE_TYPE_LINEAR:
        *texels = (struct texels){.base = resource->res.linear.devPtr,
                                  .height = 1,
                                  .depth = 1,
                                  .format = resource->res.linear.format,
                                  .channels = resource->res.linear.numChannels};
        texels->width =
            resource->res.linear.sizeInBytes / (array_channel_bytes(texels->format) * texels->channels);
        break;
    default:
        *texels = (struct texels){.base = resource->res.pitch2D.devPtr,
                                  .width = resource->res.pitch2D.width,
                                  .height = resource->res.pitch2D.height,
                                  .depth = 1,
                                  .row_bytes = resource->res.pitch2D.pitchInBytes,
                                  .format = resource->res.pitch2D.format,
                                  .channels = resource->res.pitch2D.numChannels};
    }
    if (texture->has_view && texture->view.format != CU_RES_VIEW_FORMAT_NONE)
        view_as(texture->view.format, texels);
    return true;
}

bool texture_query(void *user, uint64_t object, bool is_surface, enum ptx_texture_query query,
                   uint32_t *value)
{
    struct texture texture;
    struct texels texels;
    if (!texture_find(user, object, is_surface, &texture) || !texture_texels(&texture, 0, &texels))
        return false;
    switch (query) {
    case PTX_QUERY_WIDTH:
        *value = (uint32_t)texels.width;
        break;
    case PTX_QUERY_HEIGHT:
        *value = (uint32_t)texels.height;
        break;
    case PTX_QUERY_DEPTH:
    case PTX_QUERY_LAYERS:
        *value = (uint32_t)texels.depth;
        break;
    case PTX_QUERY_LEVELS:
        *value = texture_levels(&texture);
        break;
    }
    return true;
}

/* --- entry points --- */

static bool format_is_valid(CUarray_format format, unsigned int channels)
{
    return array_channel_bytes(format) && (channels == 1 || channels == 2 || channels == 4);
}

static bool is_memory(uint64_t address, uint64_t bytes)
{
    struct region region;
    return bytes && arena_find(address, bytes, &region);
}

static CUresult check_resource(const CUDA_RESOURCE_DESC *resource)
{
    if (resource->flags)
        return CUDA_ERROR_INVALID_VALUE;
    switch (resource->resType) {
    case CU_RESOURCE_TYPE_ARRAY:
        if (!resource->res.array.hArray)
            return CUDA_ERROR_INVALID_VALUE;
        return array_find(resource->res.array.hArray) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
    case CU_RESOURCE_TYPE_MIPMAPPED_ARRAY:
        if (!resource->res.mipmap.hMipmappedArray)
            return CUDA_ERROR_INVALID_VALUE;
        return mipmapped_array_find(resource->res.mipmap.hMipmappedArray) ? CUDA_SUCCESS
                                                                          : CUDA_ERROR_INVALID_HANDLE;
    case CU_RESOURCE_TYPE_LINEAR:
        return format_is_valid(resource->res.linear.format, resource->res.linear.numChannels) &&
                       resource->res.linear.devPtr % TEXTURE_ALIGNMENT == 0 &&
                       is_memory(resource->res.linear.devPtr, resource->res.linear.sizeInBytes)
                   ? CUDA_SUCCESS
                   : CUDA_ERROR_INVALID_VALUE;
    case CU_RESOURCE_TYPE_PITCH2D:
        return format_is_valid(resource->res.pitch2D.format, resource->res.pitch2D.numChannels) &&
                       resource->res.pitch2D.devPtr % TEXTURE_ALIGNMENT == 0 &&
                       resource->res.pitch2D.pitchInBytes % PITCH_ALIGNMENT == 0 &&
                       resource->res.pitch2D.width && resource->res.pitch2D.height &&
                       is_memory(resource->res.pitch2D.devPtr,
                                 resource->res.pitch2D.pitchInBytes * resource->res.pitch2D.height)
                   ? CUDA_SUCCESS
                   : CUDA_ERROR_INVALID_VALUE;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

static bool reads_integers(const struct texels *texels, unsigned int flags)
{
    bool is_float = texels->format == CU_AD_FORMAT_HALF || texels->format == CU_AD_FORMAT_FLOAT;
    return !is_float && (flags & CU_TRSF_READ_AS_INTEGER || array_channel_bytes(texels->format) == 4);
}

static CUresult check_description(const struct texture *texture)
{
    const CUDA_TEXTURE_DESC *description = &texture->description;
    struct texels texels;
    if (description->flags & ~(unsigned int)FLAGS_KNOWN ||
        (unsigned int)description->filterMode > CU_TR_FILTER_MODE_LINEAR ||
        (unsigned int)description->mipmapFilterMode > CU_TR_FILTER_MODE_LINEAR)
        return CUDA_ERROR_INVALID_VALUE;
    for (int axis = 0; axis < 3; axis++)
        if ((unsigned int)description->addressMode[axis] > CU_TR_ADDRESS_MODE_BORDER)
            return CUDA_ERROR_INVALID_VALUE;
    if (!texture_texels(texture, 0, &texels))
        return CUDA_ERROR_INVALID_HANDLE;
    if (description->filterMode == CU_TR_FILTER_MODE_LINEAR && reads_integers(&texels, description->flags))
        return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS;
}

CUresult cuTexObjectCreate(CUtexObject *pTexObject, const CUDA_RESOURCE_DESC *pResDesc,
                           const CUDA_TEXTURE_DESC *pTexDesc, const CUDA_RESOURCE_VIEW_DESC *pResViewDesc)
{
    struct texture texture = {.has_view = pResViewDesc != NULL};
    uint64_t object;
    CUresult result = context_current(&texture.context);
    if (!result && (!pTexObject || !pResDesc || !pTexDesc))
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        result = check_resource(pResDesc);
    if (!result && pResViewDesc && pResDesc->resType != CU_RESOURCE_TYPE_ARRAY &&
        pResDesc->resType != CU_RESOURCE_TYPE_MIPMAPPED_ARRAY)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    texture.resource = *pResDesc;
    texture.description = *pTexDesc;
    if (pResViewDesc)
        texture.view = *pResViewDesc;
    result = check_description(&texture);
    if (!result)
        result = add(&texture, &object);
    if (!result)
        *pTexObject = object;
    return result;
}

CUresult cuSurfObjectCreate(CUsurfObject *pSurfObject, const CUDA_RESOURCE_DESC *pResDesc)
{
    struct texture texture = {.is_surface = true};
    uint64_t object;
    CUresult result = context_current(&texture.context);
    if (!result && (!pSurfObject || !pResDesc || pResDesc->flags))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    if (pResDesc->resType != CU_RESOURCE_TYPE_ARRAY)
        return CUDA_ERROR_INVALID_VALUE;
    result = check_resource(pResDesc); /* CUDA_ARRAY3D_SURFACE_LDST is not asked for by the driver either */
    if (result)
        return result;
    texture.resource = *pResDesc;
    result = add(&texture, &object);
    if (!result)
        *pSurfObject = object;
    return result;
}

CUresult cuTexObjectDestroy(CUtexObject texObject)
{
    return destroy(texObject, false);
}

CUresult cuSurfObjectDestroy(CUsurfObject surfObject)
{
    return destroy(surfObject, true);
}

static CUresult find(unsigned long long object, bool is_surface, const void *answer, struct texture *texture)
{
    struct CUctx_st *context;
    CUresult result = context_current(&context);
    if (!result && (!answer || !texture_find(context, object, is_surface, texture)))
        result = CUDA_ERROR_INVALID_VALUE;
    return result;
}

CUresult cuTexObjectGetResourceDesc(CUDA_RESOURCE_DESC *pResDesc, CUtexObject texObject)
{
    struct texture texture;
    CUresult result = find(texObject, false, pResDesc, &texture);
    if (!result)
        *pResDesc = texture.resource;
    return result;
}

CUresult cuTexObjectGetTextureDesc(CUDA_TEXTURE_DESC *pTexDesc, CUtexObject texObject)
{
    struct texture texture;
    CUresult result = find(texObject, false, pTexDesc, &texture);
    if (!result)
        *pTexDesc = texture.description;
    return result;
}

CUresult cuTexObjectGetResourceViewDesc(CUDA_RESOURCE_VIEW_DESC *pResViewDesc, CUtexObject texObject)
{
    struct texture texture;
    CUresult result = find(texObject, false, pResViewDesc, &texture);
    if (!result && !texture.has_view)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *pResViewDesc = texture.view;
    return result;
}

CUresult cuSurfObjectGetResourceDesc(CUDA_RESOURCE_DESC *pResDesc, CUsurfObject surfObject)
{
    struct texture texture;
    CUresult result = find(surfObject, true, pResDesc, &texture);
    if (!result)
        *pResDesc = texture.resource;
    return result;
}

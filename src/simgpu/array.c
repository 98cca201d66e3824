#include "simgpu/array.h"

#include <stdlib.h>

#include "cuda_api.h"
#include "simgpu/arena.h"
#include "simgpu/handle.h"
#include "simgpu/stream.h"

/* As the device's attributes say. */
#define WIDTH_1D_MAX  131072u
#define WIDTH_2D_MAX  131072u
#define HEIGHT_2D_MAX 65536u
#define EXTENT_3D_MAX 16384u
#define LAYERED_MAX   32768u
#define LAYERS_MAX    2048u
#define FLAGS_KNOWN   0x1ffu

static pthread_mutex_t lists_lock = PTHREAD_MUTEX_INITIALIZER;
static struct CUarray_st *arrays;
static struct CUmipmappedArray_st *mipmapped_arrays;

size_t array_channel_bytes(CUarray_format format)
{
    switch (format) {
    case CU_AD_FORMAT_UNSIGNED_INT8:
    case CU_AD_FORMAT_SIGNED_INT8:
        return 1;
    case CU_AD_FORMAT_UNSIGNED_INT16:
    case CU_AD_FORMAT_SIGNED_INT16:
    case CU_AD_FORMAT_HALF:
        return 2;
    case CU_AD_FORMAT_UNSIGNED_INT32:
    case CU_AD_FORMAT_SIGNED_INT32:
    case CU_AD_FORMAT_FLOAT:
        return 4;
    default:
        return 0;
    }
}

struct CUarray_st *array_find(CUarray handle)
{
    return handle_is(handle, HANDLE_ARRAY) ? handle : NULL;
}

struct CUmipmappedArray_st *mipmapped_array_find(CUmipmappedArray handle)
{
    return handle_is(handle, HANDLE_MIPMAPPED_ARRAY) ? handle : NULL;
}

static bool extents_are_valid(const CUDA_ARRAY3D_DESCRIPTOR *array)
{
    bool layered = array->Flags & CUDA_ARRAY3D_LAYERED, cube = array->Flags & CUDA_ARRAY3D_CUBEMAP;
    if (!array->Width)
        return false;
    if (cube)
        return array->Width == array->Height && array->Width <= LAYERED_MAX &&
               (layered ? array->Depth % 6 == 0 && array->Depth && array->Depth <= LAYERS_MAX
                        : array->Depth == 6);
    if (layered)
        return array->Width <= LAYERED_MAX && array->Height <= LAYERED_MAX && array->Depth &&
               array->Depth <= LAYERS_MAX;
    if (array->Depth)
        return array->Height && array->Width <= EXTENT_3D_MAX && array->Height <= EXTENT_3D_MAX &&
               array->Depth <= EXTENT_3D_MAX;
    return array->Height ? array->Width <= WIDTH_2D_MAX && array->Height <= HEIGHT_2D_MAX
                         : array->Width <= WIDTH_1D_MAX;
}

static CUresult check(const CUDA_ARRAY3D_DESCRIPTOR *array)
{
    if (array->Flags & ~FLAGS_KNOWN || !extents_are_valid(array) ||
        (array->NumChannels != 1 && array->NumChannels != 2 && array->NumChannels != 4))
        return CUDA_ERROR_INVALID_VALUE;
    if (array->Flags & (CUDA_ARRAY3D_SPARSE | CUDA_ARRAY3D_DEFERRED_MAPPING))
        return CUDA_ERROR_NOT_SUPPORTED;
    return array_channel_bytes(array->Format) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static size_t at_least_one(size_t extent)
{
    return extent ? extent : 1;
}

/* Everything but the memory. */
static void describe(struct CUarray_st *array, struct CUctx_st *context,
                     const CUDA_ARRAY3D_DESCRIPTOR *descriptor)
{
    array->context = context;
    array->descriptor = *descriptor;
    array->element_bytes = array_channel_bytes(descriptor->Format) * descriptor->NumChannels;
    array->width = descriptor->Width;
    array->height = at_least_one(descriptor->Height);
    array->depth = at_least_one(descriptor->Depth);
    array->row_bytes = array->width * array->element_bytes;
    array->slice_bytes = array->row_bytes * array->height;
}

static CUresult take_memory(struct CUctx_st *context, size_t bytes, uint64_t *base)
{
    struct region region = {.bytes = bytes,
                            .kind = REGION_DEVICE,
                            .device = context->device,
                            .context = context,
                            .is_module = true};
    CUresult result = arena_allocate(&region);
    *base = region.base;
    return result;
}

static void give_memory(uint64_t base)
{
    struct region removed;
    arena_remove(base, &removed);
}

static CUresult create(CUarray *handle, const CUDA_ARRAY3D_DESCRIPTOR *descriptor)
{
    struct CUctx_st *context;
    CUresult result = context_current(&context);
    if (!result && (!handle || !descriptor))
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        result = check(descriptor);
    if (result)
        return result;
    struct CUarray_st *array = calloc(1, sizeof *array);
    if (!array)
        return CUDA_ERROR_OUT_OF_MEMORY;
    describe(array, context, descriptor);
    result = take_memory(context, array->slice_bytes * array->depth, &array->base);
    if (!result && !handle_add(array, HANDLE_ARRAY)) {
        give_memory(array->base);
        result = CUDA_ERROR_OUT_OF_MEMORY;
    }
    if (result) {
        free(array);
        return result;
    }
    pthread_mutex_lock(&lists_lock);
    array->next = arrays;
    arrays = array;
    pthread_mutex_unlock(&lists_lock);
    *handle = array;
    return CUDA_SUCCESS;
}

CUresult cuArray3DCreate_v2(CUarray *pHandle, const CUDA_ARRAY3D_DESCRIPTOR *pAllocateArray)
{
    return create(pHandle, pAllocateArray);
}

CUresult cuArrayCreate_v2(CUarray *pHandle, const CUDA_ARRAY_DESCRIPTOR *pAllocateArray)
{
    if (!pAllocateArray)
        return create(pHandle, NULL);
    CUDA_ARRAY3D_DESCRIPTOR descriptor = {.Width = pAllocateArray->Width,
                                          .Height = pAllocateArray->Height,
                                          .Format = pAllocateArray->Format,
                                          .NumChannels = pAllocateArray->NumChannels};
    return create(pHandle, &descriptor);
}

/* Under the lock of the lists: frees what is off its list already. */
static void free_array(struct CUarray_st *array)
{
    handle_remove(array);
    give_memory(array->base);
    free(array);
}

static void free_mipmapped(struct CUmipmappedArray_st *mipmap)
{
    handle_remove(mipmap);
    for (unsigned int i = 0; i < mipmap->level_count; i++)
        handle_remove(&mipmap->levels[i]);
    give_memory(mipmap->levels[0].base);
    free(mipmap);
}

CUresult cuArrayDestroy(CUarray hArray)
{
    struct CUctx_st *context;
    CUresult result = context_current(&context);
    if (result)
        return result;
    struct CUarray_st *array = array_find(hArray);
    if (!array)
        return CUDA_ERROR_INVALID_HANDLE;
    if (array->mipmap) /* its memory stays */
        return CUDA_SUCCESS;
    stream_wait_all(array->context);
    pthread_mutex_lock(&lists_lock);
    struct CUarray_st **link = &arrays;
    while (*link && *link != array)
        link = &(*link)->next;
    if (*link) {
        *link = array->next;
        free_array(array);
    }
    pthread_mutex_unlock(&lists_lock);
    return CUDA_SUCCESS;
}

void array_destroy_all(struct CUctx_st *context)
{
    pthread_mutex_lock(&lists_lock);
    for (struct CUarray_st **link = &arrays; *link;) {
        struct CUarray_st *array = *link;
        if (array->context == context) {
            *link = array->next;
            free_array(array);
        } else {
            link = &array->next;
        }
    }
    for (struct CUmipmappedArray_st **link = &mipmapped_arrays; *link;) {
        struct CUmipmappedArray_st *mipmap = *link;
        if (mipmap->context == context) {
            *link = mipmap->next;
            free_mipmapped(mipmap);
        } else {
            link = &mipmap->next;
        }
    }
    pthread_mutex_unlock(&lists_lock);
}

/* --- questions --- */

static CUresult resolve(CUarray handle, const void *answer, struct CUarray_st **array)
{
    struct CUctx_st *context;
    CUresult result = context_current(&context);
    if (!result && !answer)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    *array = array_find(handle);
    return *array ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult cuArray3DGetDescriptor_v2(CUDA_ARRAY3D_DESCRIPTOR *pArrayDescriptor, CUarray hArray)
{
    struct CUarray_st *array;
    CUresult result = resolve(hArray, pArrayDescriptor, &array);
    if (!result)
        *pArrayDescriptor = array->descriptor;
    return result;
}

CUresult cuArrayGetDescriptor_v2(CUDA_ARRAY_DESCRIPTOR *pArrayDescriptor, CUarray hArray)
{
    struct CUarray_st *array;
    CUresult result = resolve(hArray, pArrayDescriptor, &array);
    if (!result)
        *pArrayDescriptor = (CUDA_ARRAY_DESCRIPTOR){.Width = array->descriptor.Width,
                                                    .Height = array->descriptor.Height,
                                                    .Format = array->descriptor.Format,
                                                    .NumChannels = array->descriptor.NumChannels};
    return result;
}

/* Formats of several planes are not there, so no array has one to be got. */
CUresult cuArrayGetPlane(CUarray *pPlaneArray, CUarray hArray, unsigned int planeIdx)
{
    struct CUarray_st *array;
    CUresult result = resolve(hArray, pPlaneArray, &array);
    return result ? result : CUDA_ERROR_INVALID_VALUE;
}

/* Of arrays that bring no memory of their own, of which there are none. */
CUresult cuArrayGetMemoryRequirements(CUDA_ARRAY_MEMORY_REQUIREMENTS *memoryRequirements, CUarray array,
                                      CUdevice device)
{
    struct CUarray_st *found;
    CUresult result = resolve(array, memoryRequirements, &found);
    return result ? result : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuArrayGetSparseProperties(CUDA_ARRAY_SPARSE_PROPERTIES *sparseProperties, CUarray array)
{
    struct CUarray_st *found;
    CUresult result = resolve(array, sparseProperties, &found);
    return result ? result : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuDeviceGetTexture1DLinearMaxWidth(size_t *maxWidthInElements, CUarray_format format,
                                            unsigned int numChannels, CUdevice dev)
{
    const size_t bytes_max = 1ull << 32;
    CUresult result = driver_check();
    if (result)
        return result;
    if (!driver_device(dev))
        return CUDA_ERROR_INVALID_DEVICE;
    size_t element = array_channel_bytes(format) * numChannels;
    if (!maxWidthInElements || !element || numChannels == 3 || numChannels > 4)
        return CUDA_ERROR_INVALID_VALUE;
    size_t width = bytes_max / element;
    *maxWidthInElements = width < 1u << 28 ? width : 1u << 28;
    return CUDA_SUCCESS;
}

/* --- mipmaps --- */

static void halve(CUDA_ARRAY3D_DESCRIPTOR *level)
{
    bool layered = level->Flags & (CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_CUBEMAP);
    level->Width = at_least_one(level->Width / 2);
    if (level->Height)
        level->Height = at_least_one(level->Height / 2);
    if (level->Depth && !layered)
        level->Depth = at_least_one(level->Depth / 2);
}

static unsigned int most_levels(const CUDA_ARRAY3D_DESCRIPTOR *array)
{
    size_t largest = array->Width > array->Height ? array->Width : array->Height;
    bool layered = array->Flags & (CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_CUBEMAP);
    if (!layered && array->Depth > largest)
        largest = array->Depth;
    unsigned int levels = 1;
    while (largest >>= 1)
        levels++;
    return levels;
}

CUresult cuMipmappedArrayCreate(CUmipmappedArray *pHandle, const CUDA_ARRAY3D_DESCRIPTOR *pMipmappedArrayDesc,
                                unsigned int numMipmapLevels)
{
    struct CUctx_st *context;
    CUresult result = context_current(&context);
    if (!result && (!pHandle || !pMipmappedArrayDesc))
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        result = check(pMipmappedArrayDesc);
    if (result)
        return result;
    unsigned int most = most_levels(pMipmappedArrayDesc);
    unsigned int count = numMipmapLevels < most ? numMipmapLevels : most;
    if (!count)
        count = 1;
    struct CUmipmappedArray_st *mipmap = calloc(1, sizeof *mipmap + count * sizeof mipmap->levels[0]);
    if (!mipmap)
        return CUDA_ERROR_OUT_OF_MEMORY;
    mipmap->context = context;
    mipmap->descriptor = *pMipmappedArrayDesc;
    mipmap->level_count = count;
    CUDA_ARRAY3D_DESCRIPTOR descriptor = *pMipmappedArrayDesc;
    size_t bytes = 0;
    for (unsigned int i = 0; i < count; i++, halve(&descriptor)) {
        describe(&mipmap->levels[i], context, &descriptor);
        mipmap->levels[i].mipmap = mipmap;
        mipmap->levels[i].base = bytes; /* so far from the memory's start */
        bytes += mipmap->levels[i].slice_bytes * mipmap->levels[i].depth;
    }
    uint64_t base;
    result = take_memory(context, bytes, &base);
    if (result) {
        free(mipmap);
        return result;
    }
    bool added = handle_add(mipmap, HANDLE_MIPMAPPED_ARRAY);
    for (unsigned int i = 0; i < count; i++) {
        mipmap->levels[i].base += base;
        added &= handle_add(&mipmap->levels[i], HANDLE_ARRAY);
    }
    if (!added) {
        free_mipmapped(mipmap);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    pthread_mutex_lock(&lists_lock);
    mipmap->next = mipmapped_arrays;
    mipmapped_arrays = mipmap;
    pthread_mutex_unlock(&lists_lock);
    *pHandle = mipmap;
    return CUDA_SUCCESS;
}

CUresult cuMipmappedArrayGetLevel(CUarray *pLevelArray, CUmipmappedArray hMipmappedArray, unsigned int level)
{
    struct CUctx_st *context;
    CUresult result = context_current(&context);
    if (result)
        return result;
    struct CUmipmappedArray_st *mipmap = mipmapped_array_find(hMipmappedArray);
    if (!mipmap)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!pLevelArray || level >= mipmap->level_count)
        return CUDA_ERROR_INVALID_VALUE;
    *pLevelArray = &mipmap->levels[level];
    return CUDA_SUCCESS;
}

CUresult cuMipmappedArrayDestroy(CUmipmappedArray hMipmappedArray)
{
    struct CUctx_st *context;
    CUresult result = context_current(&context);
    if (result)
        return result;
    struct CUmipmappedArray_st *mipmap = mipmapped_array_find(hMipmappedArray);
    if (!mipmap)
        return CUDA_ERROR_INVALID_HANDLE;
    stream_wait_all(mipmap->context);
    pthread_mutex_lock(&lists_lock);
    struct CUmipmappedArray_st **link = &mipmapped_arrays;
    while (*link && *link != mipmap)
        link = &(*link)->next;
    if (*link) {
        *link = mipmap->next;
        free_mipmapped(mipmap);
    }
    pthread_mutex_unlock(&lists_lock);
    return CUDA_SUCCESS;
}

CUresult cuMipmappedArrayGetMemoryRequirements(CUDA_ARRAY_MEMORY_REQUIREMENTS *memoryRequirements,
                                               CUmipmappedArray mipmap, CUdevice device)
{
    CUresult result = driver_check();
    if (result)
        return result;
    return memoryRequirements && mipmapped_array_find(mipmap) ? CUDA_ERROR_INVALID_VALUE
                                                              : CUDA_ERROR_INVALID_HANDLE;
}

CUresult cuMipmappedArrayGetSparseProperties(CUDA_ARRAY_SPARSE_PROPERTIES *sparseProperties,
                                             CUmipmappedArray mipmap)
{
    CUresult result = driver_check();
    if (result)
        return result;
    return sparseProperties && mipmapped_array_find(mipmap) ? CUDA_ERROR_INVALID_VALUE
                                                            : CUDA_ERROR_INVALID_HANDLE;
}

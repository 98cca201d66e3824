/* Arrays: made and destroyed under the VM's quota of memory. All else about them is passed on as it is. */
#include "worker/serve.h"

#include "driver_api.h"
#include "wire/own_calls.h"
#include "worker/handle_map.h"
#include "worker/held_memory.h"

/* Bits of an element, all of its channels together. The compressed and planar formats of video and graphics
 * have at most these. */
static uint64_t element_bits(CUarray_format format, unsigned channels)
{
    switch (format) {
    case CU_AD_FORMAT_UNSIGNED_INT8:
    case CU_AD_FORMAT_SIGNED_INT8:
        return 8ull * channels;
    case CU_AD_FORMAT_UNSIGNED_INT16:
    case CU_AD_FORMAT_SIGNED_INT16:
    case CU_AD_FORMAT_HALF:
        return 16ull * channels;
    case CU_AD_FORMAT_UNSIGNED_INT32:
    case CU_AD_FORMAT_SIGNED_INT32:
    case CU_AD_FORMAT_FLOAT:
        return 32ull * channels;
    default:
        return 64;
    }
}

static uint64_t at_least_one(uint64_t extent)
{
    return extent > 0 ? extent : 1;
}

/* What the array will hold, as far as its description tells; the driver rounds up. Levels each have half of
 * the extents of the one before. An array without memory of its own holds none. */
static CUresult array_bytes(const CUDA_ARRAY3D_DESCRIPTOR *array, unsigned levels, uint64_t *bytes)
{
    uint64_t width = at_least_one(array->Width), height = at_least_one(array->Height);
    uint64_t depth = at_least_one(array->Depth), bits = element_bits(array->Format, array->NumChannels);
    bool layered = (array->Flags & (CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_CUBEMAP)) != 0;
    *bytes = 0;
    if (array->Flags & (CUDA_ARRAY3D_SPARSE | CUDA_ARRAY3D_DEFERRED_MAPPING))
        return CUDA_SUCCESS;
    for (unsigned level = 0; level < levels && level < 64; level++) {
        uint64_t of_level;
        if (__builtin_mul_overflow(width, height, &of_level) ||
            __builtin_mul_overflow(of_level, depth, &of_level) ||
            __builtin_mul_overflow(of_level, bits, &of_level) ||
            __builtin_add_overflow(*bytes, of_level / 8, bytes))
            return CUDA_ERROR_INVALID_VALUE;
        width = at_least_one(width / 2);
        height = at_least_one(height / 2);
        depth = layered ? depth : at_least_one(depth / 2);
    }
    return CUDA_SUCCESS;
}

CUresult serve_cuArrayCreate_v2(struct call *call)
{
    const struct request_cuArrayCreate_v2 *request = call->request;
    CUDA_ARRAY_DESCRIPTOR descriptor = request->pAllocateArray;
    CUDA_ARRAY3D_DESCRIPTOR like = {.Width = descriptor.Width,
                                    .Height = descriptor.Height,
                                    .Format = descriptor.Format,
                                    .NumChannels = descriptor.NumChannels};
    uint64_t bytes;
    CUarray array = NULL;
    CUresult result = handle_check_name(HANDLE_ARRAY, request->pHandle);
    if (result == CUDA_SUCCESS)
        result = array_bytes(&like, 1, &bytes);
    if (result == CUDA_SUCCESS)
        result = held_memory_claim(bytes);
    if (result != CUDA_SUCCESS)
        return result;
    result = driver.cuArrayCreate_v2(&array, &descriptor);
    held_memory_settle(bytes, HELD_ARRAY, (uintptr_t)array, result == CUDA_SUCCESS ? bytes : 0);
    if (result != CUDA_SUCCESS)
        return result;
    struct reply_cuArrayCreate_v2 reply = {.pHandle = call_name(HANDLE_ARRAY, request->pHandle, array, 0)};
    call_reply_append(call, &reply, sizeof reply);
    return CUDA_SUCCESS;
}

CUresult serve_cuArray3DCreate_v2(struct call *call)
{
    const struct request_cuArray3DCreate_v2 *request = call->request;
    CUDA_ARRAY3D_DESCRIPTOR descriptor = request->pAllocateArray;
    uint64_t bytes;
    CUarray array = NULL;
    CUresult result = handle_check_name(HANDLE_ARRAY, request->pHandle);
    if (result == CUDA_SUCCESS)
        result = array_bytes(&descriptor, 1, &bytes);
    if (result == CUDA_SUCCESS)
        result = held_memory_claim(bytes);
    if (result != CUDA_SUCCESS)
        return result;
    result = driver.cuArray3DCreate_v2(&array, &descriptor);
    held_memory_settle(bytes, HELD_ARRAY, (uintptr_t)array, result == CUDA_SUCCESS ? bytes : 0);
    if (result != CUDA_SUCCESS)
        return result;
    struct reply_cuArray3DCreate_v2 reply = {.pHandle = call_name(HANDLE_ARRAY, request->pHandle, array, 0)};
    call_reply_append(call, &reply, sizeof reply);
    return CUDA_SUCCESS;
}

CUresult serve_cuMipmappedArrayCreate(struct call *call)
{
    const struct request_cuMipmappedArrayCreate *request = call->request;
    CUDA_ARRAY3D_DESCRIPTOR descriptor = request->pMipmappedArrayDesc;
    uint64_t bytes;
    CUmipmappedArray array = NULL;
    CUresult result = handle_check_name(HANDLE_MIPMAPPED_ARRAY, request->pHandle);
    if (result == CUDA_SUCCESS)
        result = array_bytes(&descriptor, (unsigned)at_least_one(request->numMipmapLevels), &bytes);
    if (result == CUDA_SUCCESS)
        result = held_memory_claim(bytes);
    if (result != CUDA_SUCCESS)
        return result;
    result = driver.cuMipmappedArrayCreate(&array, &descriptor, request->numMipmapLevels);
    held_memory_settle(bytes, HELD_ARRAY, (uintptr_t)array, result == CUDA_SUCCESS ? bytes : 0);
    if (result != CUDA_SUCCESS)
        return result;
    struct reply_cuMipmappedArrayCreate reply = {
        .pHandle = call_name(HANDLE_MIPMAPPED_ARRAY, request->pHandle, array, 0)};
    call_reply_append(call, &reply, sizeof reply);
    return CUDA_SUCCESS;
}

/* The driver has answered to the end of what was withdrawn. */
static void end(uint64_t handle, const struct held_memory *held, bool known, CUresult result)
{
    bool gone = result == CUDA_SUCCESS;
    if (known)
        held_memory_end(held, gone);
    handle_withdrawn_end(handle, gone ? HANDLE_GONE : HANDLE_STAYS);
}

CUresult serve_cuArrayDestroy(struct call *call)
{
    const struct request_cuArrayDestroy *request = call->request;
    struct held_memory held;
    void *array;
    if (request->hArray == 0 || !handle_withdraw(HANDLE_ARRAY, request->hArray, &array))
        return CUDA_ERROR_INVALID_HANDLE;
    bool known = held_memory_withdraw(HELD_ARRAY, (uintptr_t)array, &held);
    CUresult result = driver.cuArrayDestroy(array);
    end(request->hArray, &held, known, result);
    return result;
}

CUresult serve_cuMipmappedArrayDestroy(struct call *call)
{
    const struct request_cuMipmappedArrayDestroy *request = call->request;
    struct held_memory held;
    void *array;
    if (request->hMipmappedArray == 0 ||
        !handle_withdraw(HANDLE_MIPMAPPED_ARRAY, request->hMipmappedArray, &array))
        return CUDA_ERROR_INVALID_HANDLE;
    bool known = held_memory_withdraw(HELD_ARRAY, (uintptr_t)array, &held);
    CUresult result = driver.cuMipmappedArrayDestroy(array);
    end(request->hMipmappedArray, &held, known, result);
    return result;
}

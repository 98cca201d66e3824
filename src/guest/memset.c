/* Setting device memory. The range is known to be the device's in nearly every call; then nothing can go
 * wrong that the worker would have to answer, and the call is forgotten once sent. */
#include "cuda_api.h"
#include "guest/export.h"
#include "guest/ranges.h"
#include "guest_forward.h"

#include <stdbool.h>
#include <stddef.h>

/* An aligned 1D range inside device memory. */
static bool plain(CUdeviceptr address, size_t count, size_t element_bytes)
{
    return count > 0 && count <= SIZE_MAX / element_bytes && address % element_bytes == 0 &&
           ranges_is_device(address, count * element_bytes);
}

#define MEMSET_1D(name, sync_suffix, type, element_bytes)                                                    \
    VGPU_EXPORT CUresult name##Async(CUdeviceptr dstDevice, type value, size_t N, CUstream hStream)          \
    {                                                                                                        \
        return forward_##name##Async(!plain(dstDevice, N, element_bytes), dstDevice, value, N, hStream);     \
    }                                                                                                        \
    VGPU_EXPORT CUresult name##sync_suffix(CUdeviceptr dstDevice, type value, size_t N)                      \
    {                                                                                                        \
        return name##Async(dstDevice, value, N, NULL);                                                       \
    }                                                                                                        \
    VGPU_EXPORT CUresult name##sync_suffix##_ptds(CUdeviceptr dstDevice, type value, size_t N)               \
    {                                                                                                        \
        return name##Async(dstDevice, value, N, CU_STREAM_PER_THREAD);                                       \
    }

#define MEMSET_2D(name, sync_suffix, type)                                                                   \
    VGPU_EXPORT CUresult name##Async(CUdeviceptr dstDevice, size_t dstPitch, type value, size_t Width,       \
                                     size_t Height, CUstream hStream)                                        \
    {                                                                                                        \
        return forward_##name##Async(true, dstDevice, dstPitch, value, Width, Height, hStream);              \
    }                                                                                                        \
    VGPU_EXPORT CUresult name##sync_suffix(CUdeviceptr dstDevice, size_t dstPitch, type value, size_t Width, \
                                           size_t Height)                                                    \
    {                                                                                                        \
        return name##Async(dstDevice, dstPitch, value, Width, Height, NULL);                                 \
    }                                                                                                        \
    VGPU_EXPORT CUresult name##sync_suffix##_ptds(CUdeviceptr dstDevice, size_t dstPitch, type value,        \
                                                  size_t Width, size_t Height)                               \
    {                                                                                                        \
        return name##Async(dstDevice, dstPitch, value, Width, Height, CU_STREAM_PER_THREAD);                 \
    }

MEMSET_1D(cuMemsetD8, _v2, unsigned char, 1)
MEMSET_1D(cuMemsetD16, _v2, unsigned short, 2)
MEMSET_1D(cuMemsetD32, _v2, unsigned int, 4)
MEMSET_2D(cuMemsetD2D8, _v2, unsigned char)
MEMSET_2D(cuMemsetD2D16, _v2, unsigned short)
MEMSET_2D(cuMemsetD2D32, _v2, unsigned int)

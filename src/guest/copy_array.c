/* Copies between one-dimensional arrays and memory: boxes of one row. */
#include "cuda_api.h"
#include "guest/copy_box.h"
#include "guest/export.h"

#include <stddef.h>

/* A copy of one row whose sides are still to be named. */
static CUDA_MEMCPY3D row_of(size_t bytes)
{
    return (CUDA_MEMCPY3D){.WidthInBytes = bytes, .Height = 1, .Depth = 1};
}

static void from_array(CUDA_MEMCPY3D *row, CUarray array, size_t offset)
{
    row->srcMemoryType = CU_MEMORYTYPE_ARRAY;
    row->srcArray = array;
    row->srcXInBytes = offset;
}

static void to_array(CUDA_MEMCPY3D *row, CUarray array, size_t offset)
{
    row->dstMemoryType = CU_MEMORYTYPE_ARRAY;
    row->dstArray = array;
    row->dstXInBytes = offset;
}

static CUresult array_to_device(CUdeviceptr device, CUarray array, size_t offset, size_t bytes,
                                CUstream stream)
{
    CUDA_MEMCPY3D row = row_of(bytes);
    from_array(&row, array, offset);
    row.dstMemoryType = CU_MEMORYTYPE_DEVICE;
    row.dstDevice = device;
    return copy_box(&row, BOX_3D, stream, true);
}

static CUresult device_to_array(CUarray array, size_t offset, CUdeviceptr device, size_t bytes,
                                CUstream stream)
{
    CUDA_MEMCPY3D row = row_of(bytes);
    to_array(&row, array, offset);
    row.srcMemoryType = CU_MEMORYTYPE_DEVICE;
    row.srcDevice = device;
    return copy_box(&row, BOX_3D, stream, true);
}

static CUresult array_to_array(CUarray to, size_t to_offset, CUarray from, size_t from_offset, size_t bytes,
                               CUstream stream)
{
    CUDA_MEMCPY3D row = row_of(bytes);
    from_array(&row, from, from_offset);
    to_array(&row, to, to_offset);
    return copy_box(&row, BOX_3D, stream, true);
}

static CUresult array_to_host(void *host, CUarray array, size_t offset, size_t bytes, CUstream stream,
                              bool synchronous)
{
    CUDA_MEMCPY3D row = row_of(bytes);
    from_array(&row, array, offset);
    row.dstMemoryType = CU_MEMORYTYPE_HOST;
    row.dstHost = host;
    return copy_box(&row, BOX_3D, stream, synchronous);
}

static CUresult host_to_array(CUarray array, size_t offset, const void *host, size_t bytes, CUstream stream,
                              bool synchronous)
{
    CUDA_MEMCPY3D row = row_of(bytes);
    to_array(&row, array, offset);
    row.srcMemoryType = CU_MEMORYTYPE_HOST;
    row.srcHost = host;
    return copy_box(&row, BOX_3D, stream, synchronous);
}

VGPU_EXPORT CUresult cuMemcpyAtoD_v2(CUdeviceptr dstDevice, CUarray srcArray, size_t srcOffset,
                                     size_t ByteCount)
{
    return array_to_device(dstDevice, srcArray, srcOffset, ByteCount, NULL);
}

VGPU_EXPORT CUresult cuMemcpyAtoD_v2_ptds(CUdeviceptr dstDevice, CUarray srcArray, size_t srcOffset,
                                          size_t ByteCount)
{
    return array_to_device(dstDevice, srcArray, srcOffset, ByteCount, CU_STREAM_PER_THREAD);
}

VGPU_EXPORT CUresult cuMemcpyDtoA_v2(CUarray dstArray, size_t dstOffset, CUdeviceptr srcDevice,
                                     size_t ByteCount)
{
    return device_to_array(dstArray, dstOffset, srcDevice, ByteCount, NULL);
}

VGPU_EXPORT CUresult cuMemcpyDtoA_v2_ptds(CUarray dstArray, size_t dstOffset, CUdeviceptr srcDevice,
                                          size_t ByteCount)
{
    return device_to_array(dstArray, dstOffset, srcDevice, ByteCount, CU_STREAM_PER_THREAD);
}

VGPU_EXPORT CUresult cuMemcpyAtoA_v2(CUarray dstArray, size_t dstOffset, CUarray srcArray, size_t srcOffset,
                                     size_t ByteCount)
{
    return array_to_array(dstArray, dstOffset, srcArray, srcOffset, ByteCount, NULL);
}

VGPU_EXPORT CUresult cuMemcpyAtoA_v2_ptds(CUarray dstArray, size_t dstOffset, CUarray srcArray,
                                          size_t srcOffset, size_t ByteCount)
{
    return array_to_array(dstArray, dstOffset, srcArray, srcOffset, ByteCount, CU_STREAM_PER_THREAD);
}

VGPU_EXPORT CUresult cuMemcpyAtoH_v2(void *dstHost, CUarray srcArray, size_t srcOffset, size_t ByteCount)
{
    return array_to_host(dstHost, srcArray, srcOffset, ByteCount, NULL, true);
}

VGPU_EXPORT CUresult cuMemcpyAtoH_v2_ptds(void *dstHost, CUarray srcArray, size_t srcOffset, size_t ByteCount)
{
    return array_to_host(dstHost, srcArray, srcOffset, ByteCount, CU_STREAM_PER_THREAD, true);
}

VGPU_EXPORT CUresult cuMemcpyHtoA_v2(CUarray dstArray, size_t dstOffset, const void *srcHost,
                                     size_t ByteCount)
{
    return host_to_array(dstArray, dstOffset, srcHost, ByteCount, NULL, true);
}

VGPU_EXPORT CUresult cuMemcpyHtoA_v2_ptds(CUarray dstArray, size_t dstOffset, const void *srcHost,
                                          size_t ByteCount)
{
    return host_to_array(dstArray, dstOffset, srcHost, ByteCount, CU_STREAM_PER_THREAD, true);
}

VGPU_EXPORT CUresult cuMemcpyAtoHAsync_v2(void *dstHost, CUarray srcArray, size_t srcOffset, size_t ByteCount,
                                          CUstream hStream)
{
    return array_to_host(dstHost, srcArray, srcOffset, ByteCount, hStream, false);
}

VGPU_EXPORT CUresult cuMemcpyHtoAAsync_v2(CUarray dstArray, size_t dstOffset, const void *srcHost,
                                          size_t ByteCount, CUstream hStream)
{
    return host_to_array(dstArray, dstOffset, srcHost, ByteCount, hStream, false);
}

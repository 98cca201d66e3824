/* cuMemcpy*, each in three forms: in the legacy stream, in the calling thread's own (_ptds), and Async in any
 * stream, where 0 means the legacy stream or, in the _ptsz form, the thread's own. */
#include "cuda_api.h"
#include "simgpu/copy.h"
#include "simgpu/handle.h"
#include "simgpu/per_thread.h"

static CUresult linear(CUstream handle, enum copy_end to_end, uint64_t to, enum copy_end from_end,
                       uint64_t from, size_t bytes, bool is_async)
{
    struct CUstream_st *stream;
    CUresult result = stream_resolve(handle, &stream);
    return result ? result : copy_linear(stream, to_end, to, from_end, from, bytes, is_async);
}

static uint64_t address_of(const void *pointer)
{
    return (uint64_t)(uintptr_t)pointer;
}

/* --- wherever the pointers lead --- */

CUresult cuMemcpy(CUdeviceptr dst, CUdeviceptr src, size_t ByteCount)
{
    return linear(CU_STREAM_LEGACY, COPY_UNIFIED, dst, COPY_UNIFIED, src, ByteCount, false);
}

CUresult cuMemcpy_ptds(CUdeviceptr dst, CUdeviceptr src, size_t ByteCount)
{
    return linear(CU_STREAM_PER_THREAD, COPY_UNIFIED, dst, COPY_UNIFIED, src, ByteCount, false);
}

CUresult cuMemcpyAsync(CUdeviceptr dst, CUdeviceptr src, size_t ByteCount, CUstream hStream)
{
    return linear(hStream, COPY_UNIFIED, dst, COPY_UNIFIED, src, ByteCount, true);
}

/* --- host to device --- */

CUresult cuMemcpyHtoD_v2(CUdeviceptr dstDevice, const void *srcHost, size_t ByteCount)
{
    return linear(CU_STREAM_LEGACY, COPY_DEVICE, dstDevice, COPY_HOST, address_of(srcHost), ByteCount, false);
}

CUresult cuMemcpyHtoD_v2_ptds(CUdeviceptr dstDevice, const void *srcHost, size_t ByteCount)
{
    return linear(CU_STREAM_PER_THREAD, COPY_DEVICE, dstDevice, COPY_HOST, address_of(srcHost), ByteCount,
                  false);
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr dstDevice, const void *srcHost, size_t ByteCount, CUstream hStream)
{
    return linear(hStream, COPY_DEVICE, dstDevice, COPY_HOST, address_of(srcHost), ByteCount, true);
}

/* --- device to host --- */

CUresult cuMemcpyDtoH_v2(void *dstHost, CUdeviceptr srcDevice, size_t ByteCount)
{
    return linear(CU_STREAM_LEGACY, COPY_HOST, address_of(dstHost), COPY_DEVICE, srcDevice, ByteCount, false);
}

CUresult cuMemcpyDtoH_v2_ptds(void *dstHost, CUdeviceptr srcDevice, size_t ByteCount)
{
    return linear(CU_STREAM_PER_THREAD, COPY_HOST, address_of(dstHost), COPY_DEVICE, srcDevice, ByteCount,
                  false);
}

CUresult cuMemcpyDtoHAsync_v2(void *dstHost, CUdeviceptr srcDevice, size_t ByteCount, CUstream hStream)
{
    return linear(hStream, COPY_HOST, address_of(dstHost), COPY_DEVICE, srcDevice, ByteCount, true);
}

/* --- device to device, on one GPU or two --- */

CUresult cuMemcpyDtoD_v2(CUdeviceptr dstDevice, CUdeviceptr srcDevice, size_t ByteCount)
{
    return linear(CU_STREAM_LEGACY, COPY_DEVICE, dstDevice, COPY_DEVICE, srcDevice, ByteCount, false);
}

CUresult cuMemcpyDtoD_v2_ptds(CUdeviceptr dstDevice, CUdeviceptr srcDevice, size_t ByteCount)
{
    return linear(CU_STREAM_PER_THREAD, COPY_DEVICE, dstDevice, COPY_DEVICE, srcDevice, ByteCount, false);
}

CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr dstDevice, CUdeviceptr srcDevice, size_t ByteCount,
                              CUstream hStream)
{
    return linear(hStream, COPY_DEVICE, dstDevice, COPY_DEVICE, srcDevice, ByteCount, true);
}

static CUresult peer(CUstream handle, CUdeviceptr to, CUcontext to_context, CUdeviceptr from,
                     CUcontext from_context, size_t bytes)
{
    if (!handle_is(to_context, HANDLE_CONTEXT) || !handle_is(from_context, HANDLE_CONTEXT))
        return CUDA_ERROR_INVALID_CONTEXT;
    return linear(handle, COPY_DEVICE, to, COPY_DEVICE, from, bytes, true);
}

CUresult cuMemcpyPeer(CUdeviceptr dstDevice, CUcontext dstContext, CUdeviceptr srcDevice,
                      CUcontext srcContext, size_t ByteCount)
{
    return peer(CU_STREAM_LEGACY, dstDevice, dstContext, srcDevice, srcContext, ByteCount);
}

CUresult cuMemcpyPeer_ptds(CUdeviceptr dstDevice, CUcontext dstContext, CUdeviceptr srcDevice,
                           CUcontext srcContext, size_t ByteCount)
{
    return peer(CU_STREAM_PER_THREAD, dstDevice, dstContext, srcDevice, srcContext, ByteCount);
}

CUresult cuMemcpyPeerAsync(CUdeviceptr dstDevice, CUcontext dstContext, CUdeviceptr srcDevice,
                           CUcontext srcContext, size_t ByteCount, CUstream hStream)
{
    return peer(hStream, dstDevice, dstContext, srcDevice, srcContext, ByteCount);
}

/* --- two dimensions --- */

static CUresult two_dimensions(CUstream handle, const CUDA_MEMCPY2D *copy, bool is_async)
{
    struct CUstream_st *stream;
    CUresult result = stream_resolve(handle, &stream);
    return result ? result : copy_2d(stream, copy, is_async);
}

CUresult cuMemcpy2D_v2(const CUDA_MEMCPY2D *pCopy)
{
    return two_dimensions(CU_STREAM_LEGACY, pCopy, false);
}

CUresult cuMemcpy2D_v2_ptds(const CUDA_MEMCPY2D *pCopy)
{
    return two_dimensions(CU_STREAM_PER_THREAD, pCopy, false);
}

CUresult cuMemcpy2DUnaligned_v2(const CUDA_MEMCPY2D *pCopy)
{
    return two_dimensions(CU_STREAM_LEGACY, pCopy, false);
}

CUresult cuMemcpy2DUnaligned_v2_ptds(const CUDA_MEMCPY2D *pCopy)
{
    return two_dimensions(CU_STREAM_PER_THREAD, pCopy, false);
}

CUresult cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D *pCopy, CUstream hStream)
{
    return two_dimensions(hStream, pCopy, true);
}

/* --- three dimensions --- */

static CUresult three_dimensions(CUstream handle, const CUDA_MEMCPY3D *copy, bool is_async)
{
    struct CUstream_st *stream;
    CUresult result = stream_resolve(handle, &stream);
    return result ? result : copy_3d(stream, copy, is_async);
}

CUresult cuMemcpy3D_v2(const CUDA_MEMCPY3D *pCopy)
{
    return three_dimensions(CU_STREAM_LEGACY, pCopy, false);
}

CUresult cuMemcpy3D_v2_ptds(const CUDA_MEMCPY3D *pCopy)
{
    return three_dimensions(CU_STREAM_PER_THREAD, pCopy, false);
}

CUresult cuMemcpy3DAsync_v2(const CUDA_MEMCPY3D *pCopy, CUstream hStream)
{
    return three_dimensions(hStream, pCopy, true);
}

CUresult cuMemcpy3DAsync_v2_ptsz(const CUDA_MEMCPY3D *pCopy, CUstream hStream)
{
    return three_dimensions(per_thread(hStream), pCopy, true);
}

/* Copies between one-dimensional arrays and memory: boxes of one row. */
#include "cuda_api.h"
#include "simgpu/copy.h"

struct row_end {
    CUmemorytype type;
    const void *host;
    CUdeviceptr device;
    CUarray array;
    size_t offset;
};

static CUresult copy_row(CUstream handle, struct row_end to, struct row_end from, size_t bytes, bool is_async)
{
    struct CUstream_st *stream;
    CUDA_MEMCPY3D row = {.srcMemoryType = from.type,
                         .srcHost = from.host,
                         .srcDevice = from.device,
                         .srcArray = from.array,
                         .srcXInBytes = from.offset,
                         .dstMemoryType = to.type,
                         .dstHost = (void *)(uintptr_t)to.host,
                         .dstDevice = to.device,
                         .dstArray = to.array,
                         .dstXInBytes = to.offset,
                         .WidthInBytes = bytes,
                         .Height = 1,
                         .Depth = 1};
    CUresult result = stream_resolve(handle, &stream);
    return result ? result : copy_3d(stream, &row, is_async);
}

static struct row_end on_host(const void *host)
{
    return (struct row_end){.type = CU_MEMORYTYPE_HOST, .host = host};
}

static struct row_end on_device(CUdeviceptr device)
{
    return (struct row_end){.type = CU_MEMORYTYPE_DEVICE, .device = device};
}

static struct row_end in_array(CUarray array, size_t offset)
{
    return (struct row_end){.type = CU_MEMORYTYPE_ARRAY, .array = array, .offset = offset};
}

/* Each in the legacy stream, and in the calling thread's own. */
#define TWO_FORMS(NAME, PARAMETERS, TO, FROM)                                                                \
    CUresult NAME PARAMETERS                                                                                 \
    {                                                                                                        \
        return copy_row(CU_STREAM_LEGACY, TO, FROM, ByteCount, false);                                       \
    }                                                                                                        \
    CUresult NAME##_ptds PARAMETERS                                                                          \
    {                                                                                                        \
        return copy_row(CU_STREAM_PER_THREAD, TO, FROM, ByteCount, false);                                   \
    }

TWO_FORMS(cuMemcpyAtoD_v2, (CUdeviceptr dstDevice, CUarray srcArray, size_t srcOffset, size_t ByteCount),
          on_device(dstDevice), in_array(srcArray, srcOffset))
TWO_FORMS(cuMemcpyDtoA_v2, (CUarray dstArray, size_t dstOffset, CUdeviceptr srcDevice, size_t ByteCount),
          in_array(dstArray, dstOffset), on_device(srcDevice))
TWO_FORMS(cuMemcpyAtoA_v2,
          (CUarray dstArray, size_t dstOffset, CUarray srcArray, size_t srcOffset, size_t ByteCount),
          in_array(dstArray, dstOffset), in_array(srcArray, srcOffset))
TWO_FORMS(cuMemcpyAtoH_v2, (void *dstHost, CUarray srcArray, size_t srcOffset, size_t ByteCount),
          on_host(dstHost), in_array(srcArray, srcOffset))
TWO_FORMS(cuMemcpyHtoA_v2, (CUarray dstArray, size_t dstOffset, const void *srcHost, size_t ByteCount),
          in_array(dstArray, dstOffset), on_host(srcHost))

CUresult cuMemcpyAtoHAsync_v2(void *dstHost, CUarray srcArray, size_t srcOffset, size_t ByteCount,
                              CUstream hStream)
{
    return copy_row(hStream, on_host(dstHost), in_array(srcArray, srcOffset), ByteCount, true);
}

CUresult cuMemcpyHtoAAsync_v2(CUarray dstArray, size_t dstOffset, const void *srcHost, size_t ByteCount,
                              CUstream hStream)
{
    return copy_row(hStream, in_array(dstArray, dstOffset), on_host(srcHost), ByteCount, true);
}

/* --- between peers: every context of the process reaches every array and all memory --- */

static CUresult copy_between_peers(CUstream handle, const CUDA_MEMCPY3D_PEER *copy, bool is_async)
{
    struct CUstream_st *stream;
    CUresult result = stream_resolve(handle, &stream);
    if (!result && !copy)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    CUDA_MEMCPY3D box = {.srcXInBytes = copy->srcXInBytes,
                         .srcY = copy->srcY,
                         .srcZ = copy->srcZ,
                         .srcLOD = copy->srcLOD,
                         .srcMemoryType = copy->srcMemoryType,
                         .srcHost = copy->srcHost,
                         .srcDevice = copy->srcDevice,
                         .srcArray = copy->srcArray,
                         .srcPitch = copy->srcPitch,
                         .srcHeight = copy->srcHeight,
                         .dstXInBytes = copy->dstXInBytes,
                         .dstY = copy->dstY,
                         .dstZ = copy->dstZ,
                         .dstLOD = copy->dstLOD,
                         .dstMemoryType = copy->dstMemoryType,
                         .dstHost = copy->dstHost,
                         .dstDevice = copy->dstDevice,
                         .dstArray = copy->dstArray,
                         .dstPitch = copy->dstPitch,
                         .dstHeight = copy->dstHeight,
                         .WidthInBytes = copy->WidthInBytes,
                         .Height = copy->Height,
                         .Depth = copy->Depth};
    return copy_3d(stream, &box, is_async);
}

CUresult cuMemcpy3DPeer(const CUDA_MEMCPY3D_PEER *pCopy)
{
    return copy_between_peers(CU_STREAM_LEGACY, pCopy, false);
}

CUresult cuMemcpy3DPeer_ptds(const CUDA_MEMCPY3D_PEER *pCopy)
{
    return copy_between_peers(CU_STREAM_PER_THREAD, pCopy, false);
}

CUresult cuMemcpy3DPeerAsync(const CUDA_MEMCPY3D_PEER *pCopy, CUstream hStream)
{
    return copy_between_peers(hStream, pCopy, true);
}

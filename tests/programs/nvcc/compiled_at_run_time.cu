/* NVRTC makes PTX here, in the guest; the driver loads it.
 *
 * nvcc: -lnvrtc -lcuda
 * prints: squares 0 1 4 9 */
#include <cuda.h>
#include <nvrtc.h>

#include <vector>

#include "check.h"

static const char *const source = "template <typename T> __global__ void square(T *values)\n"
                                  "{\n"
                                  "    values[threadIdx.x] *= values[threadIdx.x];\n"
                                  "}\n";

#define CHECK_NVRTC(call)                                                                                    \
    do {                                                                                                     \
        nvrtcResult result_ = (call);                                                                        \
        if (result_ != NVRTC_SUCCESS) {                                                                      \
            printf("%s: %s\n", #call, nvrtcGetErrorString(result_));                                         \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

int main()
{
    nvrtcProgram program;
    const char *lowered, *options[] = {"--gpu-architecture=compute_80"};
    CHECK_NVRTC(nvrtcCreateProgram(&program, source, "square.cu", 0, NULL, NULL));
    CHECK_NVRTC(nvrtcAddNameExpression(program, "square<int>"));
    CHECK_NVRTC(nvrtcCompileProgram(program, 1, options));
    size_t bytes;
    CHECK_NVRTC(nvrtcGetPTXSize(program, &bytes));
    std::vector<char> ptx(bytes);
    CHECK_NVRTC(nvrtcGetPTX(program, ptx.data()));
    CHECK_NVRTC(nvrtcGetLoweredName(program, "square<int>", &lowered));
    int host[4] = {0, 1, 2, 3}, *values = to_device(host, 4);
    CUmodule module;
    CUfunction square;
    if (cuModuleLoadData(&module, ptx.data()) != CUDA_SUCCESS ||
        cuModuleGetFunction(&square, module, lowered) != CUDA_SUCCESS)
        return 1;
    void *arguments[] = {&values};
    if (cuLaunchKernel(square, 1, 1, 1, 4, 1, 1, 0, NULL, arguments, NULL) != CUDA_SUCCESS)
        return 1;
    CHECK(cudaMemcpy(host, values, sizeof host, cudaMemcpyDeviceToHost));
    printf("squares %d %d %d %d\n", host[0], host[1], host[2], host[3]);
    CHECK_NVRTC(nvrtcDestroyProgram(&program));
    return 0;
}

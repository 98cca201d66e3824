#include "simgpu/unsupported.h"

#include <stdio.h>
#include <stdlib.h>

CUresult unsupported(const char *symbol)
{
    if (getenv("VGPU_SIM_DEBUG"))
        fprintf(stderr, "simulated libcuda.so.1: %s is not supported\n", symbol);
    return CUDA_ERROR_NOT_SUPPORTED;
}

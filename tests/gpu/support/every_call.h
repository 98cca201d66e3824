/* Every function that the guest library serves, with arguments: written by every_call.py. */
#ifndef VGPU_TESTS_GPU_EVERY_CALL_H
#define VGPU_TESTS_GPU_EVERY_CALL_H

#include "cuda/cuda_api.h"

struct every_call {
    const char *name;
    CUresult (*make)(void);
};
extern const struct every_call every_call[];
extern const size_t every_call_count;

/* Living objects, for the calls to be about. */
extern struct every_call_objects {
    CUcontext context;
    CUstream stream;
    CUevent event;
    CUmodule module;
    CUfunction function;
    CUlibrary library;
    CUkernel kernel;
    CUdeviceptr memory;
    CUarray array;
    CUgraph graph;
    CUgraphExec graph_exec;
} objects;

/* Zeros that may be written, 64 KiB for each parameter of a call. */
void *place(unsigned parameter);

#endif

/* A GPU ready for use: the primary context of device 0, made current on first use, and the kernels of
 * the tests in it. Everything here ends the case when the driver refuses. */
#ifndef VGPU_TESTS_GPU_GPU_H
#define VGPU_TESTS_GPU_GPU_H

#include "support/suite.h"

/* The PTX of kernels/NAME.ptx, NUL-terminated. */
extern const char ptx_basics[], ptx_compute[], ptx_launch[], ptx_module[], ptx_fault[];
extern const char ptx_managed[], ptx_print[];
extern const char ptx_cluster[], ptx_launch_config[], ptx_tensor_map[], ptx_texture[];
extern const char ptx_texture_reference[];

/* Initialises CUDA, and makes the primary context of device 0 current to this thread. */
CUdevice gpu_use(void);

/* A kernel of one of the sources above, loaded once in the process. Needs gpu_use() before; any thread. */
CUfunction gpu_kernel(const char *ptx, const char *name);

/* Launches one thread per element, 256 to a block. */
void gpu_launch(CUfunction function, uint32_t elements, CUstream stream, void **arguments);
#define ARGUMENTS(...) ((void *[]){__VA_ARGS__})

CUdeviceptr gpu_allocate(size_t bytes);
void *host_allocate_pinned(size_t bytes);

/* Value of attribute on device 0. */
int gpu_attribute(CUdevice_attribute attribute);

/* Whether kernels can use host memory here: not where guest and GPU share no memory. */
int host_memory_is_mapped(void);

/* A word that a kernel on the GPU waits for. While the gate is closed, the stream it stands in makes no
 * progress. The words lie in host memory where kernels can read that, in device memory elsewhere. */
struct gate {
    CUdeviceptr words;       /* [0]: not 0 when open; [1]: 1 once the kernel has passed, 2 if it gave up */
    volatile uint32_t *host; /* the same for the host, or NULL */
    CUstream opener;         /* for words in device memory */
};
struct gate gate_create(void);
void gate_close_stream(struct gate *gate, CUstream stream);
void gate_open(struct gate *gate);
/* Whether the kernel saw the gate open. Synchronise its stream before. */
int gate_passed(struct gate *gate);
void gate_destroy(struct gate *gate);

#endif
